"""The features of a Parquet file as one matrix, in memory or memory-mapped."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from geotether.files.disk import replacing_file, size_in_words, writing
from geotether.files.values import is_list, is_number
from geotether.suggestions import closest
from geotether.user_folders import user_cache

_ROWS_AT_ONCE = 16_384
_ROW_BYTES = 400


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


def read_matrix(
    file: pq.ParquetFile, path: Path, names: list[str], memory_share: float, cache_dir: Path | None
) -> np.ndarray:
    """Read the features of a file.

    Args:
        file: The open file, of at least one row.
        path: Its path; its hash names the memory map.
        names: From `feature_columns`.
        memory_share: Larger matrices than this share of the memory are memory-mapped.
        cache_dir: Folder of the map, or None for the user's cache folder.

    Returns:
        Shape (n, d), float32; may hold values that are not finite.

    Raises:
        ValueError: If a row has no features or another width than the first.
        OSError: If the map cannot be written.
    """
    count = file.metadata.num_rows
    first = next(_parts(file, names, None, 1))
    shape = (count, first.shape[1])
    if first.nbytes * count <= memory_share * total_memory():
        matrix = np.empty(shape, dtype=np.float32)
        start = 0
        for part in _parts(file, names, first.shape[1], _ROWS_AT_ONCE):
            matrix[start : start + len(part)] = part
            start += len(part)
        return matrix
    with path.open("rb") as whole:
        digest = hashlib.file_digest(whole, "sha256")
    digest.update("\0".join(names).encode())
    cached = (cache_dir or user_cache()) / f"{digest.hexdigest()[:32]}.npy"
    if not cached.is_file():
        with writing(cached, wait=True), replacing_file(cached) as unfinished, unfinished.open("wb") as out:
            # Written in order, not through a map: a full disk is then an error and does not kill the process.
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for part in _parts(file, names, first.shape[1], _ROWS_AT_ONCE):
                out.write(np.ascontiguousarray(part, dtype="<f4").tobytes())
    return np.load(cached, mmap_mode="r")


def total_memory() -> int:
    """Return the memory that this process may use, in bytes: the machine's, or its container's if that is less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        total = 8 * 2**30
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no such limit, or "max"
        return total


def refuse_too_many(count: int) -> None:
    """Raise ValueError if the ids, places and labels of `count` rows do not fit in the memory."""
    needed, there = count * _ROW_BYTES, total_memory()
    if needed > there:
        raise ValueError(
            f"{count:,} rows need about {size_in_words(needed)} of memory as a table, and this machine has "
            f"{size_in_words(there)}; take fewer rows."
        )


def _parts(file: pq.ParquetFile, names: list[str], width: int | None, rows: int) -> Iterator[np.ndarray]:
    """Yield the features in runs of rows of equal width."""
    start = 0
    for batch in file.iter_batches(batch_size=rows, columns=names):
        if is_list(batch.schema.field(names[0]).type):
            part = _of_lists(batch[names[0]], start, width)
        else:
            part = np.stack([_numbers(batch[name]) for name in names], axis=1)
        width = part.shape[1]
        start += len(part)
        yield part


def _of_lists(column: pa.Array, start: int, width: int | None) -> np.ndarray:
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
    return _numbers(column.flatten()).reshape(len(column), width)


def _numbers(column: pa.Array) -> np.ndarray:
    """Convert to float32, NaN where missing."""
    values = column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, which the table reports
        return values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
