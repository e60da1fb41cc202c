"""A supervised classifier of one or several sensors, without co-learning."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num, Shaped
from torch import Tensor, nn

from geotether.encoders.sensors.build import build_sensor_encoders, check_modality, encode_sensor, sensors_of


class SensorClassifier(nn.Module):
    """Encoders of all modalities, joined, and a linear head.

    With one modality it is the single-sensor baseline; with several, the fusion that needs all of them, a teacher or
    an upper bound.

    Args:
        sensors: Modality to {"config": ..., "kind": ..., "shape": ...}, one or more; see `sensor_of`.
        num_outputs: Size of the head's output: classes, labels, or 1 for a number.
        dim: Size of every encoder's output.

    Raises:
        ValueError: If a size is out of range or a sensor cannot be encoded.

    Example:
        >>> model = SensorClassifier({"s1": {"kind": "series", "shape": [12, 2]}}, num_outputs=9).eval()
        >>> model({"s1": torch.zeros(5, 12, 2)}).shape
        torch.Size([5, 9])
    """

    def __init__(self, sensors: Mapping[str, Mapping[str, Any]], num_outputs: int, dim: int = 128) -> None:
        super().__init__()
        if num_outputs < 1 or dim < 1:
            raise ValueError(f"num_outputs and dim must be 1 or more, got {num_outputs} and {dim}.")
        self.num_outputs = num_outputs
        self.dim = dim
        self.encoders = build_sensor_encoders(sensors, dim)
        self.head = nn.Linear(dim * len(self.encoders), num_outputs)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the order in which they are joined."""
        return tuple(self.encoders)

    @property
    def config(self) -> dict[str, Any]:
        """Plain values from which `SensorClassifier(**config)` builds the same architecture."""
        return {"sensors": sensors_of(self.encoders), "num_outputs": self.num_outputs, "dim": self.dim}

    def fit(self, name: str, values: Shaped[np.ndarray, "n *row"]) -> None:
        """Fit the standardisation of a modality to its training rows; see `SensorEncoder.fit`."""
        check_modality(name, self.modalities)
        self.encoders[name].fit(values)  # type: ignore[operator]

    def start_from(self, encoders: Mapping[str, nn.Module] | nn.ModuleDict) -> None:
        """Copy the weights and standardisation of trained encoders, to fine-tune them.

        Args:
            encoders: Modality to encoder, for all of `modalities`; others are ignored.

        Raises:
            ValueError: If one is missing or of another architecture.
        """
        for name in self.modalities:
            check_modality(name, encoders)
            other = encoders[name]
            if other.config != self.encoders[name].config or other.shape != self.encoders[name].shape:
                raise ValueError(
                    f"The encoder of {name!r} was trained as {other.config} on {other.shape} but should be tuned as "
                    f"{self.encoders[name].config} on {self.encoders[name].shape}; give both the same settings."
                )
            if other.out_dim != self.dim:
                raise ValueError(f"The encoder of {name!r} returns {other.out_dim} numbers; set dim={other.out_dim}.")
            self.encoders[name].load_state_dict(other.state_dict())

    def encode(self, values: Mapping[str, Num[Tensor, "n ..."]]) -> Float[Tensor, "n d"]:
        """Encode all modalities and join them in the order of `modalities`.

        Args:
            values: Modality to observations of the same n rows, NaN where missing.

        Raises:
            ValueError: If a modality is missing or is unknown, row counts differ, or values do not fit.
        """
        for name in values:
            check_modality(name, self.modalities)
        missing = [name for name in self.modalities if name not in values]
        if missing:
            raise ValueError(
                f"This model needs {', '.join(self.modalities)} together; {', '.join(missing)} is missing."
            )
        rows = {name: len(observed) for name, observed in values.items()}
        if len(set(rows.values())) > 1:
            raise ValueError(f"The modalities have unequal rows: {', '.join(f'{k} {n}' for k, n in rows.items())}.")
        return torch.cat([encode_sensor(self.encoders, name, values[name]) for name in self.modalities], dim=1)

    def forward(self, values: Mapping[str, Num[Tensor, "n ..."]]) -> Float[Tensor, "n num_outputs"]:
        """Return logits, or standardised numbers.

        Args:
            values: See `encode`.

        Raises:
            ValueError: See `encode`.
        """
        return self.head(self.encode(values))
