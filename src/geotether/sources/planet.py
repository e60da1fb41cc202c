"""The demo planet: three unpaired modalities and probe places with four labels, shipped with the package."""

import io
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float32, Float64, UInt8
from PIL import Image
from scipy.ndimage import uniform_filter

from geotether.geodesy.azimuthal import ground_squares

CHIP_MODALITIES = ("satellite", "night_lights")
# Side of a pixel of a mosaic in degrees: 14 km at the equator, a little more than that of a chip.
MOSAIC_STEP = 0.125
TEXT_MODALITY = "place_texts"


@dataclass(frozen=True)
class ChipSet:
    """Image chips and the places they show, in the same order.

    Attributes:
        lonlat: Chip centres in degrees, WGS 84, shape (n, 2).
        chips: Pixels, north up, shape (n, 16, 16, bands); 10 km per pixel.
        split: "train" or "validation" (whole spatial blocks) or "buffer" (between them, unused), shape (n,).
    """

    lonlat: Float64[np.ndarray, "n 2"]
    chips: UInt8[np.ndarray, "n h w c"]
    split: np.ndarray


@dataclass(frozen=True)
class TextSet:
    """Short texts and the places they name, in the same order; fields as in `ChipSet`."""

    lonlat: Float64[np.ndarray, "n 2"]
    texts: list[str]
    split: np.ndarray


@dataclass(frozen=True)
class ProbePlaces:
    """Places with labels, never used for pre-training.

    Attributes:
        lonlat: Places on land drawn evenly by area, shape (n, 2).
        labels: By name: `country` (ISO 3166 alpha-2), `population_density` (people per km2),
            `elevation_m`, `july_temperature_c`; each of shape (n,).
        split: "train", "validation", "test" (whole blocks of 1000 km) or "buffer" (unused).
        block: Number of the block each place lies in.
    """

    lonlat: Float64[np.ndarray, "n 2"]
    labels: dict[str, np.ndarray]
    split: np.ndarray
    block: np.ndarray


def _read(name: str) -> bytes:
    return (resources.files("geotether") / "sources" / "planet_data" / name).read_bytes()


def _columns(name: str) -> dict[str, np.ndarray]:
    table = pq.read_table(io.BytesIO(_read(name)))
    return {column: table[column].to_numpy(zero_copy_only=False) for column in table.column_names}


def _lonlat(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([columns.pop("lon"), columns.pop("lat")], axis=-1).astype(np.float64)


def planet_facts() -> dict[str, Any]:
    """Return how the demo planet was built: seed, chip size, block size, scale of the elevation greys, hashes."""
    return json.loads(_read("planet.json"))


def read_chips(modality: str) -> ChipSet:
    """Read the chips of `CHIP_MODALITIES` (NASA Earth Observatory; see planet_data/LICENSE.md)."""
    if modality not in CHIP_MODALITIES:
        raise ValueError(f"The demo planet has no chips called {modality!r}; it has {', '.join(CHIP_MODALITIES)}.")
    columns = _columns(f"{modality}.parquet")
    lonlat = _lonlat(columns)
    size = planet_facts()["chip_pixels"]
    sheet = np.asarray(Image.open(io.BytesIO(_read(f"{modality}.jpg"))))
    rows, across = sheet.shape[0] // size, sheet.shape[1] // size
    chips = sheet.reshape(rows, size, across, size, -1).swapaxes(1, 2).reshape(rows * across, size, size, -1)
    return ChipSet(lonlat, chips[: len(lonlat)], columns["split"])


def read_mosaic(modality: str) -> Float32[np.ndarray, "rows columns bands"]:
    """Join the chips of all splits to one raster of the planet.

    Chips overlap; pixels of `MOSAIC_STEP` degrees have the mean of what all chips show there. Gaps of one or two
    pixels, which appear where meridians are close, have the mean of their neighbours.

    Args:
        modality: One of `CHIP_MODALITIES`.

    Returns:
        The northernmost row first and in it longitude -180, float32; NaN where no chip is (the sea).
    """
    found = read_chips(modality)
    size, step = found.chips.shape[1], MOSAIC_STEP
    places = ground_squares(found.lonlat, size * planet_facts()["chip_gsd_km"], size).reshape(-1, 2)
    rows, columns = round(180 / step), round(360 / step)
    row = np.clip((90 - places[:, 1]) // step, 0, rows - 1).astype(np.int64)
    pixel = row * columns + ((places[:, 0] + 180) // step).astype(np.int64) % columns
    bands = found.chips.reshape(len(places), -1).T
    count = np.bincount(pixel, minlength=rows * columns).reshape(rows, columns).astype(np.float32)
    total = np.stack([np.bincount(pixel, band, rows * columns).reshape(rows, columns) for band in bands], axis=-1)
    mosaic = (total / np.where(count, count, np.nan)[..., None]).astype(np.float32)
    for _ in range(2):
        known = np.isfinite(mosaic[..., 0]).astype(np.float32)
        share = uniform_filter(known, 3, mode="nearest")
        near = np.stack(
            [uniform_filter(np.nan_to_num(band), 3, mode="nearest") for band in np.moveaxis(mosaic, 2, 0)], -1
        )
        gaps = (known == 0) & (share > 0.3)
        mosaic[gaps] = near[gaps] / share[gaps, None]
    return mosaic


def read_place_texts() -> TextSet:
    """Read the text modality of the demo planet: names of towns in many scripts (GeoNames, CC BY 4.0)."""
    columns = _columns(f"{TEXT_MODALITY}.parquet")
    return TextSet(_lonlat(columns), columns["text"].tolist(), columns["split"])


def read_probe_places() -> ProbePlaces:
    """Read the probe places of the demo planet with labels and split; docs/demo-planet.md has the sources."""
    columns = _columns("probe_places.parquet")
    lonlat, split, block = _lonlat(columns), columns.pop("split"), columns.pop("block")
    return ProbePlaces(lonlat, columns, split, block)


def read_land_places() -> Float64[np.ndarray, "n 2"]:
    """Read all places of the demo planet: 68,000 on land, about 40 km apart, in degrees, shape (n, 2)."""
    names = (*CHIP_MODALITIES, TEXT_MODALITY, "probe_places")
    tables = [pq.read_table(io.BytesIO(_read(f"{name}.parquet")), columns=["lon", "lat"]) for name in names]
    columns = [{name: table[name].to_numpy(zero_copy_only=False) for name in ("lon", "lat")} for table in tables]
    return np.concatenate([_lonlat(one) for one in columns])
