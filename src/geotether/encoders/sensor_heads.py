"""A supervised classifier of one or several sensors, without co-learning."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from geotether.encoders.sensors.build import SensorModel, build_sensor_encoders


class SensorClassifier(SensorModel):
    """Encoders of all modalities, joined, and a linear head.

    With one modality it is the single-sensor baseline; with several, the fusion that needs all of them, a teacher or
    an upper bound.

    Args:
        sensors: Modality to {"config": ..., "kind": ..., "shape": ...}, one or more; see `build_sensor_encoders`.
        num_outputs: Size of the head's output: classes, labels, or 1 for a number.
        dim: Size of every encoder's output.

    Raises:
        ValueError: If a size is out of range or a sensor cannot be encoded.
    """

    def __init__(self, sensors: Mapping[str, Mapping[str, Any]], num_outputs: int, dim: int = 128) -> None:
        super().__init__()
        if num_outputs < 1 or dim < 1:
            raise ValueError(f"num_outputs and dim must be 1 or more, got {num_outputs} and {dim}.")
        self.num_outputs = num_outputs
        self.dim = dim
        self.encoders = build_sensor_encoders(sensors, dim)
        self.head = nn.Linear(dim * len(self.encoders), num_outputs)

    def start_from(self, other: SensorModel) -> None:
        """Copy the weights and standardisation of the trained encoders of all `modalities`, to fine-tune them.

        Raises:
            ValueError: If one is missing or of another architecture.
        """
        for name in self.modalities:
            other.check_modality(name)
            own, trained = self.encoders[name], other.encoders[name]
            if trained.config != own.config or trained.shape != own.shape:
                raise ValueError(
                    f"The encoder of {name!r} was trained as {trained.config} on {trained.shape} but should be tuned "
                    f"as {own.config} on {own.shape}; give both the same settings."
                )
            if trained.out_dim != self.dim:
                raise ValueError(
                    f"The encoder of {name!r} returns {trained.out_dim} numbers; set dim={trained.out_dim}."
                )
            own.load_state_dict(trained.state_dict())

    def encode_all(self, values: Mapping[str, Num[Tensor, "n ..."]]) -> Float[Tensor, "n d"]:
        """Encode all modalities and join them in the order of `modalities`.

        Args:
            values: Modality to observations of the same n rows, NaN where missing.

        Raises:
            ValueError: If a modality is missing or is unknown, row counts differ, or values do not fit.
        """
        for name in values:
            self.check_modality(name)
        missing = [name for name in self.modalities if name not in values]
        if missing:
            raise ValueError(
                f"This model needs {', '.join(self.modalities)} together; {', '.join(missing)} is missing."
            )
        rows = {name: len(observed) for name, observed in values.items()}
        if len(set(rows.values())) > 1:
            raise ValueError(f"The modalities have unequal rows: {', '.join(f'{k} {n}' for k, n in rows.items())}.")
        return torch.cat([self.encode(name, values[name]) for name in self.modalities], dim=1)

    def forward(self, values: Mapping[str, Num[Tensor, "n ..."]]) -> Float[Tensor, "n num_outputs"]:
        """Return logits, or standardised numbers; see `encode_all`."""
        return self.head(self.encode_all(values))
