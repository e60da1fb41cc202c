"""NetCDF and Zarr as stored: their groups, and what the attributes of CF say of missing data, ranges and packing."""

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

# NetCDF's own fill values, which cells keep that were never written; bytes have none.
_FILLS = {"i2": -32767, "i4": -2147483647, "i8": -9223372036854775806, "u2": 65535, "u4": 4294967295,
          "u8": 18446744073709551614, "f4": 9.969209968386869e36, "f8": 9.969209968386869e36}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Packing:
    """How stored cells become values.

    Attributes:
        stored: Number type of the cells, with the sign that `_Unsigned` gives them.
        dtype: Number type of the values: the stored one where nothing is missing or packed, else floating-point.
        missing: Stored values that mark missing data.
        limits: Least and largest valid value; infinite where there is none.
        packed_limits: Whether the limits are those of stored cells.
        scale: Factor.
        offset: Summand, added after scaling.
    """

    stored: np.dtype
    dtype: np.dtype
    missing: np.ndarray
    limits: tuple[float, float]
    packed_limits: bool
    scale: float
    offset: float

    def values(self, cells: np.ndarray) -> np.ndarray:
        """Return values of type `dtype`, NaN where data are missing."""
        cells = cells.astype(cells.dtype.newbyteorder("="), copy=False)
        cells = cells.astype(self.stored, copy=False) if cells.dtype.kind == "b" else cells.view(self.stored)
        if self.dtype == self.stored and self.dtype.kind != "f":
            return cells
        found = cells.astype(self.dtype)
        if (self.scale, self.offset) != (1.0, 0.0):
            found = found * self.dtype.type(self.scale) + self.dtype.type(self.offset)
        gone = np.isin(cells, self.missing)
        if self.limits != (-np.inf, np.inf):
            judged = cells if self.packed_limits else found
            with np.errstate(invalid="ignore"):
                gone |= (judged < self.limits[0]) | (judged > self.limits[1])
        found[gone] = np.nan
        return found


def packing_of(variable: Any, netcdf: bool) -> Packing:
    """Read the attributes of a variable opened without masks and scales; ValueError if one is not a number.

    `_FillValue`, `missing_value`, `valid_range`, `valid_min` and `valid_max` are in the units of stored cells; a range
    of floating-point numbers for packed integers is one of values. NetCDF's own fill values are missing data where
    there is no `_FillValue`, as in the NetCDF library.
    """
    attributes = variable.attrs
    kept = np.dtype(bool if variable.dtype.kind == "b" else variable.dtype).newbyteorder("=")
    stored = np.dtype(np.uint8) if kept.kind == "b" else kept
    unsigned = str(attributes.get("_Unsigned", "")).lower()
    if kept.kind in "iu" and unsigned in ("true", "false"):
        stored = np.dtype(f"{'u' if unsigned == 'true' else 'i'}{kept.itemsize}")
    marks = [*_numbers(attributes, "_FillValue"), *_numbers(attributes, "missing_value")]
    if netcdf and "_FillValue" not in attributes and kept.str[1:] in _FILLS:
        marks.append(_FILLS[kept.str[1:]])
    missing = [mark for value in marks if (mark := _as_stored(value, stored)) is not None]
    scale, offset = (float([*_numbers(attributes, name), default][0]) for name, default in _PLAIN.items())
    bounds = _numbers(attributes, "valid_range")
    if len(bounds) != 2:
        bounds = [
            [*_numbers(attributes, name), end][0] for name, end in (("valid_min", -np.inf), ("valid_max", np.inf))
        ]
    packed = (scale, offset) != (1.0, 0.0)
    of_values = (
        packed and stored.kind in "iu" and any(float(b) % 1 or isinstance(b, float) for b in bounds if np.isfinite(b))
    )
    if stored.kind == "u" and not of_values:
        bounds = [float(b) + 256**stored.itemsize * (b < 0) if np.isfinite(b) else b for b in bounds]
    limits = (float(bounds[0]), float(bounds[1]))
    dtype = stored
    if packed:
        single = all(np.asarray(attributes[name]).dtype == np.float32 for name in _PLAIN if name in attributes)
        dtype = np.dtype(np.float32 if single and stored.itemsize <= 2 + 2 * (stored.kind == "f") else np.float64)
    elif stored.kind == "f":
        dtype = np.dtype(np.float32 if stored.itemsize <= 4 else np.float64)
    elif missing or limits != (-np.inf, np.inf):
        dtype = np.dtype(np.float32 if stored.itemsize <= 2 else np.float64)
    return Packing(stored, dtype, np.array(missing, stored), limits, not of_values, scale, offset)


_PLAIN = {"scale_factor": 1.0, "add_offset": 0.0}


def _numbers(attributes: Mapping[str, Any], name: str) -> list[Any]:
    """Return the numbers of an attribute, which some programs write as a text."""
    given = attributes.get(name)
    if given is None:
        return []
    parts = given.replace(",", " ").split() if isinstance(given, str) else np.atleast_1d(given).tolist()
    try:
        return [part if isinstance(part, int | float) else float(part) for part in parts]
    except (TypeError, ValueError):
        raise ValueError(f"its attribute {name} is {given!r}, not a number.") from None


def _as_stored(value: Any, stored: np.dtype) -> Any:
    """Return a mark for missing data as the stored type, or None where no cell can have it."""
    if value != value:  # NaN marks itself
        return None
    if stored.kind == "f":
        with np.errstate(over="ignore"):
            return stored.type(value)
    if value % 1:
        return None
    whole = int(value) + 256**stored.itemsize * (stored.kind == "u" and value < 0)
    limits = np.iinfo(stored)
    return stored.type(whole) if limits.min <= whole <= limits.max else None


def open_groups(path: Path) -> dict[str, Any]:
    """Open all groups of a NetCDF file or a Zarr store lazily, as datasets of xarray with cells and times as stored.

    Their keys are the paths of the groups, "" for the root.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or in another format.
        ImportError: If xarray, or a package that it needs for this format, is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise ImportError("NetCDF and Zarr are read with xarray: pip install 'geotether[geo]'.") from None
    if not path.exists():
        raise FileNotFoundError(f"There is no raster {path}.")
    engine = "zarr" if path.is_dir() else _engine(path)
    off = dict.fromkeys(("cache", "mask_and_scale", "decode_times", "decode_coords"), False)
    options: dict[str, Any] = {"engine": engine, **off}
    if engine == "h5netcdf":  # HDF 5 without named dimensions has no axes, which the message says
        options["phony_dims"] = "access"
    told = sys.unraisablehook
    sys.unraisablehook = lambda _: None  # h5netcdf cannot close what it could not open
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata that are not consolidated
            if engine == "scipy":  # classic NetCDF has no groups
                return {"": xarray.open_dataset(path, **options)}
            groups = {name.strip("/"): group for name, group in xarray.open_groups(path, **options).items()}
            if engine == "zarr":
                _drop_default_fills(path, groups)
            return groups
    except Exception as error:  # engines raise errors of their own
        reason = f"{error}"
    finally:
        sys.unraisablehook = told
    raise ValueError(f"{path} is damaged or not NetCDF or Zarr: {reason}")


def decoded(dataset: Any) -> Any:
    """Decode times and coordinates, but no cells."""
    import xarray

    options: dict[str, Any] = {"mask_and_scale": False, "decode_coords": "all", "decode_timedelta": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about calendars
        try:
            found = xarray.decode_cf(dataset, **options)
        except (ImportError, ValueError, OverflowError):  # an unsupported calendar
            found = xarray.decode_cf(dataset, decode_times=False, **options)
    for name, variable in dataset.variables.items():
        if "grid_mapping" in variable.attrs:  # which xarray forgets if it is not in the file
            found[name].attrs["grid_mapping"] = variable.attrs["grid_mapping"]
    return found


def _drop_default_fills(path: Path, groups: dict[str, Any]) -> None:
    """Forget the fill value 0 of Zarr 2, which is a default: it marks missing data only if an attribute says so."""
    import zarr

    store = zarr.open_group(path, mode="r")
    for name, group in groups.items():
        for key, variable in group.variables.items():
            if "_FillValue" in variable.attrs:
                stated = store[f"{name}/{key}".strip("/")].attrs
                if not np.any(variable.attrs["_FillValue"]):
                    del variable.attrs["_FillValue"]
                if "_FillValue" in stated and not isinstance(stated["_FillValue"], str):
                    variable.attrs["_FillValue"] = stated["_FillValue"]


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
