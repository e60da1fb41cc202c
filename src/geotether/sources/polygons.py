"""Which polygon of a published file holds each place: GeoPackage, Shapefile, GeoJSON, GeoParquet."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float64, Integer

from geotether.files.formats import PARQUET_ENDINGS
from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.geodesy.crs import WGS84, is_geographic, xy_of_lonlat

# Polygons held in memory at once: one country of GADM 4.1 may take 100 MB.
POLYGONS_AT_ONCE = 16
_INSTALL = "Polygons are read with geopandas: pip install 'geotether[geo]'."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Holders:
    """The polygon that each place lies in.

    Attributes:
        row: Its row in the file, shape (n,); -1 where no polygon holds the place. On a shared border the first counts.
        columns: Its attributes by column name, each an object array of shape (n,), None where there is none.
        num_mended: How many invalid polygons were mended; those far from every place are not looked at.
    """

    row: Integer[np.ndarray, " n"]
    columns: dict[str, np.ndarray]
    num_mended: int

    @property
    def found(self) -> Bool[np.ndarray, " n"]:
        """True where some polygon holds the place."""
        return self.row >= 0


def polygon_layers(path: str | Path) -> list[str]:
    """Name the layers of a file that hold geometry, such as ADM_0 to ADM_5 of GADM; a GeoParquet has one.

    Args:
        path: A polygon file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read.
    """
    path = _existing(path)
    if path.suffix.lower() in PARQUET_ENDINGS:
        return [path.stem]
    pyogrio = _pyogrio()
    try:
        layers = pyogrio.list_layers(path)
    except pyogrio.errors.DataSourceError as error:
        raise ValueError(f"{path} is damaged or no polygon file that GDAL knows: {error}") from error
    return [str(name) for name, kind in layers if kind is not None]


def polygon_columns(path: str | Path, layer: str | None = None) -> list[str]:
    """Name the attribute columns of a polygon file.

    Args:
        path: A polygon file.
        layer: Which layer. None: the first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read or has no such layer.
    """
    path = _existing(path)
    layer = _layer(path, layer)
    if path.suffix.lower() in PARQUET_ENDINGS:
        import pyarrow.parquet as pq

        geometry, _ = _geometry_of_parquet(path)
        return [name for name in pq.read_schema(path).names if name != geometry]
    return [str(name) for name in _pyogrio().read_info(path, layer=layer)["fields"]]


def find_polygons(
    path: str | Path, lonlat: Float[np.ndarray, "n 2"], columns: Sequence[str] = (), layer: str | None = None
) -> Holders:
    """Find the polygon that holds each place.

    The file is streamed, 16 polygons at a time, against a search tree of the places, so memory does not grow with the
    file. Places are moved into the file's CRS; polygons beyond 180 degrees and places on the date line are met on
    both sides; invalid polygons are mended first and counted.

    Args:
        path: GeoPackage, Shapefile, GeoJSON or GeoParquet with polygons. Without a CRS it is taken as WGS 84.
        lonlat: Places in degrees, WGS 84, shape (n, 2).
        columns: Attributes to bring along, named as in the file.
        layer: Which layer. None: the first.

    Returns:
        The polygon of each place.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no such layer or column, or holds no polygons.
        ImportError: If geopandas' parts are missing.
    """
    try:
        import shapely
    except ImportError:
        raise ImportError(_INSTALL) from None
    path = _existing(path)
    layer = _layer(path, layer)
    check_lonlat(lonlat)
    known = polygon_columns(path, layer)
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise ValueError(f"{path} has no column {unknown[0]!r}; there are {', '.join(known) or 'none'}.")
    crs, batches = _batches(path, layer, columns)
    xy, owner = _places_in(crs, lonlat)
    tree = shapely.STRtree(shapely.points(xy))
    row = np.full(len(lonlat), -1, dtype=np.int64)
    values = {name: np.full(len(lonlat), None, dtype=object) for name in columns}
    start = mended = polygonal = 0
    for wkb, attributes in batches:
        shapes = shapely.from_wkb(wkb)
        # Telling whether a coast of a million vertices is valid takes seconds, so only where a place may lie in it.
        near = np.unique(tree.query(shapes)[0])
        wrong = near[~shapely.is_valid(shapes[near])]
        shapes[wrong] = shapely.make_valid(shapes[wrong])
        mended += len(wrong)
        polygonal += int(np.isin(shapely.get_type_id(shapes), (3, 6, 7)).sum())
        which, place = tree.query(shapes, predicate="intersects")
        order = np.argsort(which, kind="stable")
        holders, first = np.unique(owner[place[order]], return_index=True)  # the first polygon in the file counts
        new = row[holders] < 0
        place, polygon = holders[new], which[order][first[new]]
        row[place] = start + polygon
        for name in columns:
            values[name][place] = attributes[name][polygon]
        start += len(wkb)
    if not polygonal:
        raise ValueError(f"{path} holds no polygons in its {start} rows.")
    if mended:
        _log.info("%s: %d invalid polygons were mended.", path.name, mended)
    return Holders(row, values, mended)


def _places_in(crs: Any, lonlat: Float[np.ndarray, "n 2"]) -> tuple[Float64[np.ndarray, "m 2"], np.ndarray]:
    """The places in a CRS, and which place each row is: some stand for themselves a turn further east or west."""
    places = np.arange(len(lonlat))
    xy = xy_of_lonlat(lonlat, crs or WGS84)
    if not is_geographic(crs or WGS84):
        inside = np.isfinite(xy).all(axis=1)
        return xy[inside], places[inside]
    xy = xy.copy()
    xy[:, 0] = wrap_longitude(xy[:, 0])
    turn = np.array([360.0, 0.0])
    turned = [xy, xy + turn, xy - turn]
    # Files run from -180 to 180, or as far as 360; -180 and 180 are one meridian.
    kept = [np.ones(len(xy), dtype=bool), turned[1][:, 0] <= 360.0, turned[2][:, 0] >= -200.0]
    return np.concatenate([t[k] for t, k in zip(turned, kept, strict=True)]), np.concatenate([places[k] for k in kept])


def _batches(
    path: Path, layer: str | None, columns: Sequence[str]
) -> tuple[Any, Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]]:
    """The CRS, and the rows as well-known binary and attributes, a few at a time."""
    if path.suffix.lower() in PARQUET_ENDINGS:
        geometry, crs = _geometry_of_parquet(path)
        return crs, (_as_arrays(batch, geometry, columns) for batch in _parquet_batches(path, [geometry, *columns]))
    info = _pyogrio().read_info(path, layer=layer)
    return info["crs"], _gdal_batches(path, layer, columns)


def _gdal_batches(
    path: Path, layer: str | None, columns: Sequence[str]
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    opened = _pyogrio().open_arrow(
        path, layer=layer, columns=list(columns), batch_size=POLYGONS_AT_ONCE, use_pyarrow=True
    )
    with opened as (meta, reader):
        for batch in reader:
            yield _as_arrays(batch, meta["geometry_name"] or "wkb_geometry", columns)


def _parquet_batches(path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    yield from pq.ParquetFile(path).iter_batches(batch_size=POLYGONS_AT_ONCE, columns=names)


def _as_arrays(
    batch: pa.RecordBatch, geometry: str, columns: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    shapes = batch[geometry]
    if isinstance(shapes, pa.ExtensionArray):
        shapes = shapes.storage
    wkb = np.array([*shapes.to_pylist(), None], dtype=object)[:-1]
    # One place too many, then cut, so that numpy keeps equal-length values as objects.
    return wkb, {name: np.array([*batch[name].to_pylist(), None], dtype=object)[:-1] for name in columns}


def _geometry_of_parquet(path: Path) -> tuple[str, Any]:
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except pa.ArrowException as error:
        raise ValueError(f"{path} is damaged or is not a Parquet file: {error}.") from error
    about = json.loads(metadata.get(b"geo", b"{}"))
    name = about.get("primary_column")
    encoding = about.get("columns", {}).get(name, {}).get("encoding")
    if encoding != "WKB":
        raise ValueError(f"{path} is no GeoParquet with WKB geometry (encoding {encoding!r}); write it with geopandas.")
    return name, about["columns"][name].get("crs")


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no polygon file {path}.")
    return path


def _layer(path: Path, layer: str | None) -> str | None:
    layers = polygon_layers(path)
    if not layers:
        raise ValueError(f"{path} has no layer with geometry.")
    if layer is not None and layer not in layers:
        raise ValueError(f"{path} has no layer {layer!r}; there are {', '.join(layers)}.")
    return None if path.suffix.lower() in PARQUET_ENDINGS else layer or layers[0]


def _pyogrio() -> Any:
    try:
        import pyogrio
    except ImportError:
        raise ImportError(_INSTALL) from None
    return pyogrio
