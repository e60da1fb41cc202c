"""Places: /point, what a model knows of one, and /encode, the embeddings of many."""

import json
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from jaxtyping import Float32, Float64

from geotether.regions import country_of
from geotether.serving.problems import Problem, asked, takes
from geotether.serving.schemas import Embeddings, Lat, Lon, ModelName, Places, Point, ValueShown
from geotether.serving.served import Served

ARROW = "application/vnd.apache.arrow.stream"
_NUMBERS_AT_ONCE = 5000  # of JSON, so that other requests are answered meanwhile
_DECIMALS = 7


def router(served: Served) -> APIRouter:
    """Make the addresses /point and /encode."""
    made = APIRouter(tags=["places"])

    @made.get("/point", summary="What a model knows about a place")
    def point(lon: Lon, lat: Lat, model: ModelName = None) -> Point:
        found = served.questions(model).place(lon, lat)
        place, known = found.query.lonlat, found.coverage
        assert place is not None
        return Point(
            lon=place[0, 0],
            lat=place[0, 1],
            country=country_of(place)[0] or None,
            outside=found.outside,
            dissimilarity=None if known.dissimilarity is None else round(float(known.dissimilarity[0]), 4),
            km={name: round(float(km[0]), 1) for name, km in known.km.items()},
            layers={name: ValueShown(**one) for name, one in served.layers(model).at(lon, lat).items()},
        )

    @made.post(
        "/encode",
        summary="The embeddings of places",
        response_model=Embeddings,
        responses={200: {"content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}}},
        dependencies=[takes("application/json")],
    )
    def encode(places: Places, request: Request, model: ModelName = None) -> Response:
        """Answer in JSON, or as an Arrow stream of lon, lat and embedding if Accept asks for one."""
        if len(places.lon) > served.limits.points:
            said = f"{len(places.lon):,} places are more than {served.limits.points:,} in one request; send several."
            raise Problem(422, said, "lon")
        encoder = served.encoder(model)
        with asked("dim"):
            encoder.module.check_dim(places.dim)
        lonlat = np.array([places.lon, places.lat], dtype=np.float64).reshape(2, -1).T
        vectors: Any = encoder.encode(lonlat, dim=places.dim)
        if ARROW in request.headers.get("accept", ""):
            return Response(arrow_of(lonlat, vectors), media_type=ARROW)
        return Response(json_of(vectors), media_type="application/json")

    return made


def json_of(vectors: Float32[np.ndarray, "n d"]) -> bytes:
    """Write embeddings as JSON, rounded to seven decimals."""
    parts = []
    at_once = max(1, _NUMBERS_AT_ONCE // vectors.shape[1])
    for start in range(0, len(vectors), at_once):
        rows = np.round(vectors[start : start + at_once].astype(np.float64), _DECIMALS).tolist()
        parts.append(json.dumps(rows, separators=(",", ":"), allow_nan=False)[1:-1])
    return f'{{"dim":{vectors.shape[1]},"embeddings":[{",".join(parts)}]}}'.encode()


def arrow_of(lonlat: Float64[np.ndarray, "n 2"], vectors: Float32[np.ndarray, "n d"]) -> bytes:
    """Write places and their embeddings, unrounded, as an Arrow stream."""
    import pyarrow as pa

    values = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    embedding = pa.FixedSizeListArray.from_arrays(values, vectors.shape[1])
    lon, lat = (pa.array(np.ascontiguousarray(axis)) for axis in lonlat.T)
    table = pa.table({"lon": lon, "lat": lat, "embedding": embedding})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
