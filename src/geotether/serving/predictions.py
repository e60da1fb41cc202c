"""Maps of labels that are made in the background: fitted, judged on unseen blocks, and predicted for a planet."""

import logging
import queue
import secrets
import threading
import time
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64

from geotether.benchmark.bootstrap import score
from geotether.maps.prediction import trusted_scale
from geotether.prediction.layers import MappedArea, class_bands, class_names, joined, number_bands
from geotether.prediction.page import summary_of
from geotether.prediction.predictor import EMBEDDING, Predicted, fit_predictor
from geotether.regions import region_of
from geotether.serving.colours import Classes, Ramp, hex_colours
from geotether.serving.columns import warnings_of_thread
from geotether.serving.layers import PlanetLayer
from geotether.serving.problems import Problem

if TYPE_CHECKING:
    from geotether.prediction.predictor import PlacePredictor
    from geotether.probes.scores import Score
    from geotether.serving.planet import Planet
    from geotether.tasks.task import Task

BANDS = ("value", "uncertainty", "outside")
MOST_WAITING = 8
MOST_KEPT = 30  # jobs, with about 3 MB of layers each
SECONDS = 600.0
_AGAIN_SECONDS = 30.0
_AT_ONCE = 2**12
_VEIL = (238, 240, 241, 184)  # over places outside of the area of applicability
_log = logging.getLogger(__name__)


class StoppedError(Exception):
    """A job that is not wanted any more."""


@dataclass(eq=False)
class Job:
    """A map that is being made.

    Args:
        planet: The planet of the model.
        task: The labels.
        level: Stated coverage of the intervals.
        points: Id of the table.
        model: Name of the model.
        notes: What should be known about the labels.

    Attributes:
        id: Names the job in requests.
        state: "waiting", "running", "done" or "failed".
        step: What is being done, in words.
        words: Sentences about the map, as `geotether map` prints them.
        found: Scores and shares that are known so far.
        layers: Layers by band; empty until the job is done.
        error: Why it failed.
    """

    planet: "Planet"
    task: "Task"
    level: float
    points: str
    model: str
    notes: list[str]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = "waiting"
    step: str = ""
    words: list[str] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, PlanetLayer] = field(default_factory=dict)
    error: str | None = None
    stopped: threading.Event = field(default_factory=threading.Event)


class Predictions:
    """The maps of a server: one is made at a time, the others wait; safe for several threads.

    Args:
        closing: Set when the server stops.
    """

    def __init__(self, closing: threading.Event) -> None:
        self._closing = closing
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._waiting: queue.Queue[Job] = queue.Queue(MOST_WAITING)
        self._worker: threading.Thread | None = None

    def add(self, job: Job) -> None:
        """Let a job wait for its turn.

        Raises:
            Problem: 429, if too many wait.
        """
        with self._lock:
            try:
                self._waiting.put_nowait(job)
            except queue.Full:
                said = f"{MOST_WAITING} maps are waiting to be made; try again later."
                raise Problem(429, said, retry_after=_AGAIN_SECONDS) from None
            self._jobs[job.id] = job
            ended = [one.id for one in self._jobs.values() if one.state in ("done", "failed")]
            for forgotten in ended[: max(0, len(self._jobs) - MOST_KEPT)]:
                del self._jobs[forgotten]
            if self._worker is None or not self._worker.is_alive():
                self._worker = threading.Thread(target=self._work, name="predictions", daemon=True)
                self._worker.start()

    def get(self, job: str) -> Job:
        """Return a job.

        Raises:
            Problem: 404, if there is none of that id.
        """
        with self._lock:
            found = self._jobs.get(job)
        if found is None:
            raise Problem(404, "There is no such map (any more); ask for it again.", "job")
        return found

    def ahead(self, job: Job) -> int:
        """Return the number of jobs that will be made before a waiting one."""
        with self._lock:
            unfinished = [one for one in self._jobs.values() if one.state in ("waiting", "running")]
        return unfinished.index(job) if job in unfinished else 0

    def layer(self, job: str | None, band: str) -> PlanetLayer:
        """Return a layer of a map.

        Raises:
            Problem: 404, if there is no such map or layer, or the map is not done.
        """
        if job is None:
            raise Problem(422, "Name the map whose layer is asked for: job.", "job")
        found = self.get(job)
        if band not in BANDS:
            raise Problem(404, f"A map has the layers {', '.join(BANDS)}; there is no {band!r}.", "band")
        if band not in found.layers:
            raise Problem(404, "The map is not done.", "job")
        return found.layers[band]

    def stop(self, job: str) -> None:
        """Stop a job, and forget it.

        Raises:
            Problem: 404, if there is none of that id.
        """
        found = self.get(job)
        found.stopped.set()
        with self._lock:
            self._jobs.pop(job, None)

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                job = self._waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            if not job.stopped.is_set():
                make_map(job, self._closing)


def make_map(job: Job, closing: threading.Event | None = None) -> None:
    """Make the map of a job; its state says how far it is, and an error is kept in it.

    Args:
        job: The job.
        closing: Stops the work when it is set.
    """
    end = time.monotonic() + SECONDS

    def tell(step: str) -> None:
        if job.stopped.is_set() or (closing is not None and closing.is_set()):
            raise StoppedError
        if time.monotonic() > end:
            raise ValueError(f"The map takes more than {SECONDS / 60:g} minutes; send fewer labels.")
        job.step = step

    job.state = "running"
    try:
        with warnings_of_thread() as notes:
            tell(f"Encoding {len(job.task.lonlat):,} labels")
            predictor = fit_predictor(
                job.planet.encoder, job.task, job.level, name=job.model,
                progress=lambda done, total: tell(f"Fitting and judging on unseen blocks: {done} of {total} steps"),
            )  # fmt: skip
            job.notes += notes
            job.found = shown_scores(predictor)
            shown = shown_places(job.planet)
            places = np.unique(shown[shown >= 0])
            parts = []
            for start in range(0, len(places), _AT_ONCE):
                tell(f"Predicting the map: {start / len(places):.0%}")
                part = places[start : start + _AT_ONCE]
                parts.append(predictor.predict_features(job.planet.features(part), job.planet.lonlat[part]))
            made = joined(parts)
        on_land = job.planet.land[places]
        mapped = MappedArea(job.planet.grid)
        mapped.add(job.planet.lonlat[places][on_land], made.inside[on_land])
        job.words = summary_of(predictor, region_of("world"), mapped)
        job.found["inside_share"] = mapped.inside
        job.layers = layers_of(job, predictor, made, np.where(shown >= 0, np.searchsorted(places, shown), -1))
        job.step, job.state = "", "done"
    except StoppedError:
        job.error, job.state = "It was stopped.", "failed"
    except (ValueError, TypeError) as error:
        job.error, job.state = str(error), "failed"
    except Exception as error:
        _log.error("The map of %r failed", job.task.name, exc_info=error)
        job.error, job.state = "The server failed; its log says why.", "failed"


def shown_scores(predictor: "PlacePredictor") -> dict[str, Any]:
    """Return the score on unseen blocks, those of the baselines, and how often intervals were right."""
    return {
        "probe": predictor.selection.chosen,
        "labels": len(predictor.rows.lonlat),
        "block_km": predictor.rows.block_km,
        "score": {"metric": predictor.outcomes[EMBEDDING].metric, **_interval(predictor.score)},
        "baselines": {name: _interval(one) for name, one in predictor.baselines.items()},
        "beats_baselines": predictor.beats_baselines,
        "covered": {"stated": predictor.level, **_interval(score([predictor.covered()]))},
    }


def _interval(found: "Score") -> dict[str, float | None]:
    parts = {"mean": found.mean, "low": found.low, "high": found.high}
    return {name: float(value) if np.isfinite(value) else None for name, value in parts.items()}


def shown_places(planet: "Planet") -> Int64[np.ndarray, " n"]:
    """Return for each place of a planet the number of the place whose prediction a map of the land shows there.

    It is the place itself if it is on land or far from any place that is; a place at sea beside the land shows the
    prediction of that land, because labels do not describe the sea; -1 where there is no land near.
    """
    shape = planet.grid.rows, planet.grid.columns
    number = np.arange(len(planet)).reshape(shape)
    land = planet.land.reshape(shape)
    shown = number.copy()
    left = planet.near_land.reshape(shape) & ~land
    shown[~land & ~left] = -1
    for down, right in (*product((-1, 1), (0,)), *product((0,), (-1, 1)), *product((-1, 1), (-1, 1))):
        rows = np.clip(np.arange(shape[0]) + down, 0, shape[0] - 1)
        columns = (np.arange(shape[1]) + right) % shape[1]
        found = left & land[np.ix_(rows, columns)]
        shown[found] = number[np.ix_(rows, columns)][found]
        left &= ~found
    return shown.ravel()


def layers_of(job: Job, predictor: "PlacePredictor", made: Predicted, rows: np.ndarray) -> dict[str, PlanetLayer]:
    """Return the layers of a map by band.

    Args:
        job: The job.
        predictor: What the map was made with.
        made: Predictions of some places.
        rows: Row of `made` that each place of the planet shows, or -1, shape (n,).
    """
    name, unit, percent = job.task.name, job.task.unit, f"{100 * job.level:g} %"
    if predictor.is_classes:
        assert made.entropy is not None
        names, bands = class_names(predictor.classes), class_bands(predictor)
        classes = Classes(names)
        what = f"{name}, predicted by {predictor.selection.chosen} on embeddings of {predictor.name}."
        value = _layer(
            job, "value", name, what, classes.legend(), rows, made.value,
            lambda found: classes.colours(found[..., 0].astype(np.int64)),
            lambda found: names[int(found[0])], nearest=True,
        )  # fmt: skip
        doubt, title, words = made.entropy, f"Uncertainty of {name}", f"{bands[0].description.capitalize()}."
        shades = Ramp(0.0, float(max(doubt.max(), 0.01)), "entropy", "cividis")
    else:
        assert made.lower is not None
        assert made.upper is not None
        scale = trusted_scale(made.value, made.inside)
        ramp = Ramp(float(scale.vmin or 0.0), float(scale.vmax or 0.0), unit)
        what = f"{number_bands(predictor)[0].description}."
        value = _layer(
            job, "value", name, what, ramp.legend(), rows, made.value,
            lambda found: ramp.colours(found[..., 0]), lambda found: f"{found[0]:.4g} {unit}".strip(),
        )  # fmt: skip
        doubt, title = made.upper - made.lower, f"Width of the {percent} interval"
        words = f"Width of the {percent} prediction interval of {name}: upper less lower end."
        shades = Ramp.over(doubt, unit, "cividis")
    uncertainty = _layer(
        job, "uncertainty", title, words, shades.legend(), rows, doubt,
        lambda found: shades.colours(found[..., 0]), lambda found: f"{found[0]:.3g} {shades.unit}".strip(),
    )  # fmt: skip
    said, (veil,) = "outside the area of applicability", hex_colours(np.array([_VEIL], dtype=np.uint8))
    outside = _layer(
        job, "outside", "Outside the area of applicability",
        "Places less like any labelled place than held-out blocks are to the others; stated errors may not hold there.",
        {"kind": "classes", "classes": [{"name": said, "colour": veil}]},
        rows, ~made.inside,
        lambda found: np.array([(0, 0, 0, 0), _VEIL], dtype=np.uint8)[found[..., 0].astype(np.intp)],
        lambda found: said if found[0] else "inside the area of applicability", nearest=True,
    )  # fmt: skip
    return {"value": value, "uncertainty": uncertainty, "outside": outside}


def _layer(
    job: Job,
    band: str,
    title: str,
    words: str,
    legend: dict[str, Any],
    rows: np.ndarray,
    some: np.ndarray,
    paint: Any,
    said: Any,
    nearest: bool = False,
) -> PlanetLayer:
    values = np.append(some.astype(np.float32), np.float32("nan"))[rows][:, None]
    return PlanetLayer(f"{job.id}-{band}", title, words, legend, lambda: values, paint, said, nearest)
