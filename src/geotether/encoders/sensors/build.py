"""Sensor encoders from plain configurations, one or one per modality."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Num, Shaped
from torch import Tensor, nn

from geotether.encoders.build import build_named, known_names
from geotether.encoders.location import named_arguments
from geotether.encoders.sensors.backbone import TimmBackbone
from geotether.encoders.sensors.encoder import SensorEncoder, check_shape, network_shape
from geotether.encoders.sensors.networks import Perceptron, ResNet, TempCNN
from geotether.plugins import Registry, constructor_arguments

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


def default_sensor_encoder(kind: str) -> dict[str, Any]:
    """Return the configuration of the default encoder of a kind of observation; ValueError if it is unknown."""
    if kind not in _DEFAULTS:
        raise ValueError(f"Unknown kind of observation {kind!r}; {known_names(kind, _DEFAULTS)}")
    return {"name": _DEFAULTS[kind]}


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
        raise ValueError("At least one modality is needed; pass sensors={name: {'kind': ..., 'shape': ...}}.")
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


class SensorModel(nn.Module):
    """Base of models of several sensors, with one encoder per modality in `encoders`.

    A subclass keeps its constructor's arguments, except `sensors`, as attributes of the same name.
    """

    encoders: nn.ModuleDict

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order; in a classifier of modalities, the index of each is its class."""
        return tuple(self.encoders)

    @property
    def config(self) -> dict[str, Any]:
        """Plain values from which the class builds the same architecture: its constructor's arguments."""
        kept = {name: getattr(self, name) for name in constructor_arguments(type(self)) if name != "sensors"}
        sensors = {
            name: {"config": dict(encoder.config), "kind": encoder.kind, "shape": list(encoder.shape)}  # type: ignore[arg-type, call-overload]
            for name, encoder in self.encoders.items()
        }
        return {"sensors": sensors, **{name: getattr(value, "config", value) for name, value in kept.items()}}

    def fit(self, name: str, values: Shaped[np.ndarray, "n *row"]) -> None:
        """Fit the standardisation of a modality to its training rows (n, *shape); see `SensorEncoder.fit`."""
        self.check_modality(name)
        self.encoders[name].fit(values)  # type: ignore[operator]

    def check_modality(self, name: str) -> None:
        """Raise ValueError, with the known names, if the model was not trained with a modality."""
        if name not in self.modalities:
            known = known_names(name, self.modalities)
            raise ValueError(f"This model was not trained with the modality {name!r}; {known}")

    def encode(self, name: str, values: Num[Tensor, "n *row"]) -> Float[Tensor, "n dim"]:
        """Encode one modality's observations.

        Args:
            name: One of `modalities`.
            values: Shape (n, *shape), as in the table, NaN where missing.

        Returns:
            Shape (n, dim), not normalised.

        Raises:
            ValueError: If the modality is unknown, or its values do not fit; both name it.
        """
        return self.encode_by(self.encoders, name, values)

    def encode_by(self, encoders: nn.ModuleDict, name: str, values: Num[Tensor, "n *row"]) -> Float[Tensor, "n dim"]:
        """Encode as `encode` does, with other encoders of the same modalities."""
        self.check_modality(name)
        try:
            standard = encoders[name].standardise(values)  # type: ignore[operator]
        except ValueError as error:
            raise ValueError(f"Modality {name!r}: {error}") from error
        return encoders[name].network(standard)  # type: ignore[operator]
