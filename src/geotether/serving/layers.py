"""Layers of the map: numbers, colours or classes of every place of a planet, and what they mean in words."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, UInt8

from geotether.exporting.layers import Clusters, Principal, fit_layer
from geotether.files.arrays import reading_arrays
from geotether.files.disk import replacing_file
from geotether.maps.values import BEYOND
from geotether.searching import Query
from geotether.searching.query import PLACE, unit
from geotether.serving.colours import Ramp, hex_colours
from geotether.serving.planet import Planet
from geotether.serving.recent import Recent
from geotether.user_folders import plain_hash

SIMILARITY, RGB, CLUSTERS, COVERAGE = "similarity", "rgb", "clusters", "coverage"
_FAINT = 0.5  # share of land, the least similar to a query, that is transparent
_STRETCHED_OVER = 15_000  # places on land, about
_SAMPLE = 4000  # places that components and clusters are fitted on
_AT_ONCE = 2**14
_SIMILARITY_COLOURS = "plasma"

# The values at columns of longitudes (c,) and rows of latitudes (r,) in degrees, shape (r, c, k).
AtPlaces = Callable[[Float64[np.ndarray, " c"], Float64[np.ndarray, " r"]], Float32[np.ndarray, "r c k"]]


@dataclass(eq=False)
class PlanetLayer:
    """A layer whose values are known at every place of a planet.

    Args:
        key: Identifies the layer among those of a model; different values have different keys.
        title: A short heading.
        words: One sentence: what the numbers or colours are.
        legend: As `Ramp.legend` or `Classes.legend` return it, or {"kind": "rgb", "channels": [...]}; with a `note`.
        compute: Returns the values when they are first needed, shape (n, k); NaN where there is nothing.
        paint: From values (..., k) without NaN to red, green, blue and opacity, uint8.
        said: From the values of a place, shape (k,), to a phrase.
        nearest: Whether the values are numbers of classes, k = 1, which are not interpolated.
        at_places: Computes values exactly, for tiles that are finer than the planet; None: they are interpolated.
    """

    key: str
    title: str
    words: str
    legend: dict[str, Any]
    compute: Callable[[], Float32[np.ndarray, "n k"]]
    paint: Callable[[np.ndarray], np.ndarray]
    said: Callable[[np.ndarray], str]
    nearest: bool = False
    at_places: AtPlaces | None = None
    _values: Float32[np.ndarray, "n k"] | None = None
    _making: Any = field(default_factory=threading.Lock)

    @property
    def values(self) -> Float32[np.ndarray, "n k"]:
        """The values of each place of the planet."""
        with self._making:
            if self._values is None:
                self._values = self.compute()
            return self._values

    def colours(self, values: Float[np.ndarray, "*m k"]) -> UInt8[np.ndarray, "*m 4"]:
        """Return red, green, blue and opacity of values; where they are NaN, opacity is 0."""
        unknown = np.isnan(values).any(axis=-1)
        found = self.paint(np.where(unknown[..., None], 0.0, values) if unknown.any() else values)
        found[unknown] = 0
        return found


def similarity_layer(planet: Planet, query: Query) -> PlanetLayer:
    """Return the similarity of every place with a query, in colours stretched over the values on land."""
    values = planet.similarity(query)
    some = planet.land_rows[:: max(1, len(planet.land_rows) // _STRETCHED_OVER)]
    low, high = float(np.quantile(values[some], _FAINT)), float(values[planet.land_rows].max())
    ramp = Ramp(low, max(high, low + 1e-3), "cosine similarity", _SIMILARITY_COLOURS, fades=True, start=0.1)
    what = f"places like {query.said}" if query.lonlat is not None else f"places for {query.modality} {query.said}"
    asked = "the place asked for" if query.lonlat is not None else f"what was asked, in the space of {query.modality}"
    encoder, vector = planet.encoder, query.vector

    def at_places(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        if query.space == PLACE:
            found = _handout(encoder, lon, lat)
        else:
            lonlat = np.stack(np.meshgrid(lon, lat), axis=-1)
            with torch.inference_mode():
                found = encoder.module(torch.tensor(lonlat.reshape(-1, 2), device=encoder.device)).cpu().numpy()
            found = found.reshape(*lonlat.shape[:2], -1)
        return (unit(found.reshape(-1, found.shape[-1])) @ vector).reshape(*found.shape[:2], 1)

    return PlanetLayer(
        f"{SIMILARITY}-{hashlib.sha256(query.space.encode() + vector.tobytes()).hexdigest()}",
        what[0].upper() + what[1:],
        f"Cosine similarity of the embedding of each place with that of {asked}: 1 is the same, 0 nothing in common.",
        ramp.legend()
        | {"note": "Stretched for this query: clear up to the median of land, the last colour for the best place."},
        lambda: values[:, None],
        lambda found: ramp.colours(found[..., 0]),
        lambda value: f"similarity {value[0]:.2f}",
        at_places=at_places,
    )


class Layers:
    """The layers of one planet: those that every model has, made when they are first needed, and those of queries.

    Args:
        planet: The planet.
    """

    def __init__(self, planet: Planet) -> None:
        self.planet = planet
        self._makers = {RGB: rgb_layer, CLUSTERS: clusters_layer}
        if planet.encoder.seen is not None and planet.encoder.seen.threshold is not None:
            self._makers[COVERAGE] = coverage_layer
        if planet.encoder.dim < 3:
            del self._makers[RGB]
        self._made: dict[str, PlanetLayer] = {}
        self._making = {name: threading.Lock() for name in self._makers}
        self._asked = Recent(32)

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the layers that the model has."""
        return tuple(self._makers)

    def get(self, name: str) -> PlanetLayer:
        """Return a layer.

        Raises:
            KeyError: If the model has no such layer.
        """
        with self._making[name]:
            if name not in self._made:
                self._made[name] = self._makers[name](self.planet)
            return self._made[name]

    def similarity(self, query: Query) -> PlanetLayer:
        """Return the layer of a query; see `similarity_layer`."""
        key = (query.space, query.said, query.vector.tobytes())
        found = self._asked.get(key)
        if found is None:
            found = similarity_layer(self.planet, query)
            self._asked.put(key, found)
        return found

    def at(self, lon: float, lat: float) -> dict[str, dict[str, Any]]:
        """Return layer to the `value` (a list of numbers) of the nearest place and its `words`, if there are any."""
        found, row = {}, self.planet.row_of(lon, lat)
        for name in self.ids:
            layer = self.get(name)
            value = layer.values[row]
            if not np.isnan(value).any():
                found[name] = {"value": [round(float(one), 4) for one in value], "words": layer.said(value)}
        return found

    def prepare(self) -> None:
        """Make all layers of the model, with their values."""
        for name in self.ids:
            _ = self.get(name).values


def rgb_layer(planet: Planet) -> PlanetLayer:
    """Return three principal components as colours.

    Raises:
        ValueError: If there are fewer than three numbers per place.
    """
    coding: Any = fit_layer(RGB, *_sample(planet))
    assert isinstance(coding, Principal)
    shares = zip(("red", "green", "blue"), coding.variance, strict=True)
    channels = [
        f"{colour}: component {at}, {share:.0%} of the variance" for at, (colour, share) in enumerate(shares, 1)
    ]

    def paint(values: np.ndarray) -> np.ndarray:
        full = np.full((*values.shape[:-1], 1), 255.0)
        return np.rint(np.concatenate([values, full], axis=-1)).clip(0, 255).astype(np.uint8)

    return PlanetLayer(
        RGB,
        "Three components as colours",
        "Similar colours are similar embeddings: the three directions in which places on land differ most, as red, "
        "green and blue.",
        {"kind": "rgb", "channels": channels, "note": "Colours have no meaning of their own."},
        lambda: _near_land(planet, coding.stored, 3),
        paint,
        lambda value: "red {:.0f} %, green {:.0f} %, blue {:.0f} %".format(*(value / 2.55)),
        at_places=lambda lon, lat: _each(coding.stored, _handout(planet.encoder, lon, lat)),
    )


def clusters_layer(planet: Planet) -> PlanetLayer:
    """Return the clusters of places; their edges are where two centres are equally near.

    Raises:
        ValueError: If fewer places differ than there are clusters.
    """
    coding: Any = fit_layer(CLUSTERS, *_sample(planet))
    assert isinstance(coding, Clusters)
    table = np.array([(*colour, 255) for colour in coding.colours.values()], dtype=np.uint8)
    shares = np.array(coding.sizes) / sum(coding.sizes)
    classes = [
        {"name": f"{number}: {share:.0%} of land", "colour": colour}
        for number, (share, colour) in enumerate(zip(shares, hex_colours(table), strict=True), 1)
    ]
    centers = coding.centers.astype(np.float32)

    def nearness(embeddings: np.ndarray) -> np.ndarray:
        return 2 * embeddings @ centers.T - (centers**2).sum(axis=1)

    return PlanetLayer(
        CLUSTERS,
        f"{len(classes)} clusters",
        "Places grouped by their embedding alone (k-means); clusters that follow one another are similar.",
        {"kind": "classes", "classes": classes, "note": "The groups have no names of their own."},
        lambda: _near_land(planet, nearness, len(classes)),
        lambda values: table[values.argmax(axis=-1)],
        lambda value: f"cluster {1 + int(value.argmax())} of {len(classes)}",
        at_places=lambda lon, lat: _each(nearness, _handout(planet.encoder, lon, lat)),
    )


def coverage_layer(planet: Planet) -> PlanetLayer:
    """Return how far places are from what the model was trained on, relative to what is usual.

    Raises:
        ValueError: If the model does not say where it was trained.
    """
    seen = planet.encoder.seen
    if seen is None or seen.threshold is None:
        raise ValueError("The model does not say where it was trained, so it has no layer of coverage.")
    ramp = Ramp(0.0, 1.0, "of what is usual", start=0.15, above=BEYOND)
    return PlanetLayer(
        COVERAGE,
        "Coverage by training data",
        "Distance from what the model was trained on, in kilometres or in the embedding, as a share of what is usual "
        f"({seen.threshold_km:.0f} km, dissimilarity {seen.threshold:.2f}), whichever is larger.",
        ramp.legend()
        | {"note": "Above 1, in the last colour, a place is outside of what the model saw; scores do not hold there."},
        lambda: _departure(planet)[:, None],
        lambda found: ramp.colours(found[..., 0]),
        lambda value: f"{value[0]:.2f} of what is usual, {'outside' if value[0] > 1 else 'covered'}",
    )


def _departure(planet: Planet) -> Float32[np.ndarray, " n"]:
    """Return how far places near land are from training places, as a share of what is usual; NaN elsewhere.

    It takes some seconds and is kept beside the vectors of the planet.
    """
    seen, folder = planet.encoder.seen, planet.index.folder
    kept = None if folder is None else folder / f"coverage-{plain_hash(seen.describe())[:12]}.npy"
    if kept is not None and kept.is_file():
        with reading_arrays(kept):
            values: Float32[np.ndarray, " n"] = np.load(kept)
        if values.shape == (len(planet),):
            return values
    rows = np.flatnonzero(planet.near_land)
    lonlat = planet.lonlat[rows]
    away = np.min(list(seen.km_to(lonlat).values()), axis=0) / seen.threshold_km
    unlike = seen.dissimilarity(lonlat, planet.encoder.encode, lambda part: planet.features(rows[part]))
    values = np.full(len(planet), np.nan, dtype=np.float32)
    values[rows] = np.maximum(unlike / seen.threshold, away)
    if kept is not None:
        with replacing_file(kept) as part, part.open("wb") as file:
            np.save(file, values)
    return values


def _sample(planet: Planet) -> tuple[Float32[np.ndarray, "n d"], np.ndarray]:
    """Draw places evenly by area, on land if enough are; return their embeddings and which are on land."""
    rows = np.flatnonzero(planet.land if planet.land.sum() >= 100 else np.ones(len(planet), dtype=bool))
    weight = np.cos(np.radians(planet.lonlat[rows, 1]))
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(rows, min(_SAMPLE, len(rows)), replace=False, p=weight / weight.sum()))
    return planet.features(chosen), planet.land[chosen]


def _near_land(planet: Planet, compute: Callable[[np.ndarray], np.ndarray], width: int) -> Float32[np.ndarray, "n k"]:
    """Compute values from the embeddings of the places that tiles of land need; NaN elsewhere."""
    values = np.full((len(planet), width), np.nan, dtype=np.float32)
    rows = np.flatnonzero(planet.near_land)
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        values[part] = compute(planet.features(part))
    return values


def _handout(
    encoder: Any, lon: Float64[np.ndarray, " c"], lat: Float64[np.ndarray, " r"]
) -> Float32[np.ndarray, "r c d"]:
    """Compute the embeddings of a grid of longitudes and latitudes."""
    with torch.inference_mode():
        axes = (torch.tensor(axis, device=encoder.device) for axis in (lon, lat))
        return encoder.module.handout_grid(*axes).cpu().numpy()


def _each(compute: Callable[[np.ndarray], np.ndarray], vectors: Float32[np.ndarray, "r c d"]) -> np.ndarray:
    found = compute(vectors.reshape(-1, vectors.shape[-1]))
    return found.reshape(*vectors.shape[:2], -1).astype(np.float32)
