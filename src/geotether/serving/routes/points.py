"""Addresses of tables of points, /points, and of maps of their columns, /predict."""

import re
from pathlib import Path as FilePath
from typing import Annotated, Any, no_type_check

from fastapi import APIRouter, Body, File, Path, Query, Response, UploadFile

from geotether.prediction.labels import read_labels
from geotether.serving.columns import warnings_of_thread
from geotether.serving.predictions import BANDS, Job
from geotether.serving.problems import Problem, takes
from geotether.serving.routes.tiles import PREDICTION, layer_shown
from geotether.serving.schemas import JobStarted, MapWanted, PointsShown, PredictionShown
from geotether.serving.served import Served

JobId = Annotated[str, Path(max_length=200, description="Id of a map, of POST /predict.")]


def router(served: Served) -> APIRouter:
    """Make the addresses of tables of points and of maps."""
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

    @made.get(
        "/points/{table}",
        summary="The points of a table in the colours of a column",
        response_class=Response,
        responses={200: {"content": {"application/geo+json": {}}}},
    )
    def show(
        table: Annotated[str, Path(max_length=200, description="Id of a table, of POST /points or /model.")],
        column: Annotated[str | None, Query(max_length=500, description="Column whose values are shown.")] = None,
        job: Annotated[str | None, Query(max_length=200, description="A map whose colours are used.")] = None,
    ) -> Response:
        like = None
        if job is not None:
            like, made_of = served.predictions.layer(job, "value"), served.predictions.get(job)
            if (made_of.points, made_of.task.name) != (table, column):
                raise Problem(422, f"The map is of the column {made_of.task.name!r} of its points.", "job")
        return Response(served.tables.get(table).geojson(column, like), media_type="application/geo+json")

    @made.post(
        "/predict",
        summary="Make a map of a column of labels, in the background",
        status_code=202,
        dependencies=[takes("application/json")],
    )
    def predict(wanted: Annotated[MapWanted, Body()]) -> JobStarted:
        model = served.name(wanted.model)
        table = served.tables.get(wanted.points)
        column = table.column(wanted.label, "label")
        if column["kind"] == "other":
            raise Problem(422, f"{wanted.label!r} cannot be a label: {column['why']}", "label")
        with warnings_of_thread() as notes:
            try:
                task = read_labels(
                    FilePath(table.name), wanted.label, kind=wanted.kind, unit=wanted.unit, read=table.read()
                )
            except (ValueError, TypeError) as error:
                raise Problem(422, in_fields(str(error)), "label") from None
        job = Job(served.planet(model), task, wanted.level, table.id, model, notes)
        served.predictions.add(job)
        return JobStarted(job=job.id)

    @made.get("/predict/{job}", summary="How far a map is, and what is known of it")
    def follow(job: JobId) -> PredictionShown:
        return PredictionShown.model_validate(shown_job(served, served.predictions.get(job)))

    @made.delete("/predict/{job}", summary="Stop making a map, and forget it", status_code=204)
    def stop(job: JobId) -> Response:
        served.predictions.stop(job)
        return Response(status_code=204)

    return made


def in_fields(text: str) -> str:
    """Name the fields of a request in a message that names options of the command line.

    Example:
        >>> in_fields("add labels, or state a lower --level.")
        'add labels, or state a lower level.'
    """
    return re.sub(r"--(?=[a-z])", "", text)


def shown_job(served: Served, job: Job) -> dict[str, Any]:
    """Describe a map for clients."""
    layers = [
        layer_shown(PREDICTION, job.layers[band], served, job.model, {"job": job.id, "band": band}) | {"id": band}
        for band in BANDS
        if band in job.layers
    ]
    step = job.step
    if job.state == "waiting" and (ahead := served.predictions.ahead(job)):
        step = f"Waiting for {ahead} other map{'s' if ahead > 1 else ''}"
    about = {"job": job.id, "points": job.points, "label": job.task.name, "model": job.model}
    notes, error = [in_fields(note) for note in job.notes], job.error and in_fields(job.error)
    said = {"state": job.state, "step": step, "words": job.words, "notes": notes, "error": error}
    return about | said | job.found | {"layers": layers}
