"""Rows by number: a Parquet file with small row groups, or a copy of any other file in Arrow's own format."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.files.disk import replacing_file
from geotether.files.values import usual_schema, usual_table

ROWS_AT_ONCE = 4096
# A row group is read as a whole, so only small ones are left where they are.
SMALL_GROUP_BYTES = 2**26


class CopiedRows:
    """Rows of a file that `copy_rows` wrote, memory-mapped; an object sent to another process maps them again.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Drop the open file."""
        return {"path": self.path, "_reader": None}

    def _open(self) -> Any:
        if self._reader is None:
            self._reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
        return self._reader

    @property
    def schema(self) -> pa.Schema:
        """Columns of the rows."""
        return self._open().schema

    def __len__(self) -> int:
        """Count the rows."""
        reader = self._open()
        batches = reader.num_record_batches
        return (batches - 1) * ROWS_AT_ONCE + reader.get_batch(batches - 1).num_rows if batches else 0

    def read(self, start: int, stop: int) -> pa.Table:
        """Read rows `start` to `stop`, `stop` not included."""
        reader, start, stop = self._open(), max(start, 0), min(stop, len(self))
        first, last = start // ROWS_AT_ONCE, -(-stop // ROWS_AT_ONCE)
        batches = [reader.get_batch(number) for number in range(first, last)]
        table = pa.Table.from_batches(batches, reader.schema)
        return table.slice(start - first * ROWS_AT_ONCE, max(stop - start, 0))


class ParquetRows:
    """Rows of a Parquet file, read where they are; the row group read last is kept.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None
        self._kept: tuple[int, pa.Table] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Drop the open file and the row group."""
        return {"path": self.path, "_file": None, "_kept": None}

    def _open(self) -> Any:
        import pyarrow.parquet as pq

        if self._file is None:
            self._file = pq.ParquetFile(self.path)
            sizes = [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]
            self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return self._file

    @property
    def schema(self) -> pa.Schema:
        """Columns of the rows."""
        return usual_schema(self._open().schema_arrow)

    def __len__(self) -> int:
        """Count the rows."""
        return int(self._open().metadata.num_rows)

    @property
    def is_small_grained(self) -> bool:
        """Whether every row group is small enough to be read for a few of its rows."""
        metadata = self._open().metadata
        sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
        return max(sizes, default=0) <= SMALL_GROUP_BYTES

    def read(self, start: int, stop: int) -> pa.Table:
        """Read rows `start` to `stop`, `stop` not included."""
        file, start, stop = self._open(), max(start, 0), min(stop, len(self))
        parts = []
        for group in range(file.num_row_groups):
            low, high = int(self._starts[group]), int(self._starts[group + 1])
            if low < stop and start < high:
                if self._kept is None or self._kept[0] != group:
                    self._kept = (group, file.read_row_group(group, use_threads=False))
                parts.append(self._kept[1].slice(max(start - low, 0), min(stop, high) - max(start, low)))
        return usual_table(pa.concat_tables(parts) if parts else file.schema_arrow.empty_table())


def copy_rows(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Copy rows into a file that can be read by row number.

    Args:
        path: The file to write; afterwards it is complete, or does not exist.
        schema: Of the tables. Dictionary-encoded columns become their values.
        tables: Any number of rows each.
    """
    plain = pa.schema([_undictionaried(field) for field in schema], schema.metadata)
    waiting: list[pa.Table] = []
    with replacing_file(path) as part, pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, plain) as writer:

        def flush(least: int) -> None:
            table = pa.concat_tables(waiting) if waiting else plain.empty_table()
            done = 0
            while table.num_rows - done >= least and table.num_rows > done:
                rows = table.slice(done, ROWS_AT_ONCE).combine_chunks()
                writer.write_batch(rows.to_batches()[0])
                done += rows.num_rows
            waiting[:] = [table.slice(done)]

        for table in tables:
            waiting.append(table.cast(plain) if table.schema != plain else table)
            if sum(table.num_rows for table in waiting) >= ROWS_AT_ONCE:
                flush(ROWS_AT_ONCE)
        flush(1)


def _undictionaried(field: pa.Field) -> pa.Field:
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
