"""The model folder of any method: a location encoder with heads and decoders, or a model of paired sensors."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from geotether.checkpoint.folder import (
    CARD,
    CONFIG,
    PROVENANCE,
    WEIGHTS,
    check_plugins,
    fill_module,
    plugin_record,
    read_folder,
    read_json,
    write_folder,
)
from geotether.checkpoint.hub import snapshot_of
from geotether.checkpoint.named import model_path
from geotether.coverage.seen import SeenPlaces
from geotether.encoders.build import build_location_encoder
from geotether.encoders.colearner import CoLearner
from geotether.encoders.heads import FeatureDecoder, ProjectionHead, SpecificParts
from geotether.encoders.location import LocationEncoder
from geotether.encoders.networks import NETWORKS
from geotether.encoders.positional import POSITIONAL
from geotether.encoders.sensor_heads import SensorClassifier
from geotether.encoders.tied_sensors import TiedSensors
from geotether.features.featurizer import TRANSFORM_ENDING
from geotether.files.rounding import rounded_rows
from geotether.plugins import constructor_arguments

PairedModule = CoLearner | SensorClassifier | TiedSensors
_PAIRED: dict[str, type[Any]] = {kind.__name__: kind for kind in (CoLearner, SensorClassifier, TiedSensors)}
_ARGUMENTS = {
    "heads": (ProjectionHead, ("in_dim", "embed_dim", "hidden_dim", "dropout")),
    "decoders": (FeatureDecoder, ("embed_dim", "in_dim", "components")),
}


@dataclass
class ModelParts:
    """Everything in a model folder.

    Attributes:
        location: The location encoder; None of paired sensors that are not tied to places.
        config: Settings of the run, plain values.
        provenance: Where the model comes from: tables by hash, recipe, seed, versions, steps; plain values.
        card: Text of the model card, Markdown.
        heads: Modality to the projection head that a location encoder was trained with.
        decoders: Modality to decoder, which predicts its features at a place.
        specific: Modality-specific parts.
        seen: Where a location encoder was trained; None if that is not known.
        paired: The networks of a model of paired sensors, those of `location` included.
        about: Of paired sensors: `method`, `modalities`, `predicts_from` and `answer`, plain values.
        transforms: Modality to the fitted features of its table, as `geotether.featurizing.transform` writes them.
        folder: The folder that it was loaded from.
    """

    location: LocationEncoder | None
    config: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""
    heads: Mapping[str, Any] = field(default_factory=dict)
    decoders: Mapping[str, Any] = field(default_factory=dict)
    specific: SpecificParts | None = None
    seen: SeenPlaces | None = None
    paired: PairedModule | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    transforms: Mapping[str, bytes] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def method(self) -> str:
        """Name of the method that made the model."""
        return str(self.about.get("method") or self.config.get("method") or "location_ties")

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Prefix of the names of weights to module."""
        found = {"location": self.location, "specific": self.specific, "paired": self.paired}
        found |= {f"heads.{name}": module for name, module in self.heads.items()}
        found |= {f"decoders.{name}": module for name, module in self.decoders.items()}
        return {prefix: module for prefix, module in found.items() if module is not None}


def save_model(folder: str | Path, parts: ModelParts, rounded: Iterable[str] = ()) -> None:
    """Save a model as a folder, which replaces an older one only when complete.

    Args:
        folder: Folder to write; missing parents are created. An existing folder must be empty or a model folder;
            other files in it stay.
        parts: The model; its modules are built again from their own settings.
        rounded: Beginnings of names of weights, such as "location.network", whose matrices are stored as 16-bit
            integers with a unit per row, which halves their size; each changes by at most 1 / 65,534 of the largest
            number in its row.

    Raises:
        FileExistsError: If `folder` contains other files than a model.
        TypeError: If settings contain a value that JSON cannot represent, or a part is not registered.
        ValueError: If a weight is not finite.
        OSError: If the disk is full or read-only; an older model is unchanged.
    """
    weights = {
        f"{prefix}.{name}": tensor
        for prefix, module in parts.modules.items()
        for name, tensor in module.state_dict().items()
        if not (prefix == "paired" and name.startswith("location."))
    }
    for name in [name for name in weights if name.startswith(tuple(rounded))]:
        if weights[name].ndim == 2 and weights[name].is_floating_point():
            weights |= rounded_rows(name, weights.pop(name))
    encoder = None if parts.location is None else parts.location.config
    named = [] if encoder is None else [(kind, encoder[kind]["name"]) for kind in ("positional", "network")]
    description: dict[str, Any] = {"method": parts.method, "encoder": encoder}
    for kind, (_, arguments) in _ARGUMENTS.items():
        modules = getattr(parts, kind)
        description[kind] = {name: {key: getattr(one, key) for key in arguments} for name, one in modules.items()}
    if parts.specific is not None:
        description["specific"] = parts.specific.config
    if parts.paired is not None:
        settings = parts.paired.config
        named += [("sensor_encoder", sensor["config"]["name"]) for sensor in settings["sensors"].values()]
        description["paired"] = {**parts.about, "module": type(parts.paired).__name__, "settings": settings}
    if parts.seen is not None:
        description["seen"] = parts.seen.describe()
        weights |= {f"seen.{name}": torch.from_numpy(packed) for name, packed in parts.seen.pack().items()}
    description |= plugin_record(named)
    files = {f"{name}{TRANSFORM_ENDING}": content for name, content in parts.transforms.items()}
    write_folder(Path(folder), description, weights, parts.config, parts.provenance, parts.card, files)


def load_model(folder: str | Path) -> ModelParts:
    """Load a model folder, onto the CPU and in evaluation mode. Only numbers and JSON are read; nothing is executed.

    Args:
        folder: Its path, or the name of a model as for `geotether.load`.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If it is not a model of geotether, is of a newer format, truncated, or its files do not belong
            together.
        ImportError: If a part is registered by a plug-in that is not loaded.
    """
    folder = model_path(folder)
    description, weights, files = read_folder(folder)
    check_plugins(folder, description)
    provenance, card = read_json(folder / PROVENANCE), folder / CARD
    tables = provenance.get("tables", {})
    if not isinstance(tables, dict) or not all(isinstance(facts, dict) for facts in tables.values()):
        raise ValueError(f"{folder / PROVENANCE} is damaged: `tables` must name tables; copy the model folder again.")
    if snapshot := snapshot_of(folder):
        provenance["hub"] = {"repo": snapshot[0], "revision": snapshot[1]}
    parts = ModelParts(
        location=None,
        config=description["config"],
        provenance=provenance,
        folder=folder,
        transforms={
            name.removesuffix(TRANSFORM_ENDING): content
            for name, content in files.items()
            if name.endswith(TRANSFORM_ENDING)
        },
        card=card.read_text(encoding="utf-8", errors="replace") if card.is_file() else "",
    )
    try:
        with _no_larger_than(weights):
            _build(parts, description, weights)
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError, MemoryError) as error:
        reason = f"{type(error).__name__} {error}" if isinstance(error, LookupError | AttributeError) else str(error)
        raise ValueError(f"{folder / CONFIG} describes a model that this version cannot build: {reason}") from error
    if parts.paired is not None:
        renamed = {f"paired.{name}" if name.startswith("location.") else name: part for name, part in weights.items()}
        fill_module(parts.paired, renamed, "paired.", folder)
        parts.location = getattr(parts.paired, "location", None)
    else:
        for prefix, module in parts.modules.items():
            fill_module(module, weights, f"{prefix}.", folder)
    for module in parts.modules.values():
        module.eval()
    if "seen" in description:  # not of older versions
        parts.seen = _seen(folder, description["seen"], weights)
    return parts


def _seen(folder: Path, about: Any, weights: Mapping[str, Tensor]) -> SeenPlaces:
    """Restore the places that a model was trained on; ValueError if they are damaged."""
    packed = {name.removeprefix("seen."): one.numpy() for name, one in weights.items() if name.startswith("seen.")}
    try:
        return SeenPlaces.unpack(about, packed)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"{folder}: the places of its training are damaged ({type(error).__name__}: {error}); copy the model "
            "folder again."
        ) from error


def _build(parts: ModelParts, description: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Build the modules that a folder describes, with initial weights; sizes that the saved ones lack are refused."""
    numbers = sum(tensor.numel() for tensor in weights.values())
    encoder, paired = description["encoder"], description.get("paired")
    if encoder is not None:
        for kind, registry in (("positional", POSITIONAL), ("network", NETWORKS)):
            _check_sizes(registry.get(encoder[kind]["name"]), encoder[kind], numbers)
        for number, level in enumerate((encoder.get("context") or {"levels": ()})["levels"]):
            width = sum(level["groups"].values())
            size = max((level["stored"] + 1) * width, level["rows"] * level["columns"] // 8)
            if size > numbers:
                raise ValueError(f"level {number} of the context has {size:,} numbers, {WEIGHTS} {numbers:,} in all.")
    if paired is not None:
        if paired["module"] not in _PAIRED:
            raise ValueError(f"unknown module {paired['module']!r}; known: {', '.join(_PAIRED)}.")
        for name in ("modalities", "predicts_from"):
            if not isinstance(paired[name], list):
                raise ValueError(f"paired.{name} is {paired[name]!r:.60}, not a list.")
        parts.paired = _PAIRED[paired["module"]](**paired["settings"])
        parts.about = paired
        return
    parts.location = build_location_encoder(encoder, seed=0, settle=False)
    for kind in (*_ARGUMENTS, "specific"):
        axes = [max(tensor.shape, default=1) for name, tensor in weights.items() if name.startswith(f"{kind}.")]
        for key, size in _leaves(description.get(kind, {})):
            if isinstance(size, int | float) and size > max(axes, default=0) and key not in ("components", "dropout"):
                raise ValueError(f"{kind} has {key} {size:g}, which {WEIGHTS} does not have.")
    for kind, (module, _) in _ARGUMENTS.items():  # folders of older versions have no decoders
        built = {name: module(**arguments) for name, arguments in description.get(kind, {}).items()}
        setattr(parts, kind, built)
    if "specific" in description:
        parts.specific = SpecificParts(**description["specific"])


def _leaves(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of nested mappings."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield key, value


def _check_sizes(kind: Any, options: Mapping[str, Any], numbers: int) -> None:
    """Raise if a size is larger than the number of all weights, before anything is built with it."""
    for key, parameter in ({} if kind is None else constructor_arguments(kind)).items():
        size = options.get(key)
        if parameter.annotation is int and key != "seed" and isinstance(size, int | float) and size > numbers:
            raise ValueError(f"{options['name']} has {key} {size:g}, but {WEIGHTS} has {numbers:,} numbers.")


@contextmanager
def _no_larger_than(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Stop building modules that are much larger than the saved weights, before their parameters are drawn."""
    left = {"tensors": 2 * len(weights), "numbers": 2 * sum(tensor.numel() for tensor in weights.values()) + 2**20}
    thread = threading.get_ident()

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        if tensor is None or threading.get_ident() != thread:
            return
        left["tensors"] -= 1
        left["numbers"] -= tensor.numel()
        if min(left.values()) < 0:
            raise ValueError(f"it is larger than the weights in {WEIGHTS}.")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
