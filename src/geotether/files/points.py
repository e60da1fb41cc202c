"""Points with columns: rows with a place each, read from any format of rows and written with further columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.files.formats import FORMATS, format_of
from geotether.files.geometry import geometry_column
from geotether.files.places import PlaceFinder
from geotether.files.rows import naming, read_rows
from geotether.files.writers import list_column, refuse_bytes, write_csv, write_geojson, write_parquet


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


def output_format(path: str | Path) -> str:
    """Tell the format that points are written in by the name of a file: "csv", "parquet" or "geojson".

    Args:
        path: The file, which need not exist.

    Raises:
        ValueError: If the ending is not one of theirs.

    Example:
        >>> output_format("towns.csv")
        'csv'
    """
    found = format_of(path, "rows")
    if found is None or not found.written or Path(path).suffix.lower() not in found.endings:
        known = [ending for one in FORMATS if one.written for ending in one.endings]
        raise ValueError(
            f"{path} ends in {Path(path).suffix or 'nothing'!r}; points are written to {', '.join(known)}."
        )
    return found.name


def write_columns(records: PointRecords, path: str | Path, extra: Mapping[str, np.ndarray]) -> None:
    """Write points with all their columns and further ones.

    An array of shape (n, d), such as embeddings, becomes one column of fixed-size lists in Parquet, a JSON
    list in each cell of a CSV, and a list in each feature's properties in GeoJSON. A geometry stays a
    geometry in Parquet and GeoJSON and becomes `lon` and `lat` in a CSV.

    Args:
        records: The points.
        path: Ends in .csv, .tsv, .parquet, .geoparquet, .pq, .geojson or .json; replaced only once all is written.
        extra: By name, arrays of shape (n,) or (n, d).

    Raises:
        ValueError: If the ending is unknown, an array has another length, there is a column of that name already, or a
            column cannot be written to that format.
        OSError: If the disk is full or the folder cannot be written to; an existing file is unchanged.
    """
    kind = output_format(path)
    columns = records.columns
    for name, values in extra.items():
        if name in columns.column_names:
            raise ValueError(f"The points already have a column {name!r}; rename or drop it in the input.")
        if len(values) != len(records) or np.ndim(values) not in (1, 2):
            raise ValueError(
                f"Column {name!r} has shape {np.shape(values)}, but there are {len(records)} points; "
                "it needs shape (n,) or (n, d)."
            )
        columns = columns.append_column(name, list_column(values) if np.ndim(values) == 2 else pa.array(values))
    geometry = geometry_column(columns.schema)
    if kind == "parquet":
        write_parquet(columns, path)
        return
    if geometry is not None:
        columns = columns.drop_columns([geometry])
    refuse_bytes(columns, path)
    if kind == "geojson":
        write_geojson(columns, records.lonlat, path)
        return
    if geometry is not None:
        for place, (name, values) in enumerate(zip(("lon", "lat"), records.lonlat.T, strict=True)):
            if name not in columns.column_names:
                columns = columns.add_column(place, name, pa.array(np.ascontiguousarray(values)))
    write_csv(columns, path)
