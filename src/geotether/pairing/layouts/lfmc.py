"""Live fuel moisture: months of radar and optical satellite data at sites where it was measured."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.files.rows import read_rows
from geotether.geodesy.dates import strict_times
from geotether.pairing.layouts.chosen_rows import check_names, choose_rows
from geotether.pairing.layouts.sample_files import read_object
from geotether.pairing.observations import numbers_in
from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target

MODALITIES: dict[str, tuple[str, ...]] = {
    "s1": ("vv", "vh"),
    "optical": ("red", "green", "blue", "swir", "nir"),
    "indices": ("ndvi", "ndwi", "nirv"),
    "ratios": (
        *("vv_red", "vv_green", "vv_blue", "vv_swir", "vv_nir", "vv_ndvi", "vv_ndwi", "vv_nirv"),
        *("vh_red", "vh_green", "vh_blue", "vh_swir", "vh_nir", "vh_ndvi", "vh_ndwi", "vh_nirv"),
    ),
    "site": ("slope", "elevation", "canopy_height", "silt", "sand", "clay"),
    "land_cover": ("forest_cover",),
}
# Codes of the land-cover map GlobCover 2009, in the column `forest_cover`.
GLOBCOVER = (11, 14, 20, 30, 40, 50, 60, 70, 90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190, 200, 210, 220, 230)
TARGET = "percent(t)"
_VECTORS = ("site", "land_cover")


def read_lfmc(
    path: str | Path,
    modalities: Sequence[str] = ("s1", "optical", "site"),
    months: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Table:
    """Read the table of Rao et al. (2020): columns such as `vv(t-1)`, `ndvi(t)` and the target `percent(t)`.

    Either one CSV or Parquet file, or the folder of `feature_*.geojson` in which it was published; see
    docs/paired-layouts.md.

    Returns:
        The modalities (see `MODALITIES`; backscatter in dB, reflectance x 10,000), oldest month first; the target
        "lfmc" (live fuel moisture content in percent of dry mass), places if the table has them, dates as times and
        sites as groups.

    Raises:
        FileNotFoundError: If a folder has no such files.
        ValueError: If columns are missing, `months` exceeds the months in the table, or a land cover is unknown.

    Source:
        Rao et al. (2020), Remote Sensing of Environment 245, 111797. Columns: kkraoj/lfmc_from_sar
        (training_features_description.csv); grouping and repeated rows: fmenat/MDiCo (data_lfmc.py); GeoJSON:
        torchgeo's `WesternUSALiveFuelMoisture`.
    """
    names = check_names("modality", modalities, tuple(MODALITIES))
    table, doubles = _table(Path(path))
    rows = choose_rows(None, None, limit, seed, len(table))
    table = table.take(pa.array(rows))
    steps = _steps(table.column_names, months)
    if TARGET not in table.column_names:
        raise ValueError(f"{path} has no column {TARGET!r}, the live fuel moisture; it has {_some(table)}.")
    lonlat = None
    if {"longitude", "latitude"} <= set(table.column_names):
        lonlat = np.stack([_numbers(table, "longitude"), _numbers(table, "latitude")], axis=1)
    columns = set(table.column_names)
    return Table(
        "lfmc",
        {name: _sensor(name, table, steps) for name in names},
        {"lfmc": Target("numbers", _numbers(table, TARGET), ("live fuel moisture content (%)",))},
        id=np.array(table["row"].to_pylist(), dtype=object),
        lonlat=lonlat,
        time=strict_times(table["date"], lambda row: f"date, row {row}").astype("datetime64[D]")
        if "date" in columns
        else None,
        group=np.array([str(site) for site in table["site"].to_pylist()], dtype=object) if "site" in columns else None,
        origin=Origin(
            licence="CC BY-NC-ND 4.0",
            source="Rao et al. 2020; National Fuel Moisture Database",
            citation="Rao et al. (2020), Remote Sensing of Environment 245, 111797",
            url="https://github.com/kkraoj/lfmc_from_sar",
            made={"layout": "lfmc", "doubles_left_out": doubles},
        ),
    )


def _table(path: Path) -> tuple[pa.Table, int]:
    """Return the rows with a column `row` of ids, and the number of repeated rows left out."""
    if path.is_dir():
        files = sorted(path.rglob("feature_*.geojson"))
        if not files:
            raise FileNotFoundError(f"{path} has no files feature_*.geojson, the published form of the data set.")
        rows = [_feature(file) for file in files]
        return pa.Table.from_pylist(rows), 0
    table = read_rows(path)
    first = table.column_names[0]
    index = [str(value) for value in table[first].to_pylist()]
    if first not in ("", "index", "Unnamed: 0", "__index_level_0__"):
        return table.append_column("row", pa.array([str(row) for row in range(len(table))])), 0
    last = sorted({value: row for row, value in enumerate(index)}.values())
    table = table.drop_columns([first]).append_column("row", pa.array(index))
    return table.take(pa.array(last)), len(index) - len(last)


def _feature(file: Path) -> dict[str, Any]:
    content = read_object(file)
    try:
        row = dict(content["properties"])
        lon, lat = content["geometry"]["coordinates"][:2]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not a GeoJSON feature with properties and a point: {error}") from error
    return {**row, "longitude": lon, "latitude": lat, "row": file.stem.removeprefix("feature_")}


def _steps(columns: Sequence[str], months: int | None) -> list[str]:
    """Return the suffixes of the monthly columns, oldest first: (t-3), (t-2), (t-1), (t)."""
    lags = sorted({int(found[1] or 0) for name in columns if (found := re.search(r"\(t(?:-(\d+))?\)$", name))})
    if lags != list(range(len(lags))) or not lags:
        raise ValueError(f"Monthly columns must have names from vv(t-3) to vv(t) without gaps; found lags {lags}.")
    if months is not None and not 1 <= months <= len(lags):
        raise ValueError(f"months must be 1 to {len(lags)}, got {months}.")
    return [f"(t-{lag})" if lag else "(t)" for lag in reversed(lags[:months])]


def _sensor(name: str, table: pa.Table, steps: Sequence[str]) -> Modality:
    bands = MODALITIES[name]
    if name == "land_cover":
        codes = _numbers(table, "forest_cover(t)")
        wrong = codes[~np.isnan(codes) & ~np.isin(codes, GLOBCOVER)]
        if len(wrong):
            known = ", ".join(map(str, GLOBCOVER))
            raise ValueError(f"forest_cover {wrong[0]:g} is not a class of GlobCover 2009: {known}.")
        values = np.where(np.isnan(codes)[:, None], np.nan, codes[:, None] == np.array(GLOBCOVER))
        return Modality("vector", values, bands=tuple(f"globcover_{code}" for code in GLOBCOVER))
    if name in _VECTORS:
        return Modality("vector", np.stack([_numbers(table, f"{band}(t)") for band in bands], axis=1), bands=bands)
    series = [[_numbers(table, f"{band}{step}") for band in bands] for step in steps]
    return Modality("series", np.moveaxis(np.array(series), 2, 0), bands=bands)


def _numbers(table: pa.Table, column: str) -> np.ndarray:
    if column not in table.column_names:
        raise ValueError(f"There is no column {column!r}; there are {_some(table)}.")
    return numbers_in(table[column], f"column {column!r}")


def _some(table: pa.Table) -> str:
    names = table.column_names
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
