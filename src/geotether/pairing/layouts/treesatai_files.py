"""Where the files of TreeSatAI lie, which samples there are, and what grows in them."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geotether.pairing.layouts.chosen_rows import split_name, unknown
from geotether.tables.target import Target

GENERA = (
    *("Abies", "Acer", "Alnus", "Betula", "Cleared", "Fagus", "Fraxinus", "Larix", "Picea", "Pinus"),
    *("Populus", "Prunus", "Pseudotsuga", "Quercus", "Tilia"),
)
_LABELS = "TreeSatBA_v9_60m_multi_labels.json"
# Folders that files of a kind may lie in, best first.
_FOLDERS = {
    "aerial": ("aerial/60m", "aerial", "."),
    "s1_image": ("s1/60m", "s1"),
    "s2_image": ("s2/60m", "s2"),
    "series": ("sentinel-ts", "sentinel", "."),
}
_YEAR = re.compile(r"_((?:19|20)\d{2})$")


@dataclass(frozen=True)
class Samples:
    """Samples and where their files are.

    Attributes:
        folder: That they lie in.
        ids: Names without ending or year, such as "Abies_alba_1_1005_WEFL_NLF".
        parts: Of the split, or None.
        images: By modality, the folder of its images.
        series: By sample, its file of series; `series_folder` is where others would lie.
    """

    folder: Path
    ids: list[str]
    parts: list[str] | None
    images: dict[str, Path]
    series_folder: Path
    series: dict[str, Path] = field(default_factory=dict)

    def file(self, modality: str, sample: str) -> Path:
        """Where the file of a sample lies, or should lie."""
        if modality in self.images:
            return self.images[modality] / f"{sample}.tif"
        return self.series.get(sample, self.series_folder / f"{sample}.h5")


def find_samples(folder: Path, modalities: Sequence[str]) -> Samples:
    """Find the samples: those that the lists name, otherwise those with a file of one of the modalities.

    Raises:
        FileNotFoundError: If there are none.
    """
    images = {name: _first(folder, _FOLDERS[name], "*.tif") for name in ("aerial", "s1_image", "s2_image")}
    series_folder = _first(folder, _FOLDERS["series"], "*.h5")
    series = {_YEAR.sub("", file.stem): file for file in sorted(series_folder.glob("*.h5"))}
    listed: dict[str, str] = {}
    for part in ("train", "val", "test"):
        for file in (folder / f"{part}_filenames.lst", folder / "split" / f"{part}_filenames.lst"):
            if file.is_file():
                names = [Path(line.strip()).stem for line in file.read_text().splitlines() if line.strip()]
                listed |= dict.fromkeys(names, split_name(part))
                break
    ids = list(listed)
    if not listed:
        stems = {file.stem for name in modalities if name in images for file in images[name].glob("*.tif")}
        if any(name not in images for name in modalities):
            stems |= set(series)
        ids = sorted(stems)
    if not ids:
        raise FileNotFoundError(
            f"{folder} is no TreeSatAI: it has neither lists such as train_filenames.lst nor images in aerial/ nor "
            "series in sentinel-ts/."
        )
    return Samples(folder, ids, list(listed.values()) or None, images, series_folder, series)


def genus_targets(folder: Path, ids: Sequence[str], threshold: float) -> dict[str, Target]:
    """Read the genera that cover more than `threshold` of each sample, and the one that covers most.

    Returns:
        "genera" and "main_genus", or nothing if there is no file of labels.

    Raises:
        ValueError: If a sample is not in the file, or a genus is unknown.
    """
    file = next((at for at in (folder / "labels" / _LABELS, folder / _LABELS) if at.is_file()), None)
    if file is None:
        return {}
    shares: dict[str, list[Any]] = {Path(name).stem: pairs for name, pairs in json.loads(file.read_text()).items()}
    labels = np.zeros((len(ids), len(GENERA)), dtype=np.float32)
    main = np.full(len(ids), -1, dtype=np.int64)
    for row, sample in enumerate(ids):
        if sample not in shares:
            raise ValueError(f"{file} has no labels of {sample}, which is one of {len(ids)} samples.")
        for genus, share in shares[sample]:
            if genus not in GENERA:
                raise ValueError(f"{sample}: {unknown('genus', genus, GENERA)}")
            labels[row, GENERA.index(genus)] = share > threshold
        if shares[sample]:
            main[row] = GENERA.index(max(shares[sample], key=lambda pair: pair[1])[0])
        if not labels[row].any():
            labels[row] = np.nan
    targets = {"genera": Target("labels", labels, GENERA), "main_genus": Target("classes", main, GENERA)}
    return {name: target for name, target in targets.items() if target.known.any()}


def outline_places(folder: Path) -> dict[str, np.ndarray]:
    """Middles of the outlines in `geojson/bb_60m.GeoJSON`, in degrees, by sample; empty if it is not there.

    Raises:
        ValueError: If it names no coordinate system.
    """
    from rasterio.warp import transform

    file = folder / "geojson" / "bb_60m.GeoJSON"
    if not file.is_file():
        return {}
    document = json.loads(file.read_text())
    crs = ((document.get("crs") or {}).get("properties") or {}).get("name")
    ids, middles = [], []
    for feature in document["features"]:
        shape = feature["geometry"]["coordinates"]
        while isinstance(shape[0][0], list):
            shape = shape[0]
        corners = np.array(shape, dtype=float)[:, :2]
        ids.append(str(feature["properties"]["IMG_ID"]))
        middles.append((corners.min(axis=0) + corners.max(axis=0)) / 2)
    if not ids:
        return {}
    x, y = np.array(middles).T
    if crs is None and (np.abs(x).max() > 180 or np.abs(y).max() > 90):
        raise ValueError(f"{file} names no coordinate system, and its numbers are no degrees.")
    lon, lat = (x, y) if crs is None else transform(crs, "OGC:CRS84", x, y)
    return dict(zip(ids, np.stack([lon, lat], axis=1), strict=True))


def year_of(file: Path) -> int:
    """Year at the end of the name of a file of series; 0 if there is none.

    Example:
        >>> year_of(Path("sentinel-ts/Abies_alba_1_1005_WEFL_NLF_2020.h5"))
        2020
    """
    found = _YEAR.search(file.stem)
    return int(found[1]) if found else 0


def _first(folder: Path, candidates: Sequence[str], pattern: str) -> Path:
    for name in candidates:
        if next((folder / name).glob(pattern), None) is not None:
            return folder / name
    return folder / candidates[0]
