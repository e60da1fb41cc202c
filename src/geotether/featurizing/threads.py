"""One thread: what makes features the same on any number of processes, and keeps these out of each other's way."""

import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import TypeVar

from threadpoolctl import threadpool_info, threadpool_limits

T = TypeVar("T")


class OneThread:
    """Holds every pool of threads in this process at one thread, and gives the threads back at the end.

    Libraries are imported where they are used, so a call may bring a pool that was not there before. `run` notices, and
    calls again with the new pool held too.

    Example:
        >>> with OneThread() as one:
        ...     one.run(lambda: {pool["num_threads"] for pool in threadpool_info()} <= {1})
        True
    """

    def __init__(self) -> None:
        self._held = ExitStack()
        self._known: set[str] = set()
        self._is_warm = False

    def run(self, call: Callable[[], T], small: Callable[[], object] | None = None) -> T:
        """Call with one thread.

        Args:
            call: Must give the same when called twice, since it may be.
            small: Does the same with little, well or not; called once before all others, so that what they import is
                there and none of them need be called twice.
        """
        if small is not None and not self._is_warm:
            said = logging.root.manager.disable
            logging.disable()  # what it has to say, `call` says again
            with suppress(Exception):
                small()
            logging.disable(said)
            self._is_warm = True
        while True:
            if not _pools() <= self._known:
                self._hold()
            result = call()
            if _pools() <= self._known:
                return result

    def _hold(self) -> None:
        self._known = _pools()
        self._held.enter_context(threadpool_limits(limits=1))
        torch = sys.modules.get("torch")
        if torch is not None:
            self._held.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)

    def __enter__(self) -> "OneThread":
        self._hold()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()


def _pools() -> set[str]:
    """Names of the libraries with threads of their own that are loaded now."""
    found = {str(pool["filepath"]) for pool in threadpool_info()}
    return found | ({"torch"} if hasattr(sys.modules.get("torch"), "set_num_threads") else set())
