"""Which rows are used, and what the features learn from some of them."""

import copy
import math
from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Int64

from geotether.features.featurizer import Featurizer
from geotether.featurizing.assembly import spoken_reasons
from geotether.featurizing.parts import PART_ROWS, check_times, refuse_rows
from geotether.featurizing.plan import Plan
from geotether.featurizing.rows import content_bytes, join, read_checked, read_runs, take_content
from geotether.featurizing.threads import OneThread
from geotether.featurizing.transform_file import Transform
from geotether.sources.source import Observations, Rejected, Source
from geotether.tables.splits import block_parts

_RUN_BYTES = 2**26
_EXPECTED = 30
_FEWEST = 64
_LOOKED_AT = 32  # rows that say how large a row is


def choose_rows(count: int, rows: int | None, seed: int) -> Int64[np.ndarray, "m"] | None:
    """Draw the rows of a table.

    Args:
        count: Rows of the source.
        rows: So many at most; None: all.
        seed: Decides which.

    Returns:
        Their numbers in order, or None for all.
    """
    if rows is None or rows >= count:
        return None
    return np.sort(np.random.default_rng([seed, 0]).choice(count, rows, replace=False)).astype(np.int64)


def rows_at_once(source: Source, count: int) -> int:
    """Say how many rows may be in memory together, by the size of the first ones."""
    most = PART_ROWS[source.kind]
    found = read_checked(source, 0, min(count, _LOOKED_AT))
    each = content_bytes(found.content) / len(found) if len(found) else _RUN_BYTES / _LOOKED_AT
    return int(np.clip(_RUN_BYTES / max(each, 1), 1, most))


def fit_transform(plan: Plan, count: int, chosen: np.ndarray | None) -> tuple[Transform | None, list[Rejected], int]:
    """Fit the features on rows drawn at random, those for training only.

    Args:
        plan: What is made.
        count: Rows of the source, which is prepared.
        chosen: Numbers of the rows wanted; None: all.

    Returns:
        The transform, or None if none of the drawn rows can be used; those that cannot; and how many were drawn.

    Raises:
        ValueError: If no drawn row is for training, or the features refuse.
    """
    rows = np.arange(count) if chosen is None else chosen
    rng = np.random.default_rng([plan.spec.seed, 1])
    share = 1.0 if plan.spec.split is None else max(plan.spec.split.shares.get("train", 0.0), 0.01)
    # So many that enough are for training, and some even where one row would do.
    drawn = min(max(math.ceil(plan.featurizer.fit_rows / share), _FEWEST), len(rows))
    numbers = np.sort(rng.choice(rows, drawn, replace=False))
    step = PART_ROWS[plan.source.kind]
    runs = [_refused_before(plan.featurizer, run) for run in read_runs(plan.source, 0, count, step, numbers)]
    rejected = sorted((row for run in runs for row in run.rejected), key=lambda row: row.row)
    found = join(runs)
    if not len(found):
        return None, rejected, drawn
    check_times(found, plan.spec.encode_time)
    learned = _for_training(plan, found, whole=drawn == len(rows))
    if len(learned) > plan.featurizer.fit_rows:
        learned = np.sort(rng.choice(learned, plan.featurizer.fit_rows, replace=False))
    content = take_content(found.content, learned)
    few = take_content(found.content, learned[:_LOOKED_AT])
    with OneThread() as one:
        try:
            featurizer = one.run(lambda: _fitted(plan, content), lambda: _fitted(plan, few))
        except ValueError as error:
            why = f" ({spoken_reasons(Counter(row.reason for row in rejected))} rejected)" if rejected else ""
            raise ValueError(
                f"The features {plan.features!r} cannot be fitted to {plan.spec.path}: {error}{why}"
            ) from error
    spec = plan.spec
    return Transform(plan.features, featurizer, spec.encode_time, str(spec.source), spec.options), rejected, drawn


def _fitted(plan: Plan, content: Any) -> Featurizer:
    return copy.deepcopy(plan.featurizer).fit(content)


def _refused_before(featurizer: Featurizer, found: Observations) -> Observations:
    """Leave out the rows that the features cannot take, as far as they can tell before they are fitted."""
    try:
        return refuse_rows(featurizer, found)
    except ValueError:
        return found


def _for_training(plan: Plan, found: Observations, whole: bool) -> np.ndarray:
    """Positions of the rows whose block is for training; the buffer between parts needs all rows and waits."""
    split = plan.spec.split
    if split is None:
        return np.arange(len(found))
    parts = block_parts(found.lonlat, split.block_km, split.shares, split.seed)
    for name, share in split.shares.items() if plan.spec.split_asked else ():
        # Said now rather than after the work, where it is certain, or all but certain from so many rows drawn.
        needed = share > 0 and (whole or name == "train" or len(found) * share >= _EXPECTED)
        if needed and not (parts == name).any():
            raise ValueError(
                f"No row falls into {name!r}: the rows lie in too few blocks of {split.block_km:g} km. Use smaller "
                "ones (split: {block_km: ...} in the specification, or --set split.block_km=...), another split seed, "
                "or no split (split: null)."
            )
    learned = np.flatnonzero(parts == "train")
    return learned if len(learned) else np.arange(len(found))  # the split by default: the table will have none
