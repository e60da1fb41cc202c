"""How far the work is, on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any

STYLES = ("auto", "bar", "lines", "none")


class RowProgress:
    """Shows how many rows are done.

    Args:
        name: Of the table.
        total: Rows of the whole work.
        done: Rows that an earlier run did.
        style: `auto` draws a bar if stderr is a terminal and writes about twenty plain lines otherwise; `none` is
            silent.

    Example:
        >>> with RowProgress("birds", total=100, style="none") as progress:
        ...     progress.show(50, rejected=1)
    """

    def __init__(self, name: str, total: int, done: int = 0, style: str = "auto") -> None:
        check_style(style)
        if style == "auto":
            style = "bar" if sys.stderr.isatty() else "lines"
        self._name, self._style, self._total, self._first = name, style, total, done
        self._shown = done
        self._began = time.monotonic()
        self._bar: Any = None

    def show(self, done: int, rejected: int) -> None:
        """Report rows that are done.

        Args:
            done: So many of all.
            rejected: So many of them cannot be used.
        """
        note = f"{rejected:,} rejected" if rejected else ""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
        elif self._style == "lines" and (done - self._shown >= self._total / 20 or done == self._total):
            self._shown = done
            seconds = time.monotonic() - self._began
            left = seconds / max(done - self._first, 1) * (self._total - done)
            parts = [f"{self._name}: {done:,} of {self._total:,} rows", note]
            parts += [f"{(done - self._first) / max(seconds, 1e-9):,.0f} rows/s"] if done > self._first else []
            parts += [f"{spoken_time(left)} left"] if done < self._total else []
            sys.stderr.write("  ".join(part for part in parts if part) + "\n")
            sys.stderr.flush()

    def __enter__(self) -> "RowProgress":
        if self._style == "bar":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
            rest = (TextColumn("{task.fields[note]}"), TimeRemainingColumn())
            self._bar = Bar(*columns, *rest, console=Console(stderr=True), refresh_per_second=4)
            self._task = self._bar.add_task(self._name, total=self._total, completed=self._first, note="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def check_style(style: str) -> None:
    """Raise ValueError if progress cannot be shown so."""
    if style not in STYLES:
        raise ValueError(f"Progress is shown as one of {', '.join(STYLES)}; got {style!r}.")


def spoken_time(seconds: float) -> str:
    """Say a time in the two units that matter.

    Example:
        >>> spoken_time(4.2), spoken_time(150), spoken_time(7330)
        ('4 s', '2 min 30 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
