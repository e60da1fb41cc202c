"""Regional models: adapt an encoder to a region, and measure what was gained inside and lost outside."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from geotether.benchmark.bootstrap import score
from geotether.benchmark.outcome import Outcome, block_sums, score_of_sums
from geotether.benchmark.plan import draw_rows
from geotether.benchmark.planet import planet_tasks
from geotether.benchmark.run import evaluate
from geotether.benchmark.score_table import collect, markdown_rows
from geotether.benchmark.splitting import Parting
from geotether.benchmark.verdict import difference, in_words
from geotether.encoder import Encoder
from geotether.encoders.heads import FeatureDecoder
from geotether.files.disk import replacing_file, writing
from geotether.geodesy.blocks import block_id
from geotether.geodesy.distance import nearest_km
from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import fit_ridges, predict_ridges
from geotether.probes.scores import Score
from geotether.probes.spatial_cv import block_folds
from geotether.probes.target import ProbeTarget
from geotether.sources.planet import read_land_places
from geotether.tasks.task import METRICS, Task
from geotether.training.adaptation import AdaptMethod
from geotether.training.config import RunConfig, load_config
from geotether.training.loop import train
from geotether.training.metrics import FILE_NAME, read_metrics
from geotether.training.pretraining import location_method
from geotether.training.state import MODEL_FOLDER, FinishedRunError

OLD, NEW = "old", "adapted"
REPORT = "adapt.json"
# Components of a modality's features that vectors should predict.
COMPONENTS = 16
# Edges of the distances from the region by which places outside are grouped, in kilometres.
DISTANCES_KM = (0.0, 100.0, 300.0, 1000.0, 3000.0, math.inf)
# Fewest judged rows that say something.
_FEWEST_ROWS = 20
# Labels of a probe where few are known, and draws of them.
FEW_LABELS, _SEEDS = 300, 5
_OUTER_FOLDS, _INNER_FOLDS = 5, 20


@dataclass(frozen=True, eq=False)
class Adaptation:
    """An adapted encoder, and what changed.

    Attributes:
        encoder: The adapted encoder.
        region: Name of the region.
        inside: Scores of both encoders in held-out blocks of the region: of each modality, and of labels.
        outside: Scores of both on the demo planet's tasks outside the region.
        similarity: One row per range of distances from the region: `from_km`, `to_km`, `places`, and the cosine
            similarity of old and new vectors, `median` and `low` (the 5 % quantile); the first row is the inside.
        retrieval: What validation measured before the encoder learned and at the end, by modality.
        notes: What could not be measured, in sentences.
    """

    encoder: Encoder
    region: str
    inside: Sequence[Outcome]
    outside: Sequence[Outcome]
    similarity: Sequence[Mapping[str, float]]
    retrieval: Mapping[str, Mapping[str, float]]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        """Return the report as Markdown."""
        parts = [self.verdict]
        if self.inside:
            parts.append(f"In held-out blocks of {self.region}, ridge probe [95 % interval over blocks]:")
            parts.append(_score_table(self.inside))
        if self.retrieval:
            rows = [
                [
                    name,
                    *(f"{found[key]:.3f}" for key in ("recall_before", "recall_after", "error_before", "error_after")),
                ]
                for name, found in self.retrieval.items()
            ]
            heads = ["recall@10 before", "after", "regression error before", "after"]
            parts.append("Validation rows, before the encoder learned (heads alone) and at the end:")
            parts.append(markdown_rows(["modality"], heads, rows))
        parts.append("Cosine similarity of old and new vectors, by distance from the region:")
        rows = [
            [_range(row), f"{row['places']:,}", f"{row['median']:.4f}", f"{row['low']:.4f}"] for row in self.similarity
        ]
        parts.append(markdown_rows(["distance"], ["places", "median", "5 % quantile"], rows))
        if self.outside:
            parts.append("Outside the region, the demo planet's tasks [95 % interval over blocks of 1000 km]:")
            parts.append(_score_table(self.outside))
        return "\n\n".join([*parts, *self.notes])

    @property
    def verdict(self) -> str:
        """Whether something was gained inside, and lost outside, in one sentence each."""
        gained = [f"{name}: {in_words('the adapted model', 'the old one', found)}" for name, found in self._changes(1)]
        lost = [f"{name} (by {-100 * found.mean:.1f} points)" for name, found in self._changes(0) if found.high < 0]
        lost_said = f"clearly worse on {', '.join(lost)}" if lost else "not clearly worse on any task"
        inside = "; ".join(gained) or "nothing could be measured"
        return f"Inside {self.region}: {inside}. Outside: {lost_said}."

    def _changes(self, inside: bool | int) -> list[tuple[str, Score]]:
        outcomes = collect(self.inside if inside else self.outside)
        names = dict.fromkeys(task for task, *_ in outcomes)
        by_name = {(task, encoder): found for (task, encoder, *_), found in outcomes.items()}
        return [(name, difference(by_name[name, NEW], by_name[name, OLD])) for name in names]

    def numbers(self) -> dict[str, Any]:
        """Return all numbers as plain values, NaN as None."""
        found: dict[str, Any] = {"region": self.region, "verdict": self.verdict}
        for where, outcomes in (("inside", self.inside), ("outside", self.outside)):
            scores = {(task, encoder): score(own) for (task, encoder, *_), own in collect(outcomes).items()}
            found[where] = {
                name: {
                    "metric": next(one.metric for one in outcomes if one.task == name),
                    OLD: _plain(scores[name, OLD]),
                    NEW: _plain(scores[name, NEW]),
                    "difference": _plain(changed),
                }
                for name, changed in self._changes(where == "inside")
            }
        rows = [{key: None if math.isinf(value) else value for key, value in row.items()} for row in self.similarity]
        return {**found, "similarity": rows, "retrieval": self.retrieval, "notes": list(self.notes)}


def adapt(
    model: str | Path,
    tables: Mapping[str, Any] | None = None,
    region: str | Path | Sequence[float] | None = None,
    *,
    config: Any = None,
    labels: Sequence[Task] = (),
    out: str | Path | None = None,
    resume: bool = False,
    fresh: bool = False,
    progress: str = "auto",
    **settings: Any,
) -> Adaptation:
    """Adapt a copy of an encoder to a region by the user's own modalities, and judge it on held-out blocks.

    Args:
        model: The encoder to start from: its folder or its name, such as "world".
        tables: Modality to its feature table, as for `pretrain`; rows outside the region are left out. None: those that
            the configuration names.
        region: Name of a country or continent, file of polygons, or west, south, east, north in degrees; None: that of
            the configuration.
        config: A YAML file with `tables`, and `context` for rasters in the region; or a configuration from
            `load_config(recipe="adapt")`, which says model and region itself.
        labels: Tasks with labels in the region, on which probes of both encoders are compared; their splits are not
            used.
        out: Folder of the run, as for `pretrain`, and of `adapt.json`.
        resume: As for `pretrain`.
        fresh: As for `pretrain`.
        progress: As for `pretrain`.
        settings: Anything of the configuration, such as `steps=200` or `context={"rasters": {...}}`.

    Returns:
        The adapted encoder and what changed; its text is a report in Markdown.

    Raises:
        ValueError: If the region is unknown or the whole Earth, a table or label has no rows in it, a raster does not
            cover it, or as in `pretrain`.
        FinishedRunError, FileExistsError, BlockingIOError, RunInterrupted: As in `pretrain`.
    """
    if not isinstance(config, RunConfig):
        config = load_config(config, [start_of(model, region), *([settings] if settings else [])], "adapt")
    if config.adapt is None:
        raise ValueError("The configuration has no section adapt; make one by load_config(recipe='adapt').")
    with nullcontext() if out is None else writing(out, folder=True):
        method = location_method(tables, config)
        assert isinstance(method, AdaptMethod)
        tasks = [_task_inside(task, method) for task in labels]  # before hours of training
        encoder = _trained(method, out, resume, fresh, progress)
        if out is not None:
            (Path(out) / REPORT).unlink(missing_ok=True)  # of an earlier run
        found = judge(method, encoder, tasks)
        if out is not None:
            before, heading, made = encoder.card.partition("## How it was made")
            encoder.card = f"{before.partition('## What changed')[0]}## What changed\n\n{found}\n\n{heading}{made}"
            encoder.save(Path(out) / MODEL_FOLDER)
            with replacing_file(Path(out) / REPORT) as part:
                part.write_text(json.dumps(found.numbers(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return found


def _trained(method: AdaptMethod, out: str | Path | None, resume: bool, fresh: bool, progress: str) -> Encoder:
    """Train, or load the model of a finished run that was stopped before its report was written."""
    try:
        encoder = train(method, out, resume=resume, fresh=fresh, progress=progress)
    except FinishedRunError:
        if out is None or (Path(out) / REPORT).exists():
            raise
        encoder = Encoder.load(Path(out) / MODEL_FOLDER)
        encoder.history = read_metrics(Path(out) / FILE_NAME)
    assert isinstance(encoder, Encoder)
    return encoder


def start_of(model: str | Path, region: str | Path | Sequence[float] | None) -> dict[str, Any]:
    """Return the settings that say which model is adapted and where; files become absolute, names stay names."""
    where = region if region is None or isinstance(region, str | Path) else " ".join(map(str, region))
    given = {"model": model, "region": where}
    absolute = {
        key: Path(one).absolute() if Path(one).exists() else one for key, one in given.items() if one is not None
    }
    return {"adapt": {key: str(one) for key, one in absolute.items()}}


def judge(method: AdaptMethod, encoder: Encoder, labels: Sequence[Task] = ()) -> Adaptation:
    """Compare an adapted encoder with the one it started from.

    Args:
        method: The method that adapted it.
        encoder: The adapted encoder.
        labels: Tasks whose rows lie in the region.
    """
    encoders = {OLD: method.base, NEW: encoder}
    inside, notes = [], []
    for name, columns, kind, lonlat, split in _questions(method, labels):
        draws = _draws(name, lonlat, split, method.block_km, name in method.tables)
        if not draws:
            held = int((split != "train").sum())
            notes.append(f"{name}: {held} of {len(split)} rows are held out, too few to judge, or in too few blocks.")
        for called, one in encoders.items() if draws else ():
            vectors = one.encode(lonlat).astype(np.float64)
            for title, seed, parts in draws:
                answered = _answers(vectors, columns, kind, lonlat, parts, method.block_km)
                inside.append(_outcome(title, seed, called, columns, answered, kind, lonlat, parts, method.block_km))
    return Adaptation(
        encoder,
        method.region.name,
        inside,
        _outside_scores(method, encoders),
        similarities(method, encoder),
        _retrieval(encoder, method),
        notes,
    )


def similarities(method: AdaptMethod, encoder: Encoder) -> list[dict[str, float]]:
    """Compare old and new vectors at places on land, inside the region and by distance outside."""
    places = read_land_places()
    distance = np.where(method.region.contains(places), -1.0, nearest_km(places, method.border))
    old, new = (one.encode(places) for one in (method.base, encoder))
    lengths = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
    cosine = (old * new).sum(1) / np.maximum(lengths, np.finfo(np.float32).tiny)
    edges = (-math.inf, *DISTANCES_KM)
    rows = []
    for low, high in pairwise(edges):
        there = (distance >= low) & (distance < high)
        if there.any():
            median, least = np.quantile(cosine[there], [0.5, 0.05]).tolist()
            rows.append({"from_km": low, "to_km": high, "places": int(there.sum()), "median": median, "low": least})
    return rows


def _questions(
    method: AdaptMethod, labels: Sequence[Task]
) -> Iterator[tuple[str, list[np.ndarray], str, np.ndarray, np.ndarray]]:
    """Yield what probes should answer in the region: name, columns, kind, places and split."""
    for name, table in method.tables.items():
        decoder = FeatureDecoder.of(table.features[table.split == "train"], COMPONENTS)
        targets = decoder.targets(torch.tensor(np.asarray(table.features))).numpy().astype(np.float64)
        yield name, list(targets.T), "regression", table.lonlat, np.asarray(table.split)
    for task in labels:
        yield task.name, [task.values], task.kind, task.lonlat, method.parts_of(task.lonlat)


def _draws(
    name: str, lonlat: np.ndarray, split: np.ndarray, block_km: float, is_modality: bool
) -> list[tuple[str, int, list[Parting]]]:
    """Return the rows on which probes are fitted and judged, with a title and a seed; none if there are too few.

    Vectors of training rows of a modality were fitted to these very rows, so a probe that learned from them would be
    misled: it learns from other held-out blocks. Labels were not used, so their probes learn from all rows in the
    training blocks and, since few labels are usual, from draws of 300 of them.
    """
    held, train = np.flatnonzero(np.isin(split, ("validation", "test"))), np.flatnonzero(split == "train")
    if is_modality:
        folds = block_folds(lonlat[held], _OUTER_FOLDS, block_km, 0) if len(held) else np.zeros(0, dtype=int)
        parts = [Parting(held[folds != fold], held[folds == fold]) for fold in range(int(folds.max(initial=0)) + 1)]
        draws = [(name, 0, parts)]
    else:
        draws = [(f"{name}, {len(train):,} labels", 0, [Parting(train, held)])]
        if len(train) > FEW_LABELS:
            few = f"{name}, {FEW_LABELS} labels"
            draws += [(few, seed, [Parting(draw_rows(train, FEW_LABELS, seed), held)]) for seed in range(_SEEDS)]
    fewest = min(min(len(part.train) for part in draws[0][2]), len(held))
    return draws if fewest >= _FEWEST_ROWS else []


def _answers(
    vectors: Float[np.ndarray, "n d"],
    columns: Sequence[np.ndarray],
    kind: str,
    lonlat: np.ndarray,
    parts: Sequence[Parting],
    block_km: float,
) -> list[np.ndarray]:
    """Return what ridge probes predict of each column, for the judged rows of all parts in order."""
    found: list[list[np.ndarray]] = [[] for _ in columns]
    for part in parts:
        folds = block_folds(lonlat[part.train], _INNER_FOLDS, block_km, 0)
        folds = folds if folds.max() > 0 else np.arange(len(folds))  # one block: rows by themselves
        targets = [ProbeTarget(kind, column[part.train]) for column in columns]
        probes = fit_ridges(RidgeDecomposition(vectors[part.train]), targets, folds)
        for values, predicted in zip(found, predict_ridges(probes, vectors[part.judged]), strict=True):
            values.append(predicted)
    return [np.concatenate(values) for values in found]


def _outcome(
    name: str,
    seed: int,
    encoder: str,
    columns: Sequence[np.ndarray],
    answered: Sequence[np.ndarray],
    kind: str,
    lonlat: np.ndarray,
    parts: Sequence[Parting],
    block_km: float,
) -> Outcome:
    """Add up the errors of all columns by block."""
    judged = np.concatenate([part.judged for part in parts])
    blocks, metric, sums = block_id(lonlat[judged], block_km), METRICS[kind], []
    for column, values in zip(columns, answered, strict=True):
        names, own = block_sums(metric, column[judged], values, blocks)
        sums.append(own)
    total = np.sum(sums, axis=0)
    value, split = float(score_of_sums(metric, total.sum(0))), f"blocks-{block_km:g}km"
    return Outcome(name, encoder, "ridge", split, len(parts[0].train), seed, "", metric, value, "", names, total)


def _outside_scores(method: AdaptMethod, encoders: Mapping[str, Encoder]) -> list[Outcome]:
    """Judge both encoders on the demo planet's probe places outside the region."""
    tasks = []
    for task in planet_tasks():
        assert task.split is not None
        outside = ~method.region.contains(task.lonlat)
        tasks.append(replace(task, lonlat=task.lonlat[outside], target=task.target[outside], split=task.split[outside]))
    return evaluate(encoders, tasks, ("ridge",), ("own",), (2700,), (0, 1, 2))


def _task_inside(task: Task, method: AdaptMethod) -> Task:
    """Return the labelled rows of a task in the region."""
    rows = np.flatnonzero(method.region.contains(task.lonlat) & task.valid)
    if len(rows) < 2 * _FEWEST_ROWS:
        raise ValueError(
            f"The label {task.name!r} is known at {len(rows)} places in {method.region.name}; at least "
            f"{2 * _FEWEST_ROWS} are needed to compare probes. Give labels of the region, or leave them out."
        )
    return replace(
        task,
        lonlat=task.lonlat[rows],
        target=task.target[rows],
        split=None,
        time=None if task.time is None else task.time[rows],
        continent=None if task.continent is None else task.continent[rows],
    )


def _retrieval(encoder: Encoder, method: AdaptMethod) -> dict[str, dict[str, float]]:
    """Return what validation measured of each modality at the last step of heads alone, and at the end."""
    lines = [line for line in encoder.history if "validation/loss" in line]
    heads = [line for line in lines if line["step"] < method.settings.heads_steps]
    if not lines or not heads:
        return {}
    found = {}
    for name in method.tables:
        values = {}
        for what, key in (("recall", f"validation/recall@10/{name}"), ("error", f"validation/vectors/{name}")):
            values[f"{what}_before"] = heads[-1].get(key, math.nan)
            values[f"{what}_after"] = lines[-1].get(key, math.nan)
        if not any(math.isnan(value) for value in values.values()):
            found[name] = values
    return found


def _score_table(outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table of both encoders and their difference."""
    by_name: dict[str, dict[str, list[Outcome]]] = {}
    for (task, encoder, *_), found in collect(outcomes).items():
        by_name.setdefault(task, {})[encoder] = found
    rows = []
    for name, both in by_name.items():
        cells = [str(score(both[called])) for called in (OLD, NEW)]
        rows.append([name, both[OLD][0].metric, *cells, _signed(difference(both[NEW], both[OLD]))])
    return markdown_rows(["what", "metric"], [OLD, NEW, "difference"], rows)


def _signed(found: Score) -> str:
    text = f"{found.mean:+.3f}"
    return text if math.isnan(found.low) else f"{text} [{found.low:+.3f}, {found.high:+.3f}]"


def _range(row: Mapping[str, float]) -> str:
    if math.isinf(row["from_km"]):
        return "inside"
    return (
        f"over {row['from_km']:,.0f} km"
        if math.isinf(row["to_km"])
        else f"{row['from_km']:,.0f} to {row['to_km']:,.0f} km"
    )


def _plain(found: Score) -> list[float | None]:
    return [None if math.isnan(value) else round(value, 6) for value in (found.mean, found.low, found.high)]
