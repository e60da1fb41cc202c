"""`geotether serve` as a process and a headless Chromium, for the benchmarks and tests of the page and for the gallery.

Every request of the browser to another host goes to `Elsewhere`, a proxy that refuses and records it.
"""

import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# WebGL without a graphics card, and no requests of Chromium to its maker.
CHROMIUM = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--no-pings",
    "--gaia-url=http://127.0.0.1:9/",
]
# Services of its maker that Chromium requests despite these options, whatever the page does.
OWN_SERVICES = {
    "accounts.google.com",
    "content-autofill.googleapis.com",
    "optimizationguide-pa.googleapis.com",
    "update.googleapis.com",
}


@dataclass(frozen=True)
class Server:
    """A running server: its address and process."""

    url: str
    process: "subprocess.Popen[str]"


@contextmanager
def running_server(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, wait: float = 120
) -> Iterator[Server]:
    """Run `geotether serve` with these arguments on a free port until the block ends.

    Raises:
        RuntimeError: If the server ends or does not answer within `wait` seconds; the message has its output.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "geotether", "serve", *map(str, arguments), "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    printed: list[str] = []
    reader = threading.Thread(target=lambda: printed.extend(process.stdout or ()), daemon=True)
    reader.start()
    url = f"http://127.0.0.1:{port}"
    try:
        began = time.monotonic()
        while not answers(url):
            if process.poll() is not None or time.monotonic() - began > wait:
                raise RuntimeError(f"{' '.join(command)} does not answer:\n{''.join(printed)}")
            time.sleep(0.1)
        yield Server(url, process)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        if process.stdout:
            process.stdout.close()


def answers(url: str) -> bool:
    """Check whether a server answers at an address."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:  # also HTTPError
        return False


def compressed_bytes(urls: Iterable[str]) -> int:
    """Return the total compressed size of the bodies of addresses."""
    sizes = []
    for url in urls:
        request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=30) as response:
            sizes.append(len(response.read()))
    return sum(sizes)


class Elsewhere(ThreadingHTTPServer):
    """A proxy that answers 502 and records requests in `.tried`, except those to Chromium's own services."""

    def __init__(self) -> None:
        tried: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def refuse(self) -> None:
                address = self.path if "://" in self.path else f"//{self.path}"
                if urlsplit(address).hostname not in OWN_SERVICES:
                    tried.append(f"{self.command} {self.path}")
                self.send_error(502)

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self.refuse
                raise AttributeError(name)

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        self.tried = tried
        threading.Thread(target=self.serve_forever, daemon=True).start()


def chromium() -> str | None:
    """Return the path of a Chromium on PATH, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def browser(elsewhere: Elsewhere) -> Iterator[Any]:
    """Start a headless Chromium (of playwright) that reaches only this machine."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        proxy = f"--proxy-server=http://127.0.0.1:{elsewhere.server_port}"
        started = playwright.chromium.launch(executable_path=chromium(), args=[*CHROMIUM, proxy])
        try:
            yield started
        finally:
            started.close()
