"""Which patches a BigEarthNet folder has, where their files lie and what is said of them."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geotether.pairing.layouts.chosen_rows import check_names, split_name

S1_BANDS = ("VV", "VH")
S2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
_COLUMNS = ("patch_id", "s1_name", "labels", "split", "country")


@dataclass(frozen=True)
class Patches:
    """Patches in their order.

    Attributes:
        ids: Names of the patches of Sentinel-2 (of Sentinel-1, where only that is read).
        at: By sensor, the folders of the patches, None where there is none.
        labels: Names of classes of every patch.
        split: The part of every patch, or None.
        tiles: Tile of Sentinel-2, such as "33UUP".
        time: When Sentinel-2 saw it, to the second; only the day where the name of the patch says no more.
    """

    ids: list[str]
    at: dict[str, list[Path | None]]
    labels: list[list[str]]
    split: list[str] | None
    tiles: list[str]
    time: np.ndarray

    def __len__(self) -> int:
        """Count the patches."""
        return len(self.ids)

    def take(self, rows: Any) -> "Patches":
        """Take patches by their numbers."""
        return Patches(
            [self.ids[row] for row in rows],
            {name: [folders[row] for row in rows] for name, folders in self.at.items()},
            [self.labels[row] for row in rows],
            None if self.split is None else [self.split[row] for row in rows],
            [self.tiles[row] for row in rows],
            self.time[rows],
        )


def patches_of_parquet(folder: Path, countries: Sequence[str] | None) -> Patches:
    """Read the table of version 2.

    Args:
        folder: With `metadata.parquet`, `BigEarthNet-S1` and `BigEarthNet-S2`.
        countries: Only patches of these, or None.

    Raises:
        ValueError: If a column is missing or no patch is in a country.
    """
    import pyarrow.parquet as pq

    has = pq.read_schema(folder / "metadata.parquet").names
    gone = [name for name in _COLUMNS if name not in has]
    if gone:
        raise ValueError(f"{folder / 'metadata.parquet'} has no column {gone[0]!r}; it has {', '.join(has)}.")
    table = pq.read_table(folder / "metadata.parquet", columns=list(_COLUMNS)).to_pydict()
    rows: Sequence[int] = range(len(table["patch_id"]))
    if countries is not None:
        wanted = check_names("country", countries, sorted(set(table["country"])))
        rows = [row for row in rows if table["country"][row] in wanted]
    ids = [table["patch_id"][row] for row in rows]
    # S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57 lies in the folder of its scene, the name without the last
    # two numbers; S1A_IW_GRDH_1SDV_20170613T165043_33UUP_26_57 in one without the tile too.
    at: dict[str, list[Path | None]] = {
        "s2": [folder / "BigEarthNet-S2" / name.rsplit("_", 2)[0] / name for name in ids],
        "s1": [
            folder / "BigEarthNet-S1" / name.rsplit("_", 3)[0] / name
            for name in (table["s1_name"][row] for row in rows)
        ],
    }
    return Patches(
        ids,
        at,
        [list(table["labels"][row]) for row in rows],
        [split_name(table["split"][row]) for row in rows],
        [_tile(name) for name in ids],
        np.array([_seen_at(name) for name in ids], dtype="datetime64[s]"),
    )


def old_patches(folder: Path, modalities: Sequence[str]) -> Patches:
    """Find the patches of version 1 by their folders and read what their JSON files say.

    Args:
        folder: With one folder of each sensor.
        modalities: "s1", "s2" or both; patches are those of Sentinel-2 if it is among them.

    Raises:
        FileNotFoundError: If there are no patches.
    """
    roots = {
        "s1": [root for root in _folders(folder) if "S1" in root.name],
        "s2": [root for root in _folders(folder) if "S1" not in root.name and "BigEarthNet" in root.name],
    }
    notes = {name: {at.name: at for root in roots[name] for at in _folders(root)} for name in modalities}
    main = "s2" if "s2" in notes else "s1"
    if not notes[main]:
        raise FileNotFoundError(
            f"{folder} is no BigEarthNet: it has neither metadata.parquet (version 2) nor folders such as "
            "BigEarthNet-v1.0 and BigEarthNet-S1-v1.0 with folders of patches (version 1)."
        )
    partners: dict[str, str] = {}
    if {"s1", "s2"} <= set(notes):
        partners = {_note(at).get("corresponding_s2_patch", ""): name for name, at in notes["s1"].items()}
    parts = _listed_parts(folder, column=0 if main == "s2" else 1)
    ids = sorted(name for name in notes[main] if not parts or name in parts)
    said = {name: _note(notes[main][name]) for name in ids}
    at: dict[str, list[Path | None]] = {main: [notes[main][name] for name in ids]}
    if partners or len(notes) == 2:
        at["s1"] = [notes["s1"].get(partners.get(name, "")) for name in ids]
    when = [said[name].get("acquisition_date") or said[name].get("acquisition_time") or _seen_at(name) for name in ids]
    return Patches(
        ids,
        at,
        [list(said[name].get("labels", [])) for name in ids],
        [parts[name] for name in ids] if parts else None,
        [_tile(str(said[name].get("tile_source") or name)) for name in ids],
        np.array([text.replace(" ", "T") for text in when], dtype="datetime64[s]"),
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _note(at: Path) -> dict[str, Any]:
    path = at / f"{at.name}_labels_metadata.json"
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: it has the labels of the patch.") from None
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


def _listed_parts(folder: Path, column: int) -> dict[str, str]:
    """Part of every patch that a list names: lines of `patch of S2, patch of S1`."""
    parts: dict[str, str] = {}
    for part in ("train", "val", "test"):
        for file in (folder / f"{part}.csv", folder / f"bigearthnet-{part}.csv", folder / "splits" / f"{part}.csv"):
            if file.is_file():
                with file.open(newline="") as lines:
                    for line in csv.reader(lines):
                        if line:
                            parts[line[min(column, len(line) - 1)].strip()] = split_name(part)
                break
    return parts


def _tile(name: str) -> str:
    found = re.search(r"(?:_T?)(\d{2}[A-Z]{3})(?:_|$)", name)
    return found.group(1) if found else ""


def _seen_at(name: str) -> str:
    """The time in the name of a patch; those of version 1 lost leading zeros, so there only the day is sure."""
    found = re.search(r"_(\d{4})(\d{2})(\d{2})T(\d+)_", name)
    if not found:
        return "NaT"
    year, month, day, clock = found.groups()
    return f"{year}-{month}-{day}" + (f"T{clock[:2]}:{clock[2:4]}:{clock[4:]}" if len(clock) == 6 else "")
