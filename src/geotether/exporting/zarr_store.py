"""Zarr v3 stores of rasters, as xarray reads them: CF coordinates and grid mapping, GeoZarr attributes, overviews."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from geotether.exporting.precision import Coding
from geotether.files.disk import replacing_folder
from geotether.regions.grid import Grid

VARIABLE = "embedding"
_MAPPING = "crs"
# An overview has half as many rows and columns as the level before; the last one fits into a chunk of this side.
_LAST_SIDE = 256
_SPECS = {
    "multiscales": ("d35379db-88df-4056-af3a-620245f8e347", "Multiscale layout of zarr datasets"),
    "proj": ("f17cb550-5864-4468-aeb7-f3180cfb622f", "Coordinate reference system information for geospatial data"),
    "spatial": ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "Spatial coordinate information"),
}


def write_zarr(
    path: str | Path,
    grid: Grid,
    coding: Coding,
    blocks: Iterable[tuple[slice, slice, np.ndarray]],
    side: int,
    notes: Mapping[str, Any],
) -> None:
    """Write a store with the variable `embedding` (band, lat, lon) or (band, y, x), chunk by chunk.

    The full resolution is in the root group, and overviews, each half as fine as the one before, in the groups
    `overview_2`, `overview_4`, ... of the same form. With int8, the embedding is `embedding * scale + offset`, two
    variables of one number per band.

    Args:
        path: The folder, which appears when it is complete.
        grid: Where the pixels lie.
        coding: Bands, number type and missing value.
        blocks: Rows, columns and values of shape (bands, rows, columns), as `side` divides the grid; pixels in no
            block are missing.
        side: Rows and columns of a chunk, which has all bands.
        notes: Attributes of the store.

    Raises:
        OSError: If the disk is full or the folder cannot be written to.
        ImportError: If zarr 3 is not installed.
    """
    zarr = _zarr()
    levels = _levels(grid)
    array: Any = None
    with replacing_folder(path) as folder, _steady_bytes():
        for number, level in enumerate(levels):
            name = "" if number == 0 else f"overview_{2**number}"
            attributes = _attributes(level) | (_multiscales(levels) if number == 0 and len(levels) > 1 else {})
            attributes |= dict(notes) if number == 0 else {}
            group = zarr.open_group(folder / name, mode="a", zarr_format=3, attributes=attributes)
            finer, array = array, _create(group, level, coding, side)
            values = blocks if number == 0 else _halved(finer, level, side, coding.nodata)
            for rows, columns, block in values:
                array[:, rows, columns] = block
        # The folder of an older export goes as a whole: some of its chunks and overviews may have no successor.
        shutil.rmtree(path, ignore_errors=True)


def _zarr() -> Any:
    try:
        import zarr
        from packaging.version import Version
    except ImportError:
        raise ImportError("Zarr stores are written with zarr: pip install 'geotether[geo]'.") from None
    if Version(zarr.__version__) < Version("3.0"):
        raise ImportError(f"zarr {zarr.__version__} cannot write version 3 of the format: pip install 'zarr>=3'.")
    return zarr


@contextmanager
def _steady_bytes() -> Iterator[None]:
    """Compress each chunk on one thread: with several, Blosc orders the blocks of a chunk by when they end."""
    from numcodecs import blosc

    before = blosc.use_threads
    blosc.use_threads = False
    try:
        yield
    finally:
        blosc.use_threads = before


def _levels(grid: Grid) -> list[Grid]:
    """Return the grid and those of its overviews."""
    levels = [grid]
    while max(levels[-1].rows, levels[-1].columns) > _LAST_SIDE:
        last = levels[-1]
        halved = -(-last.rows // 2), -(-last.columns // 2)
        levels.append(Grid(grid.crs, grid.west, grid.north, 2 * last.step, *halved, grid.name))
    return levels


def _create(group: Any, grid: Grid, coding: Coding, side: int) -> Any:
    """Create the variable and its coordinates in a group, and return the variable's array."""
    from zarr.codecs import BloscCodec

    y, x = _dimensions(grid)
    mapping = group.create_array(_MAPPING, shape=(), dtype="int32", attributes=_grid_mapping(grid))
    mapping[...] = 0
    for name, centers, axis in ((y, grid.y(), "Y"), (x, grid.x(), "X")):
        _fill(group, name, centers, (name,), _axis(grid, axis))
    _fill(group, "band", np.arange(len(coding.bands), dtype=np.int32), ("band",), {"long_name": "number of a band"})
    if coding.dtype == "int8":
        for name in ("scale", "offset"):
            factors = np.array([getattr(band, name) for band in coding.bands])
            _fill(group, name, factors, ("band",), {"long_name": f"{name} of a band: value = scale * stored + offset"})
    count = len(coding.bands)
    attributes: dict[str, Any] = {"long_name": "embedding of the place at the centre of a pixel", "units": "1"}
    attributes |= {"grid_mapping": _MAPPING, "spatial:dimensions": [y, x]}
    if coding.dtype == "int8":
        attributes |= {"_FillValue": int(coding.nodata)}
    return group.create_array(
        VARIABLE,
        shape=(count, grid.rows, grid.columns),
        chunks=(count, min(side, grid.rows), min(side, grid.columns)),
        dtype=coding.dtype,
        fill_value=coding.nodata,
        compressors=[BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")],
        dimension_names=("band", y, x),
        attributes=attributes,
    )


def _fill(group: Any, name: str, values: np.ndarray, dimensions: tuple[str, ...], attributes: dict[str, Any]) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        dtype=values.dtype,
        dimension_names=dimensions,
        attributes=attributes,
    )
    array[...] = values


def _halved(source: Any, grid: Grid, side: int, nodata: float) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Average each two by two pixels, or those of them that are known, chunk by chunk."""
    for rows, columns in grid.tiles(side):
        wide = source[:, 2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop]
        values = np.stack([_half(band.astype(np.float32), nodata) for band in wide])
        yield rows, columns, (values if source.dtype.kind == "f" else np.rint(values)).astype(source.dtype)


def _half(band: np.ndarray, nodata: float) -> np.ndarray:
    """Return the means of two by two pixels of a band; `nodata` where none of them is known."""
    band = np.pad(band, ((0, len(band) % 2), (0, band.shape[1] % 2)), constant_values=nodata)
    four = np.stack([band[a::2, b::2] for a in (0, 1) for b in (0, 1)])
    known = ~np.isnan(four) if np.isnan(nodata) else four != nodata
    count = known.sum(axis=0)
    mean = np.where(known, four, 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 0, mean, nodata).astype(np.float32)


def _dimensions(grid: Grid) -> tuple[str, str]:
    return ("lat", "lon") if grid.is_geographic else ("y", "x")


def _axis(grid: Grid, axis: str) -> dict[str, Any]:
    """Return the attributes of a coordinate, as CF names them."""
    if grid.is_geographic:
        name, unit = ("latitude", "degrees_north") if axis == "Y" else ("longitude", "degrees_east")
        return {"standard_name": name, "long_name": name, "units": unit, "axis": axis}
    name = f"projection_{axis.lower()}_coordinate"
    return {"standard_name": name, "long_name": name.replace("_", " "), "units": "m", "axis": axis}


def _grid_mapping(grid: Grid) -> dict[str, Any]:
    """Return the CRS as CF and as rioxarray and GDAL read it."""
    from pyproj import CRS

    a, b, c, d, e, f = grid.transform
    plain = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in CRS.from_user_input(grid.crs).to_cf().items()
    }
    return plain | {"spatial_ref": plain["crs_wkt"], "GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"}


def _attributes(grid: Grid) -> dict[str, Any]:
    """Return the attributes of a group: CF, and the conventions proj and spatial of GeoZarr."""
    from pyproj import CRS

    crs = CRS.from_user_input(grid.crs)
    code = crs.to_authority()
    west, south, east, north = grid.bounds
    return {
        "Conventions": "CF-1.11",
        "zarr_conventions": [_convention("proj"), _convention("spatial")],
        **({"proj:code": ":".join(code)} if code else {"proj:wkt2": crs.to_wkt("WKT2_2019")}),
        "spatial:dimensions": list(_dimensions(grid)),
        "spatial:transform": list(grid.transform),
        "spatial:shape": [grid.rows, grid.columns],
        "spatial:bbox": [west, south, east, north],
    }


def _multiscales(levels: list[Grid]) -> dict[str, Any]:
    names = [VARIABLE, *(f"overview_{2**number}/{VARIABLE}" for number in range(1, len(levels)))]
    layout: list[dict[str, Any]] = []
    for number, (name, level) in enumerate(zip(names, levels, strict=True)):
        entry: dict[str, Any] = {"asset": name}
        entry |= {"derived_from": names[number - 1]} if number else {}
        entry["transform"] = {"scale": [2.0, 2.0] if number else [1.0, 1.0], "translation": [0.0, 0.0]}
        entry |= {"spatial:shape": [level.rows, level.columns], "spatial:transform": list(level.transform)}
        layout.append(entry)
    return {
        "zarr_conventions": [_convention(name) for name in ("multiscales", "proj", "spatial")],
        "multiscales": {"layout": layout, "resampling_method": "average"},
    }


def _convention(name: str) -> dict[str, str]:
    """Return the registration of a convention for geospatial Zarr.

    Source:
        https://github.com/zarr-conventions (multiscales, proj and spatial), version 0.1.
    """
    uuid, description = _SPECS[name]
    return {
        "schema_url": f"https://raw.githubusercontent.com/zarr-conventions/{name}/refs/tags/v0.1/schema.json",
        "spec_url": f"https://github.com/zarr-conventions/{name}/blob/v0.1/README.md",
        "uuid": uuid,
        "name": name,
        "description": description,
    }
