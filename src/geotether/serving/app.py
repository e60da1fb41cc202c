"""The application: addresses, errors, guard, and the files of the page."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
from fastapi import Depends, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.gzip import GZipMiddleware

from geotether.serving.guard import LOOPBACK, Guard
from geotether.serving.limits import Limits
from geotether.serving.metrics import Metrics
from geotether.serving.planet import RESOLUTION
from geotether.serving.problems import PROBLEMS, handle_problems, refuse_unknown
from geotether.serving.routes import about, places, points, searches, tiles
from geotether.serving.served import Served
from geotether.version import __version__

if TYPE_CHECKING:
    from geotether.encoder import Encoder

# Functions of what is served that return an APIRouter, one per subject.
ROUTERS = (about.router, searches.router, places.router, tiles.router, points.router)
PAGE = Path(__file__).parent / "page"
_THREADS = 16  # that answer requests; more of them let more queries be compared in one product
_COMPRESSION = 5


def create_app(
    models: "Mapping[str, Encoder]",
    *,
    points: Mapping[str, Path] | None = None,
    limits: Limits | None = None,
    resolution: float = RESOLUTION,
    hosts: Collection[str] | None = LOOPBACK,
) -> FastAPI:
    """Make the application that serves models over HTTP, for uvicorn or any other server of ASGI.

    Args:
        models: Name to model; the first one answers requests that name none.
        points: Id to a file of points that the page shows.
        limits: Limits of requests.
        resolution: Spacing of the grid of the Earth that is searched and shown, degrees.
        hosts: Names under which clients ask; requests with another Host are refused. None accepts all: only for a
            server that is not bound to loopback.

    Returns:
        The application; `app.state.served` is the `Served`.

    Raises:
        ValueError: If there are no models.
    """
    return app_of(Served(models, points, limits, resolution), hosts)


def app_of(served: Served, hosts: Collection[str] | None = LOOPBACK) -> FastAPI:
    """Make the application of what is served; see `create_app`."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        yield
        served.closing.set()
        served.tables.close()

    app = FastAPI(
        title="geotether",
        version=__version__,
        description="Search and map what location encoders know. All places are longitude and latitude in degrees.",
        docs_url=None,  # these pages load scripts from another site
        redoc_url=None,
        responses=PROBLEMS,
        dependencies=[Depends(refuse_unknown)],
        lifespan=running,
    )
    app.state.served = served
    app.state.metrics = metrics = Metrics()
    handle_problems(app)
    for router in ROUTERS:
        app.include_router(router(served))
    add_metrics(app, metrics, served)
    add_page(app)
    for name, schema in app.openapi()["components"]["schemas"].items():
        if name.startswith("Body_"):  # forms; `refuse_unknown` refuses other fields
            schema["additionalProperties"] = False
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=_COMPRESSION)
    app.add_middleware(Guard, limits=served.limits, metrics=metrics, hosts=hosts)
    return app


def add_metrics(app: FastAPI, metrics: Metrics, served: Served) -> None:
    """Add /metrics."""

    @app.get("/metrics", tags=["about"], summary="Metrics for Prometheus", response_class=Response)
    async def read_metrics() -> Response:
        for name, count in served.places.items():
            metrics.places.labels(name).set(count)
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


def add_page(app: FastAPI) -> None:
    """Add the page at / and its files at /static, which browsers ask for again after a new version."""
    files = _PageFiles(directory=PAGE, check_dir=False)
    app.mount("/static", files, name="static")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)


class _PageFiles(StaticFiles):
    async def get_response(self, path: str, scope: object) -> Response:
        response = await super().get_response(path, scope)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response
