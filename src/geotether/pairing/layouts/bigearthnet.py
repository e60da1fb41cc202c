"""BigEarthNet, versions 1 and 2: patches of Sentinel-1 and Sentinel-2 over Europe with CORINE labels."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.files.rows import read_rows
from geotether.geodesy.dates import strict_times
from geotether.pairing.layouts.chips import check_size, first_places, read_chip, read_chips
from geotether.pairing.layouts.chosen_rows import check_names, choose_rows, split_name, unknown
from geotether.pairing.layouts.sample_files import present_rows, read_classes, read_lines, read_object
from geotether.sources.grids.geotiff import reading_small_files
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target

S1_BANDS = ("VV", "VH")
S2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
# The 19 classes and the CORINE classes in each.
CLASSES: dict[str, tuple[str, ...]] = {name: tuple(parts) for name, parts in read_classes("bigearthnet").items()}
DROPPED = tuple(read_classes("bigearthnet_dropped"))
CLASS_OF = {fine: coarse for coarse, parts in CLASSES.items() for fine in parts}
FINE_CLASSES = (*CLASS_OF, *DROPPED)
_COLUMNS = ("patch_id", "s1_name", "labels", "split", "country")


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
    """Read BigEarthNet as published: a folder with the folders of both sensors; see docs/paired-layouts.md.

    Returns:
        Chips "s1" (VV, VH in dB) and "s2" (digital numbers of level 2A) of `size` x `size` pixels, labels "classes"
        (unknown if none of a patch's 43 classes is in the 19), places of the patch centres, times of Sentinel-2 (the
        day if the name of the patch has no complete time), the split, and the Sentinel-2 tiles as groups.

    Raises:
        FileNotFoundError: If the folder is not a BigEarthNet, or files are missing.
        ValueError: If an option, a class or a part is unknown, or a file has more than one band.
        ImportError: If rasterio is not installed.

    Source:
        Sumbul et al. (2021), arXiv:2105.07921 (version 1); Clasen et al. (2025), reBEN, arXiv:2407.03653 (version 2).
        Layout checked against torchgeo's `BigEarthNet` and `BigEarthNetV2`, and real patches of version 1.
    """
    check_size(size, enlarge)
    names = check_names("modality", modalities, ("s1", "s2"))
    bands = {"s1": S1_BANDS, "s2": tuple(check_names("band of Sentinel-2", s2_bands, S2_BANDS))}
    if classes not in (19, 43):
        raise ValueError(f"classes must be 19 or 43, got {classes}.")
    folder = Path(path)
    new = (folder / "metadata.parquet").is_file()
    if new and classes == 43:
        raise ValueError("version 2 of BigEarthNet has 19 classes; only version 1 has 43.")
    if countries is not None and not new:
        raise ValueError("countries are known in version 2 (metadata.parquet) only.")
    patches = _patches_of_parquet(folder, countries) if new else _old_patches(folder, names)
    patches = patches.take(choose_rows(_texts(patches, "split"), split, limit, seed, len(patches)))
    ids = patches["id"].to_pylist()
    files = {
        name: [
            [] if at is None else [Path(at) / f"{Path(at).name}_{band}.tif" for band in bands[name]]
            for at in patches[name].to_pylist()
        ]
        for name in names
    }

    def read(name: str, paths: Sequence[Path]) -> np.ndarray:
        return np.concatenate([read_chip(file, None, 1, size, enlarge) for file in paths])

    with reading_small_files():
        present, lacking = present_rows("bigearthnet", files, tolerate_missing)
        rows = np.flatnonzero(np.any([present[name] for name in names], axis=0))
        sensors = read_chips(files, present, rows, {name: bands[name] for name in names}, read, scratch)
        lonlat = first_places(files, present, rows, names, [ids[row] for row in rows])
    left_out = len(ids) - len(rows)
    patches = patches.take(rows)
    ids = patches["id"].to_pylist()
    label = _labels(patches["labels"].to_pylist(), ids, classes)
    return Table(
        "bigearthnet",
        sensors,
        {"classes": label} if label.known.any() else {},
        id=np.array(ids, dtype=object),
        lonlat=lonlat,
        time=strict_times(patches["time"], lambda row: f"patch {ids[row]}").astype("datetime64[s]"),
        split=_texts(patches, "split"),
        group=_texts(patches, "tile"),
        origin=Origin(
            licence="CDLA-Permissive-1.0",
            source=f"BigEarthNet version {2 if new else 1}",
            citation="Clasen et al. (2025), reBEN, IGARSS" if new else "Sumbul et al. (2021), IEEE GRSM 9(3)",
            url="https://bigearth.net",
            made={"layout": "bigearthnet", "lacking": lacking, "left_out": left_out},
        ),
    )


def _texts(patches: pa.Table, column: str) -> np.ndarray | None:
    return None if patches[column].null_count else np.array(patches[column].to_pylist(), dtype=object)


def _table(ids: list[str], at: Mapping[str, list[Path | None]], **columns: list[Any]) -> pa.Table:
    """Join the columns of patches: id, folder by sensor, labels, part of the split or null, tile, and time as text."""
    folders = {name: [None if one is None else str(one) for one in paths] for name, paths in at.items()}
    texts = {
        name: pa.array(values, pa.string())
        for name, values in ({"id": ids} | folders | columns).items()
        if name != "labels"
    }
    return pa.table({**texts, "labels": pa.array(columns["labels"], pa.list_(pa.string()))})


def _patches_of_parquet(folder: Path, countries: Sequence[str] | None) -> pa.Table:
    """Read the table of version 2."""
    table = read_rows(folder / "metadata.parquet")
    gone = [name for name in _COLUMNS if name not in table.column_names]
    if gone:
        known = ", ".join(table.column_names)
        raise ValueError(f"{folder / 'metadata.parquet'} has no column {gone[0]!r}; it has {known}.")
    for name in _COLUMNS:
        if table[name].null_count:
            row = int(table[name].is_null().to_numpy().argmax())
            raise ValueError(f"{folder / 'metadata.parquet'}: {name!r} has no value in row {row}.")
    if countries is not None:
        chosen = check_names("country", countries, sorted(set(table["country"].to_pylist())))
        table = table.filter(pc.is_in(table["country"], pa.array(chosen)))
    ids = table["patch_id"].to_pylist()
    # S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57 is in the folder of its scene, its name without the last two
    # numbers; S1A_IW_GRDH_1SDV_20170613T165043_33UUP_26_57 in a folder named without the tile, too.
    s1, s2 = folder / "BigEarthNet-S1", folder / "BigEarthNet-S2"
    return _table(
        ids,
        {
            "s1": [s1 / name.rsplit("_", 3)[0] / name for name in table["s1_name"].to_pylist()],
            "s2": [s2 / name.rsplit("_", 2)[0] / name for name in ids],
        },
        labels=table["labels"].to_pylist(),
        split=[split_name(part) for part in table["split"].to_pylist()],
        tile=[_tile(name) for name in ids],
        time=[_time_in(name) for name in ids],
    )


def _old_patches(folder: Path, modalities: Sequence[str]) -> pa.Table:
    """Find the patches of version 1 by their folders and read their JSON files."""
    roots = {
        "s1": [root for root in _folders(folder) if "S1" in root.name],
        "s2": [root for root in _folders(folder) if "S1" not in root.name and "BigEarthNet" in root.name],
    }
    found = {name: {at.name: at for root in roots[name] for at in _folders(root)} for name in modalities}
    main = "s2" if "s2" in found else "s1"
    if not found[main]:
        raise FileNotFoundError(
            f"{folder} is not a BigEarthNet: it has neither metadata.parquet (version 2) nor folders such as "
            "BigEarthNet-v1.0 and BigEarthNet-S1-v1.0 with folders of patches (version 1)."
        )
    column = 0 if main == "s2" else 1
    parts: dict[str, str] = {}  # lines of a list: patch of Sentinel-2, patch of Sentinel-1
    for part in ("train", "val", "test"):
        for line in read_lines(folder, [f"{part}.csv", f"bigearthnet-{part}.csv", f"splits/{part}.csv"]):
            patches = line.split(",")
            parts[patches[min(column, len(patches) - 1)].strip().strip('"')] = split_name(part)
    ids = sorted(name for name in found[main] if not parts or name in parts)
    if not ids:
        raise ValueError(
            f"{folder}: the lists of the split name none of its {len(found[main])} patches, such as {min(found[main])}."
        )
    notes = [_note(found[main][name]) for name in ids]
    at: dict[str, list[Path | None]] = {main: [found[main][name] for name in ids]}
    if len(found) == 2:
        partners = {str(_note(at).get("corresponding_s2_patch", "")): at for at in found["s1"].values()}
        at["s1"] = [partners.get(name) for name in ids]
    times = [note.get("acquisition_date") or note.get("acquisition_time") for note in notes]
    return _table(
        ids,
        at,
        labels=[note["labels"] for note in notes],
        split=[parts.get(name) for name in ids],
        tile=[_tile(str(note.get("tile_source") or name)) for name, note in zip(ids, notes, strict=True)],
        time=[str(time) if time else _time_in(name) for name, time in zip(ids, times, strict=True)],
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _note(at: Path) -> dict[str, Any]:
    file = at / f"{at.name}_labels_metadata.json"
    note = read_object(file, "it contains the labels of the patch")
    labels = note.setdefault("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{file}: labels must be a list of names, got {labels!r:.80}.")
    return note


def _tile(name: str) -> str:
    found = re.search(r"(?:_T?)(\d{2}[A-Z]{3})(?:_|$)", name)
    return found.group(1) if found else ""


def _time_in(name: str) -> str | None:
    """Return the time in the name of a patch, only the day if leading zeros are missing, as in version 1."""
    found = re.search(r"_(\d{4})(\d{2})(\d{2})T(\d+)_", name)
    if not found:
        return None
    year, month, day, clock = found.groups()
    return f"{year}-{month}-{day}" + (f"T{clock[:2]}:{clock[2:4]}:{clock[4:]}" if len(clock) == 6 else "")


def _labels(lists: Sequence[Sequence[str]], ids: Sequence[str], classes: int) -> Target:
    """Return a 0/1 matrix; a row of NaN for a patch without any of the classes."""
    names = list(CLASSES) if classes == 19 else list(FINE_CLASSES)
    known = [*CLASSES, *FINE_CLASSES] if classes == 19 else names
    matrix = np.zeros((len(lists), len(names)), dtype=np.float32)
    for row, labels in enumerate(lists):
        for label in labels:
            if label not in known:
                raise ValueError(f"Patch {ids[row]}: {unknown('class', label, known)}")
            name = label if label in names else CLASS_OF.get(label)
            if name is not None:
                matrix[row, names.index(name)] = 1
        if not matrix[row].any():
            matrix[row] = np.nan
    return Target("labels", matrix, tuple(names))
