"""CropHarvest: a year of Sentinel-1, Sentinel-2, weather and terrain at points with crop labels."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.geodesy.dates import times_of
from geotether.pairing.layouts.chosen_rows import check_names, choose_rows
from geotether.pairing.layouts.sample_files import dataset_in, open_hdf5, present_rows, read_json
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
    """Read CropHarvest as published: `labels.geojson` and `features/arrays/<index>_<dataset>.h5`.

    Each file contains an array of 12 months x 18 bands (`BANDS`), with gaps filled by the authors. About a quarter of
    the labels have no array. The arrays for whole test regions (`test_features`) are not read. torchgeo's reader is
    not used: it gives no places, mixes crops and crop groups in one target and searches its whole table for each label.

    Args:
        path: The folder.
        split: "test" are the labels with `is_test`, "train" the others. None: both.
        modalities: Of "s1" (VV, VH in dB), "s2" (11 bands, digital numbers), "weather" (temperature in K,
            precipitation in m), "terrain" (elevation in m, slope in degrees; one vector, not a series) and "ndvi".
        datasets: Only labels from these data sets, such as ["togo", "geowiki-landcover-2017"].
        limit: Maximum number of rows, drawn at random among those with an array.
        seed: Of that draw.
        tolerate_missing: Leave out labels without an array; if false, they are an error.

    Returns:
        The modalities; classes "crop" (crop or not) and "crop_type" (10 groups, unknown for most rows); places, the
        end of the observed year as time, and the data sets as groups (if there are several).

    Raises:
        FileNotFoundError: If labels or arrays are missing.
        ValueError: If an option, a part or a group of crops is unknown, or an array has another shape.
        ImportError: If h5py is not installed.

    Source:
        Tseng et al. (2021), NeurIPS Datasets and Benchmarks. Layout, band order and crop groups follow
        nasaharvest/cropharvest (engineer.py, bands.py, crops.py, datasets.py) and torchgeo's `CropHarvest`.
    """
    names = check_names("modality", modalities, tuple(MODALITIES))
    labels = _labels(Path(path) / "labels.geojson")
    if datasets is not None:
        wanted = check_names("data set in CropHarvest", datasets, sorted({row["dataset"] for row in labels}))
        labels = [row for row in labels if row["dataset"] in wanted]
    files = [Path(path) / "features" / "arrays" / f"{row['index']}_{row['dataset']}.h5" for row in labels]
    present, lacking = present_rows("cropharvest", {"arrays": [[file] for file in files]}, tolerate_missing)
    there = np.flatnonzero(present["arrays"])
    parts = ["test" if _boolean(labels[row].get("is_test")) else "train" for row in there]
    rows = there[choose_rows(parts, split, limit, seed, len(there))]
    arrays = np.empty((len(rows), MONTHS, len(BANDS)), dtype=np.float32)
    for number, row in enumerate(rows):
        arrays[number] = _array(files[row])
    chosen = [labels[row] for row in rows]
    groups = np.array([row["dataset"] for row in chosen])
    targets = {
        "crop": Target("classes", np.array([_crop(row) for row in chosen]), ("non_crop", "crop")),
        "crop_type": classes_target([row.get("classification_label") for row in chosen], CROP_TYPES),
    }
    return Table(
        "cropharvest",
        {name: _sensor(name, arrays) for name in names},
        {name: target for name, target in targets.items() if target.known.any()},
        id=np.array([files[row].stem for row in rows]),
        lonlat=np.array([[float(row["lon"]), float(row["lat"])] for row in chosen]),
        time=_times(chosen),
        split=np.array(["test" if _boolean(row.get("is_test")) else "train" for row in chosen]),
        group=groups if len(set(groups.tolist())) > 1 else None,
        origin=Origin(
            licence="CC BY-SA 4.0",
            source="CropHarvest, Tseng et al. 2021",
            citation="Tseng, Zvonkov, Nakalembe, Kerner (2021), CropHarvest, NeurIPS Datasets and Benchmarks",
            url="https://github.com/nasaharvest/cropharvest",
            made={"layout": "cropharvest", "labels_without_array": lacking.get("arrays", 0)},
        ),
    )


def _labels(path: Path) -> list[dict[str, Any]]:
    document = read_json(path, "CropHarvest has its labels there")
    rows = []
    for number, feature in enumerate(document.get("features", [])):
        row = dict(feature.get("properties") or {})
        row.setdefault("index", row.get("dataset_index"))  # its name in later code, not in the published file
        gone = [name for name in ("index", "dataset", "lon", "lat", "is_crop") if row.get(name) is None]
        if gone:
            raise ValueError(f"{path}: label {number} has no {gone[0]!r}; it has {', '.join(sorted(row))}.")
        row["index"] = int(row["index"])
        rows.append(row)
    if not rows:
        raise ValueError(f"{path} has no features.")
    return rows


def _array(file: Path) -> np.ndarray:
    with open_hdf5(file) as opened:
        array = np.asarray(dataset_in(opened, "array"))
    if array.shape != (MONTHS, len(BANDS)):
        raise ValueError(f"{file} has an array of shape {array.shape}, not {(MONTHS, len(BANDS))} (months, bands).")
    return array


def _sensor(name: str, arrays: np.ndarray) -> Modality:
    first = BANDS.index(MODALITIES[name][0])
    values = arrays[:, :, first : first + len(MODALITIES[name])]
    if name == "terrain":  # repeated for each month
        return Modality("vector", values[:, 0], bands=MODALITIES[name])
    return Modality("series", np.ascontiguousarray(values), bands=MODALITIES[name])


def _boolean(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "1", "1.0")


def _crop(row: dict[str, Any]) -> int:
    value = row["is_crop"]
    if isinstance(value, float) and math.isnan(value):
        return -1
    return int(_boolean(value))


def _times(rows: list[dict[str, Any]]) -> np.ndarray:
    texts = [str(row["export_end_date"]) if row.get("export_end_date") else None for row in rows]
    times, wrong = times_of(pa.array(texts, pa.string()))
    if wrong.any():
        row = rows[int(wrong.argmax())]
        name = f"{row['index']}_{row['dataset']}"
        raise ValueError(f"export_end_date of label {name} is not a date in ISO 8601: {row['export_end_date']!r}.")
    return times.astype("datetime64[s]")
