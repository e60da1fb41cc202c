"""Columns of a table as labels, indicators of many labels, splits and times of a task."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Shaped

from geotether.files.values import is_list, is_number
from geotether.geodesy.dates import times_of, why_no_time

# What published splits call the parts that a task calls train, validation and test.
SPLIT_WORDS = {
    "training": "train",
    "trainval": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
}
_log = logging.getLogger(__name__)


def labels_of(name: str, column: pa.ChunkedArray, missing: Sequence[str | float] = ()) -> Shaped[np.ndarray, " n"]:
    """Convert a column to the target of a regression or classification.

    Values in `missing`, NaN, nulls and blank texts are missing labels: NaN among floats, None among objects; integers
    stay integers where none is missing.

    Raises:
        ValueError: If the column contains lists, bytes or times.

    Example:
        >>> labels_of("height", pa.chunked_array([[3, -999, 5]]), missing=[-999]).tolist()
        [3.0, nan, 5.0]
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return labels_of(name, column.cast(kind.value_type), missing)
    if is_number(kind):
        absent = [float(value) for value in missing if _reads_as_number(value)]
        if pa.types.is_integer(kind) and not column.null_count and not absent:
            return np.asarray(column.to_numpy())
        numbers = np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
        numbers[np.isin(numbers, absent)] = np.nan
        return numbers
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        words = {str(value) for value in missing}
        values = [None if v is None or v.strip() in words or not v.strip() else v for v in column.to_pylist()]
        return _objects(values)
    if pa.types.is_boolean(kind):
        return _objects([None if value is None else str(value).lower() for value in column.to_pylist()])
    raise ValueError(f"the label column {name!r} contains {kind}; labels are numbers, texts or booleans.")


def indicators_of(
    columns: pa.Table, missing: Sequence[str | float] = ()
) -> tuple[Float64[np.ndarray, "n c"], tuple[str, ...]]:
    """Convert label columns to one column of 0 and 1 per label.

    Args:
        columns: Columns of 0 and 1 (or bool), or one column of lists of labels.
        missing: Values that mark an unknown label; in lists, labels to ignore.

    Returns:
        Shape (n, c), NaN where unknown, a row of NaN where a list is null; and the names of the labels.

    Raises:
        ValueError: If a column contains anything but 0, 1 and missing values, or all lists are empty.

    Example:
        >>> indicators_of(pa.table({"seen": [["owl"], ["owl", "elk"]]}))
        (array([[0., 1.], [1., 1.]]), ('elk', 'owl'))
    """
    names = columns.column_names
    if not is_list(columns[names[0]].type):
        parts = []
        for name in names:
            column = columns[name]
            if pa.types.is_boolean(column.type):
                column = column.cast(pa.int8())
            values = labels_of(name, column, missing)
            known = values[[v is not None and v == v for v in values]]
            if values.dtype == object or not np.isin(known, (0, 1)).all():
                odd = next((v for v in known.tolist() if v not in (0, 1)), None)
                raise ValueError(
                    f"the label column {name!r} of a multilabel task contains {odd!r}, not only 0 and 1 or lists."
                )
            parts.append(values.astype(np.float64))
        return np.stack(parts, axis=1), tuple(name.removeprefix("label:") for name in names)
    lists = columns[names[0]].to_pylist()
    words = {str(value) for value in missing}
    found = {value for row in lists for value in row or () if value is not None and str(value) not in words}
    classes = sorted(found, key=lambda value: (isinstance(value, str), value))
    if not classes:
        raise ValueError(f"all lists of the label column {names[0]!r} are empty.")
    position = {value: number for number, value in enumerate(classes)}
    target = np.zeros((len(lists), len(classes)))
    for row, labels in enumerate(lists):
        if labels is None:
            target[row] = np.nan
            continue
        target[row, [position[value] for value in labels if value in position]] = 1.0
    return target, tuple(map(str, classes))


def splits_of(name: str, column: pa.ChunkedArray, rename: Mapping[str, str] | None = None) -> Shaped[np.ndarray, " n"]:
    """Convert a column of names of parts to a split, shape (n,), empty where missing.

    `rename` maps its values to parts; it is used before `SPLIT_WORDS`, which knows val, valid, dev and trainval.

    Raises:
        ValueError: If `rename` names a value that does not occur, or no row is in train.
    """
    values = np.array(["" if value is None else str(value).strip() for value in column.to_pylist()])
    there = sorted({*values.tolist()} - {""})
    unknown = [value for value in rename or {} if value not in there]
    if unknown:
        raise ValueError(f"rename_split names {unknown[0]!r}, but the column {name!r} contains {', '.join(there)}.")
    meaning = {value: (rename or {}).get(value, SPLIT_WORDS.get(value.lower(), value)) for value in there}
    changed = [f"{old} as {new}" for old, new in meaning.items() if old != new]
    if changed:
        _log.info("split column %r: read %s.", name, ", ".join(changed))
    if "train" not in meaning.values():
        raise ValueError(
            f"the split column {name!r} has no rows in train, only {', '.join(there) or 'nothing'}; say what its "
            "values mean, such as rename_split: {fit: train, held_out: test}."
        )
    return np.array([meaning.get(value, "") for value in values.tolist()])


def task_times(name: str, column: pa.ChunkedArray) -> Shaped[np.ndarray, " n"]:
    """Convert a column to datetime64[s], NaT where missing; ValueError names the first value that is not a time.

    Example:
        >>> task_times("year", pa.chunked_array([[2019, None]])).tolist()
        [datetime.datetime(2019, 1, 1, 0, 0), None]
    """
    times, bad = times_of(column)
    if bad.any():
        row = int(bad.argmax())
        value = column[row].as_py()
        raise ValueError(f"the time column {name!r} has {value!r} in row {row}, which {why_no_time(value)}.")
    return times.astype("datetime64[s]")


def _objects(values: list[Any]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _reads_as_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
