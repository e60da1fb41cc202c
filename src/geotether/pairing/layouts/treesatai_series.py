"""Time series of TreeSatAI: dates of one year, brought to months or to a fixed number of dates."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped

WAYS = ("months", "dates")


@dataclass(frozen=True)
class SeriesForm:
    """One series in a file.

    Attributes:
        entry: Name of its data set without "-data" and "-products".
        bands: Its bands.
        date_at: Which part of a product's name, cut at "_", begins with the date.
        most: Dates that the published set has at most in a year.
    """

    entry: str
    bands: tuple[str, ...]
    date_at: int
    most: int


SERIES = {
    "s1_asc": SeriesForm("sen-1-asc", ("VV", "VH"), 4, 151),
    "s1_des": SeriesForm("sen-1-des", ("VV", "VH"), 4, 257),
    "s2": SeriesForm("sen-2", ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"), 2, 146),
}
_CLOUD = 1  # channel of the masks; 0 is snow


def check_series(series: str, steps: int | None, max_cloud: float | None) -> None:
    """Refuse options of series that cannot be meant.

    Raises:
        ValueError: If a way is unknown, `steps` is below 1 or goes with months, or the cloud is no percentage.
    """
    if series not in WAYS:
        raise ValueError(f"series must be one of {', '.join(WAYS)}, got {series!r}.")
    if steps is not None and (series == "months" or steps < 1):
        raise ValueError(f"steps={steps}: give 1 or more, with series='dates'; months are always 12.")
    if max_cloud is not None and not 0 <= max_cloud <= 100:
        raise ValueError(f"max_cloud is a percentage from 0 to 100, got {max_cloud}.")


def read_series(
    file: Path, names: Sequence[str], series: str, steps: int | None, max_cloud: float | None
) -> dict[str, Float32[np.ndarray, "t bands"]]:
    """Read series of one sample.

    Args:
        file: HDF5, with `sen-2-data` (t, bands, height, width), `sen-2-products` (t names), `sen-2-masks` and so on.
        names: Of `SERIES`.
        series: "months" or "dates".
        steps: Of "dates"; None: the most that the published set has.
        max_cloud: Dates of Sentinel-2 above it are missing.

    Returns:
        By name, shape (12, bands) or (steps, bands); NaN where nothing was seen.

    Raises:
        ValueError: If the file is damaged or lacks a data set, bands are others, or there are more dates than steps.
        ImportError: If h5py is missing.
    """
    try:
        import h5py
    except ImportError:
        raise ImportError("TreeSatAI's series are read with h5py: pip install 'geotether[geo]'.") from None
    found = {}
    try:
        with h5py.File(file, "r") as opened:
            for name in names:
                form = SERIES[name]
                values, dates = _seen(opened, form, file)
                if name == "s2" and max_cloud is not None:
                    values = _without_clouds(opened, values, max_cloud, file)
                if series == "months":
                    found[name] = monthly(values, dates)
                else:
                    found[name] = _filled(values, dates, steps or form.most, f"{file}: {name}")
    except OSError as error:
        raise ValueError(f"{file} is no HDF5 file that can be read: {error}") from error
    return found


def monthly(values: Float[np.ndarray, "t bands"], dates: Shaped[np.ndarray, "t"]) -> Float32[np.ndarray, "12 bands"]:
    """Median of the dates of each month; NaN where a month has none.

    Example:
        >>> dates = np.array(["2020-01-03", "2020-01-09", "2020-12-31"], dtype="datetime64[D]")
        >>> monthly(np.array([[1.0], [3.0], [7.0]]), dates)[[0, 1, 11], 0].tolist()
        [2.0, nan, 7.0]
    """
    months = dates.astype("datetime64[M]").astype(int) % 12
    found = np.full((12, values.shape[1]), np.nan, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a month without a single number stays NaN
        for month in np.unique(months):
            found[month] = np.nanmedian(values[months == month], axis=0)
    return found


def _seen(opened: Any, form: SeriesForm, file: Path) -> tuple[np.ndarray, np.ndarray]:
    for entry in (f"{form.entry}-data", f"{form.entry}-products"):
        if entry not in opened:
            raise ValueError(f"{file} has no data set {entry!r}; it has {', '.join(opened)}.")
    data = np.asarray(opened[f"{form.entry}-data"], dtype=np.float32)
    if data.ndim != 4 or data.shape[1] != len(form.bands):
        raise ValueError(
            f"{file}: {form.entry}-data has shape {data.shape}, not (dates, {len(form.bands)} bands, height, width)."
        )
    products = [name.decode() if isinstance(name, bytes) else str(name) for name in opened[f"{form.entry}-products"][:]]
    if len(products) != len(data):
        raise ValueError(f"{file}: {form.entry} has {len(data)} dates and {len(products)} names of products.")
    days = [name.split("_")[form.date_at][:8] if name.count("_") >= form.date_at else name for name in products]
    try:
        dates = np.array([f"{day[:4]}-{day[4:6]}-{day[6:8]}" for day in days], dtype="datetime64[D]")
    except ValueError:
        raise ValueError(f"{file}: part {form.date_at} of {products[0]!r} and the like is no date.") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(data, axis=(2, 3)), dates


def _without_clouds(opened: Any, values: np.ndarray, max_cloud: float, file: Path) -> np.ndarray:
    if "sen-2-masks" not in opened:
        raise ValueError(f"{file} has no data set 'sen-2-masks'; set max_cloud: null to take cloudy dates as well.")
    masks = opened["sen-2-masks"]
    if masks.shape[0] != len(values) or masks.shape[1] <= _CLOUD:
        raise ValueError(
            f"{file}: sen-2-masks has shape {masks.shape}; snow and cloud of {len(values)} dates are needed."
        )
    cloud = np.asarray(masks[:, _CLOUD], dtype=np.float64).mean(axis=(1, 2))
    return np.where((cloud > max_cloud)[:, None], np.nan, values)


def _filled(values: np.ndarray, dates: np.ndarray, steps: int, where: str) -> np.ndarray:
    if len(values) > steps:
        raise ValueError(f"{where} has {len(values)} dates, more than steps={steps}.")
    found = np.full((steps, values.shape[1]), np.nan, dtype=np.float32)
    found[: len(values)] = values[np.argsort(dates, kind="stable")]
    return found
