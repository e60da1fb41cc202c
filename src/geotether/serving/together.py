"""What several threads ask for, computed together."""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from geotether.serving.recent import Recent

MOST_AT_ONCE = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """Computes what several threads ask for in few calls, where a call for many costs little more than one for one.

    A worker thread takes all items that wait and computes them in one call. An item that is being computed already, or
    was among the last ones, is not computed again.

    Args:
        compute: From items to as many results, in their order. If it raises, each caller gets the exception.
        kept: Number of results that are kept.
        worker: A pool of one thread. Several computations may share it: while one is made, items of the others wait,
            so that more of them are computed together.

    Example:
        >>> squares = Together(lambda numbers: [number**2 for number in numbers], 10, ThreadPoolExecutor(1))
        >>> squares.get(3, 3), squares.get(4, 4)
        (9, 16)
    """

    def __init__(
        self, compute: Callable[[list[Item]], Sequence[Result]], kept: int, worker: ThreadPoolExecutor
    ) -> None:
        self._compute = compute
        self._recent = Recent(kept)
        self._waiting: dict[Hashable, tuple[Item, Future[Any]]] = {}
        self._computed: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()
        self._worker = worker

    def get(self, key: Hashable, item: Item) -> Result:
        """Return the result for an item; waits for the worker.

        Args:
            key: What tells items apart.
            item: The item.

        Raises:
            Exception: What the computation raises.
        """
        found = self._recent.get(key)
        if found is not None:
            return found
        with self._lock:
            future = self._computed.get(key) or (self._waiting[key][1] if key in self._waiting else None)
            if future is None:
                future = Future()
                self._waiting[key] = item, future
                self._worker.submit(self._compute_waiting)
        return future.result()

    def _compute_waiting(self) -> None:
        """Compute items that wait; nothing if another call took them already."""
        with self._lock:
            taken = {key: self._waiting.pop(key) for key in list(self._waiting)[:MOST_AT_ONCE]}
            self._computed |= {key: future for key, (_, future) in taken.items()}
        if not taken:
            return
        try:
            results = self._compute([item for item, _ in taken.values()])
        except BaseException as error:
            for key, (_, future) in taken.items():
                self._forget(key)
                future.set_exception(error)
            return
        for (key, (_, future)), result in zip(taken.items(), results, strict=True):
            self._recent.put(key, result)
            self._forget(key)
            future.set_result(result)

    def _forget(self, key: Hashable) -> None:
        with self._lock:
            self._computed.pop(key, None)
