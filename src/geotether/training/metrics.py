"""Metrics of a run: in memory, on disk as one JSON object per line, on the terminal, and as warnings of overfitting."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from geotether.files.disk import replacing_file

FILE_NAME = "metrics.jsonl"
_LOSS, _CHANCE = "validation/loss/", "validation/chance/"
_FEWEST_VALIDATIONS, _FEWEST_ROWS = 3, 50
ADVICE = (
    "What is learned does not generalise to held-out places. Try keep=best with patience, fewer steps, a smaller "
    "encoder (lower l_max, hidden_dim), more weight_decay or jitter_m, more rows; or these features do not depend on "
    "the place."
)


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Read the lines of a metrics file; a last line cut off by a crash is omitted.

    Args:
        path: The file, or the run's folder.

    Returns:
        One dict per line. Training lines contain `loss`; validation lines `validation/loss`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line other than the last is not JSON.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"There is no metrics file {path}.")
    lines = path.read_text(encoding="utf-8").split("\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise ValueError(f"Line {number} of {path} is not JSON: {line[:80]!r}.") from None
    return records


class MetricsFile:
    """Keeps metrics in `lines` and, with a folder, appends them to its `metrics.jsonl`.

    Args:
        folder: The run's folder, or None.
        first_step: The step that the run starts with. Lines of this step and later are dropped first: that work is
            done again.

    Example:
        >>> with MetricsFile(None, first_step=0) as metrics:
        ...     metrics.write({"step": 0, "loss": 6.2})
    """

    def __init__(self, folder: Path | None, first_step: int) -> None:
        self._file = None
        self.lines: list[dict[str, Any]] = []
        if folder is None:
            return
        path = folder / FILE_NAME
        kept = [line for line in read_metrics(path) if line["step"] < first_step] if path.is_file() else []
        self.lines += kept
        with replacing_file(path) as shortened:
            shortened.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line and flush it, so that a killed run keeps it."""
        self.lines.append(dict(line))
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def read_scalars(values: Mapping[str, Tensor | float]) -> dict[str, float]:
    """Convert scalars to Python numbers in one transfer, because each transfer stalls a GPU."""
    unread = UnreadMetrics()
    unread.add(values)
    return unread.read()[0]


class UnreadMetrics:
    """Metrics of steps whose values are still on the device, until all are read in one transfer."""

    def __init__(self) -> None:
        self._steps: list[dict[str, Tensor | float]] = []

    def add(self, values: Mapping[str, Tensor | float]) -> None:
        """Keep the metrics of a step: scalar tensors on one device, or numbers."""
        self._steps.append({n: v.detach() if isinstance(v, Tensor) else v for n, v in values.items()})

    def read(self) -> list[dict[str, Any]]:
        """Return the metrics of each step as Python numbers, and forget them."""
        tensors = [value for values in self._steps for value in values.values() if isinstance(value, Tensor)]
        numbers = iter(torch.stack([value.float() for value in tensors]).tolist() if tensors else ())
        lines = [
            {name: next(numbers) if isinstance(value, Tensor) else value for name, value in values.items()}
            for values in self._steps
        ]
        self._steps = []
        return lines


STYLES = ("auto", "bar", "lines", "none")


class Progress:
    """The display of a run's progress on standard error.

    Args:
        total_steps: Steps of the whole run.
        first_step: Steps already done.
        style: `auto` draws a bar if stderr is a terminal and writes about twenty plain lines otherwise;
            `none` shows nothing.

    Example:
        >>> with Progress(total_steps=2, style="none") as progress:
        ...     progress.show(0, {"loss": 6.2})
    """

    def __init__(self, total_steps: int, first_step: int = 0, style: str = "auto") -> None:
        if style not in STYLES:
            raise ValueError(f"progress must be one of {', '.join(STYLES)}; got {style!r}.")
        if style == "auto":
            style = "bar" if sys.stderr.isatty() else "lines"
        self._style, self._total, self._first = style, total_steps, first_step
        self._every = max(total_steps // 20, 1)
        self._bar: Any = None

    def show(self, step: int, line: Mapping[str, Any]) -> None:
        """Show a finished step."""
        done = step + 1
        if self._bar is not None:
            self._bar.update(self._task, completed=done, loss=f"loss {line['loss']:.3f}" if "loss" in line else "")
        elif self._style == "lines" and (done % self._every == 0 or done == self._total or step == self._first):
            parts = [f"step {done}/{self._total}"]
            parts += [f"loss {line['loss']:.4f}"] if "loss" in line else []
            parts += [f"rate {line['learning_rate']:.2e}"] if "learning_rate" in line else []
            parts += [f"{line['seconds']:.1f} s"] if "seconds" in line else []
            self.say("  ".join(parts))

    def show_validation(self, step: int, line: Mapping[str, Any]) -> None:
        """Show a validation."""
        prefix = "validation/loss/"
        parts = []
        for key, loss in line.items():
            if key.startswith(prefix):
                chance = line.get(key.replace("/loss/", "/chance/"))
                parts.append(f"{key.removeprefix(prefix)} {loss:.3f}" + (f" (chance {chance:.2f})" if chance else ""))
        self.say(f"held out after step {step + 1}: {line['validation/loss']:.4f}  {', '.join(parts)}")

    def say(self, text: str) -> None:
        """Write one line without breaking the bar."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        elif self._style != "none":
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def __enter__(self) -> "Progress":
        if self._style == "bar":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True), refresh_per_second=4)
            self._task = self._bar.add_task("", total=self._total, completed=self._first, loss="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def rising_warning(lines: Sequence[Mapping[str, Any]]) -> str:
    """Name the modalities whose validation loss is above chance and was no lower twice than an earlier one.

    Early in training the loss may be above chance and still falling.

    Args:
        lines: Metrics of the run so far.
    """
    names = [name for name, losses in above_chance(lines).items() if min(losses[-2:]) >= min(losses[:-2])]
    named = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"The held-out loss of {named} rises above chance. {ADVICE}" if names else ""


def final_warning(lines: Sequence[Mapping[str, Any]], best: bool = False) -> str:
    """Name the validation losses of the final model that are above chance and no longer fall.

    Args:
        lines: Metrics of the run.
        best: Whether the weights of the best validation were kept, not the last.
    """
    validations = [line for line in lines if "validation/loss" in line]
    line = min(validations, key=lambda line: line["validation/loss"], default={}) if best else None
    said = [
        f"{name} {(line or validations[-1])[_LOSS + name]:.2f} (chance {validations[-1][_CHANCE + name]:.2f})"
        for name, losses in above_chance(lines, line).items()
        if losses[-1] >= min(losses[:-1])
    ]
    return f"The held-out loss of this model is above chance: {', '.join(said)}. {ADVICE}" if said else ""


def above_chance(lines: Sequence[Mapping[str, Any]], line: Mapping[str, Any] | None = None) -> dict[str, list[float]]:
    """Return the modalities whose validation loss is above chance, with the losses of all validations.

    Fewer than three validations, or fewer than fifty rows, show nothing; chance is the logarithm of their number.

    Args:
        lines: Metrics of the run.
        line: The validation to compare with chance; None for the last.
    """
    validations = [one for one in lines if "validation/loss" in one]
    found = {}
    for key in [key for key in validations[-1] if key.startswith(_CHANCE)] if validations else ():
        loss, chance = key.replace(_CHANCE, _LOSS), validations[-1][key]
        losses = [math.inf if math.isnan(one[loss]) else one[loss] for one in validations if loss in one]
        enough = len(losses) >= _FEWEST_VALIDATIONS and math.exp(chance) > _FEWEST_ROWS - 0.5
        if enough and (line or validations[-1])[loss] > chance:
            found[key.removeprefix(_CHANCE)] = losses
    return found
