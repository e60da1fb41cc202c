"""Running the application until it is stopped."""

import errno
import logging
import os
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geotether.featurizing.threads import one_thread

if TYPE_CHECKING:
    from geotether.serving.limits import Limits
    from geotether.serving.served import Served

PORT = 8000
HOST = "127.0.0.1"
_STOP_SECONDS = 5  # for requests that are being answered when the server is stopped
_log = logging.getLogger("geotether")


def serve(
    models: Any,
    *,
    port: int = PORT,
    host: str = HOST,
    points: Sequence[str | Path] = (),
    resolution: float = 0.5,
    limits: "Limits | None" = None,
    public_name: str | None = None,
    open_page: bool = False,
    ends_process: bool = False,
) -> None:
    """Serve models over HTTP until the process is stopped; needs the extra `serve`.

    SIGTERM and Ctrl-C let requests that are being answered end, for a few seconds; a second Ctrl-C does not.

    Args:
        models: A model, its folder or name, which may have another name in front as "mine=runs/first/model"; a sequence
            of these; or a mapping from name to model.
        port: Port to listen on; 0 chooses a free one.
        host: Address to listen on; "0.0.0.0" is every address of this machine, so that other machines can connect.
        points: Files of points that the page shows.
        resolution: Spacing of the grid of the Earth, degrees.
        limits: Limits of requests.
        public_name: Name under which a reverse proxy on this machine publishes the server. Requests to it are accepted,
            and clients are told apart by the proxy's X-Forwarded-For.
        open_page: Open the page in the browser.
        ends_process: When the server is stopped, end the process whatever it still computes, as the command does.

    Raises:
        FileNotFoundError: If there is no such model or file.
        ValueError: If a model has no location encoder, two have one name, or the resolution is out of range.
        ImportError: If the extra is not installed.
        OSError: If the port is taken or the address is not one of this machine.
    """
    check_extra()
    from geotether.serving.app import app_of
    from geotether.serving.guard import LOOPBACK
    from geotether.serving.served import Served

    if not 0.1 <= resolution <= 30:
        raise ValueError(f"The resolution must be 0.1 to 30 degrees, got {resolution:g}.")
    with listening(host, port) as listener, one_thread():
        served = Served(models_of(models), points_of(points), limits, resolution)
        names = (*LOOPBACK, *([public_name] if public_name else []))
        app = app_of(served, names if is_loopback(host) or public_name else None)
        make_planets(served)
        address = address_of(host, listener.getsockname()[1])

        def ready() -> None:
            _log.info("Serving %s at %s (Ctrl-C to stop)", ", ".join(served.models), address)
            if open_page:
                webbrowser.open(address)

        run(app, listener, ready, trust_proxy=public_name is not None, ends_process=ends_process)


def check_extra() -> None:
    """Raise ImportError with the install command if the extra `serve` is missing."""
    import importlib.util

    needed = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"Serving needs {', '.join(missing)}: pip install 'geotether[serve]'.")


def models_of(given: Any) -> dict[str, Any]:
    """Load the models to serve by their names."""
    from geotether.checkpoint.named import name_of
    from geotether.encoder import Encoder
    from geotether.loading import load, name_and_target

    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        pairs = [name_and_target(one) if isinstance(one, str) else (None, one) for one in several]
    found: dict[str, Any] = {}
    for name, one in pairs:
        model = load(one) if isinstance(one, str | Path) else one
        if not isinstance(model, Encoder):
            raise ValueError(f"{one} is not a location encoder of geotether, SatCLIP or GeoCLIP; it cannot be served.")
        path = model.folder or (Path(one) if isinstance(one, str | Path) else None)
        said = name or (name_of(path) if path else "model")
        if said in found:
            raise ValueError(f"Two models are called {said!r}; name one of them, such as other={said}.")
        found[said] = model
    return found


def points_of(files: Sequence[str | Path]) -> dict[str, Path]:
    """Return files of points by ids made from their names."""
    from geotether.files.disk import check_file

    found: dict[str, Path] = {}
    for file in map(Path, files):
        check_file(file)
        name = file.stem
        while name in found:
            name += "-2"
        found[name] = file
    return found


def make_planets(served: "Served") -> None:
    """Compute and log what all requests need; layers are made in the background."""
    from geotether.searching.index import logged_progress
    from geotether.serving.basemap import BASEMAP

    for name in served.models:
        _ = served.planet(name, logged_progress(f"places of {name}")).land
        served.observations(name)
        served.encoder(name).coverage(lon=[0.0], lat=[0.0])  # fits the thresholds
        threading.Thread(target=served.layers(name).prepare, name=f"layers of {name}", daemon=True).start()
    for make in BASEMAP.values():
        make()


def listening(host: str, port: int) -> socket.socket:
    """Open the socket that the server listens on, before the models are loaded."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with ExitStack() as opened:
            # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is named; else 40 ms later.
            listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            opened.pop_all()
            return listener
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        if number == errno.EADDRINUSE:
            why = f"Port {port} of {host} is in use. Stop the program that uses it, or use --port {port + 1}."
        elif number == errno.EACCES:
            why = f"Port {port} of {host} may not be used by you; choose one above 1023, such as --port {PORT}."
        else:
            why = f"This machine cannot listen on {host}, port {port}: {getattr(error, 'strerror', None) or error}."
        raise OSError(why) from None


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def address_of(host: str, port: int) -> str:
    """Return the address to type into a browser on this machine.

    Example:
        >>> address_of("::1", 80), address_of("0.0.0.0", 8000)
        ('http://[::1]:80', 'http://127.0.0.1:8000')
    """
    shown = {"0.0.0.0": HOST, "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def run(
    app: Any,
    listener: socket.socket,
    ready: Callable[[], None],
    trust_proxy: bool = False,
    ends_process: bool = False,
) -> None:
    """Answer requests until SIGTERM or Ctrl-C.

    Args:
        app: The application.
        listener: The socket to listen on.
        ready: Called when requests are answered.
        trust_proxy: Tell clients apart by X-Forwarded-For of a proxy on this machine.
        ends_process: As for `serve`.
    """
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            if self.should_exit and sig == signal.SIGINT:
                app.state.served.tables.close()
                os._exit(130)
            self.should_exit = True

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

        async def shutdown(self, sockets: Any = None) -> None:
            await super().shutdown(sockets)
            left = app.state.metrics.running
            _log.info("Stopped%s.", f"; {left} requests were not answered" if left else "")
            if ends_process:  # a computation in a thread cannot be stopped otherwise
                os._exit(0)

    config = uvicorn.Config(
        app, log_level="critical", access_log=False, server_header=False, timeout_graceful_shutdown=_STOP_SECONDS,
        timeout_keep_alive=30, proxy_headers=trust_proxy, forwarded_allow_ips="127.0.0.1,::1", lifespan="on",
    )  # fmt: skip
    Server(config).run(sockets=[listener])
