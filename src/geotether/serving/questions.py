"""Questions of clients as queries of the search: a place, a text, an image, or values of columns."""

import hashlib
import json
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from geotether.coverage.coverage import Coverage
from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.searching import Query, columns_query, image_query, text_query
from geotether.searching.query import place_queries, transforms_taking
from geotether.serving.planet import Planet
from geotether.serving.problems import Problem, asked
from geotether.serving.recent import Recent
from geotether.serving.together import Together
from geotether.sources.pictures.pixels import LARGE_ADVICE, image_kind

IMAGE_KINDS = ("JPEG", "PNG", "WEBP", "TIFF")
_PLACES, _TEXTS = 2000, 1000
_OBSERVATIONS = 200  # by images and columns, which their tiles name by an id

_WAIT_SECONDS = 5.0
_decoding = threading.BoundedSemaphore(2)  # images at once, which take 8 bytes per pixel while they are decoded


class AskedPlace(NamedTuple):
    """The query of a place, and its coverage by training places."""

    query: Query
    coverage: Coverage

    @property
    def outside(self) -> bool | None:
        """Whether the place is outside of what the model saw in training; None if not known."""
        return None if self.coverage.outside is None else bool(self.coverage.outside[0])


class Questions:
    """Turns what clients send to one model into queries, and keeps the last ones.

    A question that is asked again gives the same `Query`. Images and columns get an id, by which the tiles of their
    layer name them.

    Args:
        planet: The places of the model that queries are compared with.
        pixels: Limit of the pixels of an image.
    """

    def __init__(self, planet: Planet, pixels: int) -> None:
        self.encoder, self.pixels = planet.encoder, pixels
        self._texts, self._observations = Recent(_TEXTS), Recent(_OBSERVATIONS)
        self._places: Together[tuple[float, float], AskedPlace] = Together(self._known, _PLACES, planet.worker)

    def place(self, lon: float, lat: float) -> AskedPlace:
        """Ask by a place in degrees; places that wait are computed together.

        Raises:
            Problem: 422, if it is not one.
        """
        with asked("lon"):
            check_lonlat(np.array([[lon, lat]]))
        place = float(wrap_longitude(lon)), float(lat)
        return self._places.get(place, place)

    def _known(self, places: list[tuple[float, float]]) -> list[AskedPlace]:
        lonlat = np.array(places, dtype=np.float64)
        queries, embeddings = place_queries(self.encoder, lonlat)
        coverage = self.encoder.coverage(lonlat, embeddings=embeddings)
        return [AskedPlace(query, coverage.at(row)) for row, query in enumerate(queries)]

    def text(self, text: str, modality: str | None = None) -> Query:
        """Ask by a text.

        Raises:
            Problem: 422, if the model takes no texts or does not know any part of it.
        """
        query = self._texts.get((text, modality))
        if query is None:
            if not any(map(str.isalnum, text)):
                raise Problem(422, "The text has no letters or digits; give words, such as a name.", "text")
            with asked("text" if modality is None else "modality"):
                transforms_taking(self.encoder, "texts", modality)
            with asked("text"):
                query = text_query(self.encoder, text, modality)
            self._texts.put((text, modality), query)
        return query

    def image(self, data: bytes, modality: str | None = None) -> tuple[str, Query]:
        """Ask by an image file; returns the id of the question as well.

        Raises:
            Problem: 415, if it is not an image; 422, if the model takes no such images; 429, if other images are being
                read.
        """
        if image_kind(data[:16]) not in IMAGE_KINDS:
            raise Problem(415, f"The image must be one of {', '.join(IMAGE_KINDS)}.", "image")
        with asked("image" if modality is None else "modality"):
            transforms_taking(self.encoder, "images", modality)
        if not _decoding.acquire(timeout=_WAIT_SECONDS):
            raise Problem(429, "Other images are being read; send this one again.", "image", retry_after=_WAIT_SECONDS)
        try:
            return self._kept(data, modality, lambda: self._image_query(data, modality), "image")
        finally:
            _decoding.release()

    def _image_query(self, data: bytes, modality: str | None) -> Query:
        try:
            return image_query(self.encoder, data, modality, self.pixels)
        except ValueError as error:
            text = str(error).replace(LARGE_ADVICE, "send a smaller one")
            raise ValueError(text[:1].upper() + text[1:]) from error

    def columns(self, values: Mapping[str, Any], modality: str | None = None) -> tuple[str, Query]:
        """Ask by values of columns; returns the id of the question as well.

        Raises:
            Problem: 422, if the model has no such columns or cannot read a value.
        """
        with asked("columns" if modality is None else "modality"):
            transforms_taking(self.encoder, "columns", modality)
        data = json.dumps(values, sort_keys=True).encode()
        return self._kept(data, modality, lambda: columns_query(self.encoder, values, modality), "columns")

    def _kept(self, data: bytes, modality: str | None, ask: Any, field: str) -> tuple[str, Query]:
        id = hashlib.sha256(data + b"\0" + (modality or "").encode()).hexdigest()[:32]
        query = self._observations.get(id)
        if query is None:
            with asked(field):
                query = ask()
            self._observations.put(id, query)
        return id, query

    def observation(self, id: str) -> Query:
        """Return the question of an image or of columns by its id.

        Raises:
            Problem: 404, if it is not kept any more.
        """
        query = self._observations.get(id)
        if query is None:
            raise Problem(404, "This image or these columns are not kept any more; send them again.", "image")
        return query

    def asks(self) -> dict[str, Any]:
        """Return what the model can be asked by: modalities of texts and images, and columns by modality."""
        found: dict[str, Any] = {}
        for kind, name in (("texts", "text"), ("images", "image"), ("columns", "columns")):
            try:
                found[name] = transforms_taking(self.encoder, kind)
            except ValueError:
                found[name] = {}
        columns = {name: [one.name for one in known.featurizer.encodings_] for name, known in found["columns"].items()}
        return {"text": list(found["text"]), "image": list(found["image"]), "columns": columns}
