"""Sensors of one sample tied to each other, and to the place: encoders, projections, temperatures."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.build import build_location_encoder
from geotether.encoders.layers import BatchNorm
from geotether.encoders.location import LocationEncoder
from geotether.encoders.model import MAX_LOGIT_SCALE
from geotether.encoders.sensors.build import SensorModel, build_sensor_encoders


class TiedSensors(SensorModel):
    """One encoder and one projection per modality, and optionally a location encoder.

    Users and probes get the result of `encode`: the shared part, then the specific one of `specific_dim` numbers.
    Contrasts use `project`, whose space all modalities and the location encoder share. It takes the shared part alone,
    so contrasts do not change the specific part, by which a modality classifier can separate the modalities.

    Args:
        sensors: Modality to {"config": ..., "kind": ..., "shape": ...}, one or more; see `build_sensor_encoders`.
        dim: Size of what `encode` returns.
        proj_dim: Size of what `project` returns.
        hidden_dim: Width of the projections' hidden layer; 0 makes them linear.
        location: A location encoder whose `embed_dim` is `proj_dim`, or its configuration, or None.
        init_temperature: Initial temperature tau of every modality's tie to the location, more than 0.
        specific_dim: Number of modality-specific numbers among the `dim`, 0 to dim - 1.

    Attributes:
        encoders: Modality to `SensorEncoder`.
        log_logit_scale: Modality to learned log(1 / tau) of its tie to the location; empty without a location encoder.

    Raises:
        ValueError: If a size is out of range or does not fit.

    Source:
        Chen et al. (2020), ICML, arXiv:2002.05709, section 4.2 (users get the layer before the projection);
        Gupta et al. (2025), arXiv:2507.08683 (the ties); Radford et al. (2021), arXiv:2103.00020, section 2.5.

    Example:
        >>> model = TiedSensors({"s1": {"kind": "chip", "shape": [2, 16, 16]}}, dim=64, proj_dim=32).eval()
        >>> encoded = model.encode("s1", torch.zeros(5, 2, 16, 16))
        >>> encoded.shape, model.project("s1", encoded).shape
        (torch.Size([5, 64]), torch.Size([5, 32]))
    """

    def __init__(
        self,
        sensors: Mapping[str, Mapping[str, Any]],
        dim: int = 128,
        proj_dim: int = 128,
        hidden_dim: int = 128,
        location: LocationEncoder | Mapping[str, Any] | None = None,
        init_temperature: float | int = 0.07,
        specific_dim: int = 0,
    ) -> None:
        super().__init__()
        if dim < 1 or proj_dim < 1 or hidden_dim < 0 or not 0 <= specific_dim < dim:
            raise ValueError(
                "dim and proj_dim must be 1 or more, hidden_dim 0 (linear) or more and specific_dim 0 to dim - 1, "
                f"got {dim}, {proj_dim}, {hidden_dim} and {specific_dim}."
            )
        if not init_temperature > 0:
            raise ValueError(f"init_temperature must be more than 0, got {init_temperature}.")
        if isinstance(location, Mapping):
            location = build_location_encoder(location, seed=0, settle=False)
        if location is not None and location.embed_dim != proj_dim:
            raise ValueError(
                f"The projections return {proj_dim} numbers, the location encoder {location.embed_dim}; "
                f"set proj_dim to {location.embed_dim}."
            )
        self.dim = dim
        self.proj_dim = proj_dim
        self.hidden_dim = hidden_dim
        self.init_temperature = init_temperature
        self.specific_dim = specific_dim
        self.encoders = build_sensor_encoders(sensors, dim)
        self.projections = nn.ModuleDict({name: self._projection() for name in sensors})
        self.classifier = nn.Linear(specific_dim, len(sensors)) if specific_dim else None
        self.location = location
        start = math.log(1 / init_temperature)
        tied = sensors if location is not None else ()
        self.log_logit_scale = nn.ParameterDict({name: nn.Parameter(torch.tensor(start)) for name in tied})

    def project(self, name: str, encoded: Float[Tensor, "n dim"]) -> Float[Tensor, "n proj_dim"]:
        """Project the shared part of encodings (n, dim) of a modality into the space of the contrasts (n, proj_dim)."""
        self.check_modality(name)
        return self.projections[name](encoded[:, : self.dim - self.specific_dim])

    def specific(self, encoded: Float[Tensor, "n dim"]) -> Float[Tensor, "n s"]:
        """Return the modality-specific part of an encoding; of width 0 if the model has none."""
        return encoded[:, self.dim - self.specific_dim :]

    def discriminate(self, specific: Float[Tensor, "n s"]) -> Float[Tensor, "n m"]:
        """Classify modalities by their specific parts, one logit per modality; ValueError without such parts."""
        if self.classifier is None:
            raise ValueError("This model has no specific part; build it with specific_dim.")
        return self.classifier(specific)

    def logit_scale(self, name: str) -> Float[Tensor, ""]:
        """Return the inverse temperature of a modality's tie to the location, at most 100; ValueError without it."""
        self.check_modality(name)
        if self.location is None:
            raise ValueError("This model has no location encoder; build it with one.")
        return self.log_logit_scale[name].exp().clamp(max=MAX_LOGIT_SCALE)

    def _projection(self) -> nn.Module:
        width = self.dim - self.specific_dim
        if not self.hidden_dim:
            return nn.Linear(width, self.proj_dim)
        return nn.Sequential(
            nn.Linear(width, self.hidden_dim),
            BatchNorm(self.hidden_dim),
            nn.ReLU(),
            nn.Linear(self.hidden_dim, self.proj_dim),
        )
