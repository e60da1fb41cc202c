"""Limits of what one request and one client may ask for."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, fields

_CLIENTS = 10_000  # whose numbers of requests are remembered


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        points: Places in one request.
        top: Answers of one search.
        body_bytes: Size of the body of a request.
        rate: Requests per second of one client, on average.
        burst: Requests that a client may send at once after a pause; a page asks for some 30 tiles.
        at_once: Requests of all clients that are being answered.
        seconds: Time to answer a request.
        pixels: Size of an image.

    Raises:
        ValueError: If one is not above 0.
    """

    points: int = 10_000
    top: int = 1000
    body_bytes: int = 20_000_000
    rate: float = 100.0
    burst: int = 400
    at_once: int = 40
    seconds: float = 30.0
    pixels: int = 25_000_000

    @property
    def json_bytes(self) -> int:
        """Size of a body that is not a form: enough for the places of one request, written with all their digits."""
        return 1_000_000 + 64 * self.points

    @property
    def at_once_each(self) -> int:
        """Requests of one client that are being answered: a quarter of all, so that none can hold up the others."""
        return max(2, self.at_once // 4)

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) > 0:
                raise ValueError(f"The limit {one.name} must be above 0, got {getattr(self, one.name)}.")


class Rates:
    """Token buckets, one per client: each holds `burst` requests and is filled at `rate` requests per second.

    Example:
        >>> rates = Rates(rate=1.0, burst=2)
        >>> [rates.wait("me", now) for now in (0.0, 0.0, 0.25, 1.0)]
        [0.0, 0.0, 0.75, 0.0]
    """

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # client to requests left, and when
        self._lock = threading.Lock()

    def wait(self, client: str, now: float | None = None) -> float:
        """Count a request; return 0 if it is allowed, else the seconds until one is."""
        now = time.monotonic() if now is None else now
        with self._lock:
            left, before = self._left.pop(client, (float(self.burst), now))
            left = min(self.burst, left + (now - before) * self.rate)
            allowed = left >= 1.0
            self._left[client] = (left - allowed, now)
            while len(self._left) > _CLIENTS:
                self._left.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self.rate
