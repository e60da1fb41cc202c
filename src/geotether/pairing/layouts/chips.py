"""Image chips: read from GeoTIFFs on one grid, located, and collected per modality in memory or on disk."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped

from geotether.pairing.observations import new_array, refuse_infinite
from geotether.sources.grids.geotiff import lonlat_in, open_geotiff
from geotether.tables.modality import Modality

# Resampling to a finer grid; to a coarser grid pixels are always averaged.
ENLARGING = ("bilinear", "nearest", "cubic")
_KEPT = ("uint8", "uint16", "int16", "float32")


def check_size(size: int | None, enlarge: str = "bilinear") -> None:
    """Raise ValueError if `size` is below 1 or `enlarge` is not in `ENLARGING`."""
    if size is not None and size < 1:
        raise ValueError(f"size must be a number of pixels from 1, got {size}.")
    if enlarge not in ENLARGING:
        raise ValueError(f"enlarge must be one of {', '.join(ENLARGING)}, got {enlarge!r}.")


def read_chip(
    source: Path | Any,
    bands: Sequence[int] | None,
    expected: int | None,
    size: int | None = None,
    enlarge: str = "bilinear",
    window: tuple[int, int, int] | None = None,
) -> Shaped[np.ndarray, "bands height width"]:
    """Read bands of a GeoTIFF in its number type; floating-point pixels equal to its nodata value become NaN.

    Args:
        source: The file, or a dataset from `open_geotiff`.
        bands: Positions of the bands, from 0; None for all.
        expected: Number of bands that the file must have; None for any number.
        size: Resample to this number of pixels per side. None: keep the pixels.
        enlarge: One of `ENLARGING`, for smaller pixels; larger pixels are averages.
        window: Row, column and side in pixels of a square to cut out. None: the whole image.

    Raises:
        ValueError: If the file cannot be read or has another number of bands.
    """
    with open_geotiff(source) if isinstance(source, Path) else nullcontext(source) as file:
        from rasterio.enums import Resampling
        from rasterio.errors import RasterioIOError
        from rasterio.windows import Window

        if expected is not None and file.count != expected:
            raise ValueError(f"{file.name} has {file.count} bands, not {expected}.")
        part = None if window is None else Window(window[1], window[0], window[2], window[2])
        height, width = (file.height, file.width) if window is None else (window[2], window[2])
        chosen = [band + 1 for band in (range(file.count) if bands is None else bands)]
        shape = None if size is None else (len(chosen), size, size)
        coarser = size is not None and (size < height or size < width)
        try:
            how = Resampling.average if coarser else Resampling[enlarge]
            chip = file.read(chosen, window=part, out_shape=shape, resampling=how)
        except RasterioIOError as error:
            raise ValueError(f"{file.name} is damaged or cut short: {error}") from error
        if chip.dtype.kind == "f" and file.nodata is not None and not np.isnan(file.nodata):
            chip[chip == file.nodata] = np.nan
    return chip


def chip_places(
    source: Path | Any, windows: Sequence[tuple[int, int, int] | None] = (None,)
) -> Float64[np.ndarray, "n 2"]:
    """Return longitude and latitude (degrees, WGS 84) of the centres of squares of a GeoTIFF.

    Args:
        source: The file, or a dataset from `open_geotiff`.
        windows: Row, column and side of each square in pixels; None for the whole image.

    Returns:
        Shape (n, 2); NaN if the file has no georeference.

    Raises:
        ValueError: If the file cannot be read, or its CRS has no relation to the Earth.
    """
    with open_geotiff(source) if isinstance(source, Path) else nullcontext(source) as file:
        whole = (0, 0, file.height, file.width)
        parts = np.array([whole if at is None else (*at, at[2]) for at in windows], dtype=np.float64)
        try:
            return lonlat_in(file, parts[:, 0] + parts[:, 2] / 2, parts[:, 1] + parts[:, 3] / 2)
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from error


def all_places(
    places: Sequence[np.ndarray],
    names: Sequence[Any],
    advice: str = "Leave them out, or georeference them (gdal_edit).",
) -> Float64[np.ndarray, "n 2"] | None:
    """Join the places of all rows; None if no row has one, and ValueError with a name if some have one and some not."""
    lonlat = np.array(places, dtype=np.float64)
    lost = np.isnan(lonlat[:, 0])
    if lost.any() and not lost.all():
        raise ValueError(
            f"{lost.sum()} of {len(lost)} images have no georeference, such as {names[int(lost.argmax())]}. {advice}"
        )
    return None if lost.all() else lonlat


def read_chips(
    files: Mapping[str, Sequence[Sequence[Path]]],
    present: Mapping[str, np.ndarray],
    rows: Sequence[int] | np.ndarray,
    bands: Mapping[str, Sequence[str]],
    read: Callable[[str, Sequence[Path]], np.ndarray],
    scratch: str | Path | None,
) -> dict[str, Modality]:
    """Read the chips of some rows, modality by modality.

    `files` and `present` are those of all rows, by modality; `bands` names the bands of the modalities to read. `read`
    reads one chip, given the modality and the files of a row; `scratch` is that of `ChipRows`.
    """
    sensors = {}
    for name in bands:
        chips = ChipRows(name, len(rows), bands[name], scratch)
        for row in rows:
            here = files[name][row]
            chips.add(read(name, here) if present[name][row] else None, here[0] if here else "")
        sensors[name] = chips.sensor()
    return sensors


def first_places(
    files: Mapping[str, Sequence[Sequence[Path]]],
    present: Mapping[str, np.ndarray],
    rows: Sequence[int] | np.ndarray,
    modalities: Sequence[str],
    names: Sequence[str],
) -> Float64[np.ndarray, "n 2"] | None:
    """Return the centre of the first file of the last of the modalities that each row has; see `all_places`."""
    chosen = [next(name for name in reversed(modalities) if present[name][row]) for row in rows]
    return all_places([chip_places(files[name][row][0])[0] for name, row in zip(chosen, rows, strict=True)], names)


class ChipRows:
    """Collects the chips of one modality row by row; the first one decides shape and number type.

    uint8, uint16, int16 and float32 are kept; other number types become float32.

    Args:
        name: Name of the modality, for messages.
        count: Number of rows.
        bands: Names of the bands, or empty.
        scratch: Folder for an unnamed temporary file that holds the chips; None: see `new_array`.

    Raises:
        FileNotFoundError: If there is no such folder.
    """

    def __init__(self, name: str, count: int, bands: Sequence[str] = (), scratch: str | Path | None = None) -> None:
        if scratch is not None and not Path(scratch).is_dir():
            raise FileNotFoundError(f"scratch must be an existing folder, got {scratch}.")
        self.name, self.bands, self.scratch = name, tuple(bands), scratch
        self._present = np.zeros(count, dtype=bool)
        self._values: np.ndarray | None = None
        self._row = 0

    def add(self, chip: Shaped[np.ndarray, "bands height width"] | None, where: object = "") -> None:
        """Add the next row.

        Args:
            chip: Shape (bands, height, width), or None if the row lacks this modality.
            where: The file or row, for messages.

        Raises:
            ValueError: If the shape differs from earlier rows, the number type does not fit into theirs, or a pixel is
                infinite.
        """
        row, self._row = self._row, self._row + 1
        if chip is None:
            return
        stored = chip.dtype if chip.dtype.name in _KEPT else np.dtype(np.float32)
        if self._values is None:
            self._values = new_array((len(self._present), *chip.shape), stored, folder=self.scratch)
        if chip.shape != self._values.shape[1:]:
            raise ValueError(
                f"{where}: {self.name} has shape {chip.shape} (bands, height, width), but earlier rows have "
                f"{self._values.shape[1:]}. Give size= to resample all chips to one size."
            )
        if stored != self._values.dtype and not np.can_cast(stored, self._values.dtype, "safe"):
            raise ValueError(
                f"{where}: {self.name} has the number type {chip.dtype}, but earlier rows have {self._values.dtype}; "
                "read the two kinds of files separately."
            )
        refuse_infinite(chip, f"{where}: {self.name}", self.bands)
        self._present[row], self._values[row] = True, chip

    def sensor(self) -> Modality:
        """Return the collected chips, after the last row."""
        if self._values is None:
            raise ValueError(f"none of {len(self._present)} rows has {self.name}.")
        if self._values.dtype.kind == "f":
            self._values[~self._present] = np.nan
        return Modality(
            "chip", self._values, self._present, self.bands if len(self.bands) == self._values.shape[1] else ()
        )
