"""CropHarvest: a year of Sentinel-1, Sentinel-2, weather and terrain at points with crop labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.geodesy.dates import strict_times
from geotether.pairing.layouts.chosen_rows import check_names, choose_rows
from geotether.pairing.layouts.sample_files import dataset_in, open_hdf5, present_rows, read_object
from geotether.pairing.observations import refuse_infinite
from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target, classes_target

MONTHS = 12
BANDS = (
    *("VV", "VH"),
    *("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"),
    *("temperature_2m", "total_precipitation"),
    *("elevation", "slope"),
    "NDVI",
)
MODALITIES: dict[str, tuple[str, ...]] = {
    "s1": BANDS[:2],
    "s2": BANDS[2:13],
    "weather": BANDS[13:15],
    "terrain": BANDS[15:17],
    "ndvi": BANDS[17:],
}
# Groups of crops of the FAO's Indicative Crop Classification, in the order of CropHarvest's code.
CROP_TYPES = (
    *("non_crop", "cereals", "vegetables_melons", "fruits_nuts", "oilseeds", "root_tuber", "beverage_spice"),
    *("leguminous", "sugar", "other"),
)


def read_cropharvest(
    path: str | Path,
    split: str | Sequence[str] | None = None,
    modalities: Sequence[str] = ("s1", "s2", "weather", "terrain"),
    datasets: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    tolerate_missing: bool = True,
) -> Table:
    """Read CropHarvest as published: `labels.geojson` and `features/arrays/<index>_<dataset>.h5`, 12 months x 18 bands.

    See docs/paired-layouts.md.

    Returns:
        The modalities (see `MODALITIES`); classes "crop" (unknown where `is_crop` is missing) and "crop_type" (10
        groups, unknown for most rows); places, the end of the observed year as time, and the data sets as groups (if
        there are several).

    Raises:
        FileNotFoundError: If labels or arrays are missing.
        ValueError: If an option, a part or a group of crops is unknown, a label is repeated or has no place, a date is
            not one, or an array has another shape or an infinite number.
        ImportError: If h5py is not installed.

    Source:
        Tseng et al. (2021), NeurIPS Datasets and Benchmarks. Layout, band order and crop groups follow
        nasaharvest/cropharvest (engineer.py, bands.py, crops.py, datasets.py) and torchgeo's `CropHarvest`.
    """
    names = check_names("modality", modalities, tuple(MODALITIES))
    file_of_labels = Path(path) / "labels.geojson"
    labels = _labels(file_of_labels)
    if datasets is not None:
        wanted = check_names("data set in CropHarvest", datasets, sorted({row["dataset"] for row in labels}))
        labels = [row for row in labels if row["dataset"] in wanted]
    files = [Path(path) / "features" / "arrays" / f"{row['name']}.h5" for row in labels]
    present, lacking = present_rows("cropharvest", {"arrays": [[file] for file in files]}, tolerate_missing)
    there = np.flatnonzero(present["arrays"])
    parts = ["test" if labels[row]["is_test"] else "train" for row in there]
    chosen = choose_rows(parts, split, limit, seed, len(there))
    rows, parts = there[chosen], [parts[row] for row in chosen]
    arrays = np.empty((len(rows), MONTHS, len(BANDS)), dtype=np.float32)
    for number, row in enumerate(rows):
        arrays[number] = _array(files[row], names)
    labels = [labels[row] for row in rows]
    dates = pa.array([str(row.get("export_end_date") or "") or None for row in labels], pa.string())
    groups = [row["dataset"] for row in labels]
    targets = {
        "crop": Target("classes", np.array([row["is_crop"] for row in labels]), ("non_crop", "crop")),
        "crop_type": classes_target([row.get("classification_label") for row in labels], CROP_TYPES),
    }
    return Table(
        "cropharvest",
        {name: _sensor(name, arrays) for name in names},
        {name: target for name, target in targets.items() if target.known.any()},
        id=np.array([row["name"] for row in labels], dtype=object),
        lonlat=np.array([row["lonlat"] for row in labels]),
        time=strict_times(
            dates, lambda row: f"{file_of_labels}: export_end_date of label {labels[row]['name']}"
        ).astype("datetime64[s]"),
        split=np.array(parts, dtype=object),
        group=np.array(groups, dtype=object) if len(set(groups)) > 1 else None,
        origin=Origin(
            licence="CC BY-SA 4.0",
            source="CropHarvest, Tseng et al. 2021",
            citation="Tseng, Zvonkov, Nakalembe, Kerner (2021), CropHarvest, NeurIPS Datasets and Benchmarks",
            url="https://github.com/nasaharvest/cropharvest",
            made={"layout": "cropharvest", "labels_without_array": lacking.get("arrays", 0)},
        ),
    )


def _labels(path: Path) -> list[dict[str, Any]]:
    """Read the labels, each with `name` (of its array), `lonlat`, and `is_crop` as a class."""
    document = read_object(path, "CropHarvest has its labels there")
    rows: dict[str, dict[str, Any]] = {}
    for number, feature in enumerate(document.get("features") or []):
        row = dict(feature.get("properties") or {})
        row.setdefault("index", row.get("dataset_index"))  # its name in later code, not in the published file
        gone = [name for name in ("index", "dataset", "lon", "lat") if row.get(name) is None]
        if gone:
            raise ValueError(f"{path}: label {number} has no {gone[0]!r}.")
        try:
            index, row["lonlat"] = float(row["index"]), [float(row["lon"]), float(row["lat"])]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: label {number}: index, lon and lat must be numbers: {error}.") from error
        if not index.is_integer():
            raise ValueError(f"{path}: label {number} has the index {row['index']!r}, which is not an integer.")
        name = f"{int(index)}_{row['dataset']}"
        if name in rows:
            first = list(rows).index(name)
            raise ValueError(f"{path}: labels {first} and {number} are both {name}; remove one of them.")
        where = f"{path}: label {number} ({name})"
        crop, test = (_boolean(row.get(key), f"{where}: {key}") for key in ("is_crop", "is_test"))
        rows[name] = {**row, "name": name, "is_crop": -1 if crop is None else int(crop), "is_test": bool(test)}
    if not rows:
        raise ValueError(f"{path} has no features.")
    return list(rows.values())


def _array(file: Path, modalities: Sequence[str]) -> np.ndarray:
    with open_hdf5(file) as opened:
        array = np.asarray(dataset_in(opened, "array"))
    if array.shape != (MONTHS, len(BANDS)):
        raise ValueError(f"{file} has an array of shape {array.shape}, not {(MONTHS, len(BANDS))} (months, bands).")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{file} has an array of {array.dtype}, not of numbers.")
    for name in modalities:
        part = [BANDS.index(band) for band in MODALITIES[name]]
        refuse_infinite(array[:, part].T, f"{file}: {name}", MODALITIES[name])
    return array


def _sensor(name: str, arrays: np.ndarray) -> Modality:
    first = BANDS.index(MODALITIES[name][0])
    values = arrays[:, :, first : first + len(MODALITIES[name])]
    if name == "terrain":  # repeated for each month
        return Modality("vector", values[:, 0], bands=MODALITIES[name])
    return Modality("series", np.ascontiguousarray(values), bands=MODALITIES[name])


def _boolean(value: Any, where: str) -> bool | None:
    """Return a boolean written as such, as a number or as text; None where missing."""
    if value is None or value != value or value == "":
        return None
    if str(value).lower() not in ("true", "1", "1.0", "false", "0", "0.0"):
        raise ValueError(f"{where} is {value!r}, neither true nor false.")
    return str(value).lower() in ("true", "1", "1.0")
