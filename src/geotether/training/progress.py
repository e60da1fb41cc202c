"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

STYLES = ("auto", "bar", "lines", "none")


class Progress:
    """Shows how far a run has come.

    Args:
        total_steps: Steps of the whole run.
        first_step: Steps already done.
        style: `auto` draws a bar if stderr is a terminal and writes about twenty plain lines otherwise;
            `none` is silent.

    Example:
        >>> with Progress(total_steps=2, style="none") as progress:
        ...     progress.show(0, {"loss": 6.2})
    """

    def __init__(self, total_steps: int, first_step: int = 0, style: str = "auto") -> None:
        if style not in STYLES:
            raise ValueError(f"Progress is shown as one of {', '.join(STYLES)}; got {style!r}.")
        if style == "auto":
            style = "bar" if sys.stderr.isatty() else "lines"
        self._style, self._total, self._first = style, total_steps, first_step
        self._every = max(total_steps // 20, 1)
        self._bar: Any = None

    def show(self, step: int, line: Mapping[str, Any]) -> None:
        """Report a finished step.

        Args:
            step: 0 for the first.
            line: The step's metrics; `loss`, `learning_rate` and `seconds` are shown where present.
        """
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
        """Report a validation.

        Args:
            step: The step it followed.
            line: Holds `validation/loss`, and for each part M of it `validation/loss/M` and, where it is known, what
                knowing nothing would score, `validation/chance/M`.
        """
        prefix = "validation/loss/"
        parts = []
        for key, loss in line.items():
            if key.startswith(prefix):
                chance = line.get(key.replace("/loss/", "/chance/"))
                parts.append(f"{key.removeprefix(prefix)} {loss:.3f}" + (f" (chance {chance:.2f})" if chance else ""))
        self.say(f"held out after step {step + 1}: {line['validation/loss']:.4f}  {', '.join(parts)}")

    def say(self, text: str) -> None:
        """Write one line without tearing the bar."""
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
