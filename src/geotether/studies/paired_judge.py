"""Judging models of paired sensors on test rows: their own answers, linear probes, and the order in an embedding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from geotether.predict import PairedModel
from geotether.probes.coherence import coherence, overlapping_rows
from geotether.probes.paired_scores import paired_scores
from geotether.probes.sample_probe import fit_sample_probe
from geotether.studies.paired_repeats import Repeat
from geotether.studies.paired_standings import PairedOutcome
from geotether.tables.modality import Modality
from geotether.tables.table import Table
from geotether.tables.target import TargetEncoding
from geotether.training.paired_config import PairedConfig
from geotether.training.paired_method import labelled_rows

DIRECT, PROBED, TUNED, EMBEDDING = "direct", "linear probe", "fine-tuned", "embedding"
Predict = Callable[[Table], np.ndarray]


@dataclass(frozen=True)
class Judge:
    """Scores on the test rows of one run.

    Args:
        method: Name in the outcomes.
        repeat: With the rows.
        config: Of the run.
        answer: What is predicted.
    """

    method: str
    repeat: Repeat
    config: PairedConfig
    answer: TargetEncoding

    def outcome(self, sources: Sequence[str], how: str, measure: str, value: float, rows: str = "all") -> PairedOutcome:
        """One score."""
        share, repeat = self.config.labels, self.repeat
        source = "+".join(sources)
        return PairedOutcome(self.method, source, how, share, repeat.number, measure, float(value), rows, repeat.unit)

    def scored(self, sources: Sequence[str], how: str, predict: Predict) -> list[PairedOutcome]:
        """Scores of predictions, on all test rows and on those whose label sets overlap most."""
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
        """Scores of a linear probe on features, whose strength is chosen on validation rows."""
        parts = [self._labelled(sources), self.known("validation", sources) if self.has("validation") else None]
        pairs = [None if rows is None else (features(rows), rows.target(self.answer.target).values) for rows in parts]
        assert pairs[0] is not None
        probe = fit_sample_probe(self.answer.kind, pairs[0], pairs[1], self.answer.num_outputs)
        return self.scored(sources, how, lambda rows: probe(features(rows)))

    def has(self, split: str) -> bool:
        """Whether there are rows of a split."""
        return bool(np.any(self.repeat.table.split == split))

    def known(self, split: str, sources: Sequence[str]) -> Table:
        """Rows of a split that have the sensors and a known target."""
        table = self.repeat.table
        there = np.stack([table.modality(name).present for name in sources]).all(0)
        return table.rows((table.split == split) & there & table.target(self.answer.target).known)

    def _labelled(self, sources: Sequence[str]) -> Table:
        """Training rows that have the sensors and whose labels may be looked at."""
        table, training = self.repeat.table, self.repeat.table.numbers("train")
        target = table.target(self.answer.target).rows(training)
        drawn = training[labelled_rows(target, self.config.labels, self.config.seed)]
        there = np.stack([table.modality(name).present[drawn] for name in sources]).all(0)
        return table.rows(drawn[there])


def judge_model(
    method: str, model: PairedModel, repeat: Repeat, config: PairedConfig, how: str = DIRECT
) -> list[PairedOutcome]:
    """Score a model's own answers on the test rows: from each sensor it can predict from, or from all."""
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
    """Probe an embedding linearly, from each sensor and from all joined, and measure how label sets lie in it."""
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
    """Score a linear model of what the sensors saw, plainly: no network at all."""
    judge = Judge(method, repeat, config, _answer(repeat, config))
    found: list[PairedOutcome] = []
    plain = remembered(lambda name, rows: plain_features(rows.modality(name)))
    for sources in _sources(modalities):

        def features(rows: Table, names: Sequence[str] = sources) -> np.ndarray:
            return np.concatenate([plain(name, rows) for name in names], axis=1)

        found += judge.probed(sources, DIRECT, features)
    return found


def remembered(compute: Callable[[str, Table], np.ndarray]) -> Callable[[str, Table], np.ndarray]:
    """Compute the features of a sensor once for the same rows, which are told by their ids."""
    known: dict[tuple[str, bytes], np.ndarray] = {}

    def compute_once(name: str, rows: Table) -> np.ndarray:
        key = (name, rows.id.tobytes())
        if key not in known:
            known[key] = compute(name, rows)
        return known[key]

    return compute_once


def plain_features(sensor: Modality) -> np.ndarray:
    """What a sensor saw as one row of numbers.

    Vectors and series are taken as they are; of chips the mean, standard deviation and quartiles of every band.
    """
    values = np.asarray(sensor.values, dtype=np.float32)
    if sensor.kind != "chip":
        return values.reshape(len(values), -1)
    pixels = values.reshape(*values.shape[:2], -1)
    gaps = np.isnan(pixels).any()  # without any, half a second becomes hundredths
    quartiles = (np.nanquantile if gaps else np.quantile)(pixels, (0.25, 0.5, 0.75), axis=2)
    return np.concatenate([np.nanmean(pixels, axis=2), np.nanstd(pixels, axis=2), *quartiles], axis=1)


def label_sets(answer: TargetEncoding, rows: Table) -> np.ndarray:
    """Labels of rows as 0 and 1; a class is a set of one."""
    values = rows.target(answer.target).values
    return values if answer.kind == "labels" else np.eye(answer.num_outputs)[values.astype(int)]


def _answer(repeat: Repeat, config: PairedConfig) -> TargetEncoding:
    assert config.target is not None
    table = repeat.table
    return TargetEncoding.fit(config.target, table.target(config.target), np.flatnonzero(table.split == "train"))


def _sources(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Each sensor alone, and all together."""
    alone: list[tuple[str, ...]] = [(name,) for name in modalities]
    return [*alone, tuple(modalities)] if len(modalities) > 1 else alone
