"""TreeSatAI and its time series: tree genera of German forests, seen from the air and by Sentinel-1 and 2."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32, Shaped

from geotether.files.places import lonlat_of_columns
from geotether.files.rows import naming, read_rows
from geotether.geodesy.dates import strict_times
from geotether.pairing.layouts.chips import all_places, check_size, chip_places, read_chip, read_chips
from geotether.pairing.layouts.chosen_rows import check_names, choose_rows, split_name, unknown
from geotether.pairing.layouts.sample_files import dataset_in, open_hdf5, present_rows, read_lines, read_object
from geotether.pairing.observations import refuse_infinite
from geotether.sources.grids.geotiff import reading_small_files
from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target

# Bands of the images, in the order of the file.
IMAGES: dict[str, tuple[str, ...]] = {
    "aerial": ("NIR", "G", "B", "R"),
    "s1_image": ("VV", "VH", "VV/VH"),
    "s2_image": ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B8A", "B11", "B12", "B01", "B09"),
}
GENERA = (
    *("Abies", "Acer", "Alnus", "Betula", "Cleared", "Fagus", "Fraxinus", "Larix", "Picea", "Pinus"),
    *("Populus", "Prunus", "Pseudotsuga", "Quercus", "Tilia"),
)
WAYS = ("months", "dates")
_LABELS = "TreeSatBA_v9_60m_multi_labels.json"
# Folders to search for files of each kind, in this order.
_FOLDERS = {
    "aerial": ("aerial/60m", "aerial", "."),
    "s1_image": ("s1/60m", "s1"),
    "s2_image": ("s2/60m", "s2"),
    "series": ("sentinel-ts", "sentinel", "."),
}
_YEAR = re.compile(r"_((?:19|20)\d{2})$")
_CLOUD = 1  # channel of the masks; 0 is snow


class SeriesForm(NamedTuple):
    """A time series in a file of the published set."""

    entry: str  # its data set without "-data" and "-products"
    bands: tuple[str, ...]
    date_at: int  # which part of a product's name, split at "_", starts with the date
    most: int  # maximum number of dates per year


SERIES = {
    "s1_asc": SeriesForm("sen-1-asc", ("VV", "VH"), 4, 151),
    "s1_des": SeriesForm("sen-1-des", ("VV", "VH"), 4, 257),
    "s2": SeriesForm("sen-2", ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"), 2, 146),
}


def read_treesatai(
    path: str | Path,
    split: str | Sequence[str] | None = None,
    modalities: Sequence[str] = ("aerial", "s1_asc", "s1_des", "s2"),
    series: str = "months",
    steps: int | None = None,
    max_cloud: float | None = 50.0,
    aerial_size: int | None = None,
    threshold: float = 0.07,
    limit: int | None = None,
    seed: int = 0,
    tolerate_missing: bool = False,
    scratch: str | Path | None = None,
) -> Table:
    """Read TreeSatAI-Time-Series as published, or the older archive with one image of each Sentinel.

    See docs/paired-layouts.md. Each date of a series is the mean of its 6 x 6 pixels: Sentinel-1 as linear backscatter,
    as published, Sentinel-2 as reflectance x 10,000.

    Returns:
        The modalities; labels "genera" (unknown where no share is above `threshold`) and classes "main_genus";
        places, 1 January of the year of the series as time, and the split.

    Raises:
        FileNotFoundError: If there are no samples, or files are missing.
        ValueError: If an option, a part or a genus is unknown, bands are not those of the set, or a sample is missing
            in the file of labels.
        ImportError: If rasterio or h5py is not installed.

    Source:
        Ahlswede et al. (2023), ESSD 15, 681; Astruc et al. (2024), OmniSat, arXiv:2404.08351. Layout: the data card of
        IGNF/TreeSatAI-Time-Series, gastruc/OmniSat (TreeSAT.py: threshold 0.07), fmenat/MDiCo (data_treesat.py),
        torchgeo's `TreeSatAI` (single images), and a real sample.
    """
    check_size(aerial_size)
    names = check_names("modality", modalities, (*IMAGES, *SERIES))
    _check_series(series, steps, max_cloud)
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold must be a share from 0 and below 1, got {threshold}.")
    found = _find_samples(Path(path), names)
    rows = choose_rows(found.parts, split, limit, seed, len(found.ids))
    ids = [found.ids[row] for row in rows]
    parts = None if found.parts is None else [found.parts[row] for row in rows]
    files = {name: [[found.file(name, sample)] for sample in ids] for name in names}

    def read(name: str, paths: Sequence[Path]) -> np.ndarray:
        return read_chip(paths[0], None, len(IMAGES[name]), aerial_size if name == "aerial" else None)

    with reading_small_files():
        present, lacking = present_rows("treesatai", files, tolerate_missing)
        kept = np.flatnonzero(np.any([present[name] for name in names], axis=0))
        images = {name: IMAGES[name] for name in names if name in IMAGES}
        sensors = read_chips(files, present, kept, images, read, scratch)
        times: dict[str, list[np.ndarray | None]] = {name: [] for name in names if name in SERIES}
        for row in kept:
            here = [name for name in times if present[name][row]]
            seen = read_series(files[here[0]][row][0], here, series, steps, max_cloud) if here else {}
            for name, values in times.items():
                values.append(seen.get(name))
        ids = [ids[row] for row in kept]
        places = _places(found, ids)
    sensors |= {name: _series_sensor(name, values) for name, values in times.items()}
    years = [_YEAR.search(found.file("s2", sample).stem) if times else None for sample in ids]
    return Table(
        "treesatai",
        {name: sensors[name] for name in names},
        _genus_targets(Path(path), ids, threshold),
        id=np.array(ids, dtype=object),
        lonlat=places,
        time=np.array([f"{year[1]}-01-01" for year in years if year], "datetime64[D]") if all(years) else None,
        split=None if parts is None else np.array([parts[row] for row in kept], dtype=object),
        origin=Origin(
            licence="CC BY 4.0",
            source="TreeSatAI, Ahlswede et al. 2023; time series, Astruc et al. 2024",
            citation="Ahlswede et al. (2023), ESSD 15, 681-695; Astruc et al. (2024), OmniSat, ECCV",
            url="https://huggingface.co/datasets/IGNF/TreeSatAI-Time-Series",
            made={"layout": "treesatai", "lacking": lacking, "left_out": len(present[names[0]]) - len(kept)},
        ),
    )


@dataclass(frozen=True)
class _Samples:
    """Samples, named without ending or year ("Abies_alba_1_1005_WEFL_NLF"), and where their files are."""

    folder: Path
    ids: list[str]
    parts: list[str] | None
    images: dict[str, Path]
    series_folder: Path
    series: dict[str, Path] = field(default_factory=dict)

    def file(self, modality: str, sample: str) -> Path:
        """Return the path of a sample's file, which need not exist."""
        if modality in self.images:
            return self.images[modality] / f"{sample}.tif"
        return self.series.get(sample, self.series_folder / f"{sample}.h5")


def _find_samples(folder: Path, modalities: Sequence[str]) -> _Samples:
    """Find the samples in the lists, or else those with a file of one of the modalities."""
    images = {name: _first(folder, _FOLDERS[name], "*.tif") for name in IMAGES}
    series_folder = _first(folder, _FOLDERS["series"], "*.h5")
    series = {_YEAR.sub("", file.stem): file for file in sorted(series_folder.glob("*.h5"))}
    listed: dict[str, str] = {}
    for part in ("train", "val", "test"):
        lines = read_lines(folder, [f"{part}_filenames.lst", f"split/{part}_filenames.lst"])
        listed |= dict.fromkeys([Path(line).stem for line in lines], split_name(part))
    ids = list(listed)
    if not listed:
        stems = {file.stem for name in modalities if name in images for file in images[name].glob("*.tif")}
        if any(name in SERIES for name in modalities):
            stems |= set(series)
        ids = sorted(stems)
    if not ids:
        raise FileNotFoundError(
            f"{folder} is not a TreeSatAI: it has neither lists such as train_filenames.lst nor images in aerial/ nor "
            "series in sentinel-ts/."
        )
    return _Samples(folder, ids, list(listed.values()) or None, images, series_folder, series)


def _genus_targets(folder: Path, ids: Sequence[str], threshold: float) -> dict[str, Target]:
    """Return the genera that cover more than `threshold` of each sample, and the largest; nothing without labels."""
    file = next((at for at in (folder / "labels" / _LABELS, folder / _LABELS) if at.is_file()), None)
    if file is None:
        return {}
    shares = {Path(name).stem: pairs for name, pairs in read_object(file).items()}
    labels = np.zeros((len(ids), len(GENERA)), dtype=np.float32)
    main = np.full(len(ids), -1, dtype=np.int64)
    for row, sample in enumerate(ids):
        if sample not in shares:
            raise ValueError(f"{file} has no labels for {sample}, which is one of {len(ids)} samples.")
        found = np.zeros(len(GENERA))
        try:
            for genus, share in shares[sample]:
                if genus not in GENERA:
                    raise ValueError(f"{unknown('genus', genus, GENERA)}")
                found[GENERA.index(genus)] = float(share)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{file}: {sample}: {error}") from error
        labels[row] = found > threshold if (found > threshold).any() else np.nan
        if shares[sample]:
            main[row] = GENERA.index(max(shares[sample], key=lambda pair: pair[1])[0])
    targets = {"genera": Target("labels", labels, GENERA), "main_genus": Target("classes", main, GENERA)}
    return {name: target for name, target in targets.items() if target.known.any()}


def _outline_places(folder: Path) -> dict[str, np.ndarray]:
    """Return the centres of the outlines in `geojson/bb_60m.GeoJSON`, in degrees, by sample; empty without the file."""
    file = folder / "geojson" / "bb_60m.GeoJSON"
    if not file.is_file():
        return {}
    table = read_rows(file)
    if "IMG_ID" not in table.column_names:
        raise ValueError(f"{file} has no property 'IMG_ID'; it has {', '.join(table.column_names)}.")
    with naming(file, "GeoJSON"):
        return dict(zip(map(str, table["IMG_ID"].to_pylist()), lonlat_of_columns(table), strict=True))


def _first(folder: Path, candidates: Sequence[str], pattern: str) -> Path:
    found = (folder / name for name in candidates if next((folder / name).glob(pattern), None) is not None)
    return next(found, folder / candidates[0])


def _check_series(series: str, steps: int | None, max_cloud: float | None) -> None:
    if series not in WAYS:
        raise ValueError(f"series must be one of {', '.join(WAYS)}, got {series!r}.")
    if steps is not None and (series == "months" or steps < 1):
        raise ValueError(f"steps must be 1 or more, with series='dates' (months are always 12); got {steps}.")
    if max_cloud is not None and not 0 <= max_cloud <= 100:
        raise ValueError(f"max_cloud must be a percentage from 0 to 100, got {max_cloud}.")


def read_series(
    file: Path, names: Sequence[str], series: str, steps: int | None, max_cloud: float | None
) -> dict[str, Float32[np.ndarray, "t bands"]]:
    """Read the series of one sample, named as in `SERIES`: shape (12, bands) or (steps, bands), NaN where missing.

    The file is HDF5 with `sen-2-data` (t, bands, height, width), `sen-2-products` (t names), `sen-2-masks` and so on.
    """
    found = {}
    with open_hdf5(file) as opened:
        for name in names:
            form = SERIES[name]
            values, dates = _dated_means(opened, form, file)
            if name == "s2" and max_cloud is not None:
                values = _without_clouds(opened, values, max_cloud, file)
            if series == "months":
                found[name] = monthly(values, dates)
            else:
                longest = steps or form.most
                if len(values) > longest:
                    raise ValueError(f"{file}: {name} has {len(values)} dates, more than steps={longest}.")
                found[name] = np.full((longest, values.shape[1]), np.nan, dtype=np.float32)
                found[name][: len(values)] = values[np.argsort(dates, kind="stable")]
    return found


def monthly(values: Float[np.ndarray, "t bands"], dates: Shaped[np.ndarray, "t"]) -> Float32[np.ndarray, "12 bands"]:
    """Return the median of the dates of each month; NaN for months without dates."""
    months = dates.astype("datetime64[M]").astype(int) % 12
    found = np.full((12, values.shape[1]), np.nan, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # months of NaN stay NaN
        for month in np.unique(months):
            found[month] = np.nanmedian(values[months == month], axis=0)
    return found


def _dated_means(opened: Any, form: SeriesForm, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the pixels of each date, and the dates."""
    data = np.asarray(dataset_in(opened, f"{form.entry}-data"))
    names = dataset_in(opened, f"{form.entry}-products")[:]
    if data.ndim != 4 or data.shape[1] != len(form.bands) or data.dtype.kind not in "fiu":
        raise ValueError(
            f"{file}: {form.entry}-data is {data.dtype} of shape {data.shape}, not numbers of shape (dates, "
            f"{len(form.bands)} bands, height, width)."
        )
    refuse_infinite(data.swapaxes(0, 1), f"{file}: {form.entry}-data", form.bands)
    products = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    if len(products) != len(data):
        raise ValueError(f"{file}: {form.entry} has {len(data)} dates but {len(products)} names of products.")
    days = [name.split("_")[form.date_at][:8] if name.count("_") >= form.date_at else name for name in products]
    texts = pa.array([f"{day[:4]}-{day[4:6]}-{day[6:8]}" for day in days], pa.string())
    dates = strict_times(texts, lambda row: f"{file}: part {form.date_at} of the product name {products[row]!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(data.astype(np.float32), axis=(2, 3)), dates.astype("datetime64[D]")


def _without_clouds(opened: Any, values: np.ndarray, max_cloud: float, file: Path) -> np.ndarray:
    if "sen-2-masks" not in opened:
        raise ValueError(f"{file} has no data set 'sen-2-masks'; set max_cloud: null to keep cloudy dates.")
    masks = opened["sen-2-masks"]
    if masks.shape[0] != len(values) or masks.shape[1] <= _CLOUD:
        raise ValueError(f"{file}: sen-2-masks has shape {masks.shape}, not ({len(values)}, snow and cloud, ...).")
    cloud = np.asarray(masks[:, _CLOUD], dtype=np.float64).mean(axis=(1, 2))
    return np.where((cloud > max_cloud)[:, None], np.nan, values)


def _series_sensor(name: str, values: Sequence[np.ndarray | None]) -> Modality:
    missing = np.full(next(one.shape for one in values if one is not None), np.nan, dtype=np.float32)
    present = np.array([one is not None for one in values])
    return Modality(
        "series", np.stack([missing if one is None else one for one in values]), present, SERIES[name].bands
    )


def _places(found: _Samples, ids: Sequence[str]) -> np.ndarray | None:
    """Return the centres of the aerial images, or of the outlines where there is no image."""
    images = [found.file("aerial", sample) for sample in ids]
    outlines = {} if all(image.is_file() for image in images) else _outline_places(found.folder)
    nowhere = np.full(2, np.nan)
    places = [
        chip_places(image)[0] if image.is_file() else outlines.get(sample, nowhere)
        for image, sample in zip(images, ids, strict=True)
    ]
    return all_places(places, ids, "Download geojson/bb_60m.GeoJSON, which has the places of all samples.")
