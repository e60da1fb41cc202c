"""Outlines in degrees that continue beyond 180 degrees east, and their areas."""

from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geotether.files.geometry import geometry_notes
from geotether.files.polygons import open_polygons, polygons_of
from geotether.geodesy.crs import WGS84, is_geographic, lonlat_of_xy, xy_of_lonlat

# An outline whose widest gap in longitude is narrower goes around the Earth and is left between -180 and 180 degrees.
WIDEST_GAP_DEGREES = 20.0
EQUAL_AREA = "EPSG:6933"
GLOBE = shapely.box(-180.0, -90.0, 180.0, 90.0)


def continued(shape: Any) -> Any:
    """Move the parts of an outline by whole turns, so that it spans the fewest degrees of longitude.

    Args:
        shape: Polygon or multi-polygon in degrees; parts may lie anywhere, and may be cut at 180 degrees.

    Returns:
        The same area with its western end in [-180, 180); parts east of the antimeridian lie beyond 180 degrees.

    Example:
        >>> fiji = shapely.union_all([shapely.box(177, -19, 180, -16), shapely.box(-180, -17, -178, -16)])
        >>> continued(fiji).bounds
        (177.0, -19.0, 182.0, -16.0)
    """
    parts = shapely.get_parts(shape)
    if not len(parts):
        return shape
    west, _, east, _ = shapely.bounds(parts).T
    turns = np.floor((west + 180.0) / 360.0)
    west, east = west - 360.0 * turns, east - 360.0 * turns
    order = np.argsort(west, kind="stable")
    reached = np.maximum.accumulate(east[order])
    gaps = np.append(west[order][1:], west.min() + 360.0) - reached
    widest = int(gaps.argmax())
    if widest < len(parts) - 1 and gaps[widest] >= WIDEST_GAP_DEGREES:
        turns = turns - (west < west[order][widest + 1])
    if not turns.any():
        return shape
    return shapely.union_all([_turned(part, -turn) for part, turn in zip(parts, turns.tolist(), strict=True)])


def _turned(shape: Any, turns: float) -> Any:
    """Move an outline by whole turns to the east."""
    return shapely.transform(shape, lambda xy: xy + np.array([360.0 * turns, 0.0]))


def polygons_of_rings(rings: list[np.ndarray]) -> list[Any]:
    """Make polygons of a ring and its holes whose longitudes jump at 180 degrees, or which go around a pole.

    Args:
        rings: Degrees, shape (n, 2) each, the outer one first; no edge is longer than half a turn.

    Returns:
        Valid polygons; of a ring around a pole those between -180 and 180 degrees, with the pole within.
    """
    shell, *holes = (np.stack([np.unwrap(ring[:, 0], period=360.0), ring[:, 1]], axis=1) for ring in rings)
    around = abs(shell[-1, 0] - shell[0, 0]) > 180.0
    if around:
        pole = np.copysign(90.0, shell[:, 1].mean())
        shell = np.concatenate([shell, [[shell[-1, 0], pole], [shell[0, 0], pole], shell[0]]])
    for hole in holes:
        hole[:, 0] += 360.0 * np.round((shell[:, 0].mean() - hole[:, 0].mean()) / 360.0)
    shape = shapely.make_valid(shapely.Polygon(shell, holes), method="structure", keep_collapsed=False)
    if around:
        shape = shapely.union_all([shapely.intersection(_turned(shape, turn), GLOBE) for turn in (-1, 0, 1)])
    return [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 0]


def area_km2(shape: Any) -> float:
    """Compute the area of an outline on the WGS 84 ellipsoid, with edges straight in longitude and latitude.

    Example:
        >>> round(area_km2(shapely.box(-180, -90, 180, 90)) / 1e6, 3)
        510.066
    """
    x_per_degree = xy_of_lonlat(np.array([[1.0, 0.0]]), EQUAL_AREA)[0, 0]

    def cylindrical(lonlat: np.ndarray) -> np.ndarray:
        y = xy_of_lonlat(np.stack([np.zeros(len(lonlat)), lonlat[:, 1]], axis=1), EQUAL_AREA)[:, 1]
        return np.stack([lonlat[:, 0] * x_per_degree, y], axis=1)

    return float(shapely.transform(shapely.segmentize(shape, 0.25), cylindrical).area) / 1e6


def _rings(polygon: Any) -> list[np.ndarray]:
    return [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]


def outline_of_file(path: Path) -> Any:
    """Read the union of all polygons of a file as an outline in degrees, WGS 84.

    Args:
        path: GeoPackage, Shapefile, FlatGeobuf, GeoJSON or GeoParquet in any CRS; without one WGS 84 is assumed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no polygons, or lies outside its CRS.
        ImportError: If geopandas' parts are missing.
    """
    found = []
    with open_polygons(path, None) as (rows, geometry):
        crs = geometry_notes(rows.schema)["columns"][geometry].get("crs") or WGS84
        turn = 360.0 if is_geographic(crs) else 0.0
        for table in rows.tables:
            shapes = polygons_of(table[geometry], path, turn)
            found += [one for one in shapes[np.isin(shapely.get_type_id(shapes), (3, 6, 7))] if not one.is_empty]
    if not found:
        raise ValueError(f"{path} has no polygons; a region needs at least one.")
    shape = shapely.union_all(shapely.make_valid(np.array(found, dtype=object)))
    west, south, east, north = shape.bounds
    if turn == 0.0:
        fine = shapely.segmentize(shape, max(east - west, north - south) / 500)
        shape = shapely.transform(fine, lambda xy: lonlat_of_xy(xy, crs))
        if np.isfinite(shapely.get_coordinates(shape)).all():
            shape = shapely.union_all(
                [one for part in shapely.get_parts(shape) for one in polygons_of_rings(_rings(part))]
            )
            west, south, east, north = shape.bounds
    if not (
        np.isfinite(shapely.get_coordinates(shape)).all()
        and -90 <= south <= north <= 90
        and -360 <= west <= east <= 720
    ):
        raise ValueError(
            f"{path} has coordinates that are not on the Earth in its CRS ({west:g}, {south:g} to {east:g}, "
            f"{north:g}); write it with its real CRS."
        )
    return continued(shape)
