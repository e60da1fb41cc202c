"""Places given in memory as arrays, data frames or datasets, and numbers returned in a frame of the same kind."""

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from jaxtyping import Float32, Float64

from geotether.geodesy.coordinates import as_lonlat, check_lonlat
from geotether.geodesy.crs import WGS84, lonlat_of_xy

_P = ParamSpec("_P")
_T = TypeVar("_T")
DIMENSION = "embedding"  # of the numbers of a place, in xarray
# What CF says of coordinates that are longitude and latitude, and of those that are x and y of another CRS.
_STANDARD = {"lon": ("longitude", "projection_x_coordinate", "x"), "lat": ("latitude", "projection_y_coordinate", "y")}
_UNITS = {"lon": ("degrees_east", "degree_east", "degrees_e"), "lat": ("degrees_north", "degree_north", "degrees_n")}


def number_names(dim: int) -> list[str]:
    """Name the columns of embeddings: e0, e1, ..."""
    return [f"e{at}" for at in range(dim)]


def places_first(method: Callable[_P, _T]) -> Callable[_P, _T]:
    """Raise a TypeError with advice if a method gets longitudes and latitudes as positional arguments.

    Example:
        >>> class Encoder:
        ...     @places_first
        ...     def encode(self, places=None, *, lon=None, lat=None): ...
        >>> Encoder().encode([5.66], [51.97])
        Traceback (most recent call last):
            ...
        TypeError: encode takes longitudes and latitudes by name: write encode(lon=..., lat=...).
    """
    name, parameters = method.__name__, inspect.signature(method).parameters
    most = sum(one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters.values())
    advice = (
        f"longitudes and latitudes by name: write {name}(lon=..., lat=...)."
        if "lon" in parameters
        else f"{most - 1} arrays (n, 2) of places, longitude first: write np.stack((lon, lat), axis=1)."
    )

    @wraps(method)
    def explained(*given: _P.args, **options: _P.kwargs) -> _T:
        if len(given) > most:
            raise TypeError(f"{name} takes {advice}")
        return method(*given, **options)

    return explained


def lonlat_of(
    places: Any = None, lon: Any = None, lat: Any = None, *, check: bool = True
) -> Float64[np.ndarray, "n 2"]:
    """Read places from memory.

    Args:
        places: An array, tensor or list of shape (n, 2), longitude first; a GeoDataFrame or GeoSeries of points in any
            CRS; a data frame or Arrow table with columns of longitude and latitude; an object with an attribute
            `lonlat`; or an xarray Dataset or DataArray, whose places count in the order of its dimensions.
        lon: Instead of `places`, longitudes in degrees, WGS 84: a number, list, array or Series.
        lat: As many latitudes.
        check: False leaves the check of the values in an array of float64, which is returned as it is, to the caller.

    Returns:
        Longitude and latitude in degrees, WGS 84, shape (n, 2).

    Raises:
        TypeError: If neither `places` nor both `lon` and `lat` are given, or `places` is of another kind.
        ValueError: If a row is not (longitude, latitude) in degrees or is masked, a geometry is missing or not a point,
            a GeoDataFrame has no CRS, or columns or coordinates of longitude and latitude are not found.
    """
    if places is None:
        if lon is None or lat is None:
            raise TypeError("encode needs lon= and lat=, or places such as an array (n, 2) or a GeoDataFrame.")
        return as_lonlat(*(one.detach().cpu() if hasattr(one, "detach") else one for one in (lon, lat)))
    if lon is not None or lat is not None:
        raise TypeError("encode takes either places or lon= and lat=, not both.")
    if _is_xarray(places):
        return _lonlat_of_xarray(places)
    if _has_lonlat(places):
        check_lonlat(places.lonlat)
        return places.lonlat
    if _has_geometry(places):
        return _lonlat_of_geometry(places.geometry)
    if _is_tabular(places):
        return _lonlat_of_columns(places)
    if isinstance(places, str | bytes | Path | Mapping) or not hasattr(places, "__len__"):
        raise TypeError(
            f"encode cannot tell longitude from latitude in a {type(places).__name__}; pass lon= and lat=, "
            "such as encode(lon=table['lon'], lat=table['lat'])."
        )
    rows = array_of(places)
    rows = rows if isinstance(rows, np.ma.MaskedArray) else np.asarray(rows)
    _check_shape(rows.shape)
    if type(rows) is np.ndarray and rows.dtype == np.float64 and rows.flags.c_contiguous:  # copying costs time
        if check:
            check_lonlat(rows)
        return rows
    return as_lonlat(rows[:, 0], rows[:, 1])


def tensor_of(places: Any = None, lon: Any = None, lat: Any = None) -> Any:
    """Join places that are given as tensors, without copying them to the host.

    Args:
        places: As for `lonlat_of`.
        lon: As for `lonlat_of`.
        lat: As for `lonlat_of`.

    Returns:
        A tensor (n, 2) of the type and on the device of those given, not checked; None if they are not tensors.

    Raises:
        TypeError: If the tensors do not contain real numbers.
        ValueError: If they do not have the shape (n, 2), or two equal shapes (n,), or are on two devices.
    """
    torch = sys.modules.get("torch")
    given = [one for one in (places, lon, lat) if one is not None]
    if torch is None or not given or not all(isinstance(one, torch.Tensor) for one in given):
        return None
    if len(given) != (1 if places is not None else 2):
        return None  # an error, which `lonlat_of` names
    if any(one.dtype == torch.bool or one.is_complex() for one in given):
        raise TypeError(f"longitudes and latitudes must be numbers in degrees, got {given[0].dtype}.")
    if places is not None:
        _check_shape(tuple(places.shape))
        return places.detach()
    lon, lat = (torch.atleast_1d(one.detach()) for one in given)
    if lon.ndim != 1 or lon.shape != lat.shape or lon.device != lat.device:
        raise ValueError(
            f"lon and lat must be equally long tensors of one axis on one device, got {tuple(lon.shape)} on "
            f"{lon.device} and {tuple(lat.shape)} on {lat.device}."
        )
    return torch.stack((lon.double(), lat.double()), dim=1)


def array_of(values: Any) -> Any:
    """Return a tensor as an array in the memory of the host, and anything else as it is."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[1] != 2:
        raise ValueError(f"places need the shape (n, 2), longitude first, got {shape}; or pass lon= and lat=.")


def frame_like(places: Any, numbers: Float32[np.ndarray, "n d"]) -> Any:
    """Return numbers of places in a frame of the same kind as the places.

    Args:
        places: As for `lonlat_of`.
        numbers: One row per place, shape (n, d).

    Returns:
        Of a GeoDataFrame or GeoSeries: a GeoDataFrame with the same index, CRS and geometry, and columns e0, e1, ...;
        of a pandas frame: one with the same index and these columns; of a polars frame or an Arrow table: one with
        these columns; of xarray: a DataArray with the dimensions of longitude and latitude, the last one `embedding`,
        and all coordinates along them; otherwise the array itself.
    """
    if _is_xarray(places):
        return _xarray_like(places, numbers)
    if not is_frame(places):
        return numbers
    names = number_names(numbers.shape[1])
    if hasattr(places, "index") and hasattr(places, "iloc"):
        import pandas as pd

        frame = pd.DataFrame(numbers, index=places.index, columns=names)
        if not _has_geometry(places):
            return frame
        import geopandas

        geometry = places.geometry
        frame.insert(0, geometry.name or "geometry", geometry.array)
        return geopandas.GeoDataFrame(frame, geometry=geometry.name or "geometry")
    import pyarrow as pa

    table = pa.table([pa.array(column) for column in np.ascontiguousarray(numbers.T)], names=names)
    polars = sys.modules.get("polars")
    return polars.from_arrow(table) if polars is not None and isinstance(places, polars.DataFrame) else table


def is_frame(places: Any) -> bool:
    """Whether places are in a data frame, GeoDataFrame, GeoSeries or Arrow table."""
    return (_has_geometry(places) or _is_tabular(places)) and not _has_lonlat(places) and not _is_xarray(places)


def _is_xarray(places: Any) -> bool:
    return hasattr(places, "coords") and hasattr(places, "isel")


def _has_lonlat(places: Any) -> bool:
    return hasattr(places, "lonlat") and not hasattr(places, "iloc")  # pandas has columns as attributes


def _has_geometry(places: Any) -> bool:
    return hasattr(places, "geometry") and hasattr(places.geometry, "geom_type")


def _is_tabular(places: Any) -> bool:
    return any(hasattr(places, name) for name in ("to_arrow", "__arrow_c_stream__", "column_names", "columns"))


def _lonlat_of_columns(frame: Any) -> Float64[np.ndarray, "n 2"]:
    """Find the columns of longitude and latitude of a data frame or Arrow table."""
    import pyarrow as pa

    from geotether.files.places import lonlat_of_columns

    try:
        table = frame if isinstance(frame, pa.Table) else pa.table(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # pandas has columns of objects that Arrow cannot hold
        table = pa.table(frame.select_dtypes("number"))
    lonlat = lonlat_of_columns(table)
    check_lonlat(lonlat)
    return lonlat


def _lonlat_of_geometry(geometry: Any) -> Float64[np.ndarray, "n 2"]:
    """Return the points of a GeoSeries in WGS 84, without importing geopandas."""
    if geometry.crs is None:
        raise ValueError("The GeoDataFrame has no CRS; set it with .set_crs('OGC:CRS84') for longitude, latitude.")
    unfit = np.asarray((geometry.geom_type != "Point") | geometry.is_empty)
    if unfit.any():
        row = int(unfit.argmax())
        kind = geometry.geom_type.iloc[row]
        what = "has no geometry" if not isinstance(kind, str) else f"is {'an empty' if kind == 'Point' else 'a'} {kind}"
        raise ValueError(
            f"{int(unfit.sum())} of {len(unfit)} rows are not points; row {row} (index {geometry.index[row]}) "
            f"{what}. Use .representative_point() or drop such rows."
        )
    if not geometry.crs.equals(WGS84, ignore_axis_order=True):
        geometry = geometry.to_crs(WGS84)
    return as_lonlat(lon=geometry.x, lat=geometry.y)


def _lonlat_of_xarray(data: Any) -> Float64[np.ndarray, "n 2"]:
    x, y, crs = _xarray_axes(data)
    lonlat = lonlat_of_xy(np.stack([x.to_numpy().ravel(), y.to_numpy().ravel()], axis=1), crs)
    check_lonlat(lonlat)
    return lonlat


def _xarray_axes(data: Any) -> tuple[Any, Any, Any]:
    """Return x and y of every place as DataArrays of equal dimensions, and their CRS."""
    import xarray

    crs: Any = WGS84
    x, y = (_coordinate(data, axis, projected=False) for axis in ("lon", "lat"))
    if x is None or y is None:
        crs = next((one.attrs["crs_wkt"] for one in data.coords.values() if "crs_wkt" in one.attrs), None)
        x, y = (_coordinate(data, axis, projected=True) for axis in ("lon", "lat"))
    if x is None or y is None or crs is None:
        raise ValueError(
            "there are no coordinates of longitude and latitude, nor x and y with a CRS as rioxarray writes it; rename "
            f"yours with .rename, such as .rename(x='lon', y='lat'). Coordinates: {', '.join(map(str, data.coords))}."
        )
    y, x = xarray.broadcast(y, x)
    if hasattr(data, "ndim"):  # a DataArray has an order of dimensions; of a Dataset it is latitude, longitude
        order = [dim for dim in data.dims if dim in y.dims]
        y, x = y.transpose(*order), x.transpose(*order)
    return x, y, crs


def _coordinate(data: Any, axis: str, projected: bool) -> Any:
    """Find a coordinate by its attributes or its name; None if there is none."""
    from geotether.files.places import degrees_axis

    for name in (*data.coords, *getattr(data, "data_vars", ())):
        one = data[name]
        attributes = one.attrs
        if projected:
            found = attributes.get("standard_name") == _STANDARD[axis][1] or name == _STANDARD[axis][2]
        else:
            found = attributes.get("standard_name") == _STANDARD[axis][0]
            found |= str(attributes.get("units", "")).lower() in _UNITS[axis] or degrees_axis(str(name)) == axis
        if found and one.dtype.kind in "iuf":
            return one.reset_coords(drop=True)
    return None


def _xarray_like(data: Any, numbers: Float32[np.ndarray, "n d"]) -> Any:
    import xarray

    x, y, _ = _xarray_axes(data)
    kept = {name: data[name] for name in dict.fromkeys([*data.coords, x.name, y.name])}
    kept = {name: one for name, one in kept.items() if set(one.dims) <= set(y.dims)}
    return xarray.DataArray(
        numbers.reshape(*y.shape, numbers.shape[1]),
        dims=(*y.dims, DIMENSION),
        coords={**kept, DIMENSION: number_names(numbers.shape[1])},
        name="location_embedding",
    )
