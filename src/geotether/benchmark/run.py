"""Evaluate encoders: one outcome per task, probe, split, label count and seed."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geotether.benchmark.bench import Bench
from geotether.benchmark.leaks import leak_notes
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.plan import LADDER, Plan, check_names, plan_tasks
from geotether.benchmark.probing import PROBES
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import ResultStore
from geotether.loading import EncoderFunction, encode_places, load_encoders
from geotether.tasks.task import Task

logger = logging.getLogger(__name__)

# Many small folds: the cost of a held-out fold grows with the square of its rows.
NUM_FOLDS = 250
# Between two lines about progress.
SILENT_SECONDS = 10.0


def evaluate(
    encoders: Any,
    tasks: Sequence[Task],
    probes: Sequence[str] = ("ridge", "logistic", "mlp"),
    splits: Sequence[str] = ("own", "random"),
    labels: Sequence[int] = LADDER,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    on: str = "test",
    buffer_km: float | int = BUFFER_KM,
    num_folds: int = NUM_FOLDS,
    store: ResultStore | None = None,
) -> list[Outcome]:
    """Score every encoder on every task.

    Tasks that share places, split and labelled rows share one encoding and one decomposition. For each seed the same
    labelled rows are drawn for all encoders, probes and tasks at those places. Hyper-parameters are chosen on inner
    folds of the labelled rows; labels of judged rows are used only to compute the score. A class that no labelled row
    has cannot be predicted, and its judged rows count as wrong.

    Args:
        encoders: Name to encoder: an `Encoder`, a path, a function f(lon, lat) or f(lonlat); see
            `geotether.loading.load_encoders`. One with an attribute `probes` (names) is judged with these probes
            instead of `probes`.
        tasks: The tasks, with different names.
        probes: Names in `PROBES`.
        splits: "blocks-N" (N degrees), "continents", "own", "random"; see `geotether.benchmark.splitting.part_rows`.
        labels: Numbers of labelled rows. Those above the number of training rows are skipped with a warning; where none
            fits, all training rows are used.
        seeds: One repeat each.
        on: "test", or "validation" to choose recipes by; then test rows are not used.
        buffer_km: Least distance between training and judged rows of the block and continent splits.
        num_folds: Number of inner folds.
        store: Where outcomes are kept; those that it has are not computed again.

    Returns:
        Outcomes, grouped by encoder.

    Raises:
        ValueError: If a name is unknown or used twice, or an encoder returns NaN, a wrong shape or changing widths.
    """
    plans = plan_tasks(tasks, splits, labels, seeds, on, float(buffer_km))
    opened = load_encoders(encoders)
    say(leak_notes(opened, plans, lambda model: getattr(model, "tables", {})), plans)
    return evaluate_plans(opened, plans, probes, f"{on} {float(buffer_km):g}", num_folds, store)


def say(leaks: Sequence[str], plans: Sequence[Plan]) -> list[str]:
    """Log what makes scores misleading, leaks first, and return it."""
    notes = [*leaks, *(note for plan in plans for note in plan.notes)]
    for note in notes:
        logger.warning("%s", note)
    return notes


def evaluate_plans(
    encoders: Mapping[str, EncoderFunction],
    plans: Sequence[Plan],
    probes: Sequence[str],
    settings: str,
    num_folds: int = NUM_FOLDS,
    store: ResultStore | None = None,
) -> list[Outcome]:
    """Score every encoder on the plans of `plan_tasks`; the second half of `evaluate`, with its errors.

    An encoder with an attribute `labels` is judged at these label counts only. `settings` are the arguments of the
    plans, for the keys of the store.
    """
    if not encoders:
        raise ValueError("evaluate needs at least one encoder, task, split, label count and seed.")
    check_names("probe", probes, list(PROBES))
    for encoder in encoders.values():
        check_names("probe", getattr(encoder, "probes", ()), list(PROBES))
    outcomes: list[Outcome] = []
    shown = time.perf_counter()
    for number, (name, encoder) in enumerate(encoders.items(), start=1):
        started, before = time.perf_counter(), 0 if store is None else len(store)
        width: int | None = None
        own: list[Outcome] = []
        last: tuple[bytes, np.ndarray] | None = None
        for plan in plans:
            places = plan.group[0].lonlat.tobytes()
            if last is None or last[0] != places:
                last = (places, encode_places(encoder, plan.group[0].lonlat, name))
            features = last[1]
            if width is not None and features.shape[1] != width:
                raise ValueError(f"encoder {name!r} returned {width} columns before and {features.shape[1]} now.")
            width = features.shape[1]
            used = getattr(encoder, "probes", probes)
            bench = Bench(name, features, plan.group, used, f"{settings} {num_folds}", num_folds, store)
            for problem in plan.problems:
                own += bench.outcomes(problem, getattr(encoder, "labels", None))
                if (now := time.perf_counter()) - shown > SILENT_SECONDS:
                    shown = now
                    logger.info("encoder %d of %d, %s: %s scores so far", number, len(encoders), name, f"{len(own):,}")
        if store is not None:
            kept = len(own) - (len(store) - before)
            said = f", {kept:,} of them from before" if kept else ""
            logger.info("%6.0f s  %s: %s outcomes%s", time.perf_counter() - started, name, f"{len(own):,}", said)
        outcomes += own
    return outcomes
