"""Judging models of paired sensors on test rows: their own answers, linear probes, and the order in an embedding."""

from collections.abc import Sequence

import numpy as np

from geotether.predict import PairedModel
from geotether.probes.coherence import coherence_scores, overlapping_rows
from geotether.probes.paired_scores import paired_scores
from geotether.probes.sample_probe import linear_scores
from geotether.studies.paired_repeats import Repeat
from geotether.studies.paired_standings import PairedOutcome
from geotether.tables.answer import AnswerKind, answer_kind
from geotether.tables.paired import PairedTable
from geotether.tables.sensor import Sensor
from geotether.training.labelled import labelled_rows
from geotether.training.paired_config import PairedConfig

DIRECT, PROBED, TUNED = "direct", "linear probe", "fine-tuned"


def judge_model(
    method: str, model: PairedModel, repeat: Repeat, config: PairedConfig, how: str = DIRECT
) -> list[PairedOutcome]:
    """Score a model's own answers on the test rows: from each sensor it can predict from, or from all.

    Args:
        method: Name in the outcomes.
        model: With a head.
        repeat: With the rows.
        config: Of the run.
        how: How the answers came about.
    """
    assert model.answer is not None
    found: list[PairedOutcome] = []
    for sources in [(name,) for name in model.predicts_from] or [model.modalities]:
        test = _known(repeat.table, "test", sources, model.answer)
        values = {name: test.sensor(name).values for name in sources}
        said = model.predict(sources[0], values[sources[0]]) if model.predicts_from else model.predict_fused(values)
        found += _scored(method, sources, how, config, repeat, model.answer, test, said.scores)
    return found


def judge_embedding(
    method: str, model: PairedModel, repeat: Repeat, config: PairedConfig, modalities: Sequence[str]
) -> list[PairedOutcome]:
    """Probe an embedding linearly, from each sensor and from all joined, and measure how label sets lie in it.

    The probe looks at the same share of labels as the training did; its strength is chosen on validation rows.
    """
    answer, training, rows = _training(repeat, config)
    found: list[PairedOutcome] = []
    for sources in _sources(modalities):
        parts = {}
        for split, part in (("train", training.rows(rows)), *_others(repeat.table, sources, answer)):
            part = part.rows(_present(part, sources)) if split == "train" else part
            embedded = [model.embed(name, part.sensor(name).values) for name in sources]
            parts[split] = (np.concatenate(embedded, axis=1), part)
        found += _probed(method, sources, config, repeat, answer, parts)
        if answer.kind != "numbers":
            embedding, test = parts["test"]
            scores = coherence_scores(embedding, _label_sets(answer, test), seed=config.seed)
            found += [_outcome(method, sources, "embedding", config, repeat, *item) for item in scores.items()]
    return found


def judge_linear(
    method: str, repeat: Repeat, config: PairedConfig, modalities: Sequence[str]
) -> list[PairedOutcome]:
    """Score a linear model of what the sensors saw, plainly: no network at all."""
    answer, training, rows = _training(repeat, config)
    found: list[PairedOutcome] = []
    for sources in _sources(modalities):
        parts = {}
        for split, part in (("train", training.rows(rows)), *_others(repeat.table, sources, answer)):
            part = part.rows(_present(part, sources)) if split == "train" else part
            parts[split] = (np.concatenate([plain_features(part.sensor(name)) for name in sources], axis=1), part)
        found += _probed(method, sources, config, repeat, answer, parts, DIRECT)
    return found


def plain_features(sensor: Sensor) -> np.ndarray:
    """What a sensor saw as one row of numbers: vectors and series as they are; of chips the mean, the standard
    deviation and the quartiles of every band."""
    values = np.asarray(sensor.values, dtype=np.float32)
    if sensor.kind != "chip":
        return values.reshape(len(values), -1)
    pixels = values.reshape(*values.shape[:2], -1)
    quartiles = np.nanquantile(pixels, (0.25, 0.5, 0.75), axis=2)
    return np.concatenate([np.nanmean(pixels, axis=2), np.nanstd(pixels, axis=2), *quartiles], axis=1)


def _training(repeat: Repeat, config: PairedConfig) -> tuple[AnswerKind, PairedTable, np.ndarray]:
    """What is learned, the training rows, and those whose labels may be looked at."""
    assert config.target is not None
    table = repeat.table
    rows = np.flatnonzero(table.split == "train")
    answer = answer_kind(config.target, table.target(config.target), rows)
    training = table.part("train")
    return answer, training, labelled_rows(training, config.target, config.labels, config.seed)


def _probed(method, sources, config, repeat, answer, parts, how=PROBED):  # type: ignore[no-untyped-def]
    def pair(split):  # type: ignore[no-untyped-def]
        features, rows = parts[split]
        return features, rows.target(answer.target).values

    validation = pair("validation") if "validation" in parts else None
    scores = linear_scores(answer.kind, pair("train"), validation, parts["test"][0], answer.num_outputs)
    return _scored(method, sources, how, config, repeat, answer, parts["test"][1], scores)


def _scored(method, sources, how, config, repeat, answer, test, scores):  # type: ignore[no-untyped-def]
    truth = test.target(answer.target).values
    found = [
        _outcome(method, sources, how, config, repeat, *item)
        for item in paired_scores(answer.kind, truth, scores).items()
    ]
    if answer.kind == "labels":
        training = repeat.table.part("train").target(answer.target)
        rows = overlapping_rows(truth, training.values[training.known])
        if rows.any():
            some = paired_scores(answer.kind, truth[rows], scores[rows])
            found += [_outcome(method, sources, how, config, repeat, *item, "overlapping") for item in some.items()]
    return found


def _outcome(method, sources, how, config, repeat, measure, value, rows="all"):  # type: ignore[no-untyped-def]
    return PairedOutcome(method, "+".join(sources), how, config.labels, repeat.number, measure, float(value), rows)


def _sources(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Each sensor alone, and all together."""
    return [(name,) for name in modalities] + ([tuple(modalities)] if len(modalities) > 1 else [])


def _others(table: PairedTable, sources: Sequence[str], answer: AnswerKind) -> list[tuple[str, PairedTable]]:
    splits = [split for split in ("validation", "test") if (table.split == split).any()]
    return [(split, _known(table, split, sources, answer)) for split in splits]


def _known(table: PairedTable, split: str, sources: Sequence[str], answer: AnswerKind) -> PairedTable:
    """Rows of a split that have the sensors and a known target."""
    part = table.rows(np.flatnonzero(table.split == split))
    rows = _present(part, sources)
    return part.rows(rows[part.target(answer.target).known[rows]])


def _present(table: PairedTable, sources: Sequence[str]) -> np.ndarray:
    return np.flatnonzero(np.stack([table.sensor(name).present for name in sources]).all(0))


def _label_sets(answer: AnswerKind, table: PairedTable) -> np.ndarray:
    values = table.target(answer.target).values
    return values if answer.kind == "labels" else np.eye(answer.num_outputs)[values.astype(int)]
