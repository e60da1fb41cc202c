"""The choice of a probe inside the training blocks, and predictions for blocks that no fit has seen."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Integer, Shaped

from geotether.benchmark.outcome import Outcome, block_sums, score_of_sums
from geotether.benchmark.probing import TrainingRows
from geotether.benchmark.splitting import BUFFER_KM, block_side_km, fitting_blocks
from geotether.geodesy.blocks import block_id, within_km_of
from geotether.prediction.candidates import BASELINES, CANDIDATES, Candidate, FittedCandidate
from geotether.probes.spatial_cv import block_folds
from geotether.probes.target import ProbeTarget
from geotether.tasks.task import METRICS

NUM_FOLDS = 5
_PAIRS = tuple(combinations(range(NUM_FOLDS), 2))
# What outcomes call the probe: candidates and baselines are told apart as encoders.
PROBE = "map"
# Inner folds, by which a probe chooses its own settings.
_INNER_FOLDS = 50
# Part of the side of a block; 50 km at most.
_BUFFER_SHARE = 0.05
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Labelled places with embeddings, and the blocks and folds by which everything about them is judged.

    Args:
        features: Embeddings, shape (n, d).
        lonlat: Places, degrees, shape (n, 2).
        target: Labels.
        block_km: Side of the blocks.
        seed: Seed of the folds.

    Attributes:
        blocks: Number of each row's block.
        folds: Fold of each row, whole blocks.
    """

    features: np.ndarray
    lonlat: np.ndarray
    target: ProbeTarget
    block_km: float
    seed: int = 0
    blocks: Int64[np.ndarray, " n"] = field(init=False)
    folds: Integer[np.ndarray, " n"] = field(init=False)

    def __post_init__(self) -> None:
        """Assign blocks and folds."""
        object.__setattr__(self, "blocks", block_id(self.lonlat, self.block_km))
        object.__setattr__(self, "folds", block_folds(self.lonlat, NUM_FOLDS, self.block_km, self.seed))

    @property
    def buffer_km(self) -> float:
        """Least distance of a training row from a held-out one."""
        return min(BUFFER_KM, _BUFFER_SHARE * self.block_km)

    def without(self, held_out: Iterable[int]) -> Bool[np.ndarray, " n"]:
        """Mark the rows that a fit may use when some folds are held out: not in them and not near them."""
        held = np.isin(self.folds, list(held_out))
        return ~held & ~within_km_of(self.lonlat, self.lonlat[held], self.buffer_km)

    def training(self, rows: Bool[np.ndarray, " n"]) -> tuple[TrainingRows, ProbeTarget]:
        """Return some rows, with inner folds, to fit candidates to."""
        folds = block_folds(self.lonlat[rows], _INNER_FOLDS, self.block_km, self.seed)
        folds = folds if folds.max() > 0 else np.arange(len(folds))
        return TrainingRows(self.features[rows], self.lonlat[rows], folds, self.seed), self.target.rows(rows)


def suitable_block_km(lonlat: Float[np.ndarray, "n 2"], fewest: int) -> float:
    """Return the side of the largest blocks, 1,000 km at most, of which the places fill five times as many as needed.

    With just enough blocks, intervals would reach to the largest of all errors. Where the places fill fewer blocks
    whatever their size, twice as many or enough are taken.

    Raises:
        ValueError: If the places fill too few blocks of 1 km.
    """
    split = next(filter(None, (fitting_blocks(lonlat, times * fewest) for times in (5, 2, 1))), "")
    if not split:
        filled = len(np.unique(block_id(lonlat, 1.0)))
        raise ValueError(
            f"the labelled places fill {filled} blocks of 1 km, and {fewest} are needed to measure errors away from "
            "the labels; add labels at other places, or state a lower --level."
        )
    return float(block_side_km(split) or 0.0)


@dataclass(frozen=True, eq=False)
class Selection:
    """What was found about the candidates.

    Attributes:
        chosen: Name of the candidate with the smallest loss on held-out folds, which the map is made with.
        chosen_by_fold: The name that was chosen for each fold without its labels.
        columns: Number or class scores (minus infinity where the fit did not know the class) for each row by the
            candidate that was chosen without its fold, shape (n, t).
        weights: Importance of the embedding's columns in that candidate, per fold.
        predicted: Predicted numbers or classes by name, shape (n,): "embedding" (as `columns`), each candidate, each
            baseline; every row is predicted by fits without its fold.
    """

    chosen: str
    chosen_by_fold: tuple[str, ...]
    columns: Float64[np.ndarray, "n t"]
    weights: tuple[np.ndarray | None, ...]
    predicted: Mapping[str, np.ndarray]


class Steps:
    """Counts the steps of a computation that are done.

    Args:
        total: Number of all steps.
        progress: Called with the number of those done and of all; an exception that it raises ends the work.
    """

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def __call__(self, more: int = 1) -> None:
        """Count more steps; with 0, only call `progress`."""
        self.done += more
        if self.progress is not None:
            self.progress(self.done, self.total)


def number_of_fits(target: ProbeTarget) -> int:
    """Return the number of fits that `select` makes for such labels."""
    candidates, baselines = (sum(one.suits(target) for one in each.values()) for each in (CANDIDATES, BASELINES))
    return len(_PAIRS) * candidates + NUM_FOLDS * (candidates + baselines)


def select(rows: LabelledRows, fitted: Callable[[], None] = lambda: None) -> Selection:
    """Choose a candidate, and predict every row by candidates and baselines that know nothing of its fold.

    For each fold, the candidate with the smallest loss on the other folds is chosen, from fits without both folds; its
    fit on all other folds predicts the fold. The score of these predictions thus includes the choice. The candidate for
    the map is the one with the smallest loss on all folds.

    Args:
        rows: The labelled places.
        fitted: Called after each of `number_of_fits` fits; an exception that it raises ends the work.
    """
    candidates = {name: one for name, one in CANDIDATES.items() if one.suits(rows.target)}
    baselines = {name: one for name, one in BASELINES.items() if one.suits(rows.target)}
    for name, one in (CANDIDATES | BASELINES).items():
        if rows.target.kind in one.kinds and not one.suits(rows.target):
            _log.info("%s is left out: it does not suit %d classes.", name, len(rows.target.classes))
    folds = range(NUM_FOLDS)
    inner = {name: np.zeros(NUM_FOLDS) for name in candidates}
    for pair in _PAIRS:
        for name, fit in fits_of(rows, rows.without(pair), candidates):
            for held, other in (pair, pair[::-1]):
                inner[name][other] += loss(rows, held, predict(rows, rows.folds == held, fit))
            fitted()
    chosen_by_fold = tuple(min(candidates, key=lambda name: inner[name][fold]) for fold in folds)

    columns = np.full((len(rows.folds), rows.target.columns.shape[1]), -np.inf)
    outer = dict.fromkeys(candidates, 0.0)
    weights: list[np.ndarray | None] = []
    names = ("embedding", *candidates, *baselines)
    predicted = {name: np.empty(len(rows.folds), rows.target.values.dtype) for name in names}
    if rows.target.kind == "regression":
        predicted = {name: np.empty(len(rows.folds)) for name in names}
    for fold in folds:
        held = rows.folds == fold
        for name, fit in fits_of(rows, rows.without([fold]), candidates | baselines):
            found = predict(rows, held, fit)
            predicted[name][held] = rows.target.from_columns(found)
            if name in candidates:
                outer[name] += loss(rows, fold, found)
            if name == chosen_by_fold[fold]:
                columns[held] = found
                predicted["embedding"][held] = predicted[name][held]
                weights.append(fit.weights)
            fitted()
    return Selection(min(outer, key=lambda name: outer[name]), chosen_by_fold, columns, tuple(weights), predicted)


def fits_of(
    rows: LabelledRows, used: Bool[np.ndarray, " n"], candidates: Mapping[str, Candidate]
) -> Iterator[tuple[str, FittedCandidate]]:
    """Fit candidates to some rows one after the other, from shared decompositions."""
    training, target = rows.training(used)
    for name, one in candidates.items():
        yield name, FittedCandidate(one, one.fit(training, target))


def predict(rows: LabelledRows, held: Bool[np.ndarray, " n"], fit: FittedCandidate) -> Float64[np.ndarray, "m t"]:
    """Predict held-out rows, in the columns of all rows' classes."""
    found = fit.columns(rows.features[held], rows.lonlat[held])
    known = fit.probe.target_
    if rows.target.kind == "regression":
        return found
    columns = np.full((len(found), len(rows.target.classes)), -np.inf)
    columns[:, np.searchsorted(rows.target.classes, known.classes)] = found
    return columns


def loss(rows: LabelledRows, fold: int, columns: Float[np.ndarray, "m t"]) -> float:
    """Return the sum of squared errors, or the number of wrong classes, of a fold's rows."""
    true = rows.target.rows(rows.folds == fold)
    if rows.target.kind == "regression":
        return float(((columns[:, 0] - true.values) ** 2).sum())
    return float((rows.target.from_columns(columns) != true.values).sum())


def outcome(rows: LabelledRows, task: str, encoder: str, predicted: Shaped[np.ndarray, " n"]) -> Outcome:
    """Return the result of predictions for all rows as the benchmark keeps it, for scores, intervals and verdicts."""
    metric = METRICS[rows.target.kind]
    blocks, sums = block_sums(metric, rows.target.values, predicted, rows.blocks)
    value = float(score_of_sums(metric, sums.sum(axis=0)))
    split, count = f"blocks-{rows.block_km:g}km", len(rows.folds)
    return Outcome(task, encoder, PROBE, split, count, 0, "", metric, value, "", blocks, sums)
