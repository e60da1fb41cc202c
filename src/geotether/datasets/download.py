"""What pooch downloads with: requests, and the checks that a data set needs before and while bytes arrive."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from geotether.version import __version__

CHUNK_BYTES = 2**18
TIMEOUT = (15.0, 60.0)
_GZIPPED = (".gz", ".tgz")
# Without "identity" a server may compress on the fly, and lengths mean something else.
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"geotether/{__version__}"}
_UPSTREAM = ". The file may have been replaced by its publisher: see the homepage, and correct the registry."


class UnexpectedSizeError(OSError):
    """The server offers or sends another number of bytes than is known or agreed to; trying again would not help."""


class Downloader:
    """A downloader for pooch.

    Proxies are taken from the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), passwords from ~/.netrc, as `requests`
    does.

    Args:
        name: Name of the file; a compressed file is kept as it is, other content is decompressed if the server
            compressed it.
        size: Size in bytes, if known.
        limit: Most bytes to accept, if the size is not known.
        timeout: Seconds to wait for a connection, and between two chunks.
        report: Called with the bytes that have arrived and the size, or None.
    """

    def __init__(
        self,
        name: str,
        size: int | None = None,
        limit: int | None = None,
        timeout: tuple[float, float] = TIMEOUT,
        report: Callable[[int, int | None], None] | None = None,
    ) -> None:
        self.name, self.size, self.limit, self.timeout = name, size, limit, timeout
        self.report = report or (lambda done, total: None)

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Download `url` into `output_file`.

        Raises:
            requests.exceptions.RequestException: If the connection failed or the server is busy; pooch tries again.
            PermissionError: If the server requires a login, or sends a web page.
            FileNotFoundError: If the server has no such file.
            UnexpectedSizeError: If the size is not the known one, or more than was agreed to.
            OSError: If the disk is full.
        """
        import requests
        import urllib3

        with requests.get(url, stream=True, headers=_HEADERS, timeout=self.timeout) as response:
            refuse_answer(response, url)
            length = response.headers.get("Content-Length", "")
            encoded = response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity")
            decode = encoded and not self.name.lower().endswith(_GZIPPED)
            total = int(length) if length.isdigit() and not decode else None
            folder, done = Path(output_file).parent, 0
            self._check_offer(total, folder)
            with open(output_file, "wb") as file:
                try:
                    for chunk in response.raw.stream(CHUNK_BYTES, decode_content=decode):
                        file.write(chunk)
                        done += len(chunk)
                        self._check_arrived(done)
                        self.report(done, total or self.size)
                except urllib3.exceptions.HTTPError as error:
                    raise requests.exceptions.ConnectionError(error) from error
        if self.size is not None and done != self.size:
            raise UnexpectedSizeError(f"{done:,} bytes came, but {self.size:,} are known to be right{_UPSTREAM}")

    def _check_offer(self, total: int | None, folder: Path) -> None:
        if total is None:
            return
        if self.size is not None and total != self.size:
            raise UnexpectedSizeError(
                f"the server offers {total:,} bytes, but {self.size:,} are known to be right{_UPSTREAM}"
            )
        self._check_arrived(total)
        free = shutil.disk_usage(folder).free
        if total > free:
            raise OSError(
                f"{self.name} needs {total:,} bytes, but only {free:,} are free in {folder}. Free some space, or give "
                "another folder (--to)."
            )

    def _check_arrived(self, done: int) -> None:
        if self.size is not None and done > self.size:
            raise UnexpectedSizeError(f"{done:,} bytes came, but {self.size:,} are known to be right{_UPSTREAM}")
        if self.size is None and self.limit is not None and done > self.limit:
            raise UnexpectedSizeError(
                f"the server sends more than the {self.limit:,} bytes that may come without asking: add --yes"
            )


def asked_size(address: str, timeout: tuple[float, float] = TIMEOUT) -> int | None:
    """Ask a server for the size of a file.

    Returns:
        Bytes; None if the server does not tell.

    Raises:
        ConnectionError: If there is no answer, or the server does not have the file.
    """
    import requests

    try:
        response = requests.head(address, headers=_HEADERS, timeout=timeout, allow_redirects=True)
    except requests.exceptions.RequestException as error:
        raise ConnectionError(failure(error, address)) from error
    if response.status_code in (404, 410):
        raise ConnectionError(f"{address} answers with status {response.status_code}")
    length = response.headers.get("Content-Length", "")
    return int(length) if response.ok and length.isdigit() else None


def refuse_answer(response: Any, url: str) -> None:
    """Raise if an answer is not the file, as `Downloader` does."""
    import requests

    status = response.status_code
    if status in (401, 403, 407, 451):
        raise PermissionError(
            f"{url} is refused with status {status} ({response.reason}): it requires a login, or refuses programs."
        )
    if status in (404, 410):
        raise FileNotFoundError(f"{url} is not there any more (status {status}); its publisher may have moved it.")
    if status != 200:
        raise requests.exceptions.HTTPError(f"the server answers with status {status} ({response.reason})")
    kind = response.headers.get("Content-Type", "").lower()
    if kind.startswith("text/html") and not url.lower().endswith((".html", ".htm")):
        raise PermissionError(f"{url} leads to a web page ({response.url}), not to the file: perhaps a login page.")


def failure(error: BaseException, url: str) -> str:
    """Describe why a file did not arrive, by the innermost cause and without the names of Python objects."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        inner = getattr(cause, "reason", None) or next((a for a in cause.args if isinstance(a, BaseException)), None)
        cause = inner if isinstance(inner, BaseException) else None
    said = re.sub(r"^(<[^>]*>|\w+\(.*?\)):\s*", "", str(seen[-1])).strip() or type(seen[-1]).__name__
    if "Failed to resolve" in str(error) or "NameResolution" in str(error):
        said = f"there is no {urlsplit(url).netloc}, or this machine is offline"
    return f"{url} did not arrive: {said}"
