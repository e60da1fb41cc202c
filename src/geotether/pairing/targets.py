"""Targets from what a file holds: codes, texts, dates, numbers, 0/1 matrices and lists."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geotether.pairing.csv import open_csv
from geotether.pairing.paired_file import PairedFile
from geotether.pairing.rows import matching_rows
from geotether.pairing.specification import Codebook, TargetSpec
from geotether.tables.target import Target, classes_target, labels_target


def make_target(name: str, spec: TargetSpec, file: PairedFile, rows: np.ndarray) -> Target:
    """Read one target of some rows.

    Args:
        name: Of the target; also its column, where the specification names none.
        spec: Where it is and what it means.
        file: The open file.
        rows: Row numbers.

    Raises:
        ValueError: If there is no such column, or it does not hold what the specification says.
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
        return classes_target(_one_a_row(values), names, unknown, spec.min_count)
    if values.ndim == 2:
        if names is None:
            names = [str(column) for column in range(values.shape[1])]
        return _labels_of_matrix(values, names, unknown, spec)
    if values.dtype.kind != "O":
        raise ValueError(f"labels need a 0/1 matrix or a column of lists, got one {values.dtype} a row.")
    lists = [_list(value, spec.separator) for value in values]
    lists = [None if value is not None and any(one in unknown for one in value) else value for value in lists]
    return labels_target(lists, names, spec.min_count, spec.leave_out)


def _names(spec: TargetSpec, file: PairedFile) -> list[str] | dict[Any, str] | None:
    if spec.codebook is not None:
        return _read_codebook(file.folder, spec.codebook)
    return file.names(spec.names) if isinstance(spec.names, str) else spec.names


def _read_codebook(folder: Path, book: Codebook) -> dict[Any, str]:
    try:
        table = open_csv(folder / book.path)
        rows = matching_rows(table, book.rows)
        codes, names = table.column(book.code)[rows].tolist(), table.column(book.name)[rows].tolist()
    except ValueError as error:
        raise ValueError(f"the codebook {book.path}: {error}") from error
    if len(set(codes)) < len(codes):
        twice = next(code for code in codes if codes.count(code) > 1)
        raise ValueError(f"the codebook {book.path} names the code {twice!r} twice; choose its rows with rows.")
    return dict(zip(codes, map(str, names), strict=True))


def _numbers(name: str, spec: TargetSpec, values: np.ndarray, unknown: list[Any]) -> Target:
    if values.dtype.kind == "O":
        values = np.array([np.nan if value is None else value for value in values])
    if values.dtype.kind not in "fiub" or values.ndim != 1:
        raise ValueError(f"numbers need one number a row, got {values.dtype} of shape {values.shape}.")
    values = values.astype(np.float64)
    values[np.isin(values, [value for value in unknown if not isinstance(value, str)])] = np.nan
    return Target("numbers", values, (f"{name} ({spec.unit})" if spec.unit else name,))


def _one_a_row(values: np.ndarray) -> np.ndarray:
    if values.ndim != 1:
        raise ValueError(f"classes need one value a row, got shape {values.shape}; several a row are labels.")
    return values


def _labels_of_matrix(
    values: np.ndarray, names: list[str] | Mapping[Any, str], unknown: list[Any], spec: TargetSpec
) -> Target:
    """Columns of 0 and 1; those too rare or named to be left out go."""
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
        raise ValueError(f"labels need lists, got the text {value!r:.60}; say what stands between them with separator.")
    return [part.strip() for part in value.split(separator) if part.strip()]
