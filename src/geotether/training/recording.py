"""Steps on a GPU that are recorded once as CUDA graphs and replayed, so that the GPU does not wait for Python.

A step of a location model is some three hundred small operations. Started one by one from Python they take ten times
as long as the GPU needs for them; a recording starts them all in one call.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from geotether.batches.batch import Batch
from geotether.processes import Processes

Values = dict[str, Tensor | float]
WARM_STEPS = 3
"""Steps of each kind that are computed as written before one is recorded: they fill caches and set up the optimiser."""
MOST_KINDS = 32
"""Kinds of steps that are recorded; each keeps its own memory, and further kinds are computed as written."""


@dataclass(frozen=True)
class StepInputs:
    """What the losses of a step are computed from, beside the weights and dropout.

    Attributes:
        step: Number of the step, from 0.
        batch: Its rows.
        lonlat: Their places with jitter, in degrees, shape (n, 2).
        disturbance: What training does to the raster context; see `LocationMethod.disturbance`.
        measures: Whether recall is measured.
    """

    step: int
    batch: Batch
    lonlat: Float64[Tensor, "n 2"]
    disturbance: dict[str, Float[Tensor, "n _"]]
    measures: bool

    @property
    def kind(self) -> Hashable:
        """What two steps must have in common for one to be a replay of the other: everything but values."""
        groups = tuple((name, rows.start, rows.stop) for name, rows in self.batch.groups.items())
        return groups, tuple(self.disturbance), self.measures

    def tensors(self) -> list[Tensor]:
        """Return all tensors, in a fixed order."""
        return [self.batch.lonlat, *self.batch.features.values(), self.lonlat, *self.disturbance.values()]

    def copied(self) -> "StepInputs":
        """Return the same inputs in memory of their own."""
        features = {name: rows.clone() for name, rows in self.batch.features.items()}
        batch = Batch(self.batch.lonlat.clone(), features, self.batch.groups)
        disturbance = {name: drawn.clone() for name, drawn in self.disturbance.items()}
        return replace(self, batch=batch, lonlat=self.lonlat.clone(), disturbance=disturbance)


@runtime_checkable
class Recordable(Protocol):
    """A `Method` whose steps can be recorded."""

    @property
    def recordable(self) -> bool:
        """Whether no step depends on values of tensors, given the configuration."""

    def inputs(self, step: int) -> StepInputs:
        """Return what the losses of a step are computed from; a pure function of the step."""

    def losses_of(self, model: nn.Module, inputs: StepInputs) -> tuple[Tensor, Values]:
        """Return the loss and further metrics as `Method.losses` does, given the inputs of the step."""


def recordable(method: Any, device: torch.device, processes: Processes) -> Recordable | None:
    """Return the method if its steps are recorded: in one process on a GPU, where method and settings allow it."""
    if device.type != "cuda" or processes.count > 1 or not isinstance(method, Recordable):
        return None
    return method if method.recordable else None


class Recording(NamedTuple):
    """A recorded step: its graph, the memory that its inputs are copied to, and its metrics.

    `scalars` are the values of the metrics `names`, shape (number of names,); `numbers` are those that never change.
    """

    graph: Any
    inputs: StepInputs
    names: list[str]
    scalars: Tensor
    numbers: dict[str, float]


class RecordedSteps:
    """Updates of a model on a GPU: the first of each kind as written, then recorded, then replayed.

    A replay computes the same operations in the same order on the same memory. Dropout depends on the seed of the
    global generator, as in a step that is not recorded; the learning rate must be a tensor.

    Args:
        method: Gives inputs and losses of a step.
        model: The model to update.
        update: Computes gradients from a loss, updates the weights, and returns the metrics of the step: scalar
            tensors, or numbers that are the same for every step of a kind.

    Source:
        "CUDA Graphs" in the documentation of PyTorch, section "Whole-network capture".
    """

    def __init__(self, method: Recordable, model: nn.Module, update: Callable[[Tensor, Values], Values]) -> None:
        self.method, self.model, self.update = method, model, update
        self.recordings: dict[Hashable, Recording] = {}
        self.seen: Counter[Hashable] = Counter()
        self.stream: Any = None  # of the steps that are computed as written
        self.pool: Any = None  # of the memory that all recordings share, as only one of them runs at a time

    def __call__(self, step: int) -> Values:
        """Update the model by a step, and return its metrics."""
        inputs = self.method.inputs(step)
        kind = inputs.kind
        if kind not in self.recordings:
            self.seen[kind] += 1
            if self.seen[kind] <= WARM_STEPS or len(self.recordings) == MOST_KINDS:
                return self._as_written(inputs)
            self.recordings[kind] = self._record(inputs)
        recording = self.recordings[kind]
        for kept, given in zip(recording.inputs.tensors(), inputs.tensors(), strict=True):
            kept.copy_(given, non_blocking=True)
        recording.graph.replay()
        scalars = recording.scalars.clone()  # the next replay overwrites them
        return {**recording.numbers, **dict(zip(recording.names, scalars.unbind(), strict=True))}

    def _as_written(self, inputs: StepInputs) -> Values:
        """Update on a stream of its own, as must be done before recording."""
        stream = self.stream = self.stream or torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), warnings.catch_warnings():
            # AdamW says that it could be faster if it is never recorded.
            warnings.filterwarnings("ignore", message=".*capturable.*")
            values = self.update(*self.method.losses_of(self.model, inputs))
        torch.cuda.current_stream().wait_stream(stream)
        # A living graph of gradients would tie the weights to this stream; recording takes place on another.
        return {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}

    def _record(self, inputs: StepInputs) -> Recording:
        """Record the update without computing it."""
        kept = inputs.copied()
        graph = torch.cuda.CUDAGraph()
        # Meanwhile another thread may read the next batch into pinned memory.
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            values = self.update(*self.method.losses_of(self.model, kept))
            tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
            scalars = torch.stack([value.detach().float() for value in tensors.values()])
        self.pool = graph.pool()
        numbers = {name: value for name, value in values.items() if not isinstance(value, Tensor)}
        return Recording(graph, kept, list(tensors), scalars, numbers)
