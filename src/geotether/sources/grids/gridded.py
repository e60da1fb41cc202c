"""NetCDF and Zarr grids: their axes and bands, read in pieces."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geotether.files.formats import endings_of
from geotether.geodesy.crs import WGS84, crs_of_cf, same_as_wgs84, unit_factor
from geotether.geodesy.distance import great_circle_km
from geotether.sources.grids.cf import decoded, open_groups, packing_of
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
# Names of axes that are degrees of the Earth where nothing else says so; x, y, rlon and rlat may be anything.
_DEGREES = {"lon", "longitude", "long", "lng", "nav_lon", "lat", "latitude", "nav_lat"}
_EARTH = {"longitude", "latitude", *_AXES["x"][1], *_AXES["y"][1]}
_MOST_BANDS = 2000
_TILE_CELLS = 2_000_000


class GriddedRaster:
    """Variables of a NetCDF file or a Zarr store on one grid, opened with xarray; attributes as in `GdalRaster`.

    Args:
        path: NetCDF (classic or 4) or Zarr (2 or 3).
        variable: One or more, of a group as "group/name"; None: all on the grid, of the only group that has any.
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
        dataset, names, (self._y, self._x) = _variables(self.path, open_groups(self.path), variable)
        axes = (self._y, self._x)
        further = {str(dim) for name in names for dim in dataset[name].dims} - set(axes)
        for dim in select or {}:
            if dim not in further:
                known = ", ".join(sorted(further)) or "none"
                raise ValueError(f"{path}: {', '.join(names)} have no other dimension {dim!r}; known: {known}.")
        self._arrays = [_selected(self.path, dataset[name], select or {}) for name in names]
        every = [label for array in self._arrays for label in _band_names(array, axes)]
        self._chosen = choose_bands(self.path, every, bands)
        self.names = [every[band] for band in self._chosen]
        if len(self.names) > _MOST_BANDS:
            raise ValueError(
                f"{self.path} has {len(self.names)} bands; choose some of them with select, for example "
                f"select: {{{next(dim for dim in self._arrays[0].dims if dim not in axes)}: ...}}."
            )
        self._packings = []
        for array in self._arrays:
            if array.dtype.kind not in "iufb":
                raise ValueError(
                    f"{path}: {array.name!r} contains {array.dtype}, not numbers; choose another variable."
                )
            try:
                self._packings.append(packing_of(array, netcdf=self.path.is_file()))
            except ValueError as error:
                raise ValueError(f"{path}: {array.name!r}: {error}") from error
        self.grid = _grid(self.path, dataset, self._arrays[0], self._x, self._y, crs)
        self.dtype = np.result_type(*[packing.dtype for packing in self._packings])
        self.missing: float | None = math.nan if self.dtype.kind == "f" else None
        self.scales: np.ndarray | None = None  # applied on reading
        self.offsets: np.ndarray | None = None
        self.tile = _tile(self._arrays[0], self._y, self._x, len(every))

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Read cells with scale and offset applied, shape (height, width, bands); NaN without data."""
        piece = {self._y: slice(top, top + height), self._x: slice(left, left + width)}
        parts = []
        for array, packing in zip(self._arrays, self._packings, strict=True):
            try:
                cells = array.isel(piece).transpose(self._y, self._x, ...).to_numpy()
            except Exception as error:  # decoders raise errors of their own
                raise ValueError(f"{self.path} is damaged: {array.name!r} cannot be read ({error}).") from error
            parts.append(packing.values(cells).reshape(height, width, -1))
        return np.concatenate(parts, axis=-1)[..., self._chosen].astype(self.dtype, copy=False)

    def files(self) -> list[Path]:
        """List the files that the raster consists of."""
        return [self.path] if self.path.is_file() else sorted(p for p in self.path.rglob("*") if p.is_file())


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


def _variables(
    path: Path, groups: dict[str, Any], wanted: str | Sequence[str] | None
) -> tuple[Any, list[str], tuple[str, str]]:
    """Choose variables of one group on one grid; return its dataset, their names and their two axes."""
    datasets = {group: decoded(_inherited(groups, group)) for group in groups}
    grids = {
        f"{group}/{name}".strip("/"): (group, str(name), axes)
        for group, dataset in sorted(datasets.items())
        for name, array in dataset.data_vars.items()
        if not _is_coordinate(str(name), array) and (axes := _axes(dataset, str(name))) is not None
    }
    if not grids:
        every = [(group, name, array) for group, one in datasets.items() for name, array in one.variables.items()]
        dims = {f"{group}/{name}".strip("/"): array.dims for group, name, array in every if name not in array.dims}
        curved = [str(name) for _, name, array in every if array.ndim > 1 and _is_coordinate(str(name), array)]
        hint = "have two or more dimensions: warp it to an even grid first (gdalwarp)"
        why = f"; {', '.join(dict.fromkeys(curved))} {hint}" if curved else ""
        raise ValueError(
            f"{path} has no georeference: no variable has axes of longitude and latitude, or x and y, with "
            f"coordinates{why}. Variables and their axes: {dict(list(dims.items())[:20]) or 'none'}."
        )
    known = ", ".join(grids)
    if wanted is None:
        holders = list(dict.fromkeys(group for group, _, _ in grids.values()))
        if len(holders) > 1 and "" not in holders:
            raise ValueError(f"{path} has grids in several groups; name one with variable: {known}.")
        chosen = [key for key, (group, _, _) in grids.items() if group == ("" if "" in holders else holders[0])]
    else:
        chosen = []
        for name in [wanted] if isinstance(wanted, str) else wanted:
            bare = name.strip("/")
            hits = [bare] if bare in grids else [key for key in grids if key.rsplit("/", 1)[-1] == bare]
            if len(hits) != 1:
                what = f"has {name!r} in several groups" if hits else f"has no variable {name!r} on a grid"
                raise ValueError(f"{path} {what}; known: {', '.join(hits) or known}.")
            chosen += hits
    first = grids[chosen[0]]
    for key in chosen:
        if (grids[key][0], grids[key][2]) != (first[0], first[2]):
            raise ValueError(f"{path}: {chosen[0]!r} and {key!r} have different axes; choose one with variable.")
    return datasets[first[0]], [grids[key][1] for key in chosen], first[2]


def _inherited(groups: dict[str, Any], group: str) -> Any:
    """Return the dataset of a group with the coordinates and grid mappings of the groups around it."""
    dataset, around = groups[group], group
    while around:
        around = around.rpartition("/")[0]
        for name, variable in groups[around].variables.items() if around in groups else ():
            fits = all(dataset.sizes.get(dim) == size for dim, size in zip(variable.dims, variable.shape, strict=True))
            helps = variable.dims in ((), (name,)) or _is_coordinate(str(name), variable)
            if name not in dataset.variables and fits and helps:
                dataset = dataset.assign({name: variable})
                dataset = dataset.set_coords(name) if variable.dims == (name,) else dataset
    return dataset


def _is_coordinate(name: str, variable: Any) -> bool:
    """Whether a variable holds longitudes or latitudes of the Earth, by its attributes or its name."""
    given = {str(variable.attrs.get(key, "")).lower() for key in ("standard_name", "units")}
    return bool(given & _EARTH) or name.lower() in _DEGREES


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
    xs, ys = (_centers(path, dataset[dim]) for dim in (x, y))
    lost = ""
    if crs is None:
        crs, lost = _crs_of(dataset, array, (y, x))
    if crs is None:
        _require_degrees(path, dataset, (y, x), lost)
    else:
        try:
            crs = None if same_as_wgs84(crs) else crs
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    xs, ys = (centers * _factor(path, dataset[dim], crs) for dim, centers in ((x, xs), (y, ys)))
    if crs is None and (np.abs(ys).max() > 91 or np.ptp(xs) > 361):
        raise ValueError(f"{path}: {x!r} and {y!r} reach {xs.max():g} and {ys.max():g}, which are not degrees.")
    along, down = axis_steps(xs), axis_steps(ys)
    a, c = along or ((xs[-1] - xs[0]) / (len(xs) - 1), float(xs[0]))
    e, f = down or ((ys[-1] - ys[0]) / (len(ys) - 1), float(ys[0]))
    affine = (float(a), 0.0, float(c), 0.0, float(e), float(f))
    grid = Grid(len(ys), len(xs), affine, crs, None if along else xs, None if down else ys)
    _compare(path, dataset, grid, (y, x))
    return grid


def _centers(path: Path, axis: Any) -> np.ndarray:
    """Return the centres along an axis, which has no missing values."""
    packing = packing_of(axis, netcdf=False) if axis.dtype.kind in "iuf" else None
    centers = np.empty(0)
    if packing is not None:
        stored = axis.to_numpy()
        centers = stored.view(packing.stored).astype(np.float64) * packing.scale + packing.offset
    if not np.isfinite(centers).all():
        raise ValueError(f"{path}: the axis {axis.name!r} has missing values.")
    for found in (centers, np.unwrap(centers, period=360.0)):  # longitudes may go on from 355 to 0
        steps = np.diff(found)
        if len(found) > 1 and ((steps > 0).all() or (steps < 0).all()):
            return found
        if not _is_coordinate(str(axis.name), axis):
            break
    raise ValueError(f"{path}: the axis {axis.name!r} needs two or more values that increase or decrease.")


def _require_degrees(path: Path, dataset: Any, axes: tuple[str, str], lost: str) -> None:
    """Raise ValueError unless both axes of a grid without a CRS are degrees of the Earth beyond doubt."""
    for dim in axes:
        attributes, name = dataset[dim].attrs, dim.lower()
        standard, unit = (str(attributes.get(key, "")).lower() for key in ("standard_name", "units"))
        stated = bool({standard, unit} & _EARTH)
        plain = not lost and not standard and name in _DEGREES and (unit == "" or unit.startswith("degree"))
        if name in ("rlon", "rlat") or (standard and standard not in _EARTH) or not (stated or plain):
            said = ", ".join(f"{key} {attributes[key]!r}" for key in ("standard_name", "units") if key in attributes)
            raise ValueError(
                f"{path} has no CRS for {axes[1]!r} and {axes[0]!r}{lost and f': {lost}'}; {dim!r} "
                f"({said or 'without attributes'}) may be an axis of a projected or rotated grid. Give its CRS, such "
                "as crs: 'EPSG:32632', or 'EPSG:4326' if these are longitude and latitude."
            )


def _factor(path: Path, axis: Any, crs: str | None) -> float:
    """Return the factor from the unit of an axis to the unit of a CRS."""
    unit = str(axis.attrs.get("units", "")).strip().lower()
    factor = unit_factor(unit, crs or WGS84)
    if factor is None:
        kind = "longitude and latitude" if crs is None else "its CRS"
        raise ValueError(f"{path}: the axis {axis.name!r} is in {unit!r}, which does not fit {kind}.")
    return factor


def _crs_of(dataset: Any, array: Any, axes: tuple[str, str]) -> tuple[str | None, str]:
    """Return the CRS that the grid mapping of a variable states; or None and why the mapping cannot be used."""
    stated = str(array.attrs.get("grid_mapping", ""))
    # "crs", or "crsOSGB: x y crsWGS84: lat lon"
    named = re.findall(r"(\S+):((?:\s+[^\s:]+(?!\S))*)", stated) or [(stated, "")]
    name = next((name for name, of in named if set(of.split()) == set(axes)), named[0][0])
    if name and name not in dataset.variables:
        return None, f"its grid mapping {name!r} is not in the file"
    for mapping in (name,) if name else ("spatial_ref", "crs"):
        if mapping in dataset.variables:
            attributes = dataset[mapping].attrs
            try:
                return crs_of_cf(attributes), ""
            except ValueError as error:
                if attributes.get("grid_mapping_name") != "latitude_longitude":
                    return None, f"its grid mapping {mapping!r} cannot be read ({error})"
    return None, ""


def _compare(path: Path, dataset: Any, grid: Grid, axes: tuple[str, str]) -> None:
    """Raise ValueError if two-dimensional longitudes and latitudes beside the axes are those of another grid."""
    found: dict[str, Any] = {}
    for name, variable in dataset.variables.items():
        if set(variable.dims) == set(axes) and _is_coordinate(str(name), variable) and variable.dtype.kind in "iuf":
            text = f"{name} {variable.attrs.get('standard_name', '')} {variable.attrs.get('units', '')}".lower()
            found.setdefault("lat" if re.search("lat|degrees?_?n", text) else "lon", dataset[name])
    if len(found) < 2:
        return
    rows = np.array([0, 0, grid.height // 2, grid.height - 1, grid.height - 1])
    columns = np.array([0, grid.width - 1, grid.width // 2, 0, grid.width - 1])
    stated = []
    for axis in ("lon", "lat"):
        array = found[axis].transpose(*axes)
        cells = np.array([array[row, column].to_numpy() for row, column in zip(rows, columns, strict=True)])
        stated.append(packing_of(array, netcdf=False).values(cells).astype(np.float64))
    lonlat = np.stack(stated, axis=1)
    known = np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat[:, 1]) <= 90) & (np.abs(lonlat[:, 0]) <= 540)
    mine = grid.lonlat(rows + 0.5, columns + 0.5)
    known &= np.isfinite(mine).all(axis=1)
    if not known.any():
        return
    apart = great_circle_km(lonlat[known], mine[known])
    # A sphere and an ellipsoid are up to 21 km apart.
    if apart.max() > 25.0 + 2 * grid.cell_km:
        row, column = int(rows[known][apart.argmax()]), int(columns[known][apart.argmax()])
        raise ValueError(
            f"{path}: by {found['lon'].name!r} and {found['lat'].name!r} the cell of row {row} and column {column} is "
            f"{apart.max():,.0f} km from where the axes {axes[1]!r} and {axes[0]!r} put it. The grid is rotated or "
            "projected otherwise; give its CRS, such as crs: 'EPSG:32632', or warp it first (gdalwarp)."
        )


def _tile(array: Any, y: str, x: str, bands: int) -> tuple[int, int]:
    """Return the tile size: whole chunks where they fit into memory; smaller with more bands."""
    chunks = array.encoding.get("preferred_chunks") or {}
    most = max(1, math.isqrt(_TILE_CELLS // bands))
    height, width = (min(int(chunks.get(dim, 512)), max(most, 64), array.sizes[dim]) for dim in (y, x))
    return height, width
