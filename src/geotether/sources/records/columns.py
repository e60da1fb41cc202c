"""Rows with columns of numbers, classes, booleans and dates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from geotether.sources.records.row_file import RowFile, RowSource, names_of
from geotether.sources.source import Observations, usable


@dataclass(eq=False, kw_only=True)
class ColumnsSource(RowSource):
    r"""Rows of a table with a place each.

    Formats: CSV and TSV (delimiter found, also .gz), Parquet and GeoParquet, GeoJSON, JSON lines (also .gz), and with
    the extra `geo` GeoPackage, Shapefile and FlatGeobuf. Geometries of any CRS are converted to WGS 84; a line or a
    polygon counts as a point on or inside it (not its centroid, which may lie outside). Rows without a valid place are
    rejected with the reason.

    Args:
        columns: Columns to make features of; by default all but place, id and labels.
        ignore: Columns to leave out.

    The other arguments, and the errors, are those of `RowFile`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(f"{folder}/trees.csv").write_text("lon,lat,height\n5.66,51.97,12.5\n5.67,91,9\n")
        ...     trees = ColumnsSource(f"{folder}/trees.csv")
        ...     trees.prepare(Path(folder))
        ...     found = trees.read(0, 2)
        >>> found.content.to_pylist(), found.rejected[0].reason
        ([{'height': 12.5}], 'latitude outside [-90, 90], possible as a longitude')
    """

    kind: ClassVar[str] = "columns"
    features: ClassVar[str] = "columns"
    columns: Any = None
    ignore: Any = ()

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self.columns = None if self.columns is None else names_of("columns", self.columns)
        self.ignore = names_of("ignore", self.ignore)

    def _choose(self, schema: pa.Schema) -> None:
        self.kept = columns_to_keep(self, schema, self.columns, self.ignore)

    def _observe(self, table: pa.Table, seen: Observations, reasons: dict[int, str]) -> Observations:
        return with_columns(self.kept, table, seen, reasons)


def columns_to_keep(
    file: RowFile, schema: pa.Schema, columns: tuple[str, ...] | None, ignore: tuple[str, ...]
) -> list[str]:
    """Choose the columns to make features of, by default all but place, id and labels; ValueError if one is missing."""
    file.require([*(columns or ()), *ignore])
    taken = {*file.finder.columns, *file.labels, *filter(None, [file.id])}
    wrong = [name for name in columns or () if name in taken]
    if wrong:
        raise ValueError(f"{file.path}: column {wrong[0]!r} is the place, the id or a label; it cannot be a feature.")
    kept = [name for name in columns or schema.names if name not in taken and name not in ignore]
    if not kept:
        raise ValueError(f"{file.path} has no columns beside place, id and labels to make features of.")
    return kept


def with_columns(kept: list[str], table: pa.Table, seen: Observations, reasons: Mapping[int, str]) -> Observations:
    """Add the columns `kept` as content to the rows that `RowFile.observe` returned."""
    content = table.select(kept).replace_schema_metadata(None)
    return usable(seen, reasons, lambda good: content.take(pa.array(good)))
