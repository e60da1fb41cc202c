"""The features of Parquet files as one matrix."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.files.disk import size_in_words
from geotether.files.parquet_files import ParquetFiles
from geotether.files.values import is_list, is_number
from geotether.suggestions import closest

ROWS_AT_ONCE = 16_384
_ROW_BYTES, _MAPPED_ROW_BYTES = 400, 60


def feature_columns(schema: pa.Schema, features: str | Sequence[str]) -> list[str]:
    """Find the columns of features: one of lists, or any number of columns of numbers.

    Args:
        schema: Schema of the file.
        features: One name or several, as for `read_table`.

    Raises:
        ValueError: If there is no such column, or it does not hold numbers.
    """
    names = [features] if isinstance(features, str) else list(features)
    if not names:
        raise ValueError("features names no column; give at least one.")
    for name in names:
        if name not in schema.names:
            lists = [field.name for field in schema if is_list(field.type) and is_number(field.type.value_type)]
            hint = closest(name, schema.names) or " Name the columns of numbers, such as features=['a', 'b']."
            hint = f" Pass features={lists[0]!r}." if lists else hint
            listed = ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:30]) or "none"
            raise ValueError(f"there is no column {name!r} with features.{hint} Columns found: {listed}.")
    for name in names:
        kind = schema.field(name).type
        if len(names) == 1 and is_list(kind):
            if not is_number(kind.value_type):
                raise ValueError(f"column {name!r} holds lists of {kind.value_type}, not of numbers.")
        elif not is_number(kind):
            raise ValueError(f"column {name!r} holds {kind}, not numbers, so it cannot be a feature.")
    return names


def feature_count(files: ParquetFiles, names: list[str]) -> int:
    """Return the number of features of files with at least one row."""
    kind = files.schema.field(names[0]).type
    if not is_list(kind):
        return len(names)
    return kind.list_size if pa.types.is_fixed_size_list(kind) else next(matrix_parts(files, names, 1)).shape[1]


def fits_in_memory(files: ParquetFiles, names: list[str], memory_share: float) -> bool:
    """Whether the features of files with at least one row take less than a share of the memory, as float32."""
    return feature_count(files, names) * 4 * len(files) <= memory_share * total_memory()


def read_matrix(files: ParquetFiles, names: list[str]) -> np.ndarray:
    """Read the features of files with at least one row into memory.

    Args:
        files: The files.
        names: From `feature_columns`.

    Returns:
        Shape (n, d), float32; may hold values that are not finite.

    Raises:
        ValueError: If a row has no features or another width than the first.
    """
    matrix, start = np.empty((0, 0), dtype=np.float32), 0
    for part in matrix_parts(files, names, ROWS_AT_ONCE):
        if start == 0:
            matrix = np.empty((len(files), part.shape[1]), dtype=np.float32)
        matrix[start : start + len(part)] = part
        start += len(part)
    return matrix


def total_memory() -> int:
    """Return the memory that this process may use, in bytes: the machine's, or less if there is a limit.

    Limits are those of the container (cgroup 2) and of the process's data (`ulimit -d`).
    """
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        total = 8 * 2**30
    with suppress(OSError, ValueError):  # no such limit, or "max"
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    with suppress(ImportError):  # not a POSIX system
        import resource

        limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
        total = total if limit == resource.RLIM_INFINITY else min(total, limit)
    return total


def refuse_too_many(count: int, mapped: bool = False) -> None:
    """Raise ValueError if the ids, places and labels of `count` rows do not fit in the memory, or in maps of it."""
    needed, there = count * (_MAPPED_ROW_BYTES if mapped else _ROW_BYTES), total_memory()
    if needed > there:
        raise ValueError(
            f"{count:,} rows need about {size_in_words(needed)} of memory as a table, and this machine has "
            f"{size_in_words(there)}; take fewer rows."
        )


def matrix_parts(files: ParquetFiles, names: list[str], rows: int, halves: bool = False) -> Iterator[np.ndarray]:
    """Yield the features in runs of rows of equal width, as float32; columns of float16 as such with `halves`."""
    start, width = 0, None
    kinds = {files.schema.field(name).type for name in names}
    kinds = {kind.value_type if is_list(kind) else kind for kind in kinds}
    dtype = np.dtype(np.float16 if halves and kinds == {pa.float16()} else np.float32)
    for batch in files.batches(names, rows):
        if is_list(batch.schema.field(names[0]).type):
            part = _of_lists(batch[names[0]], start, width, dtype)
        else:
            part = np.stack([_numbers(batch[name], dtype) for name in names], axis=1)
        width = part.shape[1]
        start += len(part)
        yield part


def _of_lists(column: pa.Array, start: int, width: int | None, dtype: np.dtype) -> np.ndarray:
    if column.null_count:
        row = start + int(column.is_null().to_numpy(zero_copy_only=False).argmax())
        raise ValueError(f"row {row} has no features; leave such rows out.")
    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
    else:
        lengths = pc.list_value_length(column).to_numpy()
        width = int(lengths[0]) if width is None else width
        if (lengths != width).any():
            at = int((lengths != width).argmax())
            raise ValueError(
                f"row {start + at} has {lengths[at]} features, row 0 has {width}; all rows of a table need the "
                "same width. Write each modality to a file of its own."
            )
    return _numbers(column.flatten(), dtype).reshape(len(column), width)


def _numbers(column: pa.Array, dtype: np.dtype) -> np.ndarray:
    """Convert to a number type, NaN where missing."""
    values = column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, which the table reports
        return values.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
