"""The values that were used last, for several threads."""

import threading
from collections import OrderedDict
from typing import Any


class Recent:
    """The values that were used last, by key; safe for several threads.

    Args:
        size: Number of values kept, 1 or more.

    Example:
        >>> recent = Recent(2)
        >>> for key in "aba":
        ...     recent.put(key, key.upper())
        >>> recent.put("c", "C")
        >>> recent.get("a"), recent.get("b")
        ('A', None)
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._values: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any) -> Any:
        """Return a value, or None if it is not kept any more."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Any, value: Any) -> None:
        """Keep a value, and forget the one that was not used for longest if there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self.size:
                self._values.popitem(last=False)
