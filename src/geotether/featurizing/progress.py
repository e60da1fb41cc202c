"""Progress of the work on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from contextlib import ExitStack
from typing import Any

STYLES = ("auto", "bar", "lines", "none")


class RowProgress(ExitStack):
    """Progress in rows, shown until the block ends.

    Args:
        name: Name of the table.
        total: Number of rows of the work.
        done: Number of rows that an earlier run has done.
        style: `auto` draws a bar if stderr is a terminal and writes about twenty plain lines otherwise; `none` is
            silent.
    """

    def __init__(self, name: str, total: int, done: int = 0, style: str = "auto") -> None:
        super().__init__()
        check_style(style)
        if style == "auto":
            style = "bar" if sys.stderr.isatty() else "lines"
        self._name, self._style, self._total, self._first, self._shown = name, style, total, done, done
        self._began = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> "RowProgress":
        if self._style == "bar":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
            rest = (TextColumn("{task.fields[note]}"), TimeRemainingColumn())
            self._bar = self.enter_context(Progress(*columns, *rest, console=Console(stderr=True)))
            self._task = self._bar.add_task(self._name, total=self._total, completed=self._first, note="")
        return self

    def show(self, done: int, rejected: int) -> None:
        """Show the number of rows done, and how many of them were rejected."""
        note = f"{rejected:,} rejected" if rejected else ""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
        elif self._style == "lines" and (done - self._shown >= self._total / 20 or done == self._total):
            self._shown = done
            speed = (done - self._first) / max(time.monotonic() - self._began, 1e-9)
            parts = [f"{self._name}: {done:,} of {self._total:,} rows", note]
            parts += [f"{speed:,.0f} rows/s"] if done > self._first else []
            parts += [f"{spoken_time((self._total - done) / speed)} left"] if speed and done < self._total else []
            sys.stderr.write("  ".join(part for part in parts if part) + "\n")


def check_style(style: str) -> None:
    """Raise ValueError if a style of progress is unknown."""
    if style not in STYLES:
        raise ValueError(f"Progress is shown as one of {', '.join(STYLES)}; got {style!r}.")


def spoken_time(seconds: float) -> str:
    """Format a time in its two largest units.

    Example:
        >>> spoken_time(4.2), spoken_time(150), spoken_time(7330)
        ('4 s', '2 min 30 s', '2 h 2 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
