"""The parameters and answers of the addresses, as the OpenAPI document describes them."""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

Lon = Annotated[float, Query(ge=-180, le=360, allow_inf_nan=False, description="Longitude in degrees, WGS 84.")]
Lat = Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, description="Latitude in degrees, WGS 84.")]
ModelName = Annotated[
    str | None, Query(min_length=1, max_length=100, description="Name of a model; by default the first.")
]
Modality = Annotated[
    str | None,
    Query(max_length=100, description="Modality that a text, an image or columns are taken as; see `asks` of /model."),
]
Top = Annotated[int, Query(ge=1, description="Number of answers, at most `limits.top` of /model; there may be fewer.")]
Apart = Annotated[
    float | None,
    Query(
        ge=0,
        le=20_038,
        allow_inf_nan=False,
        description="Least distance of two answers in km; by default ten times the spacing of the places.",
    ),
]
Within = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        description="Only places in this country or continent (name or ISO code), or box `W S E N` in degrees.",
    ),
]


class Legend(BaseModel):
    """What the colours of a layer mean."""

    kind: str = Field(description="`ramp` of numbers, `classes`, or `rgb`.")
    unit: str | None = Field(None, description="Of a ramp: unit of its values.")
    stops: list[tuple[float, str]] | None = Field(None, description="Of a ramp: value and colour, ascending.")
    opacity: list[float] | None = Field(None, description="Of a ramp that fades: opacity of each stop, 0 to 1.")
    classes: list[dict[str, Any]] | None = Field(None, description="Of classes: name and colour of each.")
    channels: list[str] | None = Field(None, description="Of rgb: what red, green and blue mean.")
    note: str | None = Field(None, description="What else should be known about the colours.")


class LayerShown(BaseModel):
    """A layer of the map."""

    id: str = Field(description="Id of the layer, the part after /tiles/.")
    title: str
    words: str = Field(description="What it shows, in one sentence.")
    tiles: str = Field(description="Address of its tiles with {z}, {x} and {y}, PNG of 256 pixels in Web Mercator.")
    legend: Legend


class Asks(BaseModel):
    """What a model can be asked by, beside a place."""

    text: list[str] = Field(description="Modalities that take a text.")
    image: list[str] = Field(description="Modalities that take an image.")
    columns: dict[str, list[str]] = Field(description="Modalities that take values of columns, and these columns.")


class ModelShown(BaseModel):
    """A model."""

    name: str
    description: str
    dim: int = Field(description="Numbers per place by default.")
    full_dim: int = Field(description="Largest number of numbers per place.")
    modalities: list[str] = Field(description="What it was trained on.")
    asks: Asks
    layers: list[LayerShown] = Field(description="Layers of the whole Earth.")
    places: int = Field(description="Places of the grid of the Earth, which are searched if they are on land.")
    spacing_km: float = Field(description="Distance of neighbours of the grid at the equator, km.")
    effective_resolution_km: float | None = Field(
        description="Distance at which the similarity of two places falls to one half, km; null if not measured."
    )
    licence: str
    card: str = Field(description="The model card, Markdown.")


class ColumnShown(BaseModel):
    """A column of a table of points."""

    name: str
    kind: str = Field(description="`number`, `text`, `flag` (true or false), or `other`, which is not shown.")
    values: int | None = Field(description="Number of different values.")
    usable_as_label: bool = Field(description="Whether /predict makes a map of it.")
    why: str = Field(description="Why not; empty if it does.")


class PointsShown(BaseModel):
    """A table of points."""

    id: str
    name: str = Field(description="Name of its file.")
    rows: int = Field(description="Number of points.")
    columns: list[ColumnShown]
    bounds: list[float] = Field(description="West, south, east and north of the points, degrees.")
    notes: list[str] = Field(description="What should be known about the rows, such as how many are left out.")


class LimitsShown(BaseModel):
    """Limits of requests."""

    points: int = Field(description="Places in one request.")
    top: int = Field(description="Answers of one search.")
    body_bytes: int = Field(description="Size of the body of a request.")
    rate: float = Field(description="Requests per second of one client, on average.")
    burst: int = Field(description="Requests that a client may send at once after a pause.")
    at_once: int = Field(description="Requests of all clients that are being answered.")
    at_once_each: int = Field(description="Requests of one client that are being answered.")
    seconds: float = Field(description="Time to answer a request.")
    pixels: int = Field(description="Pixels of an image.")


class ServedShown(BaseModel):
    """What is served."""

    version: str
    models: list[ModelShown]
    points: list[PointsShown]
    limits: LimitsShown


class Health(BaseModel):
    """That the server answers."""

    status: str
    version: str


class NearestShown(BaseModel):
    """The training observation of a modality that is nearest to an answer."""

    modality: str
    id: str
    km: float
    text: str


class AnswerShown(BaseModel):
    """An answer of a search."""

    rank: int
    lon: float
    lat: float
    country: str | None = Field(description="English name of the country; null at sea.")
    similarity: float = Field(description="Cosine similarity with the question, -1 to 1.")
    words: str = Field(description="The similarity in words.")
    km: float | None = Field(description="Distance to the place of the question, km; null for other questions.")
    alike: dict[str, float] = Field(
        description="Modality to the similarity of what the model expects of it at the two places, -1 to 1."
    )
    nearest: list[NearestShown] = Field(description="Nearest training observations, if they are at hand.")


class QueryShown(BaseModel):
    """The question of a search."""

    said: str = Field(description="What was asked, in words.")
    notes: list[str] = Field(description="What should be known about the question.")
    modality: str | None = Field(
        description="Modality that a text, an image or columns were taken as; null for a place."
    )
    lon: float | None
    lat: float | None
    country: str | None
    outside: bool | None = Field(
        description="Whether the place is outside of what the model saw in training; null if not known."
    )


class Found(BaseModel):
    """The answers of a search."""

    query: QueryShown
    answers: list[AnswerShown]
    layer: LayerShown = Field(description="The similarity of every place with the question.")


class ValueShown(BaseModel):
    """The value of a layer at a place."""

    value: list[float]
    words: str


class Point(BaseModel):
    """What a model knows about a place."""

    lon: float
    lat: float
    country: str | None
    outside: bool | None
    dissimilarity: float | None = Field(description="Of its embedding to those of training places: 0 equal, 1 usual.")
    km: dict[str, float] = Field(description="Modality to the distance of its nearest training place, km.")
    layers: dict[str, ValueShown]


_Degree = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Places(BaseModel):
    """Places to encode."""

    model_config = ConfigDict(extra="forbid")

    lon: list[Annotated[_Degree, Field(ge=-180, le=360)]] = Field(description="Longitudes in degrees, WGS 84.")
    lat: list[Annotated[_Degree, Field(ge=-90, le=90)]] = Field(description="Latitudes in degrees, one per longitude.")
    dim: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = Field(
        None, description="Numbers per place, at most `full_dim` of the model; by default its `dim`."
    )

    @model_validator(mode="after")
    def same_length(self) -> "Places":
        """Check that there is one latitude per longitude."""
        if len(self.lon) != len(self.lat):
            raise ValueError(f"there must be one latitude per longitude, got {len(self.lat)} and {len(self.lon)}")
        return self


class Embeddings(BaseModel):
    """Embeddings of places."""

    dim: int
    embeddings: list[list[float]] = Field(description="One row per place, in their order.")


class MapWanted(BaseModel):
    """A map to be made of labelled points."""

    model_config = ConfigDict(extra="forbid")

    points: Annotated[str, Field(max_length=200, description="Id of a table, of POST /points or /model.")]
    label: Annotated[str, Field(max_length=500, description="Column of labels.")]
    kind: Literal["regression", "classification"] | None = Field(
        None, description="Whether labels are numbers or classes; by default inferred from them."
    )
    unit: Annotated[str, Field(max_length=40, description="Unit of the labels.")] = ""
    level: Annotated[float, Field(ge=0.5, le=0.99, description="Stated coverage of the intervals.")] = 0.9
    model: Annotated[str, Field(max_length=100, description="Name of a model; by default the first.")] | None = None


class JobStarted(BaseModel):
    """A map that will be made."""

    job: str = Field(description="Its id, for GET /predict/{job}.")


class Interval(BaseModel):
    """A mean with its 95 % interval over blocks."""

    mean: float | None
    low: float | None
    high: float | None


class ScoreShown(Interval):
    """A score on unseen blocks."""

    metric: str = Field(description="R2 or accuracy.")


class CoveredShown(Interval):
    """Share of the labels of unseen blocks that are within their interval or set."""

    stated: float = Field(description="The share that was asked for.")


class PredictionShown(BaseModel):
    """A map of labels, as far as it is made."""

    job: str
    points: str
    label: str
    model: str
    state: Literal["waiting", "running", "done", "failed"]
    step: str = Field(description="What is being done.")
    words: list[str] = Field(description="What the scores say, in sentences, as `geotether map` does.")
    notes: list[str] = Field(description="What should be known about the labels.")
    error: str | None = Field(description="Why it failed.")
    probe: str | None = Field(None, description="How the map was made from embeddings; known before the map.")
    labels: int | None = Field(None, description="Number of labels.")
    block_km: float | None = Field(None, description="Side of the blocks that were held out, km.")
    score: ScoreShown | None = None
    baselines: dict[str, Interval] | None = Field(None, description="Scores of maps that know places and labels alone.")
    beats_baselines: bool | None = Field(None, description="Whether the score is clearly above that of every baseline.")
    covered: CoveredShown | None = None
    inside_share: float | None = Field(None, description="Share of the land in the area of applicability.")
    layers: list[LayerShown] = Field(description="`value`, `uncertainty` and `outside`, once the map is done.")
