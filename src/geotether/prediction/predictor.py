"""A probe fitted to labelled places: predictions with an interval or probabilities, and where they may be trusted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64
from threadpoolctl import threadpool_limits

from geotether.benchmark.bootstrap import score
from geotether.benchmark.outcome import Outcome, block_sums
from geotether.benchmark.verdict import difference
from geotether.files.frames import places_first
from geotether.geodesy.distance import nearest_km
from geotether.loading import EncoderFunction, encode_places, load_encoder, named_encoder
from geotether.prediction.candidates import BASELINES, CANDIDATES, FittedCandidate
from geotether.prediction.labels import check_labels, in_units
from geotether.prediction.selection import (
    NUM_FOLDS,
    LabelledRows,
    Selection,
    Steps,
    fits_of,
    number_of_fits,
    outcome,
    select,
    suitable_block_km,
)
from geotether.probes.applicability import Applicability
from geotether.probes.calibration import CalibratedClasses, entropy
from geotether.probes.conformal import BlockIntervals, fewest_blocks
from geotether.probes.scores import Score
from geotether.tasks.task import Task

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
EMBEDDING = "embedding"
# Distances below this differ little in what they say about errors.
_NEAR_KM = 10.0


class Predicted(NamedTuple):
    """Predictions for places; of numbers or of classes.

    Attributes:
        dissimilarity: To the labelled places, shape (m,); see `Applicability`.
        inside: Whether each place is in the area of applicability.
        value: Predicted numbers in the unit of the labels; of classes their position in `PlacePredictor.classes`.
        lower: Lower end of the prediction interval, of numbers.
        upper: Upper end.
        probabilities: Of each class, shape (m, c).
        entropy: Of the probabilities, from 0 (certain) to 1 (all equal).
        least: Probability from which on a class is in the prediction set, which the most probable always is.
    """

    dissimilarity: Float32[np.ndarray, " m"]
    inside: Bool[np.ndarray, " m"]
    value: np.ndarray
    lower: Float64[np.ndarray, " m"] | None = None
    upper: Float64[np.ndarray, " m"] | None = None
    probabilities: Float64[np.ndarray, "m c"] | None = None
    entropy: Float64[np.ndarray, " m"] | None = None
    least: Float64[np.ndarray, " m"] | None = None

    @property
    def sets(self) -> Bool[np.ndarray, "m c"] | None:
        """Which classes are in the prediction set of each place, shape (m, c); None of numbers."""
        if self.probabilities is None or self.least is None:
            return None
        most = self.probabilities == self.probabilities.max(axis=1, keepdims=True)
        return most | (self.probabilities >= self.least[:, None])


@dataclass(eq=False)
class PlacePredictor:
    """Predictions for places, from labelled places and an encoder.

    Made by `fit_predictor`.

    Attributes:
        name: Name of the encoder.
        task: The labels.
        level: Stated coverage of intervals and prediction sets.
        rows: The labelled rows with blocks and folds.
        selection: What was found about the candidates.
        outcomes: "embedding" and each candidate and baseline to its result on unseen blocks.
        area: The area of applicability.
        spread: Intervals of numbers, or calibrated classes.
        held_out: Distance to the nearest label that was used (km) and dissimilarity of each labelled place when its
            fold was held out, shape (n, 2).
    """

    name: str
    task: Task
    level: float
    encoder: EncoderFunction
    rows: LabelledRows
    selection: Selection
    fit: FittedCandidate
    area: Applicability
    spread: BlockIntervals | CalibratedClasses
    held_out: Float64[np.ndarray, "n 2"]
    outcomes: dict[str, Outcome]

    @property
    def is_classes(self) -> bool:
        """Whether labels are classes rather than numbers."""
        return self.task.kind == "classification"

    @property
    def classes(self) -> np.ndarray:
        """The classes, sorted; empty for numbers."""
        return self.rows.target.classes if self.is_classes else np.empty(0)

    @property
    def score(self) -> Score:
        """R2 or accuracy on unseen blocks, with its interval over blocks."""
        return score([self.outcomes[EMBEDDING]])

    @property
    def baselines(self) -> dict[str, Score]:
        """The score of each baseline on the same blocks."""
        return {name: score([one]) for name, one in self.outcomes.items() if name in BASELINES}

    @property
    def beats_baselines(self) -> bool:
        """Whether the embedding is clearly better than every baseline: the interval of each difference is above 0."""
        ours = [self.outcomes[EMBEDDING]]
        return all(difference(ours, [self.outcomes[name]]).low > 0 for name in self.baselines)

    @places_first
    def predict(self, places: Any = None, *, lon: Any = None, lat: Any = None) -> Predicted:
        """Predict places.

        Args:
            places: lonlat in degrees, shape (m, 2).
            lon: Instead of `places`, longitudes.
            lat: As many latitudes.
        """
        lonlat = np.stack([lon, lat], axis=-1) if places is None else np.asarray(places)
        lonlat = np.atleast_2d(lonlat).astype(np.float64)
        return self.predict_features(encode_places(self.encoder, lonlat, self.name), lonlat)

    def predict_features(self, features: Float[np.ndarray, "m d"], lonlat: Float[np.ndarray, "m 2"]) -> Predicted:
        """Predict places from their embeddings."""
        columns = self.fit.columns(features, lonlat)
        dissimilarity = self.area.dissimilarity(features)
        inside = dissimilarity <= self.area.threshold
        distance = nearest_km(lonlat, self.rows.lonlat)
        if isinstance(self.spread, CalibratedClasses):
            known = spread_columns(distance, dissimilarity)
            probabilities = self.spread.probabilities(columns, known)
            value = probabilities.argmax(axis=1)
            least = self.spread.thresholds(known, self.level)
            return Predicted(
                dissimilarity, inside, value, None, None, probabilities, entropy(probabilities), least=least
            )
        known = np.column_stack([spread_columns(distance, dissimilarity), columns])
        ends = self.spread.ends(columns[:, 0], known, self.level)
        lower, upper = in_units(self.task, ends).T
        return Predicted(dissimilarity, inside, in_units(self.task, columns[:, 0]), lower, upper)

    def covered(self, level: float | None = None) -> Outcome:
        """Return the share of labelled places within intervals or sets that are made without their fold.

        Its score (`geotether.benchmark.bootstrap.score`) is the observed coverage with an interval over blocks.
        """
        found = self.spread.covered(self.level if level is None else level)
        blocks, sums = block_sums("accuracy", np.ones(len(found)), found.astype(np.float64), self.rows.blocks)
        like = self.outcomes[EMBEDDING]
        return Outcome(
            like.task, "coverage", like.probe, like.split, like.labels, 0, "", "accuracy", float(found.mean()), "",
            blocks, sums,
        )  # fmt: skip

    def levels(self) -> list[float]:
        """Return levels to compare with observed coverage: those that the blocks of the other folds are enough for."""
        blocks = len(np.unique(self.rows.blocks)) * (1 - 1 / NUM_FOLDS)
        needed: Callable[[float], float] = fewest_blocks if not self.is_classes else lambda level: 1 / (1 - level) - 1
        # A set has one class at least, so that sets of low levels cover as often as the most probable class is right.
        least = self.score.mean if self.is_classes else 0.0
        return [level for level in LEVELS if needed(level) <= blocks and level >= least]

    @property
    def confidence(self) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"]] | None:
        """Probability of the most probable class of each labelled place held out, and whether it was right."""
        if not isinstance(self.spread, CalibratedClasses):
            return None
        found = self.spread.held_out_
        return found.max(axis=1), found.argmax(axis=1) == self.rows.target.codes

    @property
    def held_out_errors(self) -> Float64[np.ndarray, " n"]:
        """Absolute error in the unit of the labels, or 1 for a wrong class, of each labelled place held out."""
        said = self.selection.predicted[EMBEDDING]
        if self.is_classes:
            return (said != self.rows.target.values).astype(np.float64)
        return np.abs(in_units(self.task, said) - in_units(self.task, self.rows.target.values.astype(np.float64)))


def fit_predictor(
    model: Any,
    task: Task,
    level: float = 0.9,
    block_km: float | None = None,
    seed: int = 0,
    name: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> PlacePredictor:
    """Choose and fit a probe to labelled places, and measure its errors in blocks that it has not seen.

    Args:
        model: Anything that encodes places; see `geotether.loading.load_encoder`.
        task: Labelled places: a regression or classification; its split is not used.
        level: Stated coverage of intervals and prediction sets, such as 0.9.
        block_km: Side of the blocks that are held out. None: the largest, 1,000 km at most, of which there are enough.
        seed: Seed of the folds.
        name: Name of the encoder in results. None: that of the model.
        progress: Called with the number of steps done and of all, after each fit and the like; an exception that it
            raises ends the work.

    Raises:
        ValueError: If the labels are too few, one class, an id, or fill too few blocks for the level.
    """
    check_labels(task)
    if not 0.5 <= level < 1:
        raise ValueError(f"level is a share of 0.5 or more and below 1, such as 0.9; got {level:g}.")
    if isinstance(model, str):
        given, encoder = named_encoder(model)
        name = name or given
    else:
        encoder = load_encoder(model)
    valid = task.valid
    lonlat = task.lonlat[valid].astype(np.float64)
    fewest = max(fewest_blocks(level), 20)
    side = suitable_block_km(lonlat, fewest) if block_km is None else float(block_km)
    rows = LabelledRows(encode_places(encoder, lonlat, name), lonlat, task.targets(np.flatnonzero(valid)), side, seed)
    filled = len(np.unique(rows.blocks))
    if filled < fewest:
        raise ValueError(
            f"the labelled places fill {filled} blocks of {side:g} km, and intervals of {100 * level:g} % need "
            f"{fewest}; use smaller blocks, such as {suitable_block_km(lonlat, fewest):g} km."
        )
    # Hundreds of small fits: threads would spend their time waiting for each other, on a busy machine for minutes.
    step = Steps(number_of_fits(rows.target) + NUM_FOLDS + 3, progress)
    with threadpool_limits(limits=1):
        found = select(rows, step)
        every = np.ones(len(lonlat), dtype=bool)
        ((_, fit),) = fits_of(rows, every, {found.chosen: CANDIDATES[found.chosen]})
        step()
        area = Applicability().fit(rows.features, rows.folds, fit.weights)
        step()
        held_out = held_out_columns(rows, found, step)
        spread = spread_of(rows, found, held_out, lambda: step(0))
        step()
    title = name or "the model"
    outcomes = {
        one: outcome(rows, task.name, title if one == EMBEDDING else one, said) for one, said in found.predicted.items()
    }
    return PlacePredictor(title, task, level, encoder, rows, found, fit, area, spread, held_out, outcomes)


def spread_of(
    rows: LabelledRows,
    found: Selection,
    held_out: Float64[np.ndarray, "n 2"],
    fitted: Callable[[], None] = lambda: None,
) -> BlockIntervals | CalibratedClasses:
    """Learn intervals or probabilities from what was predicted without each row's fold.

    Args:
        rows: The labelled places.
        found: What was predicted.
        held_out: From `held_out_columns`.
        fitted: Called after each fit of probabilities.
    """
    known = spread_columns(*held_out.T)
    if rows.target.kind == "classification":
        return CalibratedClasses().fit(found.columns, rows.target.codes, known, rows.blocks, rows.folds, fitted)
    residuals = rows.target.values - found.columns[:, 0]
    return BlockIntervals().fit(residuals, np.column_stack([known, found.columns]), rows.blocks, rows.folds)


def spread_columns(
    distance_km: Float[np.ndarray, " n"], dissimilarity: Float[np.ndarray, " n"]
) -> Float64[np.ndarray, "n 2"]:
    """Join what the size of errors is learned from."""
    return np.stack([np.log(distance_km + _NEAR_KM), dissimilarity], axis=1).astype(np.float64)


def held_out_columns(
    rows: LabelledRows, found: Selection, done: Callable[[], None] = lambda: None
) -> Float64[np.ndarray, "n 2"]:
    """Return distance (km) and dissimilarity of each labelled place to those of other folds that its fit used.

    `done` is called after each of the folds.
    """
    columns = np.empty((len(rows.folds), 2))
    for fold in range(NUM_FOLDS):
        held, used = rows.folds == fold, rows.without([fold])
        area = Applicability().fit(rows.features[used], rows.folds[used], found.weights[fold])
        columns[held, 0] = nearest_km(rows.lonlat[held], rows.lonlat[used])
        columns[held, 1] = area.dissimilarity(rows.features[held])
        done()
    return columns
