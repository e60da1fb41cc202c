"""NetCDF and Zarr grids: their axes and bands, read in pieces."""

import math
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from geotether.files.formats import endings_of
from geotether.geodesy.crs import same_as_wgs84
from geotether.sources.grids.geotiff import choose_bands
from geotether.sources.grids.grid import Grid, axis_steps

ENDINGS = endings_of("netcdf", "zarr")
# By CF attributes first, then by the usual names.
_AXES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "x": (
        ("longitude", "projection_x_coordinate", "grid_longitude"),
        ("degrees_east", "degree_east", "degrees_e", "degree_e", "degreee"),
        ("lon", "longitude", "long", "lng", "nav_lon", "x", "easting", "xc", "rlon"),
    ),
    "y": (
        ("latitude", "projection_y_coordinate", "grid_latitude"),
        ("degrees_north", "degree_north", "degrees_n", "degree_n", "degreen"),
        ("lat", "latitude", "nav_lat", "y", "northing", "yc", "rlat"),
    ),
}
_METRES = {"m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0, "km": 1000.0, "kilometre": 1000.0}
_MOST_BANDS = 2000
_TILE_CELLS = 2_000_000


class GriddedRaster:
    """Variables of a NetCDF file or a Zarr store on one grid, opened with xarray; attributes as in `GdalRaster`.

    Args:
        path: NetCDF (classic or 4) or Zarr (2 or 3).
        variable: One or more; None: all on the grid.
        select: By dimension, a value or a list of them, such as {"time": "2020-07", "level": 850}. What remains of
            further dimensions becomes bands.
        bands: Names or numbers from 1 of the resulting bands. None: all.
        crs: CRS of x and y if the file does not declare one, such as "EPSG:32632".
    """

    def __init__(
        self,
        path: str | Path,
        variable: str | Sequence[str] | None = None,
        select: Mapping[str, Any] | None = None,
        bands: Sequence[int | str] | None = None,
        crs: str | None = None,
    ) -> None:
        self.path = Path(path)
        dataset = _open_dataset(self.path)
        grids = {str(name): dims for name in dataset.data_vars if (dims := _axes(dataset, str(name))) is not None}
        names = _variables(self.path, dataset, grids, variable)
        self._y, self._x = grids[names[0]]
        axes = (self._y, self._x)
        further = {str(dim) for name in names for dim in dataset[name].dims} - set(axes)
        for dim in select or {}:
            if dim not in further:
                known = ", ".join(sorted(further)) or "none"
                raise ValueError(f"{path}: {', '.join(names)} have no other dimension {dim!r}; known: {known}.")
        self._arrays = [_selected(self.path, dataset[name], select or {}) for name in names]
        every, self._shapes = [], []
        for array in self._arrays:
            labels = _band_names(array, axes)
            every += labels
            self._shapes.append(len(labels))
        self._chosen = choose_bands(self.path, every, bands)
        self.names = [every[band] for band in self._chosen]
        if len(self.names) > _MOST_BANDS:
            raise ValueError(
                f"{self.path} has {len(self.names)} bands; choose some of them with select, for example "
                f"select: {{{next(dim for dim in self._arrays[0].dims if dim not in (self._y, self._x))}: ...}}."
            )
        self.grid = _grid(self.path, dataset, self._arrays[0], self._x, self._y, crs)
        self.dtype = np.result_type(*[array.dtype for array in self._arrays], np.uint8)
        if self.dtype.kind not in "iuf":
            raise ValueError(f"{self.path}: {names[0]!r} contains {self.dtype}, not numbers; choose another variable.")
        self.dtype = self.dtype.newbyteorder("=")
        self.missing: float | None = math.nan if self.dtype.kind == "f" else None
        # xarray applies scale_factor, add_offset and _FillValue.
        self.scales: np.ndarray | None = None
        self.offsets: np.ndarray | None = None
        self.tile = _tile(self._arrays[0], self._y, self._x, len(every))

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Read cells with scale and offset applied, shape (height, width, bands); NaN without data."""
        piece = {self._y: slice(top, top + height), self._x: slice(left, left + width)}
        parts = [
            array.isel(piece).transpose(self._y, self._x, ...).to_numpy().reshape(height, width, -1)
            for array in self._arrays
        ]
        return np.concatenate(parts, axis=-1)[..., self._chosen].astype(self.dtype, copy=False)

    def files(self) -> list[Path]:
        """List the files that the raster consists of."""
        return [self.path] if self.path.is_file() else sorted(p for p in self.path.rglob("*") if p.is_file())


def _open_dataset(path: Path) -> Any:
    try:
        import xarray
    except ImportError:
        raise ImportError("NetCDF and Zarr are read with xarray: pip install 'geotether[geo]'.") from None
    if not path.exists():
        raise FileNotFoundError(f"There is no raster {path}.")
    options: dict[str, Any] = {"cache": False, "decode_coords": "all", "decode_timedelta": False}
    options["engine"] = "zarr" if path.is_dir() else _engine(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata that are not consolidated, or about calendars
        try:
            try:
                return xarray.open_dataset(path, **options)
            except (ImportError, ValueError, OverflowError):  # an unsupported calendar
                return xarray.open_dataset(path, decode_times=False, **options)
        except Exception as error:  # engines raise errors of their own
            raise ValueError(f"{path} is damaged or not NetCDF or Zarr: {error}") from error


def _engine(path: Path) -> str:
    """Choose the engine of xarray that reads a file, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith((b"CDF\x01", b"CDF\x02")):
        return "scipy"
    if not start.startswith((b"CDF\x05", b"\x89HDF")):
        raise ValueError(f"{path} is damaged or not NetCDF or Zarr: it starts with {start!r}.")
    for module, engine in (("netCDF4", "netcdf4"), ("h5py", "h5netcdf")):
        if find_spec(module) is not None:
            return engine
    raise ImportError(f"{path} is NetCDF 4, which needs h5py or netCDF4: pip install h5py.")


def _axes(dataset: Any, name: str) -> tuple[str, str] | None:
    """Return the north-south and east-west dimensions of a variable, or None."""
    found = {}
    for axis, (standard, units, usual) in _AXES.items():
        best: list[str] = []
        for dim in map(str, dataset[name].dims):
            attributes = dataset[dim].attrs if dim in dataset.coords else {}
            unit = str(attributes.get("units", "")).lower()
            if attributes.get("standard_name") in standard or unit in units or attributes.get("axis") == axis.upper():
                best.insert(0, dim)
            elif dim.lower() in usual and dim in dataset.coords:
                best.append(dim)
        if not best:
            return None
        found[axis] = best[0]
    return (found["y"], found["x"]) if found["x"] != found["y"] else None


def _variables(path: Path, dataset: Any, grids: dict[str, Any], wanted: str | Sequence[str] | None) -> list[str]:
    if not grids:
        dims = {str(name): dataset[name].dims for name in list(dataset.data_vars)[:20]}
        curved = [str(name) for name in dataset.coords if dataset[name].ndim == 2]
        hint = "have two dimensions: warp it to an even grid first (gdalwarp)"
        why = f"; {', '.join(curved)} {hint}" if curved else ""
        raise ValueError(
            f"{path} has no georeference: no variable has axes of longitude and latitude, or x and y, with "
            f"coordinates{why}. Variables and their axes: {dims or 'none'}."
        )
    names = [wanted] if isinstance(wanted, str) else list(grids if wanted is None else wanted)
    for name in names:
        if name not in grids:
            raise ValueError(f"{path} has no variable {name!r} on a grid; known: {', '.join(grids)}.")
        if grids[name] != grids[names[0]]:
            raise ValueError(f"{path}: {names[0]!r} and {name!r} have different axes; choose one with variable.")
    return names


def _selected(path: Path, array: Any, select: Mapping[str, Any]) -> Any:
    for dim, value in select.items():
        if dim not in array.dims:  # a variable without this dimension is kept whole
            continue
        values = array[dim].to_numpy()
        shown = ", ".join(str(v)[:10] for v in values[:10]) + (", ..." if len(values) > 10 else "")
        try:
            array = array.sel({dim: list(value) if isinstance(value, list | tuple) else value})
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{path}: {dim!r} has no {value!r}; known: {shown}.") from None
        if array.size == 0:
            raise ValueError(f"{path}: {dim!r} has no {value!r}; known: {shown}.")
    return array


def _band_names(array: Any, axes: tuple[str, str]) -> list[str]:
    names = [str(array.name)]
    for dim in [dim for dim in array.dims if dim not in axes]:
        values = array[dim].to_numpy()
        if np.issubdtype(values.dtype, np.datetime64):
            values = np.datetime_as_string(values, unit="D" if (values == values.astype("M8[D]")).all() else "m")
        names = [f"{name} {dim}={value}" for name in names for value in values]
    return names


def _grid(path: Path, dataset: Any, array: Any, x: str, y: str, crs: str | None) -> Grid:
    xs, ys = (np.asarray(dataset[dim].to_numpy(), dtype=np.float64) for dim in (x, y))
    for dim, centers in ((x, xs), (y, ys)):
        steps = np.diff(centers)
        if len(centers) < 2 or not ((steps > 0).all() or (steps < 0).all()):
            raise ValueError(f"{path}: the axis {dim!r} needs two or more values that increase or decrease.")
    crs = crs or _crs_of(dataset, array)
    if crs is None:
        attributes = dataset[x].attrs
        degrees = str(attributes.get("units", "")).lower().startswith("degree") or "lon" in x.lower()
        if not degrees and attributes.get("standard_name") != "longitude":
            raise ValueError(f"{path} has no CRS for {x!r} and {y!r}; give it, such as crs: 'EPSG:32632'.")
    else:
        try:
            crs = None if same_as_wgs84(crs) else crs
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    unit = _METRES.get(str(dataset[x].attrs.get("units", "")).lower(), 1.0) if crs is not None else 1.0
    xs, ys = xs * unit, ys * unit
    if crs is None and (np.abs(ys).max() > 91 or np.ptp(xs) > 361):
        raise ValueError(f"{path}: {x!r} and {y!r} reach {xs.max():g} and {ys.max():g}, which are not degrees.")
    along, down = axis_steps(xs), axis_steps(ys)
    a, c = along or ((xs[-1] - xs[0]) / (len(xs) - 1), float(xs[0]))
    e, f = down or ((ys[-1] - ys[0]) / (len(ys) - 1), float(ys[0]))
    affine = (float(a), 0.0, float(c), 0.0, float(e), float(f))
    return Grid(len(ys), len(xs), affine, crs, None if along else xs, None if down else ys)


def _crs_of(dataset: Any, array: Any) -> str | None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    name = array.encoding.get("grid_mapping") or array.attrs.get("grid_mapping")
    for mapping in (name, "spatial_ref", "crs"):
        if mapping in dataset.variables:
            attributes = dataset[mapping].attrs
            try:
                text = attributes.get("crs_wkt") or attributes.get("spatial_ref")
                return (CRS.from_user_input(text) if text else CRS.from_cf(attributes)).to_wkt()
            except (CRSError, KeyError):
                continue
    return None


def _tile(array: Any, y: str, x: str, bands: int) -> tuple[int, int]:
    """Return the tile size: whole chunks where they fit into memory; smaller with more bands."""
    chunks = array.encoding.get("preferred_chunks") or {}
    most = max(1, math.isqrt(_TILE_CELLS // bands))
    height, width = (min(int(chunks.get(dim, 512)), max(most, 64), array.sizes[dim]) for dim in (y, x))
    return height, width
