"""Places, distances, areas, coordinate reference systems and times; the only package that handles degrees.

These names need only NumPy. `geotether.geodesy.jitter` needs torch and is imported by name.
"""

from geotether.geodesy.blocks import block_center, block_count, block_id, within_km_of
from geotether.geodesy.coordinates import (
    as_lonlat,
    check_lonlat,
    lonlat_of_unit_vectors,
    swap_suspicion,
    unit_vectors,
    wrap_longitude,
)
from geotether.geodesy.crs import equal_earth
from geotether.geodesy.distance import (
    EARTH_CIRCUMFERENCE_KM,
    EARTH_RADIUS_KM,
    chord_of_km,
    great_circle_km,
    nearest_km,
)

__all__ = [
    "EARTH_CIRCUMFERENCE_KM",
    "EARTH_RADIUS_KM",
    "as_lonlat",
    "block_center",
    "block_count",
    "block_id",
    "check_lonlat",
    "chord_of_km",
    "equal_earth",
    "great_circle_km",
    "lonlat_of_unit_vectors",
    "nearest_km",
    "swap_suspicion",
    "unit_vectors",
    "within_km_of",
    "wrap_longitude",
]
