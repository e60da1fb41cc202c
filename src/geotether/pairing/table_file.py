"""Paired data in a file of rows, whose cells are observations or whose columns name their files; or in a folder."""

import fnmatch
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Float64, Integer

from geotether.files.disk import check_file
from geotether.files.formats import format_of
from geotether.files.geometry import geometry_column
from geotether.files.places import PlaceFinder
from geotether.files.rows import naming, read_rows
from geotether.files.values import is_list, is_text, usual_schema, usual_table
from geotether.pairing.files import observations_of_files, rows_of_files
from geotether.pairing.observations import (
    arranged_rows,
    decode,
    gather,
    modality_of_lists,
    numbers_in,
    unknown_column,
)
from geotether.pairing.specification import ModalitySpec, PairedSpec
from geotether.tables.modality import Modality

_ROWS_AT_ONCE = 1024
_DIGITS = re.compile(r"\d+")


class TableFile:
    """A table whose columns are read when they are needed.

    Args:
        folder: Folder to which the names of files are relative.
        schema: Names and types of the columns.
        count: Number of rows, 1 or more.
        runs: Returns some columns in runs of rows, in order.
    """

    def __init__(
        self, folder: Path, schema: pa.Schema, count: int, runs: Callable[[list[str]], Iterator[pa.Table]]
    ) -> None:
        if count == 0:
            raise ValueError("it has no rows.")
        self.folder = folder
        self._schema, self._count, self._runs = schema, count, runs

    @classmethod
    def of_table(cls, folder: Path, table: pa.Table) -> "TableFile":
        """Wrap a table in memory."""
        return cls(folder, table.schema, table.num_rows, lambda names: iter([table.select(names)]))

    @classmethod
    def open(cls, path: Path) -> "TableFile":
        """Open a file of rows; the columns of Parquet are read when they are needed.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a file of rows, is damaged, or has no rows.
        """
        found = format_of(path, "rows")
        if found is None or found.name != "parquet":
            return cls.of_table(path.parent, read_rows(path))
        check_file(path)
        with naming(path, "Parquet"), pq.ParquetFile(path) as file:
            schema, count = usual_schema(file.schema_arrow), file.metadata.num_rows

        def runs(names: list[str]) -> Iterator[pa.Table]:
            read = 0
            with naming(path, "Parquet"), pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_ROWS_AT_ONCE, columns=names, use_threads=False):
                    read += len(batch)
                    yield usual_table(pa.Table.from_batches([batch])).select(names).replace_schema_metadata(None)
                if read != count:
                    raise ValueError(f"it is damaged: {', '.join(names)} has {read} of {count} rows.")

        return cls(path.parent, schema, count, runs)

    @classmethod
    def open_folder(cls, path: Path, spec: PairedSpec) -> "TableFile":
        """Open a folder by its index, a file of rows, or else by the names of files, whose fields become columns."""
        if spec.index is None:
            return cls.of_table(path, rows_of_files(path, spec.modalities))
        if format_of(spec.index, "rows") is None:
            raise ValueError(f"the index {spec.index!r} must be a file of rows, such as CSV or Parquet.")
        table = cls.open(path / spec.index)
        table.folder = path  # names of files are relative to the data's folder, wherever the index is
        return table

    def __len__(self) -> int:
        """Count the rows."""
        return self._count

    def column(self, name: str) -> np.ndarray:
        """Read a column; texts and lists as objects, None where empty; lists of one fixed size as rows of a matrix."""
        column = self._read([name])[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_fixed_size_list(column.type) and column.null_count == 0:
            flat = pa.chunked_array([chunk.flatten() for chunk in column.chunks], column.type.value_type)
            return flat.to_numpy().reshape(len(column), column.type.list_size)
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        if not (is_list(column.type) or is_text(column.type)):
            return column.to_numpy()
        values = np.empty(len(column), dtype=object)
        values[:] = column.to_pylist()
        return values

    def names(self, name: str) -> list[str]:
        """Refuse: a file of rows has no arrays of names."""
        raise ValueError(f"{name!r} names an array of an npz; in a table, write the names as a list or use a codebook.")

    def places(self, lon: str | None, lat: str | None) -> Float64[np.ndarray, "n 2"] | None:
        """Read places from two columns or else the geometry, shape (n, 2), NaN where invalid; None without either."""
        geometry = geometry_column(self._schema)
        if lon is None and geometry is None:
            return None
        names = [lon, lat] if lon is not None and lat is not None else [str(geometry)]
        table = self._read(names).replace_schema_metadata(self._schema.metadata if lon is None else None)
        return PlaceFinder(table.schema, lon, lat).find(table)[0]

    def matrix(self, columns: str | list[str]) -> tuple[list[str], Float32[np.ndarray, "n k"]]:
        """Read columns of numbers by their names or patterns: their names, and shape (n, k)."""
        names = self._matching(columns)
        table = self._read(names)
        arrays = [numbers_in(table[name], f"column {name!r}") for name in names]
        return names, np.stack(arrays, axis=1).astype(np.float32)

    def observe(self, name: str, spec: ModalitySpec, rows: Integer[np.ndarray, " m"]) -> Modality:
        """Read the observations of one modality for some rows."""
        if spec.at is not None:
            raise ValueError("at is for an npz; in a table, cells of rows that lack the modality are empty.")
        bands = self.names(spec.bands) if isinstance(spec.bands, str) else spec.bands or ()
        if spec.files is not None:
            found = observations_of_files(self.folder, spec, self._read, self._schema.names, rows)
            return gather(len(rows), found, spec, bands)
        if isinstance(spec.columns, dict):
            return self._series_by_band(spec, spec.columns, rows)
        if spec.columns is not None:
            names, values = self.matrix(spec.columns)
            bands = bands or (names if spec.kind == "vector" else ())
            values = arranged_rows(values[rows], spec, f"columns {', '.join(names[:3])} ...")
            return Modality(spec.kind, values, bands=tuple(bands))
        column = str(spec.values)
        self._check_known([column])
        kind, called = self._schema.field(column).type, f"column {column!r}"
        if _holds_bytes(kind):
            return gather(len(rows), self._decoded(column, spec, rows), spec, bands)
        if is_list(kind) or is_text(kind):
            return modality_of_lists(self._read([column])[column].take(pa.array(rows)), spec, called, bands)
        _, values = self.matrix([column])
        return Modality(spec.kind, arranged_rows(values[rows], spec, called), bands=tuple(bands))

    def _decoded(
        self, column: str, spec: ModalitySpec, rows: np.ndarray
    ) -> Iterator[tuple[int, str, np.ndarray | None]]:
        wanted = {row: place for place, row in enumerate(rows.tolist())}
        start = 0
        for run in self._runs([column]):
            for row, cell in enumerate(run[column], start):
                if row in wanted:
                    value = cell.as_py()
                    data = value.get("bytes") if isinstance(value, dict) else value
                    called = f"column {column!r}, row {row}"
                    yield wanted[row], called, decode([(called, data)], spec) if data else None
            start += run.num_rows

    def _series_by_band(self, spec: ModalitySpec, columns: dict[str, str], rows: np.ndarray) -> Modality:
        bands = {band: self.matrix(pattern) for band, pattern in columns.items()}
        steps = {band: len(names) for band, (names, _) in bands.items()}
        first = next(iter(steps))
        for band, count in steps.items():
            if count != steps[first]:
                raise ValueError(f"band {band!r} has {count} columns and {first!r} has {steps[first]}; each is a step.")
        values = np.stack([values[rows] for _, values in bands.values()], axis=2)
        return Modality(spec.kind, arranged_rows(values, spec, "columns"), bands=tuple(bands))

    def _matching(self, columns: str | list[str]) -> list[str]:
        found: list[str] = []
        for pattern in [columns] if isinstance(columns, str) else columns:
            if pattern in self._schema.names:
                found.append(pattern)
                continue
            some = fnmatch.filter(self._schema.names, pattern)
            if not some:
                raise ValueError(unknown_column("column", pattern, self._schema.names))
            found += in_number_order(some)
        return list(dict.fromkeys(found))

    def _read(self, names: list[str]) -> pa.Table:
        self._check_known(names)
        return pa.concat_tables(self._runs(names))

    def _check_known(self, names: list[str]) -> None:
        for name in names:
            if name not in self._schema.names:
                raise ValueError(unknown_column("column", name, self._schema.names))


def in_number_order(names: list[str]) -> list[str]:
    """Sort names by their numbers if they differ in nothing else; other names keep their order."""
    if len({_DIGITS.sub("#", name) for name in names}) > 1:
        return names
    return sorted(names, key=lambda name: [int(digits) for digits in _DIGITS.findall(name)])


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
