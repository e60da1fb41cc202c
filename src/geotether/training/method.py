"""The protocol between the loop and the methods: everything that differs between them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from geotether.training.loop_config import LoopConfig
from geotether.training.state import RunState


@runtime_checkable
class Trained(Protocol):
    """What a run returns: a model that can be saved as a folder, such as an `Encoder`."""

    history: list[dict[str, Any]]

    def save(self, folder: str | Path) -> None:
        """Write the model folder."""


@runtime_checkable
class Method(Protocol):
    """One method on one set of data, from the initial weights to the trained model.

    Attributes:
        config: The run's configuration; the loop reads its length, optimiser, validation and saving.
    """

    @property
    def config(self) -> LoopConfig:
        """The run's configuration."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What a resumed run must agree with: `config`, plain values, and `tables`, name to content hash."""

    def check(self) -> None:
        """Raise ValueError if configuration and data do not fit; cheap, and before anything is written."""

    def build(self, device: torch.device) -> nn.Module:
        """Build the model with its initial weights, in training mode, and prepare what every step needs."""

    def steps_in(self, epochs: int) -> int:
        """Return the number of steps in that many epochs; known once the model is built."""

    def epoch_of(self, step: int) -> int:
        """Return the epoch that a step belongs to, counted from 0."""

    def losses(self, model: nn.Module, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one step with its graph, and further metrics; a pure function of the step."""

    def has_validation(self) -> bool:
        """Return whether there are validation rows."""

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Measure on the validation rows; `validation/loss` decides which weights are best."""

    def finish(self, model: nn.Module, state: RunState) -> Trained:
        """Make the trained model from the final module, which is in evaluation mode."""


@runtime_checkable
class Callback(Protocol):
    """Anything that follows a run: a logger, a plot, an early stop of your own (raise RunInterrupted)."""

    def on_step(self, step: int, values: Mapping[str, Any]) -> None:
        """Receive the metrics of one step (`loss`, `loss/...`) or of a validation (`validation/loss`, ...)."""


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Raise TypeError if one of the callbacks has no `on_step(step, values)`."""
    for one in callbacks:
        if not callable(getattr(one, "on_step", None)):
            raise TypeError(
                f"{one!r:.60} is a {type(one).__name__} without on_step(step, values); "
                "write a class with that method, or take one from geotether.training.callbacks."
            )
