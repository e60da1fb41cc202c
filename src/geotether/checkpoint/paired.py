"""The model folder of a model of paired sensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from geotether.checkpoint.folder import (
    CARD,
    CONFIG,
    PROVENANCE,
    check_plugins,
    fill_module,
    plugin_record,
    read_folder,
    read_json,
    write_folder,
)
from geotether.encoders.colearner import CoLearner
from geotether.encoders.sensor_heads import SensorClassifier
from geotether.encoders.tied_sensors import TiedSensors

PairedModule = CoLearner | SensorClassifier | TiedSensors
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (CoLearner, SensorClassifier, TiedSensors)}


def save_paired(
    folder: str | Path,
    model: PairedModule,
    about: Mapping[str, Any],
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    card: str,
) -> None:
    """Save a model of paired sensors as a folder, which replaces an older one only when complete.

    A location encoder in it is saved like any other, so that the folder can be loaded to encode places.

    Args:
        folder: Folder to write; see `write_folder`.
        model: The model, built again from its own `config`.
        about: Its targets and sensors, plain values; `load_paired_module` returns them.
        config: Settings of the run, plain values.
        provenance: Where the model comes from, plain values.
        card: Text of the model card, Markdown.

    Raises:
        FileExistsError, TypeError, ValueError, OSError: As `write_folder` does.
    """
    location = getattr(model, "location", None)
    weights = {f"paired.{name}": tensor for name, tensor in model.state_dict().items()}
    if location is not None:
        weights |= {f"location.{name}": tensor for name, tensor in location.state_dict().items()}
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("paired.location.")}
    parts = [("sensor_encoder", sensor["config"]["name"]) for sensor in model.config["sensors"].values()]
    if location is not None:
        parts += [(kind, location.config[kind]["name"]) for kind in ("positional", "network")]
    known = ("module", "settings")
    about = {key: value for key, value in about.items() if key not in known}  # of a loaded model: written below
    description = {
        "encoder": None if location is None else location.config,
        "heads": {},
        "decoders": {},
        **plugin_record(parts),
        "paired": {"module": type(model).__name__, "settings": model.config, **about},
    }
    write_folder(Path(folder), description, weights, config, provenance, card)


def load_paired_module(
    folder: str | Path,
) -> tuple[PairedModule, dict[str, Any], dict[str, Any], dict[str, Any], str]:
    """Load a model of paired sensors. Only numbers and JSON are read; nothing is executed.

    Args:
        folder: Folder written by `save_paired`.

    Returns:
        The model on the CPU in evaluation mode, its targets and sensors, its provenance, the settings of the run, and
        the text of its card.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If it is another kind of model, of a newer format, truncated, or its files do not match.
    """
    folder = Path(folder)
    description, weights = read_folder(folder)
    about = description.get("paired")
    if about is None:
        raise ValueError(f"{folder} is a location encoder, not a model of paired sensors; encode places with it.")
    if about.get("module") not in _KINDS:
        raise ValueError(f"{folder / CONFIG} names the module {about.get('module')!r}; known: {', '.join(_KINDS)}.")
    check_plugins(folder, description)
    model: nn.Module = _KINDS[about["module"]](**about["settings"])
    renamed = {f"paired.{name}" if name.startswith("location.") else name: part for name, part in weights.items()}
    fill_module(model, renamed, "paired.", folder)
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    return model.eval(), about, read_json(folder / PROVENANCE), description["config"], text  # type: ignore[return-value]
