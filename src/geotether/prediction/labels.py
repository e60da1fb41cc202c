"""Labelled points for a map: read from a file, and refused where no map can come of them."""

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from geotether.tasks.table import table_task
from geotether.tasks.task import Task

FEWEST_LABELS = 30
# A raster of one byte has 255 values, one of which is "no data".
MOST_CLASSES = 254
KINDS = ("regression", "classification")
# Labels of at most this many different whole numbers may be codes of classes.
MOST_CODES = 20
ADVICE = "Name the column of what the map is to show: --label."
_log = logging.getLogger(__name__)
_INVERSES: dict[str | None, Any] = {None: np.asarray, "log1p": np.expm1, "log10": lambda values: 10.0**values}
_ID = re.compile(r"(.*[_\W])?(id|fid|gid|oid|objectid|uuid|guid|index|key|row|nr|number)", re.IGNORECASE)


def read_labels(points: str | Path | Task, label: str | None = None, **options: Any) -> Task:
    """Read labelled points, and check that a map can be made of them.

    Args:
        points: A file in any format of rows; or a task, which already has its label.
        label: The column of labels in a file.
        options: As for `geotether.tasks.table.table_task`: kind, unit, transform, lon, lat, missing, read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the column is missing, is an id, has fewer than 30 labels, one class or too many, or as in
            `Task`.
    """
    if isinstance(points, Task):
        task = points
    else:
        if label is None:
            raise ValueError(f"name the column of labels in {points}: label=.")
        kind = options.get("kind")
        if kind is not None and kind not in KINDS:
            raise ValueError(f"a map shows one number or class per place: kind is {' or '.join(KINDS)}, got {kind!r}.")
        task = table_task(Path(points), label, **options)
        if kind is None:
            warn_of_codes(task)
    if task.kind not in KINDS:
        raise ValueError(f"the label {task.name!r} is {task.kind}; a map shows one number or class per place.")
    check_labels(task)
    return task


def warn_of_codes(task: Task) -> None:
    """Warn if the numbers of a task without an explicit kind may be codes of classes."""
    codes = np.unique(task.target[task.valid]) if task.kind == "regression" else np.empty(0)
    if 0 < len(codes) <= MOST_CODES and bool((codes == np.round(codes.astype(np.float64))).all()):
        _log.warning(
            "%r has %d different values, all whole numbers, and is taken as a number. If they are codes of "
            "classes, add --kind classification.",
            task.name,
            len(codes),
        )  # fmt: skip


def check_labels(task: Task) -> None:
    """Raise ValueError if a task has too few labels, too many classes, or an id for a label."""
    values = task.values[task.valid]
    count = len(values)
    if count < FEWEST_LABELS:
        missing = f" ({task.num_missing:,} rows have none)" if task.num_missing else ""
        raise ValueError(
            f"{task.name!r} has {count} labels{missing}, and at least {FEWEST_LABELS} are needed for a map and "
            "its error."
        )
    different = len(np.unique(values))
    if task.kind == "classification":
        if different > count / 2:
            raise ValueError(
                f"{task.name!r} looks like an id: {different:,} of {count:,} labels differ, so no class can be "
                f"learned. {ADVICE}"
            )
        if different > MOST_CLASSES:
            raise ValueError(f"{task.name!r} has {different:,} classes; a map shows {MOST_CLASSES} at most.")
        return
    raw = task.target[task.valid].astype(np.float64)
    whole = bool((raw == np.round(raw)).all()) and len(np.unique(raw)) == count
    if whole and (np.ptp(raw) < 1.05 * count or _ID.fullmatch(task.name)):
        raise ValueError(
            f"{task.name!r} looks like an id: all {count:,} labels are different whole numbers from "
            f"{raw.min():,.0f} to {raw.max():,.0f}. {ADVICE}"
        )


def in_units(task: Task, values: Float64[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n"]:
    """Convert numbers that were fitted, which may be logarithms, back to the unit of the labels."""
    with np.errstate(over="ignore"):
        return np.asarray(_INVERSES[task.transform](values))
