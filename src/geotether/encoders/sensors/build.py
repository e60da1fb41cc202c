"""Sensor encoders from plain configurations, one or one per modality."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Num, Shaped
from torch import Tensor, nn

from geotether.encoders.build import build_named, known_names
from geotether.encoders.location import named_arguments
from geotether.encoders.sensors.backbone import TimmBackbone
from geotether.encoders.sensors.encoder import SensorEncoder, check_shape, network_shape
from geotether.encoders.sensors.networks import Perceptron, ResNet, TempCNN
from geotether.plugins import Registry

SENSOR_ENCODERS = Registry(
    "sensor_encoder",
    "geotether.sensor_encoders",
    {
        "tempcnn": TempCNN,
        "mlp": Perceptron,
        "resnet": ResNet,
        "timm": TimmBackbone,
    },
)
register_sensor_encoder = SENSOR_ENCODERS.register
"""Class decorator `@register_sensor_encoder("name")`."""
_DEFAULTS = {"vector": "mlp", "series": "tempcnn", "chip": "resnet"}
# Numbers checked at once for missing values.
_NUMBERS = 8_000_000


def default_sensor_encoder(kind: str) -> dict[str, Any]:
    """Return the configuration of the default encoder of a kind of observation.

    Args:
        kind: "vector", "series" or "chip".

    Raises:
        ValueError: If the kind is unknown.

    Example:
        >>> default_sensor_encoder("series")
        {'name': 'tempcnn'}
    """
    if kind not in _DEFAULTS:
        raise ValueError(f"Unknown kind of observation {kind!r}; {known_names(kind, _DEFAULTS)}")
    return {"name": _DEFAULTS[kind]}


def sensor_of(
    values: Shaped[np.ndarray, "n *row"], kind: str, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Describe a modality by its training rows, for models of several sensors.

    Args:
        values: Training rows, shape (n, *shape); may be a memory map.
        kind: "vector", "series" or "chip".
        config: As for `build_sensor_encoder`; None: the default of that kind. Unless it says otherwise, a
            missing channel is added if a training row has a missing value.

    Returns:
        {"config": ..., "kind": ..., "shape": [...]}, plain values.

    Raises:
        ValueError: If the kind is unknown, or the shape does not suit it.

    Example:
        >>> sensor_of(np.array([[1.0, np.nan]]), "vector")
        {'config': {'missing_channel': True, 'name': 'mlp'}, 'kind': 'vector', 'shape': [2]}
    """
    check_shape(kind, values.shape[1:])
    chosen = dict(config or default_sensor_encoder(kind))
    if "missing_channel" not in chosen:
        rows = max(1, _NUMBERS // max(1, int(np.prod(values.shape[1:]))))
        starts = range(0, len(values) if values.dtype.kind == "f" else 0, rows)
        missing = any(not np.isfinite(values[start : start + rows]).all() for start in starts)
        chosen = {"missing_channel": missing, **chosen}
    return {"config": chosen, "kind": kind, "shape": list(values.shape[1:])}


def build_sensor_encoder(
    config: Mapping[str, Any] | None, kind: str, shape: tuple[int, ...] | list[int], out_dim: int
) -> SensorEncoder:
    """Build the encoder of a sensor; its weights come from torch's global generator.

    Args:
        config: {"name": one of `SENSOR_ENCODERS`, "missing_channel": False, "components": None (of vectors), and its
            constructor's arguments except `shape` and `out_dim`}. None: the default of that kind.
        kind: "vector", rows (d,); "series", rows (steps, bands); "chip", rows (bands, height, width).
        shape: Of one row; of a series, the longest.
        out_dim: Size of the output.

    Returns:
        The encoder, not yet fitted.

    Raises:
        ValueError: If a name or keyword is unknown (with the known ones), out of range, or of another kind.
        ImportError: If the encoder needs an extra that is not installed.

    Example:
        >>> encoder = build_sensor_encoder({"name": "resnet", "width": 16}, "chip", (12, 16, 16), out_dim=64)
        >>> build_sensor_encoder(encoder.config, "chip", [12, 16, 16], out_dim=64).config == encoder.config
        True
    """
    row = tuple(int(size) for size in shape)
    check_shape(kind, row)
    if not isinstance(out_dim, int) or out_dim < 1:
        raise ValueError(f"out_dim must be an integer of 1 or more, got {out_dim!r}.")
    chosen = dict(default_sensor_encoder(kind) if config is None else config)
    missing_channel = chosen.pop("missing_channel", False)
    if not isinstance(missing_channel, bool):
        raise ValueError(f"missing_channel must be true or false, got {missing_channel!r}.")
    components = chosen.pop("components", None)
    name = chosen.get("name")
    takers = [known for known, network in SENSOR_ENCODERS.items() if kind in network.kinds]
    if name in SENSOR_ENCODERS and name not in takers:
        raise ValueError(f"The sensor encoder {name!r} does not take a {kind}; choose {', '.join(takers)}.")
    given = {"shape": network_shape(kind, row, missing_channel, components), "out_dim": out_dim}
    network = build_named("sensor encoder", SENSOR_ENCODERS, chosen, given)
    arguments = named_arguments(network, SENSOR_ENCODERS)
    del arguments["shape"], arguments["out_dim"]
    saved = {**arguments, "missing_channel": missing_channel}
    # Omitted if None, so that old and new model folders have the same entries.
    saved |= {} if components is None else {"components": components}
    return SensorEncoder(network, saved, kind, row, missing_channel, components)


def build_sensor_encoders(sensors: Mapping[str, Mapping[str, Any]], out_dim: int) -> nn.ModuleDict:
    """Build an encoder for each of several modalities.

    Args:
        sensors: Modality to {"config": ..., "kind": ..., "shape": ...}, as `build_sensor_encoder` takes them.
        out_dim: Size of every output.

    Raises:
        ValueError: If there are none, a name is not a valid parameter name, or an encoder cannot be built.
    """
    if not sensors:
        raise ValueError("At least one modality is needed; pass sensors={name: sensor_of(values, kind)}.")
    encoders = nn.ModuleDict()
    for name, sensor in sensors.items():
        # The name becomes part of the parameters' names, where a dot separates levels.
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or hasattr(nn.ModuleDict(), name):
            raise ValueError(f"Modality {name!r} is not a valid name; use letters, digits, '_' and '-'.")
        known = ("config", "kind", "shape")
        if not {"kind", "shape"} <= set(sensor) <= set(known):
            raise ValueError(f"Modality {name!r} needs kind and shape, and may have config; got {', '.join(sensor)}.")
        try:
            encoders[name] = build_sensor_encoder(sensor.get("config"), sensor["kind"], sensor["shape"], out_dim)
        except ValueError as error:
            raise ValueError(f"Modality {name!r}: {error}") from error
    return encoders


def sensors_of(encoders: nn.ModuleDict) -> dict[str, dict[str, Any]]:
    """Return the plain values from which `build_sensor_encoders` builds the same encoders."""
    return {
        name: {"config": dict(encoder.config), "kind": encoder.kind, "shape": list(encoder.shape)}  # type: ignore[arg-type, call-overload]
        for name, encoder in encoders.items()
    }


def encode_sensor(encoders: nn.ModuleDict, name: str, values: Num[Tensor, "n *row"]) -> Float[Tensor, "n out_dim"]:
    """Encode one modality's observations.

    Args:
        encoders: Modality to encoder.
        name: One of them.
        values: Shape (n, *shape), NaN where missing.

    Raises:
        ValueError: If the modality is unknown, or its values do not fit; both name it.
    """
    check_modality(name, encoders)
    try:
        standard = encoders[name].standardise(values)  # type: ignore[operator]
    except ValueError as error:
        raise ValueError(f"Modality {name!r}: {error}") from error
    return encoders[name].network(standard)  # type: ignore[operator]


def check_modality(name: str, known: Iterable[str]) -> None:
    """Raise if a model was not trained with a modality.

    Args:
        name: The modality.
        known: The modalities that it was trained with.

    Raises:
        ValueError: With the known names.
    """
    names = list(known)
    if name not in names:
        raise ValueError(f"This model was not trained with the modality {name!r}; {known_names(name, names)}")
