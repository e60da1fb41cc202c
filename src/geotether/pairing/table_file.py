"""Rows of a table, with observations in its cells, in its columns, or in files that it names."""

import fnmatch
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64, Integer

from geotether.files.geometry import geometry_column
from geotether.files.places import lonlat_of_columns
from geotether.pairing.arrays import arranged_rows, gather
from geotether.pairing.decoding import decode
from geotether.pairing.files import observations_of_files
from geotether.pairing.lists import array_of_lists, is_list, lists_of_texts
from geotether.pairing.paired_file import Observed, band_names, unknown_column
from geotether.pairing.specification import ModalitySpec

_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
_DIGITS = re.compile(r"\d+")


class TableFile:
    """A table whose columns are read when they are asked for.

    Args:
        folder: The folder that files are seen from.
        schema: Names and types of the columns.
        count: Number of rows.
        runs: Gives some columns in runs of rows, in order.
    """

    def __init__(
        self, folder: Path, schema: pa.Schema, count: int, runs: Callable[[list[str]], Iterator[pa.Table]]
    ) -> None:
        if count == 0:
            raise ValueError("it has no rows.")
        self.folder = folder
        self._schema, self._count, self._runs = schema, count, runs

    def __len__(self) -> int:
        """Count the rows."""
        return self._count

    def column(self, name: str) -> np.ndarray:
        """Read a column; texts and lists as objects, None where empty. Lists of one fixed size become lines."""
        column = self._read([name])[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_fixed_size_list(column.type) and column.null_count == 0:
            flat = pa.chunked_array([chunk.flatten() for chunk in column.chunks], column.type.value_type)
            return flat.to_numpy().reshape(len(column), column.type.list_size)
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        objects = is_list(column.type) or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        if not objects:
            return column.to_numpy()
        values = np.empty(len(column), dtype=object)
        values[:] = column.to_pylist()
        return values

    def names(self, name: str) -> list[str]:
        """Refuse: a table has nothing beside its rows."""
        raise ValueError(
            f"{name!r} names an array of an npz; for a table, write the names as a list or use a codebook."
        )

    def places(self) -> Float64[np.ndarray, "n 2"] | None:
        """Read the points of a GeoParquet geometry; None without one."""
        name = geometry_column(self._schema)
        if name is None:
            return None
        return lonlat_of_columns(self._read([name]).replace_schema_metadata(self._schema.metadata))

    def matrix(self, columns: str | list[str]) -> tuple[list[str], Float32[np.ndarray, "n k"]]:
        """Read columns of numbers by their names or patterns."""
        names = self._matching(columns)
        table = self._read(names)
        arrays = []
        for name in names:
            kind = table[name].type
            if not any(is_number(kind) for is_number in _NUMBERS):
                raise ValueError(f"column {name!r} holds {kind}, not numbers.")
            column = table[name].cast(pa.uint8()) if pa.types.is_boolean(kind) else table[name]
            arrays.append(column.cast(pa.float64()).to_numpy().astype(np.float32))
        return names, np.stack(arrays, axis=1)

    def observe(self, name: str, spec: ModalitySpec, rows: Integer[np.ndarray, " m"]) -> Observed:
        """Read what one modality saw of some rows."""
        if spec.at is not None:
            raise ValueError("at is for an npz; in a table, cells of rows that lack the modality are empty.")
        bands = band_names(self.names(spec.bands) if isinstance(spec.bands, str) else spec.bands or ())
        if spec.files is not None:
            found = observations_of_files(self.folder, spec, self._read, self._schema.names, rows)
            return Observed(*gather(len(rows), found, spec), bands)
        if isinstance(spec.columns, dict):
            return self._series_by_band(spec, spec.columns, rows)
        if spec.columns is not None:
            names, values = self.matrix(spec.columns)
            bands = bands or (band_names(names) if spec.kind == "vector" else ())
            values = arranged_rows(values[rows], spec, f"columns {', '.join(names[:3])} ...")
            return Observed(values, np.ones(len(rows), dtype=bool), bands)
        return self._of_cells(str(spec.values), spec, rows, bands)

    def _of_cells(self, column: str, spec: ModalitySpec, rows: np.ndarray, bands: tuple[str, ...]) -> Observed:
        self._know([column])
        kind = self._schema.field(column).type
        called = f"column {column!r}"
        if _holds_bytes(kind):
            return Observed(*gather(len(rows), self._decoded(column, spec, rows), spec), bands)
        if is_list(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
            cells = self._read([column])[column].take(pa.array(rows))
            cells = cells if is_list(kind) else lists_of_texts(cells, called)
            return Observed(*array_of_lists(cells, spec, called), bands)
        _, values = self.matrix([column])
        return Observed(arranged_rows(values[rows], spec, called), np.ones(len(rows), dtype=bool), bands)

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
                    yield wanted[row], called, decode(data, spec, called) if data else None
            start += run.num_rows

    def _series_by_band(self, spec: ModalitySpec, columns: dict[str, str], rows: np.ndarray) -> Observed:
        bands = {band: self.matrix(pattern) for band, pattern in columns.items()}
        steps = {band: len(names) for band, (names, _) in bands.items()}
        first = next(iter(steps))
        for band, count in steps.items():
            if count != steps[first]:
                raise ValueError(f"band {band!r} has {count} columns and {first!r} has {steps[first]}; each is a step.")
        values = np.stack([values[rows] for _, values in bands.values()], axis=2)
        return Observed(arranged_rows(values, spec, "columns"), np.ones(len(rows), dtype=bool), band_names(bands))

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
        self._know(names)
        return pa.concat_tables(self._runs(names))

    def _know(self, names: list[str]) -> None:
        for name in names:
            if name not in self._schema.names:
                raise ValueError(unknown_column("column", name, self._schema.names))


def in_number_order(names: list[str]) -> list[str]:
    """Sort names by the number in them where they differ in nothing else; others keep their order.

    Example:
        >>> in_number_order(["VV_1", "VV_10", "VV_2"])
        ['VV_1', 'VV_2', 'VV_10']
    """
    if len({_DIGITS.sub("#", name) for name in names}) > 1:
        return names
    return sorted(names, key=lambda name: [int(digits) for digits in _DIGITS.findall(name)])


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
