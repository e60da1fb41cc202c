"""BigEarthNet, versions 1 and 2: patches of Sentinel-1 and Sentinel-2 over Europe with CORINE labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geotether.pairing.layouts.bigearthnet_classes import CLASS_OF, CLASSES, FINE_CLASSES
from geotether.pairing.layouts.bigearthnet_index import S1_BANDS, S2_BANDS, old_patches, patches_of_parquet
from geotether.pairing.layouts.chip_rows import ChipRows
from geotether.pairing.layouts.chosen_rows import check_names, choose_rows, unknown
from geotether.pairing.layouts.geotiffs import all_places, check_size, chip_places, read_chip, reading_geotiffs
from geotether.pairing.layouts.missing_files import present_rows
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target

_BANDS = {"s1": S1_BANDS, "s2": S2_BANDS}


def read_bigearthnet(
    path: str | Path,
    split: str | Sequence[str] | None = None,
    modalities: Sequence[str] = ("s1", "s2"),
    s2_bands: Sequence[str] = S2_BANDS,
    size: int = 120,
    enlarge: str = "bilinear",
    classes: int = 19,
    countries: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    tolerate_missing: bool = False,
    scratch: str | Path | None = None,
) -> Table:
    """Read BigEarthNet as it is published: a folder with the folders of both sensors.

    Version 2 has `metadata.parquet` (`patch_id`, `s1_name`, `labels`, `split`, `country`) and patches in folders of
    their scenes: `BigEarthNet-S2/<scene>/<patch>/<patch>_B02.tif`, `BigEarthNet-S1/<scene>/<patch>/<patch>_VV.tif`.
    Version 1 has no such table: every patch folder of `BigEarthNet-v1.0` and `BigEarthNet-S1-v1.0` (or any two folders
    whose names hold S1 and not) has a `*_labels_metadata.json`, that of Sentinel-1 names the patch of Sentinel-2; the
    split, if any, is `train.csv`, `val.csv`, `test.csv` (or `bigearthnet-*.csv`) with the two patches in each line.

    torchgeo's readers are not used: they turn decibels into whole numbers, give no places, want the reference maps as
    well, and stop at the first missing patch.

    Args:
        path: The folder.
        split: Parts to read: "train", "validation", "test". None: all.
        modalities: "s1" (VV, VH in dB) and "s2" (digital numbers of level 2A), or one of them.
        s2_bands: Which of the 12, in this order.
        size: Pixels a side of the grid that all bands are brought to; 120 is that of the 10 m bands.
        enlarge: How bands of 20 and 60 m are brought to a finer grid: "bilinear", "nearest" or "cubic". To a coarser
            one they are averaged.
        classes: 19, or the 43 of version 1.
        countries: Only patches of these (version 2), such as ["Portugal"].
        limit: At most so many patches, drawn at random.
        seed: Of that draw.
        tolerate_missing: Keep patches that lack a file of one sensor; it is then missing in these rows.
        scratch: Folder for the pixels, if they are more than memory holds.

    Returns:
        Chips "s1" and "s2", labels "classes" (unknown where a patch of version 1 has only such of the 43 classes as
        belong to none of the 19), places of the patch centres, times of Sentinel-2, the split, and the Sentinel-2
        tiles as groups.

    Raises:
        FileNotFoundError: If the folder is no BigEarthNet, or files are missing.
        ValueError: If an option, a class or a part is unknown, or a file has more than one band.
        ImportError: If rasterio is missing.

    Source:
        Sumbul et al. (2021), arXiv:2105.07921 (version 1); Clasen et al. (2025), reBEN, arXiv:2407.03653 (version 2).
        Layout checked against torchgeo's `BigEarthNet` and `BigEarthNetV2`, and real patches of version 1.
    """
    check_size(size, enlarge)
    names = check_names("modality", modalities, tuple(_BANDS))
    bands = {"s1": S1_BANDS, "s2": tuple(check_names("band of Sentinel-2", s2_bands, S2_BANDS))}
    if classes not in (19, 43):
        raise ValueError(f"classes must be 19 or 43, got {classes}.")
    folder = Path(path)
    new = (folder / "metadata.parquet").is_file()
    if new and classes == 43:
        raise ValueError("version 2 of BigEarthNet has 19 classes; only version 1 has 43.")
    if countries is not None and not new:
        raise ValueError("countries are known in version 2 (metadata.parquet) only.")
    patches = patches_of_parquet(folder, countries) if new else old_patches(folder, names)
    patches = patches.take(choose_rows(patches.split, split, limit, seed, len(patches)))
    files = {
        name: [[] if at is None else [at / f"{at.name}_{band}.tif" for band in bands[name]] for at in patches.at[name]]
        for name in names
    }
    with reading_geotiffs():
        present, lacking = present_rows("bigearthnet", files, tolerate_missing)
        keep = np.any([present[name] for name in names], axis=0)
        rows = np.flatnonzero(keep)
        collected = {name: ChipRows(name, len(rows), bands[name], scratch) for name in names}
        places = []
        for row in rows:
            for name in names:
                chip = _patch(files[name][row], size, enlarge) if present[name][row] else None
                collected[name].add(chip, patches.at[name][row] or "")
            first = next(name for name in reversed(names) if present[name][row])
            places.append(chip_places(files[first][row][0])[0])
    patches = patches.take(rows)
    label = _labels(patches.labels, patches.ids, classes)
    return Table(
        "bigearthnet",
        {name: chips.sensor() for name, chips in collected.items()},
        {"classes": label} if label.known.any() else {},
        id=np.array(patches.ids),
        lonlat=all_places(places, patches.ids),
        time=patches.time,
        split=None if patches.split is None else np.array(patches.split),
        group=np.array(patches.tiles),
        origin=Origin(
            licence="CDLA-Permissive-1.0",
            source=f"BigEarthNet version {2 if new else 1}",
            citation="Clasen et al. (2025), reBEN, IGARSS" if new else "Sumbul et al. (2021), IEEE GRSM 9(3)",
            url="https://bigearth.net",
            made={"layout": "bigearthnet", "lacking": lacking, "left_out": int((~keep).sum())},
        ),
    )


def _patch(files: Sequence[Path], size: int, enlarge: str) -> np.ndarray:
    return np.concatenate([read_chip(file, None, 1, size, enlarge) for file in files])


def _labels(lists: Sequence[Sequence[str]], ids: Sequence[str], classes: int) -> Target:
    """Zeros and ones; a whole row of NaN where a patch has labels, but none of the 19."""
    names: list[str] = list(CLASSES) if classes == 19 else list(FINE_CLASSES)
    matrix = np.zeros((len(lists), len(names)), dtype=np.float32)
    for row, labels in enumerate(lists):
        found: list[Any] = [_class_of(label, ids[row]) if classes == 19 else label for label in labels]
        for label in found:
            if label is not None:
                if label not in names:
                    raise ValueError(f"Patch {ids[row]}: {unknown('class', label, names)}")
                matrix[row, names.index(label)] = 1
        if not matrix[row].any():
            matrix[row] = np.nan
    return Target("labels", matrix, tuple(names))


def _class_of(label: str, patch: str) -> str | None:
    if label in CLASSES:
        return label
    if label not in FINE_CLASSES:
        raise ValueError(f"Patch {patch}: {unknown('class', label, [*CLASSES, *FINE_CLASSES])}")
    return CLASS_OF.get(label)
