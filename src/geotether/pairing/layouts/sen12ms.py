"""SEN12MS: patches of Sentinel-1, Sentinel-2 and MODIS land cover over the land of the Earth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from geotether.pairing.layouts.chip_rows import ChipRows
from geotether.pairing.layouts.chosen_rows import check_names, choose_rows
from geotether.pairing.layouts.geotiffs import all_places, check_size, chip_places, read_chip, reading_geotiffs
from geotether.pairing.layouts.missing_files import present_rows
from geotether.pairing.layouts.sen12ms_lists import SEASONS, find_patches
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target

S1_BANDS = ("VV", "VH")
S2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
LAND_COVER_BANDS = 4  # IGBP, then three of the FAO's systems
# Classes of the IGBP by their code, from 1.
IGBP = (
    "Evergreen Needleleaf Forests",
    "Evergreen Broadleaf Forests",
    "Deciduous Needleleaf Forests",
    "Deciduous Broadleaf Forests",
    "Mixed Forests",
    "Closed Shrublands",
    "Open Shrublands",
    "Woody Savannas",
    "Savannas",
    "Grasslands",
    "Permanent Wetlands",
    "Croplands",
    "Urban and Built-up Lands",
    "Cropland/Natural Vegetation Mosaics",
    "Permanent Snow and Ice",
    "Barren",
    "Water Bodies",
)
# The simplified classes and the codes each holds.
SIMPLE: dict[str, tuple[int, ...]] = {
    "Forest": (1, 2, 3, 4, 5),
    "Shrubland": (6, 7),
    "Savanna": (8, 9),
    "Grassland": (10,),
    "Wetlands": (11,),
    "Croplands": (12, 14),
    "Urban/Built-up": (13,),
    "Snow/Ice": (15,),
    "Barren": (16,),
    "Water": (17,),
}
_NO_CLASS = (0, 255)
_BANDS = {"s1": S1_BANDS, "s2": S2_BANDS}


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
    """Read SEN12MS as it is published: `ROIs1158_spring/s1_1/ROIs1158_spring_s1_1_p30.tif`, likewise `s2_` and `lc_`.

    The split comes from `train_list.txt`, `val_list.txt`, `test_list.txt` of the authors' repository (names of
    patches; what is in the list of validation is taken out of training), or else from its lists of scenes,
    `SEN12MS_holdOutScenes.txt` (test) and `ValidationScenes.txt`, beside the data or in `splits/`. Without lists, all
    patches that lie there are read and none has a part.

    Labels are computed from the first band of the land cover (IGBP), as the authors did: a class counts if its share
    of the patch reaches the threshold. Their pickled table of shares is not read, since a pickle may run code.
    torchgeo's reader is not used: it wants all four seasons and both lists, knows no validation, and gives no places.

    Args:
        path: The folder.
        split: Parts to read: "train", "validation", "test". None: all.
        modalities: "s1" (VV, VH in dB) and "s2" (digital numbers of level 1C), or one of them.
        s2_bands: Which of the 13, in this order.
        size: Bring patches of 256 pixels to so many a side. None: as they are.
        scheme: "simplified" (10 classes of Schmitt and Wu 2021) or "igbp" (17).
        threshold: Share of the patch from which a class counts, above 0 to 1.
        seasons: Only these: "spring", "summer", "fall", "winter".
        limit: At most so many patches, drawn at random.
        seed: Of that draw.
        tolerate_missing: Keep patches that lack a file of one sensor, or their land cover, which is unknown then.
        scratch: Folder for the pixels, if they are more than memory holds.

    Returns:
        Chips "s1" and "s2", labels "land_cover" and classes "main_land_cover" (the largest share), places of the
        patch centres, the split, and scenes as groups.

    Raises:
        FileNotFoundError: If no patch or list is there, or files are missing.
        ValueError: If an option or a part is unknown, bands are not those of SEN12MS, or a code is no IGBP class.
        ImportError: If rasterio is missing.

    Source:
        Schmitt et al. (2019), ISPRS Annals IV-2/W7; Schmitt and Wu (2021), ISPRS Annals V-2-2021. Layout, lists and
        labels follow the authors' repository schmitt-muc/SEN12MS (classification/dataset.py) and torchgeo's `SEN12MS`.
    """
    check_size(size, "bilinear")
    names = check_names("modality", modalities, tuple(_BANDS))
    chosen = {"s1": S1_BANDS, "s2": tuple(check_names("band of Sentinel-2", s2_bands, S2_BANDS))}
    check_names("scheme", scheme, ("simplified", "igbp"))
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is a share above 0, at most 1, got {threshold}.")
    wanted = check_names("season", SEASONS if seasons is None else seasons, SEASONS)
    patches, parts = find_patches(Path(path), wanted, names)
    rows = choose_rows(parts, split, limit, seed, len(patches))
    patches = [patches[row] for row in rows]
    parts = None if parts is None else [parts[row] for row in rows]
    files = {name: [[patch.file(Path(path), name)] for patch in patches] for name in (*names, "lc")}
    with reading_geotiffs():
        present, lacking = present_rows("sen12ms", files, tolerate_missing)
        kept = np.flatnonzero(np.any([present[name] for name in names], axis=0))
        collected = {name: ChipRows(name, len(kept), chosen[name], scratch) for name in names}
        shares = np.full((len(kept), len(IGBP)), np.nan, dtype=np.float32)
        places = []
        for number, row in enumerate(kept):
            for name in names:
                file = files[name][row][0]
                bands = [_BANDS[name].index(band) for band in chosen[name]]
                chip = read_chip(file, bands, len(_BANDS[name]), size) if present[name][row] else None
                collected[name].add(chip, file)
            if present["lc"][row]:
                file = files["lc"][row][0]
                shares[number] = igbp_shares(read_chip(file, [0], LAND_COVER_BANDS)[0], file)
            first = next(name for name in reversed(names) if present[name][row])
            places.append(chip_places(files[first][row][0])[0])
    ids = [patches[row].id for row in kept]
    return Table(
        "sen12ms",
        {name: chips.sensor() for name, chips in collected.items()},
        land_cover_targets(shares, scheme, threshold),
        id=np.array(ids),
        lonlat=all_places(places, ids),
        split=None if parts is None else np.array([parts[row] for row in kept]),
        group=np.array([patches[row].scene for row in kept]),
        origin=Origin(
            licence="CC BY 4.0",
            source="SEN12MS, Schmitt et al. 2019; contains modified Copernicus Sentinel data and MODIS MCD12Q1",
            citation="Schmitt et al. (2019), ISPRS Annals IV-2/W7, 153-160",
            url="https://mediatum.ub.tum.de/1474000",
            made={"layout": "sen12ms", "lacking": lacking, "left_out": len(patches) - len(kept)},
        ),
    )


def igbp_shares(codes: Shaped[np.ndarray, "height width"], where: object = "") -> Float32[np.ndarray, "17"]:
    """Share of each of the 17 classes in the pixels that have one (0 and 255 have none); NaN if no pixel has.

    Raises:
        ValueError: If a code is no class.
    """
    codes = codes[~np.isin(codes, _NO_CLASS)].astype(np.int64)
    if len(codes) == 0:
        return np.full(len(IGBP), np.nan, dtype=np.float32)
    if codes.min() < 1 or codes.max() > len(IGBP):
        wrong = int(codes.max() if codes.max() > len(IGBP) else codes.min())
        raise ValueError(f"{where}: land cover {wrong} is no class of the IGBP (1 to 17) in its first band.")
    return (np.bincount(codes - 1, minlength=len(IGBP)) / len(codes)).astype(np.float32)


def land_cover_targets(shares: Float32[np.ndarray, "n 17"], scheme: str, threshold: float) -> dict[str, Target]:
    """Make labels and the main class of shares of the 17 classes; rows of NaN are unknown.

    Example:
        >>> shares = np.zeros((1, 17), dtype=np.float32)
        >>> shares[0, [0, 2, 16]] = 0.3, 0.3, 0.4
        >>> land_cover_targets(shares, "simplified", 0.1)["main_land_cover"].counts["Forest"]
        1
    """
    names = IGBP if scheme == "igbp" else tuple(SIMPLE)
    if scheme == "simplified":
        parts = [shares[:, [code - 1 for code in codes]].sum(axis=1) for codes in SIMPLE.values()]
        shares = np.stack(parts, axis=1)
    known = ~np.isnan(shares).any(axis=1)
    if not known.any():
        return {}
    # A share of a tenth, summed in float32, may come out a hair below 0.1.
    labels = np.where(known[:, None], shares >= threshold - 1e-6, np.nan).astype(np.float32)
    main = np.where(known, np.where(known[:, None], shares, 0).argmax(axis=1), -1)
    return {"land_cover": Target("labels", labels, names), "main_land_cover": Target("classes", main, names)}
