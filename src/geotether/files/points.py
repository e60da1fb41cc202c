"""Points with columns: rows with a place each, read from any format of rows and written with further columns."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.files.delimited import FAULT, RAW, described_lines
from geotether.files.formats import FORMATS, format_of
from geotether.files.places import ROWS_ADVICE, PlaceFinder
from geotether.files.rows import naming, open_rows, read_rows
from geotether.files.writers import list_column

_LAYERS = (".gpkg", ".fgb")


@dataclass(frozen=True, eq=False)
class PointRecords:
    """Points of a file, in its order.

    Attributes:
        lonlat: Longitude and latitude in degrees, WGS 84, checked, as written in the file, shape (n, 2).
        columns: All columns of the file, with a geometry where it has one.
        place: What states the place, in words.
    """

    lonlat: Float64[np.ndarray, "n 2"]
    columns: pa.Table
    place: str = ""

    def __len__(self) -> int:
        """Count the points."""
        return len(self.lonlat)


def read_points(
    path: str | Path,
    lon: str | None = None,
    lat: str | None = None,
    crs: str | None = None,
    layer: str | None = None,
) -> PointRecords:
    """Read a file of points; a row without a valid place is an error.

    Places are found as `geotether table build` finds them; see `PlaceFinder` for `lon`, `lat` and `crs`, and
    `geotether.files.formats` for the formats. `layer` is that of a GeoPackage that has several.

    Returns:
        Places and all columns. Numbers of a CSV with leading zeros stay texts.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the ending is unknown, the file is damaged or has no rows, has no columns of coordinates (those
            found are listed), or a row has no valid place.
        ImportError: If the format needs an extra that is not installed.
    """
    columns = read_rows(path, layer)
    with naming(Path(path), "points"):
        finder = PlaceFinder(columns.schema, lon, lat, crs)
        return PointRecords(finder.require(columns), columns, finder.place)


@dataclass(frozen=True, eq=False)
class OpenPoints:
    """Points of an open file, to be read once from front to back.

    Attributes:
        schema: Of the tables.
        place: What states the place: the columns or the geometry, in words.
        chunks: Tables, and the longitude and latitude of their rows, shape (n, 2).
        rejected: Reasons of rows that were left out, and how many; complete once all rows are read.
    """

    schema: pa.Schema
    place: str
    chunks: Iterator[tuple[pa.Table, Float64[np.ndarray, "n 2"]]]
    rejected: Counter[str] = field(default_factory=Counter)


@contextmanager
def open_points(
    path: str | Path,
    out: str | Path,
    lon: str | None = None,
    lat: str | None = None,
    crs: str | None = None,
    layer: str | None = None,
    reject: bool = False,
    rows_at_once: int = 4096,
) -> Iterator[OpenPoints]:
    """Open a file of points to write its rows with further columns; memory does not grow with the file.

    The cells of delimited text stay texts in a CSV; elsewhere they become numbers or booleans only if these say the
    same (`read_delimited`, `keep`). Mixed values of GeoJSON and JSON lines stay JSON in GeoJSON.

    Args:
        path: As for `read_points`.
        out: The file to write; its format decides what cells are kept as.
        lon: As for `read_points`.
        lat: As for `read_points`.
        crs: As for `read_points`.
        layer: As for `read_points`.
        reject: Whether rows without a valid place, or that cannot be read, are left out and counted; else they are an
            error.
        rows_at_once: Most rows of a table.

    Raises:
        FileNotFoundError, ValueError, ImportError: As `read_points`, also while the rows are read.
    """
    keep = {"csv": "texts", "geojson": "json"}.get(output_format(out), "values")
    with open_rows(path, layer, rows_at_once=rows_at_once, keep=keep) as rows, naming(Path(path), "points"):
        typed = [name for name in rows.schema.names if name != FAULT and not name.startswith(RAW)]
        source = {name: RAW + name if RAW + name in rows.schema.names else name for name in typed}
        schema = pa.schema([rows.schema.field(at).with_name(name) for name, at in source.items()], rows.schema.metadata)
        finder = PlaceFinder(
            pa.schema([rows.schema.field(name) for name in typed], rows.schema.metadata), lon, lat, crs
        )
        points = OpenPoints(schema, finder.place, iter(()))

        def chunks() -> Iterator[tuple[pa.Table, Float64[np.ndarray, "n 2"]]]:
            done = 0
            for table in rows.tables:
                if not table.num_rows:
                    continue
                lonlat, reasons = finder.find(table)
                faults = table[FAULT].to_pylist() if FAULT in table.column_names else []
                reasons |= {row: fault for row, fault in enumerate(faults) if fault is not None}
                if reasons and not reject:
                    if not done and not any(faults):
                        finder.require(table)  # whose message counts the rows and detects swapped columns
                    if any(faults) and rows.broken:
                        said = described_lines(rows.broken)
                        raise ValueError(f"{said}. Correct the file, or quote values with the delimiter.")
                    row = min(reasons)
                    raise ValueError(f"row {done + row} cannot be used: {reasons[row]}. {ROWS_ADVICE}.")
                points.rejected.update(reasons.values())
                done += table.num_rows
                kept = np.ones(table.num_rows, dtype=bool)
                kept[list(reasons)] = False
                if kept.any():
                    columns = [table[at] for at in source.values()]
                    chosen = pa.table(columns, schema=schema)
                    if not kept.all():
                        chosen, lonlat = chosen.filter(pa.array(kept)), lonlat[kept]
                    for start in range(0, len(lonlat), rows_at_once):  # a block of text may have many more rows
                        yield chosen.slice(start, rows_at_once), lonlat[start : start + rows_at_once]
            if not done:
                raise ValueError("it has no rows.")
            if points.rejected.total() == done:
                reason, count = points.rejected.most_common(1)[0]
                raise ValueError(f"none of the {done:,} rows can be used; most often: {reason} ({count:,}).")

        object.__setattr__(points, "chunks", chunks())
        yield points


def output_format(path: str | Path) -> str:
    """Tell the format that points are written in by the name of a file: "csv", "parquet", "geojson" or "layer".

    Args:
        path: The file, which need not exist.

    Raises:
        ValueError: If the ending is not one of theirs.

    Example:
        >>> output_format("towns.csv"), output_format("towns.gpkg")
        ('csv', 'layer')
    """
    found, ending = format_of(path, "rows"), Path(path).suffix.lower()
    if found is not None and ending in (*(found.endings if found.written else ()), *_LAYERS):
        return found.name
    if ending == ".shp":
        raise ValueError(
            f"{path}: a Shapefile has at most 255 columns with names of 10 characters and texts of 254 bytes, and no "
            "lists, so embeddings beside other columns do not fit; write .gpkg, which the same programs read."
        )
    known = [*(ending for one in FORMATS if one.written for ending in one.endings), *_LAYERS]
    raise ValueError(f"{path} ends in {Path(path).suffix or 'nothing'!r}; points are written to {', '.join(known)}.")


def with_columns(columns: pa.Table, extra: Mapping[str, np.ndarray]) -> pa.Table:
    """Add arrays of shape (n,) as columns of numbers, and of shape (n, d) as columns of lists.

    Raises:
        ValueError: If an array has another length, or there is a column of that name already.
    """
    for name, values in extra.items():
        if name in columns.column_names:
            raise ValueError(f"The points already have a column {name!r}; rename or drop it in the input.")
        if len(values) != len(columns) or np.ndim(values) not in (1, 2):
            raise ValueError(
                f"Column {name!r} has shape {np.shape(values)}, but there are {len(columns)} points; "
                "it needs shape (n,) or (n, d)."
            )
        columns = columns.append_column(name, list_column(values) if np.ndim(values) == 2 else pa.array(values))
    return columns
