"""What a server serves: models and their planets, files of points, and what requests share."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from geotether.searching import Query
from geotether.searching.observations import TrainingObservations
from geotether.serving.layers import Layers
from geotether.serving.limits import Limits
from geotether.serving.planet import RESOLUTION, Planet
from geotether.serving.points import PointTables
from geotether.serving.predictions import Predictions
from geotether.serving.problems import Problem
from geotether.serving.questions import Questions
from geotether.suggestions import closest

if TYPE_CHECKING:
    from geotether.encoder import Encoder

Kept = TypeVar("Kept")


class Served:
    """The models, files and limits of a server, and what its requests share.

    Args:
        models: Name to model; the first one answers requests that name none.
        points: Id to a file of points.
        limits: Limits of requests.
        resolution: Spacing of the grid of the Earth, degrees.

    Attributes:
        tables: Tables of points: the files, and those that clients sent.
        predictions: Maps of labels, which are made in the background.
        closing: Set when the server stops; jobs in the background must end soon after.

    Raises:
        ValueError: If there are no models, or a file has no points.
    """

    def __init__(
        self,
        models: "Mapping[str, Encoder]",
        points: Mapping[str, Path] | None = None,
        limits: Limits | None = None,
        resolution: float = RESOLUTION,
    ) -> None:
        if not models:
            raise ValueError("There are no models to serve; give at least one.")
        self.models, self.tables = dict(models), PointTables(points or {})
        self.limits, self.resolution = limits or Limits(), resolution
        self.closing = threading.Event()
        self.predictions = Predictions(self.closing)
        self._planets: dict[str, Planet] = {}
        self._layers: dict[str, Layers] = {}
        self._making = {name: threading.RLock() for name in self.models}
        self._questions: dict[str, Questions] = {}
        self._observations: dict[str, TrainingObservations] = {}

    def name(self, model: str | None = None) -> str:
        """Return the name of a model, by default of the first.

        Raises:
            Problem: 404, if there is no such model.
        """
        if model is None:
            return next(iter(self.models))
        if model not in self.models:
            listed = ", ".join(self.models)
            given = model[:80]
            raise Problem(
                404, f"There is no model {given!r}; models are {listed}.{closest(given, self.models)}", "model"
            )
        return model

    def encoder(self, model: str | None = None) -> "Encoder":
        """Return a model; errors as `name`."""
        return self.models[self.name(model)]

    def planet(self, model: str | None = None, progress: Callable[[int, int], None] | None = None) -> Planet:
        """Return the grid of the Earth of a model, which is computed when it is first needed; errors as `name`.

        Args:
            model: Name of the model.
            progress: Called with the number of places done and of all, now and then.
        """
        name = self.name(model)
        return self._once(self._planets, name, lambda: Planet.of(self.models[name], self.resolution, progress))

    def _once(self, kept: dict[str, Kept], name: str, make: Callable[[], Kept]) -> Kept:
        """Return what is kept for a model; it is made when it is first needed."""
        with self._making[name]:
            if name not in kept:
                kept[name] = make()
            return kept[name]

    @property
    def places(self) -> dict[str, int]:
        """Number of places of the grid of each model whose grid has been computed."""
        return {name: len(planet) for name, planet in list(self._planets.items())}

    def layers(self, model: str | None = None) -> Layers:
        """Return the layers of a model; errors as `name`."""
        return self._once(self._layers, self.name(model), lambda: Layers(self.planet(model)))

    def observations(self, model: str | None = None) -> TrainingObservations:
        """Return the training observations of a model, as far as they are at hand; errors as `name`."""
        from geotether.training.pretraining import training_observations

        name = self.name(model)
        return self._once(self._observations, name, lambda: training_observations(self.models[name]))

    def questions(self, model: str | None = None) -> Questions:
        """Return what turns the questions to a model into queries; errors as `name`."""
        pixels = self.limits.pixels
        return self._once(self._questions, self.name(model), lambda: Questions(self.planet(model), pixels))

    def query(
        self,
        model: str | None = None,
        *,
        lon: float | None = None,
        lat: float | None = None,
        text: str | None = None,
        modality: str | None = None,
        image: str | None = None,
    ) -> Query:
        """Return the query of a question: a place, a text, or the id of an image or of columns that were sent before.

        Raises:
            Problem: 422, if not exactly one is given or the model does not take it; 404, as `name` or if the image is
                not kept any more.
        """
        questions = self.questions(model)
        if [lon is not None and lat is not None, text is not None, image is not None].count(True) != 1 or (
            (lon is None) != (lat is None)
        ):
            raise Problem(422, "Ask by one of lon and lat, text, or image.", "lon")
        if lon is not None and lat is not None:
            return questions.place(lon, lat).query
        return questions.text(text, modality) if text is not None else questions.observation(image or "")
