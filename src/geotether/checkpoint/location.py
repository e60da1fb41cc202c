"""The model folder of a location encoder, with heads and decoders by modality."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from geotether.checkpoint.folder import CONFIG, PROVENANCE, fill_module, read_folder, read_json, write_folder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.decoders import FeatureDecoder
from geotether.encoders.heads import ProjectionHead
from geotether.encoders.location import LocationEncoder
from geotether.encoders.specific import SpecificParts

_HEAD_ARGUMENTS = ("in_dim", "embed_dim", "hidden_dim", "dropout")
_DECODER_ARGUMENTS = ("embed_dim", "in_dim", "components")


def save_model(
    folder: str | Path,
    location: LocationEncoder,
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    card: str,
    heads: Mapping[str, ProjectionHead] | nn.ModuleDict | None = None,
    decoders: Mapping[str, FeatureDecoder] | nn.ModuleDict | None = None,
    specific: SpecificParts | None = None,
) -> None:
    """Save a location encoder as a folder that takes the place of an older one only when complete.

    Args:
        folder: Where; missing parents are created. An existing folder must be empty or a model folder;
            what else lies in it stays.
        location: The encoder, of registered parts. It is rebuilt from its own `config`.
        config: Settings to keep beside it, plain values; comes back from `load_location_encoder`.
        provenance: Where the model comes from: tables by hash, recipe, seed, versions, steps; plain values.
        card: Text of the model card, Markdown.
        heads: Projection heads by modality, to be kept in the same file of weights.
        decoders: Decoders by modality, likewise.
        specific: What each modality keeps for itself, likewise.

    Raises:
        FileExistsError: If `folder` holds something else than a model.
        TypeError: If `config` or `provenance` holds what JSON cannot, or a part has no registered name.
        ValueError: If a weight is not finite.
        OSError: If the disk is full or read-only; an older model is unchanged.
    """
    kept: dict[str, Any] = dict(heads.items()) if heads else {}
    decoding: dict[str, Any] = dict(decoders.items()) if decoders else {}
    weights = {f"location.{name}": tensor for name, tensor in location.state_dict().items()}
    for kind, modules in (("heads", kept), ("decoders", decoding)):
        for modality, module in modules.items():
            weights |= {f"{kind}.{modality}.{name}": tensor for name, tensor in module.state_dict().items()}
    if specific is not None:
        weights |= {f"specific.{name}": tensor for name, tensor in specific.state_dict().items()}
    description = {
        "encoder": location.config,
        "heads": {name: {key: getattr(head, key) for key in _HEAD_ARGUMENTS} for name, head in kept.items()},
        "decoders": {name: {key: getattr(one, key) for key in _DECODER_ARGUMENTS} for name, one in decoding.items()},
        **({} if specific is None else {"specific": specific.config}),
    }
    write_folder(Path(folder), description, weights, config, provenance, card)


def load_location_encoder(folder: str | Path) -> tuple[LocationEncoder, dict[str, Any], dict[str, Any]]:
    """Load the location encoder of a model folder. Only numbers and JSON are read; nothing is executed.

    Args:
        folder: From `save_model`.

    Returns:
        The encoder on the CPU in evaluation mode, the settings kept beside it, and its provenance.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If it is no model of geotether, of a newer format, truncated, or its files do not
            belong together.
    """
    folder = Path(folder)
    about, weights = read_folder(folder)
    if about["encoder"] is None:
        raise ValueError(
            f"{folder} holds a model of paired sensors that was not tied to places; it has no location encoder. "
            "`geotether predict` and geotether.predict.load_paired use it."
        )
    try:
        location = build_location_encoder(about["encoder"], seed=0)
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG} describes an encoder that this version cannot build: {error}") from error
    fill_module(location, weights, "location.", folder)
    return location.eval(), about["config"], read_json(folder / PROVENANCE)


def load_decoders(folder: str | Path) -> dict[str, FeatureDecoder]:
    """Load the decoders of a model folder: what each modality would look like at a place.

    Args:
        folder: From `save_model`.

    Returns:
        Modality to decoder, in evaluation mode; empty if the model was saved without.

    Raises:
        FileNotFoundError: As for `load_location_encoder`.
        ValueError: As for `load_location_encoder`.
    """
    return _modules(Path(folder), "decoders", FeatureDecoder)


def load_specific(folder: str | Path) -> SpecificParts | None:
    """Load what each modality keeps for itself; None if the model was trained without.

    Args:
        folder: From `save_model`.

    Raises:
        FileNotFoundError: As for `load_location_encoder`.
        ValueError: As for `load_location_encoder`.
    """
    about, weights = read_folder(Path(folder))
    if "specific" not in about:
        return None
    parts = SpecificParts(**about["specific"]).eval()
    fill_module(parts, weights, "specific.", Path(folder))
    return parts


def load_heads(folder: str | Path) -> dict[str, ProjectionHead]:
    """Load the projection heads of a model folder.

    Args:
        folder: From `save_model`.

    Returns:
        Modality to head, on the CPU in evaluation mode; empty if none were saved.

    Raises:
        FileNotFoundError: As for `load_location_encoder`.
        ValueError: As for `load_location_encoder`.
    """
    return _modules(Path(folder), "heads", ProjectionHead)


def _modules(folder: Path, kind: str, module: type[Any]) -> dict[str, Any]:
    """The modules of one kind by modality; folders of older versions have no decoders."""
    about, weights = read_folder(folder)
    found = {}
    for modality, arguments in about.get(kind, {}).items():
        found[modality] = module(**arguments).eval()
        fill_module(found[modality], weights, f"{kind}.{modality}.", folder)
    return found
