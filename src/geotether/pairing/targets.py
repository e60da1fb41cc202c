"""Which rows of a file are read, and targets from its codes, texts, dates, numbers, 0/1 matrices and lists."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Integer

from geotether.pairing.npz import NpzFile
from geotether.pairing.observations import numbers_in
from geotether.pairing.specification import Codebook, TargetSpec
from geotether.pairing.table_file import TableFile
from geotether.tables.target import Target, classes_target, labels_target

PairedFile = NpzFile | TableFile


def matching_rows(file: PairedFile, wanted: Mapping[str, Any]) -> Integer[np.ndarray, " m"]:
    """Find the rows where each of some columns holds a value, or one of several; all rows without `wanted`.

    Raises:
        ValueError: If there is no such column, or no row is left.
    """
    keep = np.ones(len(file), dtype=bool)
    for name, values in wanted.items():
        column = file.column(name)
        if column.ndim != 1:
            raise ValueError(f"rows cannot be chosen by {name!r}: it has {column.shape[1:]} values per row.")
        # Compared as texts, so that a year may be written 2023 or "2023".
        allowed = {_text(value) for value in (values if isinstance(values, list) else [values])}
        keep &= np.array([_text(value) in allowed for value in column.tolist()])
        if not keep.any():
            found = sorted({_text(value) for value in column.tolist()})[:20]
            raise ValueError(f"no row is left where {name!r} is {values!r}; it holds {', '.join(found)}.")
    return np.flatnonzero(keep)


def make_target(name: str, spec: TargetSpec, file: PairedFile, rows: np.ndarray) -> Target:
    """Read one target of some rows; its name is that of its column, unless the specification names another.

    Raises:
        ValueError: If there is no such column, or its values do not fit the specification.
    """
    unknown = spec.unknown if isinstance(spec.unknown, list) else [spec.unknown]
    if spec.columns is not None:
        found, values = file.matrix(spec.columns)
        return _labels_of_matrix(values[rows], _names(spec, file) or found, unknown, spec)
    values = file.column(spec.values or name)[rows]
    if spec.kind == "numbers":
        return _numbers(name, spec, values, unknown)
    names = _names(spec, file)
    if spec.kind == "classes":
        if values.ndim != 1:
            raise ValueError(f"classes need one value per row, got shape {values.shape}; several per row are labels.")
        return classes_target(values, *_written_as(values, names, unknown), spec.min_count)
    if values.ndim == 2:
        if names is None:
            names = [str(column) for column in range(values.shape[1])]
        return _labels_of_matrix(values, names, unknown, spec)
    if values.dtype.kind != "O":
        raise ValueError(f"labels need a 0/1 matrix or a column of lists, got one {values.dtype} per row.")
    lists = [_list(value, spec.separator) for value in values]
    names, unknown = _written_as([one for value in lists if value for one in value], names, unknown)
    lists = [None if value is not None and any(one in unknown for one in value) else value for value in lists]
    return labels_target(lists, names, spec.min_count, spec.leave_out)


def _written_as(values: Iterable[Any], names: Any, unknown: list[Any]) -> tuple[Any, list[Any]]:
    """Write the codes of names, and those that mean unknown, as texts where the values are texts, such as "1;10"."""
    if not any(isinstance(value, str) for value in values):
        return names, unknown
    unknown = [_text(value) for value in unknown]
    return {_text(code): name for code, name in names.items()} if isinstance(names, Mapping) else names, unknown


def _names(spec: TargetSpec, file: PairedFile) -> list[str] | dict[Any, str] | None:
    if spec.codebook is not None:
        return _read_codebook(file.folder, spec.codebook)
    return file.names(spec.names) if isinstance(spec.names, str) else spec.names


def _read_codebook(folder: Path, book: Codebook) -> dict[Any, str]:
    try:
        table = TableFile.open(folder / book.path)
        rows = matching_rows(table, book.rows)
        codes, names = table.column(book.code)[rows].tolist(), table.column(book.name)[rows].tolist()
    except ValueError as error:
        raise ValueError(f"the codebook {book.path}: {error}") from error
    if len(set(codes)) < len(codes):
        repeated = next(code for code in codes if codes.count(code) > 1)
        raise ValueError(f"the codebook {book.path} repeats the code {repeated!r}; select its rows with rows.")
    return dict(zip(codes, map(str, names), strict=True))


def _numbers(name: str, spec: TargetSpec, values: np.ndarray, unknown: list[Any]) -> Target:
    if values.dtype.kind in "OU":
        values = numbers_in(pa.chunked_array([values.tolist()]), f"column {spec.values or name!r}")
    if values.dtype.kind not in "fiub" or values.ndim != 1:
        raise ValueError(f"numbers need one number per row, got {values.dtype} of shape {values.shape}.")
    values = values.astype(np.float64)
    values[np.isin(values, [value for value in unknown if not isinstance(value, str)])] = np.nan
    return Target("numbers", values, (f"{name} ({spec.unit})" if spec.unit else name,))


def _labels_of_matrix(
    values: np.ndarray, names: list[str] | Mapping[Any, str], unknown: list[Any], spec: TargetSpec
) -> Target:
    """Make labels from columns of 0 and 1, without rare ones and those to leave out."""
    names = list(names.values()) if isinstance(names, Mapping) else list(names)
    values = values.astype(np.float32)
    values[np.isin(values, [value for value in unknown if not isinstance(value, str)]).any(axis=1)] = np.nan
    target = Target("labels", values, tuple(names))
    out = set(map(str, spec.leave_out))
    kept = [at for at, (name, count) in enumerate(target.counts.items()) if name not in out and count >= spec.min_count]
    if not kept:
        raise ValueError(f"no label occurs in {spec.min_count} or more of {len(values)} rows.")
    return Target("labels", values[:, kept], tuple(names[at] for at in kept))


def _list(value: Any, separator: str | None) -> list[Any] | None:
    if value is None or isinstance(value, list):
        return value
    if separator is None:
        raise ValueError(f"labels need lists, got the text {value!r:.60}; give the separator between them.")
    return [part.strip() for part in value.split(separator) if part.strip()]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
