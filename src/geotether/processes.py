"""Several processes that train one model together: which rows of a batch each has, and what they exchange.

`torchrun` starts the processes. Each has a whole copy of the model and a share of the rows of every group of a batch.
A process computes estimates from its own rows; their mean over the processes is the value of the batch. The same holds
for gradients. In the backward pass, a differentiable exchange returns the sum of the gradients of all processes.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float, Int64
from torch import Tensor, nn

T = TypeVar("T")
# Environment variables that torchrun sets.
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# How long processes wait for work of the first one, such as building tables. A process that has ended is noticed at
# once, because its connections close.
_PATIENCE = timedelta(days=7)
# Errors of gloo have no type of their own; these words are in the messages about lost connections.
_UNREACHABLE = re.compile("connection|timed? ?out|socket|peer", re.IGNORECASE)
OF_THE_FIRST = "Raised in the first process."
"""Note of an error that the first process has raised too."""


class ProcessLostError(ConnectionError):
    """Another process of the run has ended, or cannot be reached."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them; a single process exchanges nothing.

    Attributes:
        rank: Number of this process, from 0.
        count: Number of processes.
        control: Group in which the processes exchange what is not part of a step; None for a single process.
    """

    rank: int = 0
    count: int = 1
    control: Any = None

    @staticmethod
    def current() -> "Processes":
        """Return the processes joined by `joined`; outside it, a single one."""
        return _CURRENT[-1]

    @property
    def is_first(self) -> bool:
        """Whether this process writes, prints and saves."""
        return self.rank == 0

    def share(self, rows: int, rank: int | None = None) -> slice:
        """Return the share of `rows` rows of a process, by default this one; shares differ by at most one row.

        Example:
            >>> [Processes(rank, 3).share(8) for rank in range(3)]
            [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        rank = self.rank if rank is None else rank
        return slice(rows * rank // self.count, rows * (rank + 1) // self.count)

    def from_first(self, work: Callable[[], T]) -> T:
        """Do work in the first process alone, and return its result, or raise its error, in all processes."""
        if self.count == 1:
            return work()
        sent: list[Any] = [None, None]
        if self.is_first:
            try:
                sent[0] = work()
            except Exception as error:
                sent[1] = error
        with _reaching(self.count):
            dist.broadcast_object_list(sent, group=self.control)
        if sent[1] is not None:
            if not self.is_first:
                sent[1].add_note(OF_THE_FIRST)
            raise sent[1]
        return sent[0]  # type: ignore[no-any-return]

    def in_turn(self, work: Callable[[], T]) -> T:
        """Do work in the first process, then in the others, which find the files that the first has built."""
        results: list[T] = []
        self.from_first(lambda: results.append(work()))
        return results[0] if results else work()

    def check_agreement(self, what: str, value: Any) -> None:
        """Raise ValueError unless a plain value is the same in all processes."""
        first = self.from_first(lambda: value)
        if first != value:
            raise ValueError(
                f"{what} differs between process 1 and process {self.rank + 1} of {self.count}: all must read the same "
                "configuration and the same files."
            )

    def any_of(self, flag: Callable[[], bool]) -> Callable[[], bool]:
        """Start to ask whether a flag is set in any process, and return a function that waits for the answer."""
        if self.count == 1:
            return flag
        asked = torch.tensor([float(flag())])
        with _reaching(self.count):
            pending = dist.all_reduce(asked, group=self.control, async_op=True)

        def answer() -> bool:
            with _reaching(self.count):
                pending.wait()
            return bool(asked.item())

        return answer

    @contextmanager
    def saving(self, save: Callable[[], str]) -> Iterator[None]:
        """When another process is lost, call `save` and add its text to the message."""
        try:
            yield
        except ProcessLostError as error:
            raise ProcessLostError(f"{error} {save()}") from error

    def equalise(self, model: nn.Module) -> None:
        """Give all processes the weights and buffers of the first."""
        for tensor in model.state_dict().values() if self.count > 1 else ():
            sent = tensor.detach().contiguous()
            with _reaching(self.count):
                dist.broadcast(sent.view(-1).view(torch.uint8), 0)  # as bytes, since some dtypes cannot be sent
            tensor.copy_(sent)

    def backward(self, model: nn.Module, values: Mapping[str, Tensor | float]) -> dict[str, Tensor | float]:
        """Compute the gradient of the mean loss of all processes, and average the values of a step over them.

        All gradients, in float32, are sent in one exchange, since a model is small and each exchange takes time.

        Args:
            model: The model; the same weights get a gradient in every process.
            values: Scalars by name, the same names in every process; `loss` is the one to minimise. Plain numbers
                must be equal in all processes, and are returned as they are.

        Returns:
            Their averages.
        """
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
        (tensors["loss"] / self.count if self.count > 1 else tensors["loss"]).backward()  # type: ignore[no-untyped-call]
        if self.count == 1:
            return dict(values)
        weights = [weight for weight in model.parameters() if weight.grad is not None]
        scalars = [value.detach().float().reshape(1) / self.count for value in tensors.values()]
        everything = torch.cat([*(weight.grad.reshape(-1) for weight in weights), *scalars])  # type: ignore[union-attr]
        with _reaching(self.count):
            dist.all_reduce(everything)
        *gradients, averages = everything.split([*(weight.numel() for weight in weights), len(scalars)])
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.view_as(weight)
        return {**values, **dict(zip(tensors, averages.unbind(), strict=True))}

    @contextmanager
    def dividing(self) -> Iterator[None]:
        """Let functions divide their work: inside this block all processes call the same ones with the same tensors.

        Such a function returns the same values in every process. In the backward pass it adds up the gradients of these
        values over the processes (`total`), and returns the part of the gradient that comes from its own work. The mean
        over the processes is the whole gradient if each process has the loss of the batch, or its estimate.
        """
        token = _DIVIDING.set(self)
        try:
            yield
        finally:
            _DIVIDING.reset(token)

    @staticmethod
    def that_divide() -> "Processes":
        """Return the processes of the block `dividing`; outside it, a single one."""
        return _DIVIDING.get()

    def logsumexp(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Return the log-sum-exp over the processes of each entry of tensors, in one exchange and without gradient."""
        if self.count == 1:
            return values
        everything = torch.cat([value.reshape(-1) for value in values])
        gathered = everything.new_empty(self.count, len(everything))
        with _reaching(self.count):
            dist.all_gather(list(gathered.unbind()), everything)
        parts = gathered.logsumexp(0).split([value.numel() for value in values])
        return tuple(part.view_as(value) for part, value in zip(parts, values, strict=True))

    def sum(self, values: Tensor) -> Tensor:
        """Add up a tensor over the processes; with gradient."""
        return values if self.count == 1 else _Sum.apply(values, self)  # type: ignore[no-any-return]

    def total(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Add up tensors over the processes in one exchange, without gradient."""
        if self.count == 1:
            return values
        everything = torch.cat([value.reshape(-1) for value in values])
        with _reaching(self.count):
            dist.all_reduce(everything)
        parts = everything.split([value.numel() for value in values])
        return tuple(part.view_as(value) for part, value in zip(parts, values, strict=True))


_CURRENT: list[Processes] = [Processes()]
_DIVIDING: ContextVar[Processes] = ContextVar("processes that divide work", default=_CURRENT[0])


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun started with this one, and leave them at the end.

    Without torchrun, or with one process, there is nothing to join. A group that was initialised before is used.

    Raises:
        ProcessLostError: If the others cannot be reached.
    """
    launched = all(name in os.environ for name in _VARIABLES) and int(os.environ["WORLD_SIZE"]) > 1
    ready = dist.is_available() and dist.is_initialized()
    if len(_CURRENT) > 1 or not (launched or (ready and dist.get_world_size() > 1)):
        yield _CURRENT[-1]
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    count = dist.get_world_size() if ready else int(os.environ["WORLD_SIZE"])
    with _reaching(count):
        if not ready:
            dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        control = dist.new_group(backend="gloo", timeout=_PATIENCE)
    _CURRENT.append(Processes(dist.get_rank(), count, control))
    try:
        yield _CURRENT[-1]
    finally:
        _CURRENT.pop()
        if not ready:
            dist.destroy_process_group()


@contextmanager
def _reaching(count: int) -> Iterator[None]:
    """Raise ProcessLostError if another process cannot be reached."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not _UNREACHABLE.search(str(error)):
            raise
        # Drop gloo's source location and its guesses.
        reason = re.sub(r"^\[.*?\] ", "", str(error)).split(". ")[0]
        raise ProcessLostError(
            f"Another of the {count} processes of this run has ended or cannot be reached ({reason})."
        ) from error


@dataclass(frozen=True)
class Part:
    """Rows of a batch that are computed together: a share of each group.

    Attributes:
        rows: Index of the rows in the batch.
        in_group: For each group, index of its rows in the group.
        here: For each group, index of its rows among the group's rows that are here.
        local: Index of the rows among all rows that are here.
    """

    rows: slice | Int64[Tensor, " p"]
    in_group: dict[str, slice]
    here: dict[str, slice]
    local: slice | Int64[Tensor, " p"]


class Split:
    """The rows of a batch that are here: a share of each of its groups.

    Args:
        processes: The processes.
        groups: Rows of each group in the batch, one after another, together all.
        device: Device of the embeddings.

    Raises:
        ValueError: If a group has fewer rows than there are processes.

    Attributes:
        rows: Number of rows of the batch.
        totals: Number of rows of each group in the batch.
        local: Rows of each group among those that are here, one after another.
        weights: Factor that makes a mean over a group's rows here an estimate of the mean over the group.
        own: Numbers, in the batch, of the rows that are here, shape (r,).

    Example:
        >>> split = Split(Processes(1, 2), {"text": slice(0, 4), "image": slice(4, 7)}, torch.device("cpu"))
        >>> split.own.tolist(), split.local
        ([2, 3, 5, 6], {'text': slice(0, 2, None), 'image': slice(2, 4, None)})
    """

    def __init__(self, processes: Processes, groups: Mapping[str, slice], device: torch.device | str) -> None:
        self.processes = processes
        self.totals = [part.stop - part.start for part in groups.values()]
        self.rows = sum(self.totals)
        shares = []
        for rank in range(processes.count):
            own = [processes.share(total, rank) for total in self.totals]
            parts = zip(groups.values(), own, strict=True)
            shares.append(torch.cat([torch.arange(rows.start + a.start, rows.start + a.stop) for rows, a in parts]))
        self.local: dict[str, slice] = {}
        self.weights: dict[str, float] = {}
        end = 0
        for name, total in zip(groups, self.totals, strict=True):
            part = processes.share(total)
            rows = part.stop - part.start
            if total < processes.count:
                raise ValueError(
                    f"{name} has {total} rows in a batch, but there are {processes.count} processes, each of which "
                    "needs one: set batch_size higher, or start fewer processes."
                )
            self.local[name] = slice(end, end := end + rows)
            self.weights[name] = rows * processes.count / total
        self._parts: dict[int, list[Part]] = {}
        self.sizes = [len(share) for share in shares]
        self.own = shares[processes.rank].to(device)
        # The rows of the batch in the order of arrival, and the position at which each arrives.
        self._order = torch.cat(shares).to(device)
        self._source = self._order.argsort()

    def gather(self, here: Float[Tensor, "r d"]) -> Float[Tensor, "n d"]:
        """Gather the rows of all processes, in the order of the batch; with gradient."""
        if self.processes.count == 1:
            return here
        return _Gather.apply(here, self)  # type: ignore[no-any-return]

    def gather_all(self, *here: Float[Tensor, "r _"]) -> tuple[Tensor, ...]:
        """Gather several tensors of the same rows in one exchange."""
        if self.processes.count == 1:
            return here
        return self.gather(torch.cat(here, dim=1)).split([part.shape[1] for part in here], 1)

    def place(self, here: Float[Tensor, "r d"]) -> Float[Tensor, "n d"]:
        """Return the rows that are here at their places in the batch; the others are 0."""
        if self.processes.count == 1:
            return here
        return here.new_zeros(self.rows, here.shape[1]).index_copy(0, self.own, here)

    def means(self, means_here: Sequence[Float[Tensor, ""]]) -> list[Float[Tensor, ""]]:
        """Return this process's estimates of the means over the groups, given those over the rows here."""
        return [self.mean(mean, name) for mean, name in zip(means_here, self.local, strict=True)]

    def mean(self, mean_here: Float[Tensor, ""], name: str | None = None) -> Float[Tensor, ""]:
        """Return this process's estimate of the mean over a group, or over all rows, given the mean over those here."""
        if self.processes.count == 1:
            return mean_here
        return mean_here * (len(self.own) * self.processes.count / self.rows if name is None else self.weights[name])

    def parts(self, count: int) -> list[Part]:
        """Divide the rows of this process into `count` parts, each with a share of every group."""
        if count not in self._parts:
            self._parts[count] = [self._part(number, count) for number in range(count)]
        return self._parts[count]

    def _part(self, number: int, count: int) -> Part:
        here, in_group, local = {}, {}, []
        for (name, rows), total in zip(self.local.items(), self.totals, strict=True):
            part = Processes(number, count).share(rows.stop - rows.start)
            first = self.processes.share(total).start
            here[name], in_group[name] = part, slice(first + part.start, first + part.stop)
            local.append(torch.arange(rows.start + part.start, rows.start + part.stop))
        if count == 1:
            return Part(slice(None) if self.processes.count == 1 else self.own, in_group, here, slice(None))
        numbers = torch.cat(local).to(self.own.device)
        return Part(self.own[numbers], in_group, here, numbers)

    def joined(self, parts: Sequence[Float[Tensor, "_ d"]]) -> Float[Tensor, "r d"]:
        """Join the rows of all parts in the order of the rows that are here."""
        order = torch.cat([part.local for part in self.parts(len(parts))])  # type: ignore[misc]
        return torch.cat(list(parts))[order.argsort()]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, here: Tensor, split: Split) -> Tensor:
        ctx.split, count = split, split.processes.count
        arrived = here.new_empty(split.rows, here.shape[1])
        with _reaching(count):
            dist.all_to_all_single(arrived, here.repeat(count, 1), split.sizes, [len(here)] * count)
        return arrived.index_select(0, split._source)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        split, count, rows = ctx.split, ctx.split.processes.count, len(ctx.split.own)
        arrived = grad.new_empty(count * rows, grad.shape[1])
        with _reaching(count):
            dist.all_to_all_single(arrived, grad.index_select(0, split._order), [rows] * count, split.sizes)
        return arrived.view(count, rows, -1).sum(0), None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        return processes.total(values)[0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.processes.total(grad)[0], None
