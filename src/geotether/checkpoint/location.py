"""The model folder of a location encoder, with heads and decoders by modality."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
from geotether.encoders.build import build_location_encoder
from geotether.encoders.heads import FeatureDecoder, ProjectionHead, SpecificParts
from geotether.encoders.location import LocationEncoder

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
    """Save a location encoder as a folder, which replaces an older one only when complete.

    Args:
        folder: Folder to write; missing parents are created. An existing folder must be empty or a model folder;
            other files in it stay.
        location: The encoder, of registered parts. It is rebuilt from its own `config`.
        config: Settings of the run, plain values; `load_model` returns them.
        provenance: Where the model comes from: tables by hash, recipe, seed, versions, steps; plain values.
        card: Text of the model card, Markdown.
        heads: Projection heads by modality, saved in the same file of weights.
        decoders: Decoders by modality, likewise.
        specific: Modality-specific parts, likewise.

    Raises:
        FileExistsError: If `folder` contains other files than a model.
        TypeError: If `config` or `provenance` contains a value that JSON cannot represent, or a part is not
            registered.
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
    encoder = location.config
    description = {
        "encoder": encoder,
        **plugin_record([("positional", encoder["positional"]["name"]), ("network", encoder["network"]["name"])]),
        "heads": {name: {key: getattr(head, key) for key in _HEAD_ARGUMENTS} for name, head in kept.items()},
        "decoders": {name: {key: getattr(one, key) for key in _DECODER_ARGUMENTS} for name, one in decoding.items()},
        **({} if specific is None else {"specific": specific.config}),
    }
    write_folder(Path(folder), description, weights, config, provenance, card)


class ModelParts(NamedTuple):
    """Everything in a model folder of a location encoder.

    Attributes:
        location: The encoder, on the CPU in evaluation mode.
        config: Settings of the run.
        provenance: Where the model comes from.
        heads: Modality to projection head; empty if none were saved.
        decoders: Modality to decoder, which predicts its features at a place; empty if none were saved.
        specific: Modality-specific parts; None if the model was trained without.
        card: Text of the model card.
    """

    location: LocationEncoder
    config: dict[str, Any]
    provenance: dict[str, Any]
    heads: dict[str, ProjectionHead]
    decoders: dict[str, FeatureDecoder]
    specific: SpecificParts | None
    card: str


def load_model(folder: str | Path) -> ModelParts:
    """Load the model folder of a location encoder. Only numbers and JSON are read; nothing is executed.

    Args:
        folder: Folder written by `save_model`.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If it is not a model of geotether, is of a newer format, truncated, or its files do not belong
            together.
        ImportError: If a part of the encoder is registered by a plug-in that is not loaded.
    """
    folder = Path(folder)
    about, weights = read_folder(folder)
    if about["encoder"] is None:
        raise ValueError(
            f"{folder} is a model of paired sensors that was not tied to places; it has no location encoder. "
            "`geotether predict` and geotether.load use it."
        )
    check_plugins(folder, about)
    try:
        location = build_location_encoder(about["encoder"], seed=0)
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG} describes an encoder that this version cannot build: {error}") from error
    fill_module(location, weights, "location.", folder)
    modules: dict[str, dict[str, Any]] = {"heads": {}, "decoders": {}}
    for kind, module in (("heads", ProjectionHead), ("decoders", FeatureDecoder)):
        for modality, arguments in about.get(kind, {}).items():  # folders of older versions have no decoders
            modules[kind][modality] = module(**arguments).eval()
            fill_module(modules[kind][modality], weights, f"{kind}.{modality}.", folder)
    specific = None
    if "specific" in about:
        specific = SpecificParts(**about["specific"]).eval()
        fill_module(specific, weights, "specific.", folder)
    card = folder / CARD
    return ModelParts(
        location.eval(),
        about["config"],
        read_json(folder / PROVENANCE),
        modules["heads"],
        modules["decoders"],
        specific,
        card.read_text(encoding="utf-8") if card.is_file() else "",
    )
