"""The features of a Parquet file as one matrix, in memory or mapped from disk."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from geotether.files.disk import replacing_file
from geotether.suggestions import closest
from geotether.user_cache import user_cache

_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class FeatureColumns:
    """The columns of a file that hold the features.

    Attributes:
        names: One column of lists, or any number of columns of numbers.
        is_list: Whether it is one column of lists.
    """

    names: tuple[str, ...]
    is_list: bool

    @classmethod
    def of(cls, schema: pa.Schema, features: str | Sequence[str]) -> "FeatureColumns":
        """Find the columns in a file's schema.

        Args:
            schema: Of the file.
            features: A name or several, as for `read_table`.

        Raises:
            ValueError: If there is no such column, or it does not hold numbers.
        """
        names = (features,) if isinstance(features, str) else tuple(features)
        if not names:
            raise ValueError("features names no column; give at least one.")
        for name in names:
            if name not in schema.names:
                raise ValueError(_missing(schema, name))
        types = [schema.field(name).type for name in names]
        if len(names) == 1 and _is_list(types[0]):
            if not _is_number(types[0].value_type):
                raise ValueError(f"column {names[0]!r} holds lists of {types[0].value_type}, not of numbers.")
            return cls(names, is_list=True)
        for name, kind in zip(names, types, strict=True):
            if not _is_number(kind):
                raise ValueError(f"column {name!r} holds {kind}, not numbers, so it cannot be a feature.")
        return cls(names, is_list=False)


def read_matrix(
    file: pq.ParquetFile, path: Path, columns: FeatureColumns, memory_share: float, cache_dir: Path | None
) -> np.ndarray:
    """Read the features of a file.

    Args:
        file: The open file, of at least one row.
        path: Where it is; its hash is the key of the memory map.
        columns: Which columns.
        memory_share: Above this share of the memory, the matrix is mapped from disk.
        cache_dir: Folder of the map, or None for the user's cache folder.

    Returns:
        Shape (n, d), float32; not checked for what is not finite yet.

    Raises:
        ValueError: If a row has no features or another width than the first.
        OSError: If the map cannot be written.
    """
    count = file.metadata.num_rows
    first = next(_parts(file, columns, None, 1))
    shape = (count, first.shape[1])
    if first.nbytes * count <= memory_share * total_memory():
        matrix = np.empty(shape, dtype=np.float32)
        start = 0
        for part in _parts(file, columns, first.shape[1], _ROWS_AT_ONCE):
            matrix[start : start + len(part)] = part
            start += len(part)
        return matrix
    folder = cache_dir or user_cache()
    cached = folder / f"{_key(path, columns)}.npy"
    if not cached.is_file():
        with replacing_file(cached) as unfinished, unfinished.open("wb") as out:
            # Written in order rather than through a map: a full disk is then an error, not a killed process.
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for part in _parts(file, columns, first.shape[1], _ROWS_AT_ONCE):
                out.write(np.ascontiguousarray(part, dtype="<f4").tobytes())
    return np.load(cached, mmap_mode="r")


def total_memory() -> int:
    """Memory that this process may use, in bytes: the machine's, or its container's where that is less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        total = 8 * 2**30
    limit = Path("/sys/fs/cgroup/memory.max")
    try:
        return min(total, int(limit.read_text()))
    except (OSError, ValueError):  # no such limit, or "max"
        return total


def _parts(file: pq.ParquetFile, columns: FeatureColumns, width: int | None, rows: int) -> Iterator[np.ndarray]:
    """The features in runs of rows; each run is checked for its width."""
    start = 0
    for batch in file.iter_batches(batch_size=rows, columns=list(columns.names)):
        if columns.is_list:
            part = _of_lists(batch[columns.names[0]], start, width)
        else:
            part = np.stack([_numbers(batch[name]) for name in columns.names], axis=1)
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
    """Float32 values, NaN where one is missing."""
    values = column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the table reports
        return values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)


def _key(path: Path, columns: FeatureColumns) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update("\0".join(columns.names).encode())
    return digest.hexdigest()[:32]


def _missing(schema: pa.Schema, name: str) -> str:
    lists = [field.name for field in schema if _is_list(field.type) and _is_number(field.type.value_type)]
    hint = closest(name, schema.names) or " Name the columns of numbers, such as features=['a', 'b']."
    if lists:
        hint = f" Pass features={lists[0]!r}."
    listed = ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:30]) or "none"
    return f"there is no column {name!r} with features.{hint} Columns found: {listed}."


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
