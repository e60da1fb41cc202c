"""Progress of the work on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STYLES = ("auto", "bar", "lines", "none")


@contextmanager
def row_progress(
    name: str, total: int, first: int = 0, style: str = "auto", unit: str = "rows"
) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows the number of rows done, and how many of them were rejected.

    Args:
        name: Name of the table.
        total: Number of rows of the work.
        first: Number of rows that an earlier run has done.
        style: `auto` draws a bar if stderr is a terminal and writes about twenty plain lines otherwise; `none` is
            silent.
        unit: What is counted.
    """
    began, shown = time.monotonic(), first

    def line(done: int, rejected: int) -> None:
        nonlocal shown
        if done - shown < total / 20 and done != total:
            return
        shown = done
        speed = (done - first) / max(time.monotonic() - began, 1e-9)
        parts = [f"{name}: {done:,} of {total:,} {unit}"] + [f"{rejected:,} rejected"] * (rejected > 0)
        parts += [f"{speed:,.0f} {unit}/s"] * (done > first)
        parts += [f"{spoken_time((total - done) / speed)} left"] if speed and done < total else []
        sys.stderr.write("  ".join(parts) + "\n")

    if style == "bar" or (style == "auto" and sys.stderr.isatty()):
        from rich.console import Console
        from rich.progress import Progress

        with Progress(*Progress.get_default_columns(), "{task.fields[note]}", console=Console(stderr=True)) as bar:
            task = bar.add_task(name, total=total, completed=first, note="")
            yield lambda done, rejected: bar.update(
                task, completed=done, note=f"{rejected:,} rejected" if rejected or unit == "rows" else ""
            )
    else:
        yield (lambda done, rejected: None) if style == "none" else line


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
