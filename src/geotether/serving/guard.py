"""The guard in front of all addresses: who may ask, how much, and how long an answer may take."""

import asyncio
import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geotether.serving.limits import Limits, Rates
from geotether.serving.metrics import Metrics
from geotether.serving.problems import Problem

_log = logging.getLogger(__name__)

# Names under which a server that is bound to loopback is asked. Others are pages of other sites whose name was pointed
# at this machine (DNS rebinding).
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Answered at any rate and load: a page whose script is refused does not work.
_ALWAYS = ("/health", "/", "/static/")
_SAFE = ("GET", "HEAD", "OPTIONS")
_BUSY_SECONDS, _STOPPED_SECONDS = 1.0, 10.0
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Checks requests before they are answered, and adds security headers to answers.

    A request is refused if its Host or Origin is another site, its client asks too often, too many requests of all or
    of its client are being answered, its body is too large or too slow, or its answer takes too long. The computation
    of such an answer cannot be stopped; it is counted as being answered until it ends.

    Args:
        app: The application.
        limits: Limits of requests.
        metrics: Where requests are counted.
        hosts: Accepted names of the server; None accepts all.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics, hosts: Collection[str] | None) -> None:
        self.app, self.limits, self.metrics = app, limits, metrics
        self.hosts = None if hosts is None else {name.lower() for name in hosts}
        self.rates = Rates(limits.rate, limits.burst)
        self._running: Counter[str] = Counter()  # requests that are being answered, by client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        started = time.perf_counter()
        try:
            try:
                self._check(scope)
                await self._answer(scope, _limited(receive, answer, self._most_bytes(scope)), answer)
            except Problem as problem:
                await answer.refuse(problem, scope, receive)
            except asyncio.CancelledError:  # the server is stopped, and does not wait any longer
                stopped = Problem(503, "The server is being stopped.", retry_after=_STOPPED_SECONDS)
                await answer.refuse(stopped, scope, receive)
            except Exception as error:
                _log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
                await answer.refuse(Problem(500, "The server failed; its log says why."), scope, receive)
        finally:
            self.metrics.count(scope, answer.status, time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        """Raise a problem if a request is not to be answered."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            raise Problem(400, "The Host of the request is not a name of this server.", "Host")
        origin = headers.get("origin")
        if origin is not None and scope["method"] not in _SAFE and not self._is_own(origin, host):
            raise Problem(403, "Pages of other sites may not send data to this server.", "Origin")
        length = headers.get("content-length", "0")
        most = self._most_bytes(scope)
        if length.isdecimal() and int(length[:20]) > most:
            raise _too_large(most)
        if scope["path"] in _ALWAYS or scope["path"].startswith(_ALWAYS[-1]):
            return
        client = _client(scope)
        wait = self.rates.wait(client)
        if wait:
            often = f"More than {self.limits.rate:g} requests per second; wait before the next one."
            raise Problem(429, often, retry_after=wait)
        most = self.limits.at_once_each
        if self._running[client] >= most:
            each = f"{most} requests of this client are being answered; wait until one is."
            raise Problem(429, each, retry_after=_BUSY_SECONDS)
        if self.metrics.running >= self.limits.at_once:
            raise Problem(429, "The server is busy with other requests; try again.", retry_after=_BUSY_SECONDS)

    def _most_bytes(self, scope: Scope) -> int:
        """Return the limit of a body; lower unless it is a form, as parsing JSON holds up other requests."""
        kind = Headers(scope=scope).get("content-type", "").strip().lower()
        is_form = kind.startswith("multipart/form-data")
        return self.limits.body_bytes if is_form else min(self.limits.body_bytes, self.limits.json_bytes)

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether an Origin is this server: the same name and port, or the name under which a proxy publishes it."""
        published = set() if self.hosts is None else self.hosts - set(LOOPBACK)
        return _address(origin) == host.lower() or _name(origin) in published

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        """Answer a request within the time limit."""
        task = asyncio.ensure_future(self.app(scope, receive, answer.send))
        client = _client(scope)
        self.metrics.running += 1
        self._running[client] += 1
        task.add_done_callback(lambda task: self._ended(task, client))
        try:
            done, _ = await asyncio.wait({task}, timeout=self.limits.seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if done or answer.status:  # an answer that has begun is sent to its end
            await task
            return
        seconds = f"{self.limits.seconds:g} seconds"
        if answer.waits:
            raise Problem(408, f"The body of the request did not arrive in {seconds}.")
        raise Problem(429, f"The answer took more than {seconds}; ask for less, or try again.", retry_after=10.0)

    def _ended(self, task: "asyncio.Future[Any]", client: str) -> None:
        self.metrics.running -= 1
        self._running[client] -= 1
        if not self._running[client]:
            del self._running[client]
        if not task.cancelled():
            task.exception()  # nothing else retrieves it if the answer took too long


class _Answer:
    """The messages of one answer.

    Attributes:
        status: HTTP status, 0 until the answer begins.
        waits: Whether the application waits for the body of the request.
    """

    def __init__(self, send: Send) -> None:
        self.status, self.waits = 0, False
        self._send, self._closed = send, False

    async def send(self, message: Message) -> None:
        if self._closed:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await self._send(message)

    async def refuse(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        """Answer with an error, unless an answer has begun; messages of the application are ignored from now on."""
        if not self.status:
            refusal = JSONResponse({"detail": problem.detail}, problem.status_code, problem.headers)
            await refusal(scope, receive, self.send)
        self._closed = True


def _limited(receive: Receive, answer: _Answer, most: int) -> Receive:
    """Refuse a body that grows beyond the limit, even if its length is not stated."""
    size, whole = 0, False

    async def limited() -> Message:
        nonlocal size, whole
        answer.waits = not whole
        message = await receive()
        answer.waits = False
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > most:
                raise _too_large(most)
        return message

    return limited


def _too_large(most: int) -> Problem:
    return Problem(413, f"The body of the request is larger than {most / 1e6:g} MB.")


def _name(address: str) -> str | None:
    """Return the name of the machine in a Host or Origin; None if it has none.

    Example:
        >>> _name("[::1]:8000"), _name("http://Example.org:80"), _name("null")
        ('::1', 'example.org', None)
    """
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname if address != "null" else None
    except ValueError:
        return None


def _address(origin: str) -> str | None:
    """Return name and port of an Origin."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _client(scope: Scope) -> str:
    """Return the key of the client of a request: its address, or the /64 network of an IPv6 address."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host
