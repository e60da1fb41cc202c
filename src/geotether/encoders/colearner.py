"""MDiCo: learn from all sensors of a sample together, predict from any single one."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num, Shaped
from torch import Tensor, nn

from geotether.encoders.build import known_names
from geotether.encoders.layers import BatchNorm
from geotether.encoders.sensors.build import SensorModel, build_sensor_encoders

# Wiring to the halves of the unique encoder's output, and the part that the second modality classifier reads.
WIRINGS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "figure": (("specific", "unused"), "unused"),
    "code": (("specific", "unused"), "shared"),
    "no_unused": (("specific",), None),
    "shared_only": ((), None),
}


@dataclass(frozen=True)
class Parts:
    """The encoding of one sample by one modality, in three parts.

    Attributes:
        specific: Information that only this modality has and the task needs.
        unused: Information that only this modality has and the task does not need; of width 0 if the wiring has none.
        shared: Information that all modalities have.
    """

    specific: Float[Tensor, "n s"]
    unused: Float[Tensor, "n u"]
    shared: Float[Tensor, "n h"]


class CoLearner(SensorModel):
    """Per modality a unique encoder, a common encoder and a main head; one auxiliary head; modality classifiers.

    The unique encoder's output is cut into a specific and an unused half; the common encoder's goes through a layer
    that halves it, the shared part. A modality's main head reads only its specific and shared parts, so that one
    modality is enough to predict. The auxiliary head predicts from the specific and from the shared part alone. Two
    classifiers predict which modality a part comes from: one reads the specific part, the other the unused one (the
    published figure) or the shared one (the released code, where no term then trains the unused part).

    Args:
        sensors: Modality to {"config": ..., "kind": ..., "shape": ...}, two or more; see `build_sensor_encoders`.
        num_outputs: Size of the heads' output: classes, labels, or 1 for a number.
        dim: Size of the encoders' outputs, even; each part has half of it.
        wiring: "figure"; "code"; "no_unused": the unique encoder returns the specific part alone and there is no second
            classifier; "shared_only": there is no unique encoder either.
        layer_norm: Whether every encoder's output is normalised, as the authors do for moisture of vegetation.

    Raises:
        ValueError: If there are fewer than two modalities, the wiring is unknown or a size is out of range.

    Source:
        Mena et al. (2025), Machine Learning 114:279, arXiv:2510.19579, section 3, and the released code.

    Example:
        >>> sensors = {"s1": {"kind": "series", "shape": [12, 2]}, "s2": {"kind": "series", "shape": [12, 9]}}
        >>> model = CoLearner(sensors, num_outputs=9).eval()
        >>> model.predict("s1", torch.zeros(5, 12, 2)).shape, model.parts("s2", torch.zeros(5, 12, 9)).shared.shape
        (torch.Size([5, 9]), torch.Size([5, 64]))
    """

    def __init__(
        self,
        sensors: Mapping[str, Mapping[str, Any]],
        num_outputs: int,
        dim: int = 128,
        wiring: str = "figure",
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        if len(sensors) < 2:
            raise ValueError(
                f"Co-learning needs two modalities or more, got {', '.join(sensors) or 'none'}; for one alone "
                "use SensorClassifier."
            )
        if wiring not in WIRINGS:
            raise ValueError(f"Unknown wiring {wiring!r}; {known_names(wiring, WIRINGS)}")
        if num_outputs < 1 or dim < 2 or dim % 2:
            raise ValueError(f"num_outputs must be 1 or more and dim even and 2 or more, got {num_outputs} and {dim}.")
        self.num_outputs = num_outputs
        self.dim = dim
        self.wiring = wiring
        self.layer_norm = layer_norm
        half = dim // 2
        halves, other = WIRINGS[wiring]
        self.common = build_sensor_encoders(sensors, dim)
        if len(halves) == 2:
            # Copies, as in the released code: both encoders of a modality start from the same weights.
            self.unique = copy.deepcopy(self.common)
        else:
            self.unique = build_sensor_encoders(sensors, half) if halves else nn.ModuleDict()
        self.common_norm, self.unique_norm = (
            nn.ModuleDict({name: self._norm(encoder.out_dim) for name, encoder in encoders.items()})  # type: ignore[arg-type]
            for encoders in (self.common, self.unique)
        )
        self.shared = nn.ModuleDict(
            {name: nn.Sequential(nn.Linear(dim, half), BatchNorm(half), nn.ReLU()) for name in sensors}
        )
        main_dim = dim if halves else half
        self.main = nn.ModuleDict({name: nn.Linear(main_dim, num_outputs) for name in sensors})
        self.auxiliary = nn.Linear(half, num_outputs)
        self.specific_classifier = nn.Linear(half, len(sensors)) if halves else None
        self.other_classifier = nn.Linear(half, len(sensors)) if other else None

    @property
    def encoders(self) -> nn.ModuleDict:  # type: ignore[override]
        """The common encoders."""
        return self.common

    def fit(self, name: str, values: Shaped[np.ndarray, "n *row"]) -> None:
        """Fit the standardisation of both encoders of a modality; see `SensorEncoder.fit`."""
        super().fit(name, values)
        if name in self.unique:
            for statistic, fitted in self.common[name].named_buffers(recurse=False):
                self.unique[name].get_buffer(statistic).copy_(fitted)

    def parts(self, name: str, values: Num[Tensor, "n *row"]) -> Parts:
        """Encode one modality's observations in three parts; arguments and errors as in `encode`."""
        common = self.encode(name, values)
        shared = self.shared[name](self.common_norm[name](common))
        empty = shared[:, :0]
        if name not in self.unique:
            return Parts(empty, empty, shared)
        unique = self.unique_norm[name](self.encode_by(self.unique, name, values))
        half = self.dim // 2
        return Parts(unique[:, :half], unique[:, half:], shared)

    def logits(self, name: str, parts: Parts) -> Float[Tensor, "n num_outputs"]:
        """Apply a modality's main head to its specific and shared parts, joined in that order."""
        self.check_modality(name)
        return self.main[name](torch.cat([parts.specific, parts.shared], dim=1))

    def sensor_logits(self, parts: Parts) -> tuple[Float[Tensor, "n m"] | None, Float[Tensor, "n m"] | None]:
        """Classify modalities by specific part, and by the part that the wiring names; None without a classifier."""
        specific, other = self.specific_classifier, self.other_classifier
        return (
            None if specific is None else specific(parts.specific),
            None if other is None else other(getattr(parts, str(WIRINGS[self.wiring][1]))),
        )

    def predict(self, name: str, values: Num[Tensor, "n *row"]) -> Float[Tensor, "n num_outputs"]:
        """Predict from one modality, with its own encoders and main head alone; call `eval()` first.

        Arguments and errors are those of `encode`; returns logits, or standardised numbers, shape (n, num_outputs).
        """
        return self.logits(name, self.parts(name, values))

    def _norm(self, width: int) -> nn.Module:
        return nn.LayerNorm(width) if self.layer_norm else nn.Identity()
