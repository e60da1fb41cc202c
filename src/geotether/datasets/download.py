"""One file over HTTP that arrives whole or not at all: resumed after every break, checked against what was promised."""

import logging
import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from geotether.datasets.partial import Partial, Version
from geotether.version import __version__

CHUNK_BYTES = 2**18
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
TIMEOUT = (15.0, 60.0)
_GZIPPED = (".gz", ".tgz")
_log = logging.getLogger(__name__)


class InterruptedDownloadError(ConnectionError):
    """The connection broke or the server is busy: worth another try."""


class Downloader:
    """Fetches files for pooch, which gives an address and a place, and verifies what came.

    Proxies are taken from the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), passwords from ~/.netrc, as `requests`
    does it.

    Args:
        target: The file to be; `target.part` beside it keeps what has arrived, across breaks and runs.
        size: Its size in bytes, if known.
        limit: Most bytes to accept, if the size is not known.
        verified: Whether its hash is known. Without, a server that names no version cannot be trusted to continue the
            same file, so such a download begins anew after a break.
        waits: Seconds to wait before each further try; trying ends after as many in a row that bring no new byte.
        timeout: Seconds to wait for a connection, and between two chunks.
        report: Called with the bytes that are there and the size, or None.
        session: A `requests.Session`, kept for several files; by default one for this file.
    """

    def __init__(
        self,
        target: Path,
        size: int | None = None,
        limit: int | None = None,
        verified: bool = False,
        waits: Sequence[float] = WAITS,
        timeout: tuple[float, float] = TIMEOUT,
        report: Callable[[int, int | None], None] | None = None,
        session: Any = None,
    ) -> None:
        self.target, self.size, self.limit, self.verified = target, size, limit, verified
        self.waits, self.timeout, self.session = tuple(waits), timeout, session
        self.report = report or (lambda done, total: None)
        self.part = Partial(target)

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Fetch `url` into `output_file`, as pooch asks a downloader to.

        Raises:
            ConnectionError: If it did not arrive in spite of all tries; what arrived stays for the next run.
            PermissionError: If the server wants a login.
            FileNotFoundError: If the server has no such file.
            ValueError: If the server sends something else: a web page, or another size than known.
            OSError: If the disk is full.
        """
        import requests

        best, fruitless = -1, 0
        with self.part.held(), nullcontext(self.session) if self.session else requests.Session() as session:
            while True:
                try:
                    self._attempt(session, url)
                    break
                except InterruptedDownloadError as error:
                    have = len(self.part)
                    best, fruitless = max(best, have), 0 if have > best else fruitless + 1
                    if fruitless >= len(self.waits):
                        kept = f" {have:,} bytes are kept; the same command goes on from there." if have else ""
                        raise ConnectionError(f"{url} did not arrive: {error}.{kept}") from error
                    _log.info("%s; trying again (%d bytes so far).", error, have)
                    time.sleep(self.waits[fruitless])
            self.part.become(Path(output_file))

    def _attempt(self, session: Any, url: str) -> None:
        """One request: from the start, or from where the last one broke off."""
        import requests

        start, headers = self._headers(url)
        try:
            with session.get(url, stream=True, headers=headers, timeout=self.timeout) as response:
                if response.status_code == 416 and start:
                    return self._finished(response, start)
                _refuse(response, url)
                if response.status_code == 206:
                    self._continue(response, url, start)
                else:
                    start = 0
                    self.part.restart(_version(response, url))
                self._receive(response, start)
        except requests.exceptions.ProxyError as error:
            raise InterruptedDownloadError(f"the proxy did not let it through ({_reason(error)})") from error
        except requests.exceptions.Timeout as error:
            raise InterruptedDownloadError(f"{urlsplit(url).netloc} took too long to answer") from error
        except requests.exceptions.ConnectionError as error:
            if "Failed to resolve" in str(error) or "NameResolution" in str(error):
                raise ConnectionError(
                    f"{url} did not arrive: there is no {urlsplit(url).netloc}, or this machine is offline."
                ) from error
            raise InterruptedDownloadError(f"{urlsplit(url).netloc} cannot be reached ({_reason(error)})") from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise InterruptedDownloadError(f"the connection broke ({_reason(error)})") from error
        except requests.exceptions.RequestException as error:  # too many redirects, an address that makes no sense
            raise ValueError(f"{url} cannot be fetched: {error}.") from error

    def _headers(self, url: str) -> tuple[int, dict[str, str]]:
        # Without "identity" a server may compress on the fly, and lengths and ranges mean something else.
        headers = {"Accept-Encoding": "identity", "User-Agent": f"geotether/{__version__}"}
        have, version = len(self.part), self.part.version
        if not have or version is None or version.address != url or not (version.validator or self.verified):
            return 0, headers
        headers["Range"] = f"bytes={have}-"
        if version.validator:
            headers["If-Range"] = version.validator
        return have, headers

    def _continue(self, response: Any, url: str, start: int) -> None:
        """Make sure that the rest on offer is the rest of the same file."""
        found = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        total = int(found[2]) if found and found[2] != "*" else None
        now, before = _version(response, url, total), self.part.version
        if found is None or int(found[1]) != start or before is None or now.differs_from(before):
            self.part.discard()
            raise InterruptedDownloadError("the server went on with another part or another version of the file")

    def _finished(self, response: Any, start: int) -> None:
        """There is nothing after the bytes that are here: they are all, if the server counts them too."""
        found = re.match(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        version = self.part.version
        promised = self.size if self.size is not None else version.total if version else None
        agreed = found is not None and int(found[1]) == start and (promised in (None, start) or self.verified)
        if not agreed:
            self.part.discard()
            raise InterruptedDownloadError(f"the server says that there is nothing after {start:,} bytes")

    def _receive(self, response: Any, start: int) -> None:
        import urllib3

        version = self.part.version
        total = version.total if version else None
        encoded = response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity")
        decode = encoded and not self.target.name.lower().endswith(_GZIPPED)
        total = None if decode else total
        self._check_size(total)
        done = start
        with self.part.path.open("ab") as file:
            try:
                for chunk in response.raw.stream(CHUNK_BYTES, decode_content=decode):
                    file.write(chunk)
                    done += len(chunk)
                    self._check_size(done, arrived=True)
                    self.report(done, total or self.size)
            except urllib3.exceptions.HTTPError as error:
                raise InterruptedDownloadError(f"the connection broke ({_reason(error)})") from error
        if total is not None and done != total:
            raise InterruptedDownloadError(f"the server promised {total:,} bytes and sent {done:,}")
        if self.size is not None and done != self.size:
            self.part.discard()
            raise ValueError(f"{done:,} bytes came, but {self.size:,} are known to be right{_UPSTREAM}")

    def _check_size(self, size: int | None, arrived: bool = False) -> None:
        if size is None:
            return
        if self.size is not None and (size > self.size if arrived else size != self.size):
            self.part.discard()
            raise ValueError(f"the server offers {size:,} bytes, but {self.size:,} are known to be right{_UPSTREAM}")
        if self.size is None and self.limit is not None and size > self.limit:
            self.part.discard()
            raise ValueError(f"the server sends more than the {self.limit:,} bytes that may come unasked: add --yes")
        free = shutil.disk_usage(self.part.path.parent).free
        if not arrived and size - len(self.part) > free:
            raise OSError(
                f"{self.target} needs {size - len(self.part):,} more bytes, but only {free:,} are free in "
                f"{self.target.parent}. Free some space, or give another folder (--to)."
            )


_UPSTREAM = ". The file may have been replaced by its publisher: see the homepage, and correct the registry."


def asked_size(address: str, timeout: tuple[float, float] = TIMEOUT, session: Any = None) -> int | None:
    """Ask a server how large a file is, without fetching it.

    Returns:
        Bytes; None if the server does not say.

    Raises:
        ConnectionError: If there is no answer, or the server does not have the file.
    """
    import requests

    headers = {"Accept-Encoding": "identity", "User-Agent": f"geotether/{__version__}"}
    try:
        with nullcontext(session) if session else requests.Session() as used:
            response = used.head(address, headers=headers, timeout=timeout, allow_redirects=True)
    except requests.exceptions.RequestException as error:
        raise ConnectionError(f"{address} does not answer: {_reason(error)}") from error
    if response.status_code in (404, 410):
        raise ConnectionError(f"{address} is answered with status {response.status_code}")
    length = response.headers.get("Content-Length", "")
    return int(length) if response.ok and length.isdigit() else None


def _version(response: Any, url: str, total: int | None = None) -> Version:
    headers = response.headers
    if total is None and response.status_code == 200 and headers.get("Content-Length", "").isdigit():
        total = int(headers["Content-Length"])
    return Version(url, headers.get("ETag", ""), headers.get("Last-Modified", ""), total)


def _refuse(response: Any, url: str) -> None:
    """Turn an answer that is not the file into the error that says what to do."""
    status = response.status_code
    if status in (401, 403, 407, 451):
        raise PermissionError(
            f"{url} is refused with status {status} ({response.reason}): it wants a login, or refuses programs."
        )
    if status in (404, 410):
        raise FileNotFoundError(f"{url} is not there any more (status {status}); its publisher may have moved it.")
    if status in (408, 425, 429) or status >= 500:
        raise InterruptedDownloadError(f"the server answers with status {status} ({response.reason})")
    if status not in (200, 206):
        raise ValueError(f"{url} is answered with status {status} ({response.reason}) instead of a file.")
    kind = response.headers.get("Content-Type", "").lower()
    if kind.startswith("text/html") and not url.lower().endswith((".html", ".htm")):
        raise PermissionError(f"{url} leads to a web page ({response.url}), not to the file: perhaps a login page.")


def _reason(error: BaseException) -> str:
    """The innermost cause, without the names of Python objects."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        inner = getattr(cause, "reason", None) or next((a for a in cause.args if isinstance(a, BaseException)), None)
        cause = inner if isinstance(inner, BaseException) else None
    return re.sub(r"^(<[^>]*>|\w+\(.*?\)):\s*", "", str(seen[-1])).strip() or type(seen[-1]).__name__
