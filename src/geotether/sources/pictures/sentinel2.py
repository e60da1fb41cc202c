"""Sentinel-2 patches in the layout of S2-100K, as in SatCLIP."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from geotether.sources.pictures.images import ImagesSource
from geotether.sources.source import Observations, usable

BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
_CIRRUS = BANDS.index("B10")
_TO_REFLECTANCE = 10_000


class Sentinel2Source(ImagesSource):
    """A folder with `index.csv` (columns `fn`, `lon`, `lat`) and `images/` with GeoTIFFs of 12 bands.

    Pixels are returned as reflectance, float32, in the 13 bands of backbones for Sentinel-2: values divided by
    10,000, and zeros for B10, which level 2A does not have.

    Args:
        path: The folder.
        min_bytes: Smaller files are rejected: they rarely contain anything but pixels without data.

    Attributes:
        kind: "images".
        features: "convolution"; "ssl4eo" is available with the extra `eo`.

    Raises:
        FileNotFoundError: If the folder, `index.csv` or `images` is missing.
        ValueError: If the index lacks a column, or `min_bytes` is below 0.

    Source:
        Klemmer et al. (2025), SatCLIP, arXiv:2311.17179; microsoft/satclip, satclip/datamodules/s2geo_dataset.py
        (10,000 bytes) and transforms.py (10,000, B10).
    """

    def __init__(self, path: str | Path, min_bytes: int = 10_000) -> None:
        path = Path(path)
        for part in (path, path / "index.csv", path / "images"):
            if not part.exists():
                raise FileNotFoundError(
                    f"{part} is missing; S2-100K is a folder with index.csv (fn, lon, lat) and images/patch_*.tif."
                )
        index = {"index": path / "index.csv", "file": "fn", "lon": "lon", "lat": "lat"}
        super().__init__(path / "images", min_bytes=min_bytes, **index)  # type: ignore[arg-type]

    def read(self, start: int, stop: int) -> Observations:
        """Read rows `start` to `stop` as reflectance; each image has shape (height, width, 13)."""
        found = super().read(start, stop)
        reasons = {at: reason for at, image in enumerate(found.content) if (reason := _reason(image))}
        # Neither the index nor the files have times.
        return usable(
            replace(found, time=None), reasons, lambda good: [reflectance(found.content[at]) for at in good.tolist()]
        )


def reflectance(image: np.ndarray) -> Float32[np.ndarray, "h w 13"]:
    """Convert digital numbers of 12 bands (`BANDS` without B10) to reflectance of 13 bands, with B10 zero.

    Example:
        >>> reflectance(np.full((1, 1, 12), 2500, dtype=np.uint16))[0, 0, 9:12].tolist()
        [0.25, 0.0, 0.25]
    """
    scaled = image.astype(np.float32) / np.float32(_TO_REFLECTANCE)
    return np.insert(scaled, _CIRRUS, np.float32(0), axis=-1)


def _reason(image: np.ndarray) -> str:
    if image.shape[-1] != len(BANDS) - 1:
        return f"{image.shape[-1]} bands, not the 12 of level 2A"
    return "all pixels are zero (no data)" if not image.any() else ""
