"""Files of polygons: GeoPackage, Shapefile, FlatGeobuf, GeoJSON, GeoParquet."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from geotether.files.formats import PARQUET_ENDINGS, endings_of
from geotether.files.geometry import AroundPoleError, geometry_column, geometry_notes, unwrapped
from geotether.files.rows import OpenRows, open_rows

# Polygons held in memory at once: one country of GADM 4.1 may take 100 MB.
POLYGONS_AT_ONCE = 16
POLYGON_ENDINGS = endings_of("geojson", "layer", "parquet")


def polygon_layers(path: str | Path) -> list[str]:
    """Name the layers of a file that have a geometry, such as ADM_0 to ADM_5 of GADM; a GeoParquet has one."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no polygon file {path}.")
    if path.suffix.lower() in PARQUET_ENDINGS:
        return [path.stem]
    try:
        import pyogrio
    except ImportError:
        raise ImportError("Polygons are read with geopandas: pip install 'geotether[geo]'.") from None
    try:
        layers = pyogrio.list_layers(path)
    except pyogrio.errors.DataSourceError as error:
        raise ValueError(f"{path} is damaged or not a polygon file that GDAL reads: {error}") from error
    return [str(name) for name, kind in layers if kind is not None]


@contextmanager
def open_polygons(path: Path, layer: str | None) -> Iterator[tuple[OpenRows, str]]:
    """Open the rows of a polygon file.

    Args:
        path: GeoPackage, Shapefile, FlatGeobuf, GeoJSON or GeoParquet.
        layer: Which layer. None: the first.

    Yields:
        The rows, 16 at a time, and the name of the column of geometry, well-known binary; `geometry_notes` of the
        schema has its CRS.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or has no such layer or no geometry.
        ImportError: If geopandas' parts are missing.
    """
    layers = polygon_layers(path)
    if not layers:
        raise ValueError(f"{path} has no layer with geometry.")
    if layer is not None and layer not in layers:
        raise ValueError(f"{path} has no layer {layer!r}; there are {', '.join(layers)}.")
    # GDAL reads GeoJSON as well, several times as fast as Python does.
    kind = "parquet" if path.suffix.lower() in PARQUET_ENDINGS else "layer"
    named = None if kind == "parquet" else layer or layers[0]
    with open_rows(path, named, kind=kind, rows_at_once=POLYGONS_AT_ONCE) as rows:
        geometry = geometry_column(rows.schema)
        encoding = geometry_notes(rows.schema).get("columns", {}).get(geometry, {}).get("encoding")
        if geometry is None or encoding != "WKB":
            raise ValueError(f"it has no geometry as WKB (encoding {encoding!r}); write it with geopandas.")
        yield rows, geometry


def polygons_of(column: pa.ChunkedArray, path: Path, turn: float) -> np.ndarray:
    """Read polygons of well-known binary.

    Args:
        column: The geometry.
        path: The file, for messages.
        turn: A full turn of longitude in units of x, 0 where x is not a longitude. Polygons that cross 180 degrees in a
            file that does not cut them there continue beyond it.

    Returns:
        Object array of shapely polygons, None where a row has none.

    Raises:
        ValueError: If the geometry is damaged.
    """
    import shapely

    try:
        shapes = shapely.from_wkb(objects_of(column))
        west, _, east, _ = shapely.bounds(shapes).T
        for row in np.flatnonzero(east - west > turn / 2).tolist() if turn else ():
            with suppress(AroundPoleError):
                shapes[row] = unwrapped(shapes[row], turn)
    except shapely.errors.ShapelyError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return shapes


def objects_of(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a column to an object array, None where a cell is empty."""
    parts = [chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk for chunk in column.chunks]
    values = np.empty(len(column), dtype=object)
    values[:] = [value for part in parts for value in part.to_pylist()]
    return values
