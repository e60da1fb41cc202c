"""What a server serves: models and their planets, files of points, and what requests share."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from geotether.serving.limits import Limits
from geotether.serving.planet import RESOLUTION, Planet
from geotether.serving.problems import Problem
from geotether.serving.recent import Recent
from geotether.suggestions import closest

if TYPE_CHECKING:
    from geotether.encoder import Encoder

IMAGES = 200  # queries by an image that are kept for their tiles


class Served:
    """The models, files and limits of a server, and what its requests share.

    Args:
        models: Name to model; the first one answers requests that name none.
        points: Id to a file of points.
        limits: Limits of requests.
        resolution: Spacing of the grid of the Earth, degrees.

    Attributes:
        images: Queries by an image, by their id, for the tiles of their layer.
        closing: Set when the server stops; jobs in the background must end soon after.

    Raises:
        ValueError: If there are no models.
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
        self.models, self.points = dict(models), dict(points or {})
        self.limits, self.resolution = limits or Limits(), resolution
        self.images = Recent(IMAGES)
        self.closing = threading.Event()
        self._planets: dict[str, Planet] = {}
        self._making = {name: threading.Lock() for name in self.models}

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
            raise Problem(404, f"There is no model {given!r}; there is {listed}.{closest(given, self.models)}", "model")
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
        with self._making[name]:
            if name not in self._planets:
                self._planets[name] = Planet.of(self.models[name], self.resolution, progress)
            return self._planets[name]
