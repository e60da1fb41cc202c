"""SEN12MS: patches of Sentinel-1, Sentinel-2 and MODIS land cover over the land of the Earth."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from geotether.pairing.layouts.chips import check_size, first_places, read_chip, read_chips
from geotether.pairing.layouts.chosen_rows import check_names, choose_rows, split_name
from geotether.pairing.layouts.sample_files import present_rows, read_classes, read_lines
from geotether.sources.grids.geotiff import reading_small_files
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target

S1_BANDS = ("VV", "VH")
S2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
LAND_COVER_BANDS = 4  # IGBP, then three systems of the FAO
IGBP: tuple[str, ...] = tuple(read_classes("igbp"))
# The simplified classes and their IGBP codes, which count from 1.
SIMPLE: dict[str, tuple[int, ...]] = {name: tuple(codes) for name, codes in read_classes("igbp_simplified").items()}
SEASONS = ("spring", "summer", "fall", "winter")
_NO_CLASS = (0, 255)
_BANDS = {"s1": S1_BANDS, "s2": S2_BANDS}
_NAME = re.compile(r"(ROIs\d+)_([a-z]+)_(?:s1|s2|lc)_(\d+)_p(\d+)(?:\.tif)?$")
_SCENE = re.compile(r"(ROIs\d+)_([a-z]+)[/\\](?:s1|s2|lc)_(\d+)$")


def read_sen12ms(
    path: str | Path,
    split: str | Sequence[str] | None = None,
    modalities: Sequence[str] = ("s1", "s2"),
    s2_bands: Sequence[str] = S2_BANDS,
    size: int | None = None,
    scheme: str = "simplified",
    threshold: float = 0.1,
    seasons: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    tolerate_missing: bool = False,
    scratch: str | Path | None = None,
) -> Table:
    """Read SEN12MS as published: `ROIs1158_spring/s1_1/ROIs1158_spring_s1_1_p30.tif`; see docs/paired-layouts.md.

    The authors' pickled table of land-cover shares is not read, since a pickle may run code.

    Returns:
        Chips "s1" (VV, VH in dB) and "s2" (digital numbers of level 1C), labels "land_cover" (shares of at least
        `threshold`, above 0 to 1) and classes "main_land_cover" (the largest share), places of the patch centres, the
        split, and scenes as groups.

    Raises:
        FileNotFoundError: If there are no patches, or files are missing.
        ValueError: If an option or a part is unknown, bands are not those of SEN12MS, or a code is not an IGBP class.
        ImportError: If rasterio is not installed.

    Source:
        Schmitt et al. (2019), ISPRS Annals IV-2/W7; Schmitt and Wu (2021), ISPRS Annals V-2-2021. Layout, lists and
        labels follow the authors' repository schmitt-muc/SEN12MS (classification/dataset.py) and torchgeo's `SEN12MS`.
    """
    check_size(size)
    names = check_names("modality", modalities, tuple(_BANDS))
    chosen = {"s1": S1_BANDS, "s2": tuple(check_names("band of Sentinel-2", s2_bands, S2_BANDS))}
    check_names("scheme", scheme, ("simplified", "igbp"))
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be a share above 0 and at most 1, got {threshold}.")
    wanted = check_names("season", SEASONS if seasons is None else seasons, SEASONS)
    patches, parts = _find_patches(Path(path), wanted, names)
    rows = choose_rows(parts, split, limit, seed, len(patches))
    patches = [patches[row] for row in rows]
    parts = None if parts is None else [parts[row] for row in rows]
    files = {name: [[patch.file(Path(path), name)] for patch in patches] for name in (*names, "lc")}
    positions = {name: [_BANDS[name].index(band) for band in chosen[name]] for name in names}

    def read(name: str, paths: Sequence[Path]) -> np.ndarray:
        return read_chip(paths[0], positions[name], len(_BANDS[name]), size)

    with reading_small_files():
        present, lacking = present_rows("sen12ms", files, tolerate_missing)
        kept = np.flatnonzero(np.any([present[name] for name in names], axis=0))
        sensors = read_chips(files, present, kept, {name: chosen[name] for name in names}, read, scratch)
        shares = np.full((len(kept), len(IGBP)), np.nan, dtype=np.float32)
        for number, row in enumerate(kept):
            if present["lc"][row]:
                file = files["lc"][row][0]
                shares[number] = igbp_shares(read_chip(file, [0], LAND_COVER_BANDS)[0], file)
        lonlat = first_places(files, present, kept, names, [patches[row].id for row in kept])
    return Table(
        "sen12ms",
        sensors,
        land_cover_targets(shares, scheme, threshold),
        id=np.array([patches[row].id for row in kept], dtype=object),
        lonlat=lonlat,
        split=None if parts is None else np.array([parts[row] for row in kept], dtype=object),
        group=np.array([patches[row].scene for row in kept], dtype=object),
        origin=Origin(
            licence="CC BY 4.0",
            source="SEN12MS, Schmitt et al. 2019; contains modified Copernicus Sentinel data and MODIS MCD12Q1",
            citation="Schmitt et al. (2019), ISPRS Annals IV-2/W7, 153-160",
            url="https://mediatum.ub.tum.de/1474000",
            made={"layout": "sen12ms", "lacking": lacking, "left_out": len(patches) - len(kept)},
        ),
    )


def igbp_shares(codes: Shaped[np.ndarray, "height width"], where: object = "") -> Float32[np.ndarray, "17"]:
    """Return the share of each of the 17 classes among the classified pixels (not 0 or 255); NaN if there are none."""
    codes = codes[~np.isin(codes, _NO_CLASS)].astype(np.int64)
    if len(codes) == 0:
        return np.full(len(IGBP), np.nan, dtype=np.float32)
    if codes.min() < 1 or codes.max() > len(IGBP):
        wrong = int(codes.max() if codes.max() > len(IGBP) else codes.min())
        raise ValueError(f"{where}: land cover {wrong} in the first band is not an IGBP class (1 to 17).")
    return (np.bincount(codes - 1, minlength=len(IGBP)) / len(codes)).astype(np.float32)


def land_cover_targets(shares: Float32[np.ndarray, "n 17"], scheme: str, threshold: float) -> dict[str, Target]:
    """Convert shares of the 17 classes to labels and the main class; rows of NaN are unknown."""
    names = IGBP if scheme == "igbp" else tuple(SIMPLE)
    if scheme == "simplified":
        parts = [shares[:, [code - 1 for code in codes]].sum(axis=1) for codes in SIMPLE.values()]
        shares = np.stack(parts, axis=1)
    known = ~np.isnan(shares).any(axis=1)
    if not known.any():
        return {}
    # A share of 0.1 summed in float32 may be slightly below 0.1.
    labels = np.where(known[:, None], shares >= threshold - 1e-6, np.nan).astype(np.float32)
    main = np.where(known, np.where(known[:, None], shares, 0).argmax(axis=1), -1)
    return {"land_cover": Target("labels", labels, names), "main_land_cover": Target("classes", main, names)}


@dataclass(frozen=True)
class _Patch:
    """A patch: folder of the season, such as "ROIs1158_spring", number of the scene and of the patch."""

    season: str
    scene_number: int
    number: int

    @property
    def scene(self) -> str:
        return f"{self.season}_{self.scene_number}"

    @property
    def id(self) -> str:
        return f"{self.scene}_p{self.number}"

    def file(self, folder: Path, sensor: str) -> Path:
        inside = f"{sensor}_{self.scene_number}"
        return folder / self.season / inside / f"{self.season}_{inside}_p{self.number}.tif"


def _find_patches(
    folder: Path, seasons: Sequence[str], sensors: Sequence[str]
) -> tuple[list[_Patch], list[str] | None]:
    """Return the patches in order of season, scene and number, from the lists if there are any; and their parts."""
    listed = {part: _listed(folder, f"{part}_list.txt") for part in ("train", "test", "val")}
    if any(listed.values()):
        found = {_patch(name): split_name(part) for part, names in listed.items() for name in names}
    else:
        held = {_scene(line) for line in _listed(folder, "SEN12MS_holdOutScenes.txt")}
        kept = {_scene(line) for line in _listed(folder, "ValidationScenes.txt")}
        found = {}
        for file in (file for sensor in sensors for file in folder.glob(f"ROIs*/{sensor}_*/*.tif")):
            patch = _patch(file.name)
            part = "test" if patch.scene in held else "validation" if patch.scene in kept else "train"
            found[patch] = part if held or kept else ""
    patches = sorted(
        (patch for patch in found if patch.season.rpartition("_")[2] in seasons),
        key=lambda patch: (patch.season, patch.scene_number, patch.number),
    )
    if not patches:
        raise FileNotFoundError(
            f"{folder} has no patches of SEN12MS ({', '.join(seasons)}): it needs folders such as "
            f"ROIs1158_spring/{sensors[0]}_1 with files such as ROIs1158_spring_{sensors[0]}_1_p30.tif."
        )
    parts = [found[patch] for patch in patches]
    return patches, parts if all(parts) else None


def _listed(folder: Path, name: str) -> list[str]:
    return read_lines(folder, [name, f"splits/{name}"])


def _patch(name: str) -> _Patch:
    found = _NAME.match(name)
    if not found:
        raise ValueError(f"{name!r} is not a patch of SEN12MS; they have names such as ROIs1158_spring_s2_1_p30.tif.")
    return _Patch(f"{found[1]}_{found[2]}", int(found[3]), int(found[4]))


def _scene(line: str) -> str:
    found = _SCENE.match(line)
    if not found:
        raise ValueError(f"{line!r} is not a scene of SEN12MS; lists have lines such as ROIs1158_spring/s1_63.")
    return f"{found[1]}_{found[2]}_{found[3]}"
