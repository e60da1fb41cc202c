"""Columns of a table as labels, indicators of many labels, splits and times of a task."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Integer, Shaped

from geotether.files.numbers import numbers_of, odd_among_numbers, odd_in_words
from geotether.files.values import is_list, is_number, is_text, texts_of, usual
from geotether.geodesy.dates import times_of, why_no_time

# What published splits call the parts that a task calls train, validation and test.
SPLIT_WORDS = {
    **{part: part for part in ("train", "validation", "test")},  # in any case
    "training": "train",
    "trainval": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
}
# Whole numbers, or texts that are numbers, of more different values than this are not classes.
MOST_CLASSES = 100
_log = logging.getLogger(__name__)


def labels_of(
    name: str,
    column: pa.ChunkedArray,
    missing: Sequence[str | float] = (),
    kind: str | None = None,
    rows: Integer[np.ndarray, " n"] | None = None,
) -> Shaped[np.ndarray, " n"]:
    """Convert a column to the target of a regression or classification.

    Texts become numbers if nearly all of them are numbers and a few are not, which are then missing and named in a
    warning, or if all are numbers and either a regression is asked for or over 100 differ; else they are classes.

    Args:
        name: Of the column, for messages.
        column: Numbers, texts or booleans.
        missing: Values that mark a missing label.
        kind: "regression" or "classification", if it is given; classes stay texts.
        rows: Number of each row in the file, for messages. None: from 0.

    Returns:
        Floats with NaN, or an object array with None, where a label is missing; integers where none is missing.

    Raises:
        ValueError: If the column contains lists, bytes or times.

    Example:
        >>> labels_of("height", pa.chunked_array([[3, -999, 5]]), missing=[-999]).tolist()
        [3.0, nan, 5.0]
    """
    column = usual(column)
    stored = column.type
    if is_number(stored):
        absent = [float(value) for value in missing if _reads_as_number(value)]
        if pa.types.is_integer(stored) and not column.null_count and not absent:
            return np.asarray(column.to_numpy())
        numbers, _ = numbers_of(column)
        numbers[np.isin(numbers, absent)] = np.nan
        return numbers
    if is_text(stored) or pa.types.is_null(stored):
        words = {str(value) for value in missing}
        texts = [None if v is None or v.strip() in words or not v.strip() else v for v in column.to_pylist()]
        found = None if kind == "classification" else _numbers_among(name, texts, kind, rows)
        return _objects(texts) if found is None else found
    if pa.types.is_boolean(stored):
        return _objects([None if value is None else str(value).lower() for value in column.to_pylist()])
    raise ValueError(f"the label column {name!r} contains {stored}; labels are numbers, texts or booleans.")


def _numbers_among(
    name: str, texts: list[str | None], kind: str | None, rows: Integer[np.ndarray, " n"] | None
) -> Float64[np.ndarray, " n"] | None:
    """Read texts that are numbers but for a few odd ones, which are named in a warning; None if they are classes."""
    column = pa.chunked_array([pa.array(texts, pa.string())])
    values, others = numbers_of(column, comma=True)
    odd = odd_among_numbers(column)
    if odd:
        _log.warning(
            "The label column %r contains numbers, except %s; these %d rows have no label. For classes, set the kind.",
            name, odd_in_words({int(row if rows is None else rows[row]): text for row, text in odd.items()}), len(odd),
        )  # fmt: skip
    elif others or not np.isfinite(values).any():
        return None
    elif kind != "regression":
        if len(np.unique(values[np.isfinite(values)])) <= MOST_CLASSES:
            return None
        _log.warning("The texts of the label column %r are read as numbers. For classes, set the kind.", name)
    return values


def indicators_of(
    columns: pa.Table, missing: Sequence[str | float] = ()
) -> tuple[Float64[np.ndarray, "n c"], tuple[str, ...]]:
    """Convert label columns to one column of 0 and 1 per label.

    They are columns of 0 and 1 (or bool) or one column of lists of labels; values in `missing` are unknown, or ignored
    in lists. The result, shape (n, c), is NaN where unknown, in a whole row where a list is null; with it come the
    names of the labels.

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
            values = labels_of(name, column, missing, "classification")
            known = values[[v is not None and v == v for v in values]]
            if values.dtype == object or not np.isin(known, (0, 1)).all():
                odd = next((v for v in known.tolist() if v not in (0, 1)), None)
                raise ValueError(
                    f"the label column {name!r} of a multilabel task contains {odd!r}, not only 0 and 1 or lists."
                )
            parts.append(values.astype(np.float64))
        return np.stack(parts, axis=1), tuple(name.removeprefix("label:") for name in names)
    inner = usual(columns[names[0]]).type.value_type
    if not (is_text(inner) or is_number(inner) or pa.types.is_boolean(inner) or pa.types.is_null(inner)):
        raise ValueError(f"the label column {names[0]!r} contains lists of {inner}, not of texts or numbers.")
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
    values = [text.strip() for text in texts_of(column)]
    there = sorted({*values} - {""})
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
    return _objects([meaning.get(value, "") for value in values])


def task_times(
    name: str, column: pa.ChunkedArray, rows: Integer[np.ndarray, " n"] | None = None
) -> Shaped[np.ndarray, " n"]:
    """Convert a column to datetime64[s], NaT where missing; ValueError names the first value that is not a time.

    Example:
        >>> task_times("year", pa.chunked_array([[2019, None]])).tolist()
        [datetime.datetime(2019, 1, 1, 0, 0), None]
    """
    times, bad = times_of(column)
    if bad.any():
        row = int(bad.argmax())
        value = column[row].as_py()
        number = row if rows is None else rows[row]
        raise ValueError(f"the time column {name!r} has {value!r} in row {number}, which {why_no_time(value)}.")
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
