"""Patches of SEN12MS: their names, where they lie, and the lists that say to which part they belong."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geotether.pairing.layouts.chosen_rows import split_name

SEASONS = ("spring", "summer", "fall", "winter")
_NAME = re.compile(r"(ROIs\d+)_([a-z]+)_(?:s1|s2|lc)_(\d+)_p(\d+)(?:\.tif)?$")
_SCENE = re.compile(r"(ROIs\d+)_([a-z]+)[/\\](?:s1|s2|lc)_(\d+)$")


@dataclass(frozen=True)
class Patch:
    """One patch: the season's folder, such as "ROIs1158_spring", and the numbers of its scene and itself."""

    season: str
    scene_number: int
    number: int

    @property
    def scene(self) -> str:
        """Name of the scene."""
        return f"{self.season}_{self.scene_number}"

    @property
    def id(self) -> str:
        """Name without a sensor."""
        return f"{self.scene}_p{self.number}"

    def file(self, folder: Path, sensor: str) -> Path:
        """Where its image of a sensor ("s1", "s2" or "lc") lies."""
        inside = f"{sensor}_{self.scene_number}"
        return folder / self.season / inside / f"{self.season}_{inside}_p{self.number}.tif"


def find_patches(folder: Path, seasons: Sequence[str], sensors: Sequence[str]) -> tuple[list[Patch], list[str] | None]:
    """Find the patches, by the lists if there are any, and their parts.

    Args:
        folder: With the seasons' folders.
        seasons: Only these.
        sensors: Whose files are looked for where no list names patches.

    Returns:
        Patches in the order of season, scene and number; the part of each, or None.

    Raises:
        FileNotFoundError: If there is no patch.
        ValueError: If a list names something else.
    """
    listed = {part: _listed(folder, f"{part}_list.txt") for part in ("train", "val", "test")}
    if any(listed.values()):
        of = {name: split_name(part) for part in ("train", "test", "val") for name in listed[part] or ()}
        found = {_patch(name): part for name, part in of.items()}
    else:
        held = {_scene(line) for line in _listed(folder, "SEN12MS_holdOutScenes.txt") or ()}
        kept = {_scene(line) for line in _listed(folder, "ValidationScenes.txt") or ()}
        found = {}
        for file in (file for sensor in sensors for file in folder.glob(f"ROIs*/{sensor}_*/*.tif")):
            patch = _patch(file.name)
            found[patch] = "test" if patch.scene in held else "validation" if patch.scene in kept else "train"
        if not held and not kept:
            found = dict.fromkeys(found, "")
    patches = sorted(
        (patch for patch in found if patch.season.rpartition("_")[2] in seasons),
        key=lambda patch: (patch.season, patch.scene_number, patch.number),
    )
    if not patches:
        raise FileNotFoundError(
            f"{folder} has no patches of SEN12MS ({', '.join(seasons)}): it needs folders such as "
            f"ROIs1158_spring/{sensors[0]}_1 with ROIs1158_spring_{sensors[0]}_1_p30.tif in them."
        )
    parts = [found[patch] for patch in patches]
    return patches, parts if all(parts) else None


def _listed(folder: Path, name: str) -> list[str] | None:
    for file in (folder / name, folder / "splits" / name):
        if file.is_file():
            return [line.strip() for line in file.read_text().splitlines() if line.strip()]
    return None


def _patch(name: str) -> Patch:
    found = _NAME.match(name)
    if not found:
        raise ValueError(f"{name!r} is no patch of SEN12MS; they are named like ROIs1158_spring_s2_1_p30.tif.")
    return Patch(f"{found[1]}_{found[2]}", int(found[3]), int(found[4]))


def _scene(line: str) -> str:
    found = _SCENE.match(line)
    if not found:
        raise ValueError(f"{line!r} is no scene of SEN12MS; they are listed like ROIs1158_spring/s1_63.")
    return f"{found[1]}_{found[2]}_{found[3]}"
