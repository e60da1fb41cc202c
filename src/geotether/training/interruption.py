"""Ctrl-C that waits for the step to end."""

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any


class RunInterrupted(KeyboardInterrupt):
    """A run was stopped by Ctrl-C or SIGTERM after its state was saved; the message says how to go on."""


class Interruption:
    """Turns Ctrl-C and SIGTERM into a flag that the loop reads between steps.

    An optimiser update that is torn in the middle would leave weights that no seed can reproduce.
    A second Ctrl-C stops at once. Outside the main thread, where Python allows no handlers, the
    flag is never raised and Ctrl-C acts as usual.

    Attributes:
        requested: Whether somebody asked the run to stop.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # nohup and the like stay in force
                    self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def farewell(step: int, total_steps: int, folder: Path | None) -> str:
    """Say what was saved and how to go on.

    Args:
        step: Steps done.
        total_steps: Steps of the whole run.
        folder: The run's folder, or None if nothing is written.

    Example:
        >>> farewell(120, 500, None)
        'Stopped after step 120 of 500. Nothing was saved, because no folder was given (out=...).'
    """
    stopped = f"Stopped after step {step} of {total_steps}."
    if folder is None:
        return f"{stopped} Nothing was saved, because no folder was given (out=...)."
    return f"{stopped} The state is saved in {folder}: run the same command with --resume (or resume=True) to go on."
