"""Points with columns from CSV, Parquet, GeoParquet, GeoJSON, GeoPackage and Shapefile."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.geodesy.coordinates import check_lonlat
from geotether.sources.geometry import geometry_column, lonlat_of_geometry
from geotether.sources.readers import read_csv, read_geojson, read_parquet
from geotether.sources.records.layers import ENDINGS as LAYER_ENDINGS
from geotether.sources.records.layers import read_layer
from geotether.sources.writers import list_column, refuse_bytes, write_csv, write_geojson, write_parquet

LON_NAMES = ("lon", "longitude", "lng", "long", "x")
LAT_NAMES = ("lat", "latitude", "y")
DELIMITED_ENDINGS = (".csv", ".tsv", ".txt")
PARQUET_ENDINGS = (".parquet", ".geoparquet", ".pq")  # of feature tables too
KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    **dict.fromkeys(PARQUET_ENDINGS, "parquet"),
    ".geojson": "geojson",
    ".json": "geojson",
}


@dataclass(frozen=True, eq=False)
class PointRecords:
    """Points of a file, in its order.

    Attributes:
        lonlat: Longitude and latitude in degrees, WGS 84, checked, as written in the file, shape (n, 2).
        columns: All columns of the file; of GeoJSON the properties and a GeoParquet geometry.
    """

    lonlat: Float64[np.ndarray, "n 2"]
    columns: pa.Table

    def __len__(self) -> int:
        """Count the points."""
        return len(self.lonlat)


def points_kind(path: str | Path) -> str:
    """Tell the format of a file of points by its name: "csv", "parquet" or "geojson".

    Args:
        path: Of the file; it need not exist.

    Raises:
        ValueError: If the ending is none of the known ones.

    Example:
        >>> points_kind("towns.csv")
        'csv'
    """
    ending = Path(path).suffix.lower()
    if ending not in KINDS:
        raise ValueError(f"{path} ends in {ending or 'nothing'!r}; expected one of {', '.join(KINDS)}.")
    return KINDS[ending]


def read_points(path: str | Path, lon: str | None = None, lat: str | None = None) -> PointRecords:
    """Read a file of points.

    Columns of coordinates are found by name, in any case: lon, longitude, lng, long or x, and lat,
    latitude or y, in degrees. A GeoParquet or GeoJSON geometry comes first where there is one.

    Args:
        path: Delimited text (.csv, .tsv or .txt, also .gz; see `geotether.sources.readers.read_csv`), Parquet,
            GeoParquet or GeoJSON, or with the extra `geo` GeoPackage, Shapefile or FlatGeobuf in any CRS; told apart
            by the ending.
        lon: Column of longitudes in degrees; named together with `lat`. None: found.
        lat: Column of latitudes in degrees.

    Returns:
        Coordinates and all columns. Numbers of a CSV with leading zeros stay texts.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not of its kind, holds no rows, has no columns of coordinates (those found
            are listed), or a row is not (longitude, latitude) in degrees.
    """
    path = Path(path)
    kind = _kind_to_read(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}." if not path.exists() else f"{path} is not a file.")
    try:
        readers = {"csv": read_csv, "parquet": read_parquet, "geojson": read_geojson, "layer": read_layer}
        columns = readers[kind](path)
        if columns.num_rows == 0:
            raise ValueError("it has no rows.")
        lonlat = lonlat_of_columns(columns, lon, lat)
        check_lonlat(lonlat)
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the system's own error, such as a missing permission
            raise
        raise ValueError(f"{path} is damaged or is not a {kind} file: {error}.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return PointRecords(lonlat, columns)


def write_columns(records: PointRecords, path: str | Path, extra: Mapping[str, np.ndarray]) -> None:
    """Write points with all their columns and further ones.

    An array of shape (n, d), such as embeddings, becomes one column of fixed-size lists in Parquet, a JSON
    list in each cell of a CSV, and a list in each feature's properties in GeoJSON. A geometry stays a
    geometry in Parquet and GeoJSON and becomes `lon` and `lat` in a CSV.

    Args:
        records: From `read_points`.
        path: Ends in .csv, .parquet or .geojson (and their kin); replaced only once all is written.
        extra: By name, arrays of shape (n,) or (n, d).

    Raises:
        ValueError: If the ending is unknown, an array has another length, a column of that name is there
            already, or a column cannot be written to that format.
        OSError: If the disk is full or the folder cannot be written to; an existing file is unchanged.
    """
    kind = points_kind(path)
    columns = records.columns
    for name, values in extra.items():
        if name in columns.column_names:
            raise ValueError(f"The points have a column {name!r} already; rename or drop it in the input.")
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


def _kind_to_read(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(LAYER_ENDINGS):
        return "layer"
    if name.removesuffix(".gz").endswith(DELIMITED_ENDINGS):
        return "csv"
    if path.suffix.lower() not in KINDS:
        known = ", ".join(dict.fromkeys((*DELIMITED_ENDINGS, *KINDS, *LAYER_ENDINGS)))
        raise ValueError(
            f"{path} ends in {path.suffix or 'nothing'!r}; points are read from {known}, and from "
            f"{', '.join(ending + '.gz' for ending in DELIMITED_ENDINGS)}."
        )
    return points_kind(path)


def lonlat_of_columns(columns: pa.Table, lon: str | None = None, lat: str | None = None) -> Float64[np.ndarray, "n 2"]:
    """Find the coordinates of a table: its GeoParquet geometry, or columns with one of the known names.

    Args:
        columns: Any table.
        lon: Column of longitudes, before any other; named together with `lat`.
        lat: Column of latitudes.

    Returns:
        Shape (n, 2), not checked for their range yet; NaN where a value is missing.

    Raises:
        ValueError: If there are no such columns (those found are listed), or one does not hold numbers.
    """
    if (lon is None) != (lat is None):
        raise ValueError(f"lon and lat are named together; got lon={lon!r} and lat={lat!r}.")
    found = ", ".join(map(repr, columns.column_names[:30])) or "none"
    if lon is not None and lat is not None:
        for name in (lon, lat):
            if name not in columns.column_names:
                raise ValueError(f"there is no column {name!r}. Columns found: {found}.")
        return np.stack([_numbers(name, columns[name]) for name in (lon, lat)], axis=1)
    if geometry_column(columns.schema) is not None:
        return lonlat_of_geometry(columns)
    names = {axis: find_name(columns.column_names, known) for axis, known in (("lon", LON_NAMES), ("lat", LAT_NAMES))}
    missing = [axis for axis, name in names.items() if name is None]
    if missing:
        raise ValueError(
            f"there is no column for {' and '.join(missing)} in degrees; name them 'lon' and 'lat', or say which they "
            f"are (lon= and lat=; of `geotether encode` --lon and --lat). "
            f"Columns found: {found}."
        )
    return np.stack([_numbers(str(name), columns[str(name)]) for name in names.values()], axis=1)


def find_name(names: list[str], known: tuple[str, ...]) -> str | None:
    """Find the first of the known names among columns, in any case.

    Raises:
        ValueError: If two columns differ from it by case only.
    """
    for wanted in known:
        hits = [name for name in names if name.strip().lower() == wanted]
        if len(hits) > 1:
            raise ValueError(f"two columns could be {wanted!r}: {', '.join(map(repr, hits))}; rename one.")
        if hits:
            return hits[0]
    return None


def _numbers(name: str, column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    values = ["nan" if value is None or value == "" else value for value in column.to_pylist()]
    for row, value in enumerate(values):
        try:
            float(value)
        except (TypeError, ValueError):
            raise ValueError(f"column {name!r} must hold degrees as numbers, but row {row} is {value!r}.") from None
    return np.array([float(value) for value in values], dtype=np.float64)
