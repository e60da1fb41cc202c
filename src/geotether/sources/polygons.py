"""The polygon of a published file that contains each place: GeoPackage, Shapefile, GeoJSON, GeoParquet."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float64, Integer

from geotether.files.formats import PARQUET_ENDINGS
from geotether.files.geometry import AroundPoleError, geometry_column, geometry_notes, unwrapped
from geotether.files.rows import OpenRows, open_rows
from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.geodesy.crs import WGS84, is_geographic, xy_of_lonlat

# Polygons held in memory at once: one country of GADM 4.1 may take 100 MB.
POLYGONS_AT_ONCE = 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Holders:
    """The polygon that each place lies in.

    Attributes:
        row: Its row in the file, shape (n,); -1 where no polygon contains it. On a shared border the first counts.
        columns: Its attributes by column name, object arrays of shape (n,), None where there is none.
        num_repaired: How many invalid polygons near places were repaired.
    """

    row: Integer[np.ndarray, " n"]
    columns: dict[str, np.ndarray]
    num_repaired: int

    @property
    def found(self) -> Bool[np.ndarray, " n"]:
        """Whether some polygon contains the place."""
        return self.row >= 0


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


def polygon_columns(path: str | Path, layer: str | None = None) -> list[str]:
    """Name the attribute columns of a layer of a polygon file, by default of the first; raises as `find_polygons`."""
    with _open_polygons(Path(path), layer) as (rows, geometry):
        return [name for name in rows.schema.names if name != geometry]


def find_polygons(
    path: str | Path, lonlat: Float[np.ndarray, "n 2"], columns: Sequence[str] = (), layer: str | None = None
) -> Holders:
    """Find the polygon that contains each place.

    The file is streamed, 16 polygons at a time, against a search tree of the places, so memory does not grow with the
    file. Places are converted to the file's CRS (WGS 84 where it has none); polygons beyond or across 180 degrees, cut
    there or not, and places on the date line are found on both sides; invalid polygons are repaired and counted.

    Args:
        path: GeoPackage, Shapefile, GeoJSON or GeoParquet with polygons.
        lonlat: Places in degrees, WGS 84, shape (n, 2).
        columns: Attributes to return, named as in the file.
        layer: Which layer. None: the first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no such layer or column, or contains no polygons.
        ImportError: If geopandas' parts are missing.
    """
    import shapely

    path = Path(path)
    check_lonlat(lonlat)
    row = np.full(len(lonlat), -1, dtype=np.int64)
    values = {name: np.full(len(lonlat), None, dtype=object) for name in columns}
    start = repaired = polygonal = 0
    with _open_polygons(path, layer) as (rows, geometry):
        known = [name for name in rows.schema.names if name != geometry]
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise ValueError(f"{path} has no column {unknown[0]!r}; there are {', '.join(known) or 'none'}.")
        about = geometry_notes(rows.schema)["columns"][geometry]
        xy, owner = _places_in(about.get("crs") or WGS84, lonlat)
        tree = shapely.STRtree(shapely.points(xy))
        turn = 360.0 if is_geographic(about.get("crs") or WGS84) else 0.0
        for table in rows.tables:
            shapes = _shapes(table[geometry], path, turn)
            # Checking the validity of a coast of a million vertices takes seconds, so only polygons near places are.
            near = np.unique(tree.query(shapes)[0])
            wrong = near[~shapely.is_valid(shapes[near])]
            shapes[wrong] = shapely.make_valid(shapes[wrong])
            repaired += len(wrong)
            polygonal += int(np.isin(shapely.get_type_id(shapes), (3, 6, 7)).sum())
            which, place = tree.query(shapes, predicate="intersects")
            order = np.argsort(which, kind="stable")
            holders, first = np.unique(owner[place[order]], return_index=True)  # the first polygon in the file counts
            new = row[holders] < 0
            place, polygon = holders[new], which[order][first[new]]
            row[place] = start + polygon
            for name in columns:
                values[name][place] = _objects(table[name])[polygon]
            start += len(shapes)
    if not polygonal:
        raise ValueError(f"{path} contains no polygons in its {start} rows.")
    if repaired:
        _log.info("%s: %d invalid polygons were repaired.", path.name, repaired)
    return Holders(row, values, repaired)


@contextmanager
def _open_polygons(path: Path, layer: str | None) -> Iterator[tuple[OpenRows, str]]:
    """Open the rows of a polygon file, and name the column of geometry."""
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


def _places_in(crs: Any, lonlat: Float[np.ndarray, "n 2"]) -> tuple[Float64[np.ndarray, "m 2"], np.ndarray]:
    """Convert places to a CRS, some of them also a turn further east or west; and return the place of each row."""
    places = np.arange(len(lonlat))
    xy = xy_of_lonlat(lonlat, crs)
    if not is_geographic(crs):
        inside = np.isfinite(xy).all(axis=1)
        return xy[inside], places[inside]
    xy = np.stack([wrap_longitude(xy[:, 0]), xy[:, 1]], axis=1)
    turn = np.array([360.0, 0.0])
    turned = [xy, xy + turn, xy - turn]
    # Files run from -180 to 180, or as far as 360; -180 and 180 are one meridian.
    kept = [np.ones(len(xy), dtype=bool), turned[1][:, 0] <= 360.0, turned[2][:, 0] >= -200.0]
    return np.concatenate([t[k] for t, k in zip(turned, kept, strict=True)]), np.concatenate([places[k] for k in kept])


def _shapes(column: pa.ChunkedArray, path: Path, turn: float) -> np.ndarray:
    """Read polygons; those that cross 180 degrees in a file that does not cut them there go on beyond it."""
    import shapely

    try:
        shapes = shapely.from_wkb(_objects(column))
        west, _, east, _ = shapely.bounds(shapes).T
        for row in np.flatnonzero(east - west > turn / 2).tolist() if turn else ():
            with suppress(AroundPoleError):
                shapes[row] = unwrapped(shapes[row], turn)
    except shapely.errors.ShapelyError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return shapes


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a column to an object array, None where a cell is empty."""
    parts = [chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk for chunk in column.chunks]
    values = np.empty(len(column), dtype=object)
    values[:] = [value for part in parts for value in part.to_pylist()]
    return values
