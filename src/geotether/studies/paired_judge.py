"""Repeats of an experiment on paired sensors, and scores of models on their test rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geotether.predict import PairedModel
from geotether.probes.coherence import coherence, overlapping_rows
from geotether.probes.sample_probe import fit_sample_probe
from geotether.probes.scores import paired_scores
from geotether.tables.modality import Modality
from geotether.tables.splits import assign_folds
from geotether.tables.table import Table
from geotether.tables.target import TargetEncoding
from geotether.training.config import PairedConfig
from geotether.training.paired_method import labelled_rows

DIRECT, PROBED, TUNED, EMBEDDING = "direct", "linear probe", "fine-tuned", "embedding"
Predict = Callable[[Table], np.ndarray]


@dataclass(frozen=True)
class PairedOutcome:
    """One score of a method on paired sensors.

    Attributes:
        source: The sensor that predicted, or all of them joined by "+".
        how: "direct" (the method's own head), "linear probe" or "fine-tuned".
        labels: Share of the training labels that were used.
        repeat, unit: Fold or seed; as for `Repeat`.
        rows: The test rows: "all" or "overlapping".
    """

    method: str
    source: str
    how: str
    labels: float
    repeat: int
    measure: str
    value: float
    rows: str = "all"
    unit: int | None = None


@dataclass(frozen=True)
class Repeat:
    """One repeat of an experiment: a fold or a seed.

    Attributes:
        number: From 0.
        seed: Of everything random in it.
        table: With a split; test rows are used once, at the end, and no validation row is among them.
        unit: Repeats of the same unit have the same test rows and are averaged before any interval; None: this repeat
            is a unit of its own.
    """

    number: int
    seed: int
    table: Table
    unit: int | None = None


def fold_repeats(table: Table, folds: int, seed: int = 0, times: int = 1) -> list[Repeat]:
    """Make one repeat per fold: the fold is the test rows, the next fold validates, the others train.

    Args:
        table: Groups, if it has any, stay in one fold. Rows whose split is "buffer" are left out.
        folds: 3 or more.
        seed: Of the folds, and of the first repeat.
        times: Repeats of every fold, each with another seed; a fold is their unit.

    Raises:
        ValueError: If there are fewer than three folds, fewer groups than folds, or `times` is below 1.
    """
    if times < 1:
        raise ValueError(f"times must be 1 or more, got {times}.")
    if folds < 3:
        raise ValueError(f"folds must be 3 or more (training, validation and test differ), got {folds}.")
    fold = assign_folds(table.group, len(table), folds, seed)
    repeats = []
    for number in range(folds):
        split = np.full(len(table), "train", dtype="<U10")
        split[fold == number] = "test"
        split[fold == (number + 1) % folds] = "validation"
        if table.split is not None:
            split[table.split == "buffer"] = "buffer"
        repeats.append(Repeat(number, seed + number, replace(table, split=split), number))
    # All folds once before any is repeated, so that an interrupted comparison has complete rounds.
    later = range(folds, times * folds)
    return repeats + [Repeat(at, seed + at, repeats[at % folds].table, at % folds) for at in later]


def without_test_rows(table: Table) -> Table:
    """Drop the test rows of a table that has some, so that settings can be chosen on folds of the other rows."""
    if table.split is None or not (table.split == "test").any():
        raise ValueError(f"{table.name} has no split with test rows to set aside; give it one (`split:`).")
    return table.rows(np.flatnonzero(table.split != "test"))


def seed_repeats(table: Table, seeds: int, first: int = 0) -> list[Repeat]:
    """Make one repeat per seed on the table's own split.

    Raises:
        ValueError: If the table has no split with test rows, or there are fewer than two seeds.
    """
    if table.split is None or not {"train", "test"} <= set(table.split.tolist()):
        raise ValueError(f"{table.name} has no split with train and test rows; judge by folds instead (folds=5).")
    if seeds < 2:
        raise ValueError(f"An interval needs two seeds or more, got {seeds}.")
    return [Repeat(number, first + number, table) for number in range(seeds)]


@dataclass(frozen=True)
class Judge:
    """Score predictions of a method on the test rows of one run."""

    method: str
    repeat: Repeat
    config: PairedConfig
    answer: TargetEncoding

    def outcome(self, sources: Sequence[str], how: str, measure: str, value: float, rows: str = "all") -> PairedOutcome:
        """Make the outcome of one score."""
        share, repeat = self.config.labels, self.repeat
        source = "+".join(sources)
        return PairedOutcome(self.method, source, how, share, repeat.number, measure, float(value), rows, repeat.unit)

    def scored(self, sources: Sequence[str], how: str, predict: Predict) -> list[PairedOutcome]:
        """Score predictions on all test rows, and on those whose label sets overlap most."""
        test, training = self.known("test", sources), self.repeat.table.part("train").target(self.answer.target)
        truth, scores = test.target(self.answer.target).values, predict(test)
        watched = None
        if self.answer.kind == "labels" and self.has("validation"):
            rows = self.known("validation", sources)
            watched = rows.target(self.answer.target).values, predict(rows)
        several = self.answer.kind == "labels" and (training.values[training.known].sum(axis=1) > 1).any()
        some = overlapping_rows(truth, training.values[training.known]) if several else None
        found = []
        for name, chosen in (("all", np.ones(len(truth), dtype=bool)), ("overlapping", some)):
            if chosen is not None and chosen.any():
                each = paired_scores(self.answer.kind, truth[chosen], scores[chosen], watched)
                found += [self.outcome(sources, how, *item, name) for item in each.items()]
        return found

    def probed(self, sources: Sequence[str], how: str, features: Predict) -> list[PairedOutcome]:
        """Score a linear probe on features; its strength is chosen on validation rows."""
        parts = [self._labelled(sources), self.known("validation", sources) if self.has("validation") else None]
        pairs = [None if rows is None else (features(rows), rows.target(self.answer.target).values) for rows in parts]
        assert pairs[0] is not None
        probe = fit_sample_probe(self.answer.kind, pairs[0], pairs[1], self.answer.num_outputs)
        return self.scored(sources, how, lambda rows: probe(features(rows)))

    def has(self, split: str) -> bool:
        """Return whether there are rows of a split."""
        return bool(np.any(self.repeat.table.split == split))

    def known(self, split: str, sources: Sequence[str]) -> Table:
        """Return the rows of a split that have the sensors and a known target."""
        table = self.repeat.table
        there = np.stack([table.modality(name).present for name in sources]).all(0)
        return table.rows((table.split == split) & there & table.target(self.answer.target).known)

    def _labelled(self, sources: Sequence[str]) -> Table:
        """Return the training rows that have the sensors and whose labels may be used."""
        table, training = self.repeat.table, self.repeat.table.numbers("train")
        target = table.target(self.answer.target).rows(training)
        drawn = training[labelled_rows(target, self.config.labels, self.config.seed)]
        there = np.stack([table.modality(name).present[drawn] for name in sources]).all(0)
        return table.rows(drawn[there])


def judge_model(
    method: str, model: PairedModel, repeat: Repeat, config: PairedConfig, how: str = DIRECT
) -> list[PairedOutcome]:
    """Score a model's own predictions on the test rows: from each sensor that it predicts from, or from all."""
    assert model.answer is not None
    judge = Judge(method, repeat, config, model.answer)
    found: list[PairedOutcome] = []
    singles: list[tuple[str, ...]] = [(name,) for name in model.predicts_from]
    for sources in singles or [model.modalities]:

        def predict(rows: Table, names: Sequence[str] = sources) -> np.ndarray:
            values = {name: rows.modality(name).values for name in names}
            alone = bool(model.predicts_from)
            return (model.predict(names[0], values[names[0]]) if alone else model.predict_fused(values)).scores

        found += judge.scored(sources, how, predict)
    return found


def judge_embedding(
    method: str, model: PairedModel, repeat: Repeat, config: PairedConfig, modalities: Sequence[str]
) -> list[PairedOutcome]:
    """Score linear probes of an embedding, from each sensor and all joined, and how it clusters by label set."""
    judge = Judge(method, repeat, config, _answer(repeat, config))
    found: list[PairedOutcome] = []
    embed = remembered(lambda name, rows: model.embed(name, rows.modality(name).values))
    for sources in _sources(modalities):

        def features(rows: Table, names: Sequence[str] = sources) -> np.ndarray:
            return np.concatenate([embed(name, rows) for name in names], axis=1)

        found += judge.probed(sources, PROBED, features)
        if judge.answer.kind != "numbers":
            test = judge.known("test", sources)
            order = coherence(features(test), label_sets(judge.answer, test), seed=config.seed)
            for measure, value in (("silhouette", order.silhouette), ("NMI", order.nmi), ("AMI", order.ami)):
                found.append(judge.outcome(sources, EMBEDDING, measure, value))
    return found


def judge_linear(method: str, repeat: Repeat, config: PairedConfig, modalities: Sequence[str]) -> list[PairedOutcome]:
    """Score a linear model of the sensors' values, without a network."""
    judge = Judge(method, repeat, config, _answer(repeat, config))
    found: list[PairedOutcome] = []
    plain = remembered(lambda name, rows: plain_features(rows.modality(name)))
    for sources in _sources(modalities):

        def features(rows: Table, names: Sequence[str] = sources) -> np.ndarray:
            return np.concatenate([plain(name, rows) for name in names], axis=1)

        found += judge.probed(sources, DIRECT, features)
    return found


def remembered(compute: Callable[[str, Table], np.ndarray]) -> Callable[[str, Table], np.ndarray]:
    """Cache the features of a sensor by the ids of the rows."""
    known: dict[tuple[str, ...], np.ndarray] = {}

    def compute_once(name: str, rows: Table) -> np.ndarray:
        key = (name, *rows.id)
        if key not in known:
            known[key] = compute(name, rows)
        return known[key]

    return compute_once


def plain_features(sensor: Modality) -> np.ndarray:
    """Return a sensor's values as one vector per row.

    Vectors and series are flattened; chips become the mean, standard deviation and quartiles of every band.
    """
    values = np.asarray(sensor.values, dtype=np.float32)
    if sensor.kind != "chip":
        return values.reshape(len(values), -1)
    pixels = values.reshape(*values.shape[:2], -1)
    gaps = np.isnan(pixels).any()  # the variants that skip NaN are much slower
    quartiles = (np.nanquantile if gaps else np.quantile)(pixels, (0.25, 0.5, 0.75), axis=2)
    return np.concatenate([np.nanmean(pixels, axis=2), np.nanstd(pixels, axis=2), *quartiles], axis=1)


def label_sets(answer: TargetEncoding, rows: Table) -> np.ndarray:
    """Return the labels of rows as 0 and 1; a class is a set with one label."""
    values = rows.target(answer.target).values
    return values if answer.kind == "labels" else np.eye(answer.num_outputs)[values.astype(int)]


def _answer(repeat: Repeat, config: PairedConfig) -> TargetEncoding:
    assert config.target is not None
    table = repeat.table
    return TargetEncoding.fit(config.target, table.target(config.target), np.flatnonzero(table.split == "train"))


def _sources(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Return each sensor alone, and all together."""
    alone: list[tuple[str, ...]] = [(name,) for name in modalities]
    return [*alone, tuple(modalities)] if len(modalities) > 1 else alone
