"""A real HTTP server on loopback that can misbehave, a real proxy before it, and registries that point to it."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

pytest.importorskip("pooch", reason="the extra `data` is not installed")


class Site:
    """What the server has, how it misbehaves (one entry a request, the last one stays), and what it was asked."""

    def __init__(self, address):
        self.address = address
        self.files, self.faults, self.headers, self.asked = {}, {}, {}, []
        self.heads = True

    def put(self, path, content, faults=(), **headers):
        self.files[path] = content
        self.faults[path], self.headers[path] = list(faults), headers
        return f"{self.address}/{path}"

    def fault(self, path):
        left = self.faults.get(path) or [None]
        return left.pop(0) if len(left) > 1 else left[0]

    def gets(self, path):
        return [headers for method, asked, headers in self.asked if (method, asked) == ("GET", path)]


def handler_of(site):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def do_HEAD(self):
            path = self.path.lstrip("/")
            site.asked.append(("HEAD", path, dict(self.headers)))
            if not site.heads or path not in site.files:
                return self.send_error(405 if not site.heads else 404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(site.files[path])))
            self.end_headers()

        def do_GET(self):
            path = self.path.lstrip("/")
            site.asked.append(("GET", path, dict(self.headers)))
            fault = site.fault(path)
            if callable(fault):
                fault = fault()
            kind, _, value = (fault or "").partition(":")
            if kind == "status":
                return self.send_error(int(value))
            if kind == "redirect":
                self.send_response(302)
                self.send_header("Location", value)
                self.send_header("Content-Length", "0")
                return self.end_headers()
            if path not in site.files:
                return self.send_error(404)
            body = site.files[path]
            self.send_response(200)
            for name, given in site.headers[path].items():
                self.send_header(name.replace("_", "-"), given)
            if kind == "long":
                self.send_header("Content-Length", str(len(body) + int(value)))
            elif kind == "short":
                self.send_header("Content-Length", str(len(body) - int(value)))
            elif kind == "unsaid":
                self.send_header("Connection", "close")
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: int(value)] if kind == "drop" else body)
            if kind in ("drop", "long", "short", "unsaid"):
                self.close_connection = True
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


@pytest.fixture
def serve():
    """Start servers that end with the test."""
    servers = []

    def start(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.handle_error = lambda request, address: None  # who hangs up in the middle is meant to
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Pooch waits before it tries again."""
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)


@pytest.fixture(autouse=True)
def plain_network(monkeypatch, tmp_path):
    """No proxy, registry, data folder or passwords of the machine that runs the tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("GEOTETHER_REGISTRY", raising=False)
    monkeypatch.setenv("GEOTETHER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def site(serve):
    # The handler needs the site, and the site the server's port.
    site = Site("")
    server = serve(handler_of(site))
    site.address = f"http://127.0.0.1:{server.server_port}"
    return site


@pytest.fixture
def registry(tmp_path):
    """Write a registry of one data set and return its path."""

    def write(*files, name="towns", data="towns.csv", builder=None, **more):
        entry = {
            "name": name,
            "title": "Towns",
            "homepage": "https://towns.example",
            "licence": "CC0",
            "citation": "Nobody (2024)",
            "builder": builder or {"source": "columns"},
            "data": data,
            "files": list(files),
            **more,
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump([entry]))
        return path

    return write
