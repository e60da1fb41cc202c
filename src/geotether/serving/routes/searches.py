"""Searches: /similar by a place, /search by a text, an image or values of columns."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, File, Form, Query

from geotether.geodesy.distance import great_circle_km
from geotether.regions import Region, country_of, region_of
from geotether.searching import Query as Asked
from geotether.searching.alikeness import in_words
from geotether.serving.layers import SIMILARITY
from geotether.serving.problems import Problem, asked, takes
from geotether.serving.routes.tiles import layer_shown
from geotether.serving.schemas import Apart, Found, Lat, Lon, Modality, ModelName, Top, Within
from geotether.serving.served import Served

_MOST_COLUMNS = 1000
_MOST_BYTES = 100_000  # of columns as JSON


@dataclass(frozen=True)
class Wanted:
    """Which answers a search returns."""

    top: Top = 10
    min_distance_km: Apart = None
    within: Within = None


def router(served: Served) -> APIRouter:
    """Make the addresses /similar and /search."""
    made = APIRouter(tags=["search"])

    @made.get("/similar", summary="The places most like a place")
    def similar(lon: Lon, lat: Lat, wanted: Annotated[Wanted, Depends()], model: ModelName = None) -> Found:
        query = served.query(model, lon=lon, lat=lat)
        link = {"lon": str(lon), "lat": str(lat)}
        return found(served, model, query, link, wanted)

    @made.get("/search", summary="The places that match a text")
    def search(
        text: Annotated[str, Query(min_length=1, max_length=1000, description="Words, such as a name.")],
        wanted: Annotated[Wanted, Depends()],
        modality: Modality = None,
        model: ModelName = None,
    ) -> Found:
        query = served.query(model, text=text, modality=modality)
        link = {"text": text} | ({"modality": modality} if modality else {})
        return found(served, model, query, link, wanted)

    @made.post(
        "/search",
        summary="The places that match an image or values of columns",
        dependencies=[takes("multipart/form-data")],
    )
    def search_observation(
        wanted: Annotated[Wanted, Depends()],
        image: Annotated[bytes | None, File(description="JPEG, PNG, WebP or TIFF.")] = None,
        columns: Annotated[
            str | None, Form(max_length=_MOST_BYTES, description="Instead, JSON: an object from column to value.")
        ] = None,
        modality: Modality = None,
        model: ModelName = None,
    ) -> Found:
        if (image is None) == (columns is None):
            raise Problem(422, "Send either an image or columns.", "image")
        questions = served.questions(model)
        if image is not None:
            id, query = questions.image(image, modality)
        else:
            id, query = questions.columns(values_of(columns or ""), modality)
        return found(served, model, query, {"image": id}, wanted)

    return made


def found(
    served: Served,
    model: str | None,
    query: Asked,
    link: dict[str, str],
    wanted: Wanted,
) -> Found:
    """Search the grid of the Earth, and describe the answers.

    Args:
        served: What is served.
        model: Name of the model.
        query: The question.
        link: The question as parameters of the tiles of its layer.
        wanted: Which answers.
    """
    if wanted.top > served.limits.top:
        raise Problem(422, f"One search returns {served.limits.top:,} answers at most, got top={wanted.top}.", "top")
    planet = served.planet(model)
    region = None if wanted.within is None else region_named(wanted.within)
    with asked("within"):
        answers = planet.answers(query, wanted.top, region, wanted.min_distance_km)
    places = answers.lonlat if query.lonlat is None else np.concatenate([query.lonlat, answers.lonlat])
    countries: list[str | None] = [name or None for name in country_of(places)]
    asked_for: dict[str, Any] = {"lon": None, "lat": None, "country": None, "outside": None}
    km: list[float | None] = [None] * len(answers)
    if query.lonlat is not None:
        lon, lat = query.lonlat[0].tolist()
        outside = served.questions(model).place(lon, lat).outside
        asked_for = {"lon": lon, "lat": lat, "country": countries.pop(0), "outside": outside}
        km = np.round(great_circle_km(query.lonlat, answers.lonlat), 1).tolist()
    nearest = served.observations(model).nearest(answers.lonlat)
    layer = served.layers(model).similarity(query)
    notes = [*query.notes]
    if not len(answers):
        notes.append("No place is far enough from the place asked for; ask with a smaller min_distance_km.")
    return Found.model_validate(
        {
            "query": {"said": query.said, "notes": notes, "modality": query.modality or None, **asked_for},
            "answers": [
                {
                    "rank": at + 1,
                    "lon": answers.lonlat[at, 0],
                    "lat": answers.lonlat[at, 1],
                    "country": countries[at],
                    "similarity": round(float(answers.similarity[at]), 4),
                    "words": in_words(float(answers.similarity[at]), query.lonlat is not None),
                    "km": km[at],
                    "alike": {name: round(float(values[at]), 3) for name, values in answers.alike.items()},
                    "nearest": [{"modality": name, **ones[at]._asdict()} for name, ones in nearest.items()],
                }
                for at in range(len(answers))
            ],
            "layer": layer_shown(SIMILARITY, layer, served, model, link),
        }
    )


def region_named(within: str) -> Region:
    """Return a region by its name or box; never a file of the server.

    Raises:
        Problem: 422, if there is none.
    """
    with asked("within"):
        return region_of(within, files=False)


def values_of(columns: str) -> dict[str, Any]:
    """Read values of columns from JSON.

    Raises:
        Problem: 422, if it is not an object from names to numbers, texts, booleans or null.
    """
    wanted = 'columns must be a JSON object from column to a number, text, boolean or null, such as {"mass": 12}'
    try:
        values = json.loads(columns, parse_constant=lambda name: {}, parse_int=float)
    except (ValueError, RecursionError):
        raise Problem(422, f"{wanted}; it is not JSON.", "columns") from None
    if not isinstance(values, dict) or len(values) > _MOST_COLUMNS:
        raise Problem(422, f"{wanted}, at most {_MOST_COLUMNS}.", "columns")
    odd = [name for name, value in values.items() if isinstance(value, dict | list) or value in (np.inf, -np.inf)]
    if odd:
        raise Problem(422, f"{wanted}; {odd[0][:80]!r} is not one.", "columns")
    return values
