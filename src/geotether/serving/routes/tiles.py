"""Pictures of the map: tiles of the layers, and the base map."""

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Path, Query, Response

from geotether.serving.basemap import BASEMAP
from geotether.serving.layers import SIMILARITY, PlanetLayer
from geotether.serving.problems import Problem
from geotether.serving.recent import Recent
from geotether.serving.schemas import Lat, Lon, Modality, ModelName
from geotether.serving.served import Served
from geotether.serving.tiles import HIGHEST_ZOOM, tile_png
from geotether.suggestions import closest
from geotether.version import __version__

PREDICTION = "prediction"
_KEPT = 1024  # tiles, of about 40 kB
# Of addresses that name the version of the model; others are asked for again.
_CACHED, _CHECKED = "public, max-age=86400, immutable", "no-cache"

Match = Annotated[str, Header(alias="If-None-Match", description="ETag of the answer that the client has.")]


def router(served: Served) -> APIRouter:
    """Make the addresses /tiles and /basemap."""
    made = APIRouter(tags=["map"])
    drawn = Recent(_KEPT)

    @made.get(
        "/tiles/{layer}/{z}/{x}/{y}.png",
        summary="A tile of a layer, 256 x 256 pixels in Web Mercator",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}, 304: {"description": "The client has it."}},
    )
    def tile(
        layer: Annotated[str, Path(description="similarity, rgb, clusters, coverage or prediction.", max_length=40)],
        z: Annotated[int, Path(ge=0, le=HIGHEST_ZOOM, description="Zoom.")],
        x: Annotated[int, Path(ge=0, lt=2**HIGHEST_ZOOM, description="Column from the west.")],
        y: Annotated[int, Path(ge=0, lt=2**HIGHEST_ZOOM, description="Row from the north.")],
        lon: Lon | None = None,
        lat: Lat | None = None,
        text: Annotated[str | None, Query(max_length=1000, description="Of similarity: a text.")] = None,
        modality: Modality = None,
        image: Annotated[str | None, Query(max_length=100, description="Of similarity: id of an image.")] = None,
        job: Annotated[str | None, Query(max_length=100, description="Of prediction: id of the job.")] = None,
        band: Annotated[str, Query(max_length=40, description="Of prediction: its layer.")] = "value",
        model: ModelName = None,
        v: Annotated[str | None, Query(max_length=64, description="Version of the model, as /model names it.")] = None,
        if_none_match: Match = "",
    ) -> Response:
        if x >= 2**z or y >= 2**z:
            raise Problem(404, f"There is no tile {z}/{x}/{y}: x and y are 0 to {2**z - 1} at zoom {z}.", "x")
        planet = served.planet(model)
        if layer == SIMILARITY:
            query = served.query(model, lon=lon, lat=lat, text=text, modality=modality, image=image)
            shown = served.layers(model).similarity(query)
        elif layer == PREDICTION:
            shown = served.predictions.layer(job, band)
        else:
            known = served.layers(model)
            if layer not in known.ids:
                names = (SIMILARITY, *known.ids, PREDICTION)
                raise Problem(
                    404, f"There is no layer {layer!r}; layers are {', '.join(names)}.{closest(layer, names)}", "layer"
                )
            shown = known.get(layer)
        parts = (__version__, planet.model, planet.grid.rows, shown.key, z, x, y)
        tag = f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'
        caching = _CACHED if v is not None and v == planet.version else _CHECKED
        if tag in if_none_match:
            return _unchanged(tag, caching)
        png = drawn.get(tag)
        if png is None:
            png = tile_png(shown, z, x, y, planet)
            drawn.put(tag, png)
        return Response(png, media_type="image/png", headers={"ETag": tag, "Cache-Control": caching})

    @made.get(
        "/basemap/{name}.geojson",
        summary="Land, borders and names of countries",
        response_class=Response,
        responses={200: {"content": {"application/geo+json": {}}}, 304: {"description": "The client has it."}},
    )
    def base(
        name: Literal["land", "borders", "labels"],
        if_none_match: Match = "",
    ) -> Response:
        body, tag = _basemap(name)
        caching = "public, max-age=3600"
        if tag in if_none_match:
            return _unchanged(tag, caching)
        headers = {"ETag": tag, "Cache-Control": caching}
        return Response(body, media_type="application/geo+json", headers=headers)

    return made


def layer_shown(
    id: str, layer: PlanetLayer, served: Served, model: str | None, link: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Describe a layer, with the address of its tiles.

    Args:
        id: Id of the layer, the part of the address after /tiles/.
        layer: The layer.
        served: What is served.
        model: Name of the model.
        link: Further parameters of the address, such as the question.
    """
    parameters = {**(link or {}), "model": served.name(model), "v": served.planet(model).version}
    return {
        "id": id,
        "title": layer.title,
        "words": layer.words,
        "tiles": f"/tiles/{id}/{{z}}/{{x}}/{{y}}.png?{urlencode(parameters)}",
        "legend": layer.legend,
    }


def _unchanged(tag: str, caching: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": caching})


@cache
def _basemap(name: str) -> tuple[bytes, str]:
    """Return a part of the base map, and its ETag."""
    body = BASEMAP[name]()
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
