"""Addresses of tables of points: /points and /points/{table}."""

from typing import Annotated, no_type_check

from fastapi import APIRouter, File, Path, Query, Response, UploadFile

from geotether.serving.problems import takes
from geotether.serving.schemas import PointsShown
from geotether.serving.served import Served


def router(served: Served) -> APIRouter:
    """Make the addresses of tables of points."""
    made = APIRouter(tags=["points"])

    @made.post("/points", summary="Send a table of points", dependencies=[takes("multipart/form-data")])
    @no_type_check  # FastAPI gives the class of Starlette
    def send(
        file: Annotated[
            UploadFile,
            File(description="CSV, TSV, GeoJSON, JSON lines, Parquet, GeoPackage, FlatGeobuf or a zipped Shapefile."),
        ],
    ) -> PointsShown:
        return PointsShown.model_validate(served.tables.add(file.file, file.filename).listed())

    @made.get("/points/{table}", summary="The points of a table in the colours of a column", response_class=Response)
    def show(
        table: Annotated[str, Path(max_length=200, description="Id of a table, of /points or /model.")],
        column: Annotated[str | None, Query(max_length=500, description="Column whose values are shown.")] = None,
    ) -> Response:
        return Response(served.tables.get(table).geojson(column), media_type="application/geo+json")

    return made
