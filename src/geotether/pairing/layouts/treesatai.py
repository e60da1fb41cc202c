"""TreeSatAI and its time series: tree genera of German forests, seen from the air and by Sentinel-1 and 2."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geotether.pairing.layouts.chip_rows import ChipRows
from geotether.pairing.layouts.chosen_rows import check_names, choose_rows
from geotether.pairing.layouts.geotiffs import all_places, check_size, chip_places, read_chip, reading_geotiffs
from geotether.pairing.layouts.missing_files import present_rows
from geotether.pairing.layouts.treesatai_files import find_samples, genus_targets, outline_places, year_of
from geotether.pairing.layouts.treesatai_series import SERIES, check_series, read_series
from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.table import Table

# Images: folders that they may lie in, and their bands in the order of the file.
IMAGES: dict[str, tuple[str, ...]] = {
    "aerial": ("NIR", "G", "B", "R"),
    "s1_image": ("VV", "VH", "VV/VH"),
    "s2_image": ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B8A", "B11", "B12", "B01", "B09"),
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
    """Read TreeSatAI-Time-Series as it is published; or the older archive with one image of each Sentinel.

    Aerial images lie in `aerial/` or `aerial/60m/`; series in `sentinel-ts/<sample>_<year>.h5` or
    `sentinel/<sample>.h5`; single images in `s1/60m/` and `s2/60m/`; or all files beside each other. Labels are in
    `labels/TreeSatBA_v9_60m_multi_labels.json` (genera and their shares of the area), lists of the parts in
    `train_filenames.lst`, `val_filenames.lst` and `test_filenames.lst`, there or in `split/`. Without lists, every
    sample with a file counts; without labels, the table has no target. torchgeo's reader knows neither the series nor
    shares nor places, so it is not used.

    A series is what the 6 x 6 pixels of a date mean: Sentinel-1 as linear backscatter, as published, Sentinel-2 as
    reflectance x 10,000. Dates differ from sample to sample, so that they are brought to a common axis.

    Args:
        path: The folder.
        split: Parts to read: "train", "validation", "test". None: all.
        modalities: Of "aerial" (4 bands of 0.2 m, NIR first), "s1_asc", "s1_des" (VV, VH by orbit), "s2" (10 bands),
            "s1_image" and "s2_image" (the single images, 6 x 6 pixels).
        series: "months": the median of each month, 12 steps. "dates": every date in its order, filled up with
            missing steps to `steps`.
        steps: Of "dates"; None: 151, 257 and 146, the most that the published set has of the three series.
        max_cloud: Dates of Sentinel-2 with a higher mean cloud probability (percent) are missing. None: all count.
        aerial_size: Bring aerial images of 304 pixels to so many a side. None: as they are.
        threshold: Share of the area above which a genus counts.
        limit: At most so many samples, drawn at random.
        seed: Of that draw.
        tolerate_missing: Keep samples that lack a file of one modality.
        scratch: Folder for the pixels, if they are more than memory holds.

    Returns:
        The modalities; labels "genera" (unknown where no share is above the threshold) and classes "main_genus";
        places, the 1st of January of the year seen as time, and the split.

    Raises:
        FileNotFoundError: If no sample is there, or files are missing.
        ValueError: If an option, a part or a genus is unknown, bands are not those of the set, or a sample has no
            labels although there is a file of labels.
        ImportError: If rasterio or h5py is missing.

    Source:
        Ahlswede et al. (2023), ESSD 15, 681; Astruc et al. (2024), OmniSat, arXiv:2404.08351. Layout: the data card of
        IGNF/TreeSatAI-Time-Series, gastruc/OmniSat (TreeSAT.py: threshold 0.07), fmenat/MDiCo (data_treesat.py),
        torchgeo's `TreeSatAI` (single images), and a real sample.
    """
    check_size(aerial_size, "bilinear")
    names = check_names("modality", modalities, (*IMAGES, *SERIES))
    check_series(series, steps, max_cloud)
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold is a share from 0, below 1, got {threshold}.")
    found = find_samples(Path(path), names)
    rows = choose_rows(found.parts, split, limit, seed, len(found.ids))
    ids = [found.ids[row] for row in rows]
    parts = None if found.parts is None else [found.parts[row] for row in rows]
    files = {name: [[found.file(name, sample)] for sample in ids] for name in names}
    with reading_geotiffs():
        present, lacking = present_rows("treesatai", files, tolerate_missing)
        kept = np.flatnonzero(np.any([present[name] for name in names], axis=0))
        images = {name: ChipRows(name, len(kept), IMAGES[name], scratch) for name in names if name in IMAGES}
        times: dict[str, list[np.ndarray | None]] = {name: [] for name in names if name in SERIES}
        for row in kept:
            for name, chips in images.items():
                file, size = files[name][row][0], aerial_size if name == "aerial" else None
                chips.add(read_chip(file, None, len(IMAGES[name]), size) if present[name][row] else None, file)
            here = [name for name in times if present[name][row]]
            seen = read_series(files[here[0]][row][0], here, series, steps, max_cloud) if here else {}
            for name, values in times.items():
                values.append(seen.get(name))
        ids = [ids[row] for row in kept]
        places = _places(found, ids)
    sensors: dict[str, Modality] = {name: chips.sensor() for name, chips in images.items()}
    sensors |= {name: _series_sensor(name, values) for name, values in times.items()}
    years = [year_of(found.file("s2", sample)) if times else 0 for sample in ids]
    return Table(
        "treesatai",
        {name: sensors[name] for name in names},
        genus_targets(Path(path), ids, threshold),
        id=np.array(ids),
        lonlat=places,
        time=np.array([f"{year}-01-01" for year in years], "datetime64[D]") if all(years) else None,
        split=None if parts is None else np.array([parts[row] for row in kept]),
        origin=Origin(
            licence="CC BY 4.0",
            source="TreeSatAI, Ahlswede et al. 2023; time series, Astruc et al. 2024",
            citation="Ahlswede et al. (2023), ESSD 15, 681-695; Astruc et al. (2024), OmniSat, ECCV",
            url="https://huggingface.co/datasets/IGNF/TreeSatAI-Time-Series",
            made={"layout": "treesatai", "lacking": lacking, "left_out": len(present[names[0]]) - len(kept)},
        ),
    )


def _series_sensor(name: str, values: Sequence[np.ndarray | None]) -> Modality:
    present = np.array([one is not None for one in values])
    shape = next(one.shape for one in values if one is not None)
    series = np.full((len(values), *shape), np.nan, dtype=np.float32)
    for row, one in enumerate(values):
        if one is not None:
            series[row] = one
    return Modality("series", series, present, SERIES[name].bands)


def _places(found: Any, ids: Sequence[str]) -> np.ndarray | None:
    """Middles of the aerial images that are there, otherwise of the outlines."""
    outlines: dict[str, np.ndarray] | None = None
    places = []
    for sample in ids:
        image = found.file("aerial", sample)
        if image.is_file():
            places.append(chip_places(image)[0])
            continue
        if outlines is None:
            outlines = outline_places(found.folder)
        places.append(outlines.get(sample, np.full(2, np.nan)))
    return all_places(places, ids, "Fetch geojson/bb_60m.GeoJSON, which has the places of all samples.")
