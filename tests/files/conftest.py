"""A server on this machine that answers requests for ranges of files, as object storage does."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture
def ranges():
    """Serve a folder: `ranges(folder, answers=True)` returns the address and the list of ranges that are asked."""
    servers = []

    def serve(folder, answers=True):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self, body: bool) -> None:
                file = folder / self.path.lstrip("/")
                if not file.is_file():
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                content = file.read_bytes()
                found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if answers else None
                self.send_response(206 if found else 200)
                start, stop = 0, len(content)
                if found:
                    start, stop = int(found[1]), min(int(found[2] or len(content)) + 1, len(content))
                    self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
                if answers:
                    self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(stop - start))
                self.send_header("ETag", f'"{hash(content)}"')
                self.end_headers()
                if body:
                    asked.append((start, stop))
                    self.wfile.write(content[start:stop])

            def do_GET(self) -> None:
                self.respond(body=True)

            def do_HEAD(self) -> None:
                self.respond(body=False)

            def log_message(self, *words: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", asked

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
