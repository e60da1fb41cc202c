"""What the loop asks of a run: all that differs between the methods."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from geotether.training.loop_config import LoopConfig
from geotether.training.state import RunState


@runtime_checkable
class Course(Protocol):
    """One method on one set of data, from the first weights to the model folder.

    Attributes:
        config: Its length, optimiser, validation and saving are the loop's; the rest is the course's own.
    """

    @property
    def config(self) -> LoopConfig:
        """The run's configuration."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What a resumed run must agree with: `config`, plain, and `tables`, name to content hash."""

    def check(self) -> None:
        """Raise ValueError if configuration and data do not fit; cheap, and before anything is written."""

    def build(self, device: torch.device) -> nn.Module:
        """Make the model with its first weights, in training mode, and get ready what every step needs."""

    def steps_in(self, epochs: int) -> int:
        """Steps of the first so many epochs; known once it is built."""

    def epoch_of(self, step: int) -> int:
        """The epoch that a step belongs to, counted from 0."""

    def losses(self, model: nn.Module, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one step with its graph, and what else goes into the metrics; a pure function of the step."""

    def has_validation(self) -> bool:
        """Whether there are rows to watch."""

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Measure on the held-out rows; `validation/loss` decides which weights are best."""

    def finish(self, model: nn.Module) -> None:
        """Do what is to be done once to the model that is handed out, in evaluation mode."""

    def save(self, model: nn.Module, folder: Path, state: RunState) -> None:
        """Write the model folder."""


def in_precision(config: LoopConfig, device: torch.device) -> AbstractContextManager[Any]:
    """Run networks in bfloat16 inside, where the configuration says so."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")
