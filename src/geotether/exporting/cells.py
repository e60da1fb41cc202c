"""Cells of H3 and HEALPix over a region: the parts that a table is made of."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Integer

from geotether.exporting.embedder import Embedder
from geotether.exporting.precision import Coding
from geotether.exporting.sampling import draw_places
from geotether.exporting.tiles import Part
from geotether.files.geometry import with_geometry
from geotether.files.writers import list_column, write_points
from geotether.regions.region import Region

MOST_CELLS = 10_000_000_000
_EARTH_KM2 = 510_065_622.0
_KM_PER_DEGREE = 111.2
_FORMS = "--cells is h3:RESOLUTION (0 to 15), such as h3:5, or healpix:NSIDE (a power of two), such as healpix:64"


@dataclass(frozen=True)
class H3:
    """Hexagons of H3; ids are written as its usual 15 hexadecimal digits.

    Attributes:
        level: Resolution of the cells that are wanted.
        name: Name of the system, and of the column of ids.
        part_levels: A part has the descendants of one cell that is so many levels coarser.

    Source:
        https://h3geo.org; resolutions 0 (4.4 million km2) to 15 (0.9 m2).
    """

    level: int
    name: str = "h3"
    part_levels: int = 5

    @property
    def about(self) -> dict[str, Any]:
        """Name and resolution."""
        return {"system": "h3", "resolution": self.level}

    def size(self, level: int) -> int:
        """Return the number of cells of the Earth."""
        return 2 + 120 * 7**level

    def roots(self) -> Integer[np.ndarray, "n"]:
        """Return the 122 base cells."""
        return np.sort(_h3().get_res0_cells()).view(np.uint64)  # of h3: unsigned long long

    def children(self, cell: int, above: int, level: int) -> Integer[np.ndarray, "n"]:
        """Return descendants by id. Their centres may lie just outside the cell."""
        return _h3().cell_to_children(cell, level).view(np.uint64)

    def lonlat(self, cells: Integer[np.ndarray, "n"], level: int) -> Float64[np.ndarray, "n 2"]:
        """Return the centres."""
        center = _h3().cell_to_latlng
        return np.array([center(cell) for cell in cells.tolist()], np.float64).reshape(-1, 2)[:, ::-1]

    def at(self, lonlat: Float64[np.ndarray, "n 2"]) -> Integer[np.ndarray, "n"]:
        """Return the cells that contain places."""
        find = _h3().latlng_to_cell
        return np.array([find(lat, lon, self.level) for lon, lat in lonlat.tolist()], np.uint64)

    def column(self, cells: Integer[np.ndarray, "n"]) -> pa.Array:
        """Return ids as text, such as "85283473fffffff"."""
        return pa.array([f"{cell:x}" for cell in cells.tolist()], pa.string())


@dataclass(frozen=True)
class Healpix:
    """Pixels of HEALPix, of equal area; ids are numbers of the nested order.

    Attributes:
        level: log2 of the divisions of a base pixel's side.
        name: As for `H3`.
        part_levels: As for `H3`.

    Source:
        Gorski et al. (2005), ApJ 622:759.
    """

    level: int
    name: str = "healpix"
    part_levels: int = 7

    @property
    def about(self) -> dict[str, Any]:
        """Name, number of divisions of a base pixel's side, and order of the ids."""
        return {"system": "healpix", "nside": 2**self.level, "order": self.level, "indexing": "nested"}

    def size(self, level: int) -> int:
        """Return the number of pixels of the Earth."""
        return 12 * 4**level

    def roots(self) -> Integer[np.ndarray, "n"]:
        """Return the 12 base pixels."""
        return np.arange(12)

    def children(self, cell: int, above: int, level: int) -> Integer[np.ndarray, "n"]:
        """Return descendants."""
        count = 4 ** (level - above)
        return cell * count + np.arange(count)

    def lonlat(self, cells: Integer[np.ndarray, "n"], level: int) -> Float64[np.ndarray, "n 2"]:
        """Return the centres."""
        lon, lat = _healpix().pix2ang(2**level, cells, nest=True, lonlat=True)
        return np.stack([(np.asarray(lon) + 180.0) % 360.0 - 180.0, lat], axis=1)

    def at(self, lonlat: Float64[np.ndarray, "n 2"]) -> Integer[np.ndarray, "n"]:
        """Return the pixels that contain places."""
        numbers = _healpix().ang2pix(2**self.level, lonlat[:, 0], lonlat[:, 1], nest=True, lonlat=True)
        return np.asarray(numbers)

    def column(self, cells: Integer[np.ndarray, "n"]) -> pa.Array:
        """Return the numbers of the pixels."""
        return pa.array(cells, pa.int64())


def system_of(text: str) -> H3 | Healpix:
    """Read cells from a text such as "h3:5" or "healpix:64".

    Raises:
        ValueError: If it is neither, or has no such resolution.

    Example:
        >>> system_of("healpix:64").size(6)
        49152
    """
    name, _, number = text.strip().lower().partition(":")
    size = int(number) if number.isdecimal() else -1
    if name == "h3" and 0 <= size <= 15:
        return H3(size)
    if name == "healpix" and 1 <= size <= 2**29 and size & (size - 1) == 0:
        return Healpix(size.bit_length() - 1)
    raise ValueError(f"{_FORMS}; got {text!r}.")


@dataclass(frozen=True)
class Cells:
    """The cells whose centres are within a region, in runs that share a coarser cell.

    Attributes:
        system: The cells.
        region: The region.
    """

    system: H3 | Healpix
    region: Region
    unit: str = field(default="cells", init=False)

    def __post_init__(self) -> None:
        """Raise ValueError if there are more than ten thousand million cells."""
        if self.places > MOST_CELLS:
            raise ValueError(
                f"{self.region.name} has about {self.places:,} cells of {self.system.name}, more than {MOST_CELLS:,}; "
                "choose a coarser resolution or a smaller region."
            )

    @property
    def places(self) -> int:
        """Number of cells to expect, from the area of the region."""
        return max(1, round(self.system.size(self.system.level) * min(1.0, self.region.area_km2 / _EARTH_KM2)))

    @cached_property
    def runs(self) -> list[int]:
        """The coarser cells whose descendants may have their centre in the region."""
        found = self._near(self.system.roots(), 0)
        for level in range(1, self._run_level + 1):
            below = [self.system.children(cell, level - 1, level) for cell in found.tolist()]
            found = self._near(np.concatenate(below) if below else found, level)
        return found.tolist()

    @property
    def _run_level(self) -> int:
        return max(0, self.system.level - self.system.part_levels)

    @property
    def count(self) -> int:
        """Number of parts."""
        return len(self.runs)

    def places_of(self, number: int) -> int:
        """Return the share of a part in `places`."""
        return self.places * (number + 1) // self.count - self.places * number // self.count

    def make(self, number: int, embedder: Embedder, coding: Coding) -> Part:
        """Compute a run of cells.

        Returns:
            `cell`, shape (n,); `lonlat`, shape (n, 2), their centres; and `values`, shape (n, bands), as stored.
        """
        cells = self.system.children(self.runs[number], self._run_level, self.system.level)
        lonlat = self.system.lonlat(cells, self.system.level)
        inside = self.region.contains(lonlat)
        cells, lonlat = cells[inside], lonlat[inside]
        stored = coding.stored(embedder.places(lonlat)) if len(cells) else np.empty((0, len(coding.bands)))
        return {"cell": cells, "lonlat": lonlat, "values": stored.astype(coding.dtype, copy=False)}

    def sample(self, count: int, seed: int = 0) -> Float64[np.ndarray, "n 2"]:
        """Draw cells within the region; see `draw_places`. Returns their centres, shape (n, 2)."""

        def centers(cells: np.ndarray) -> np.ndarray:
            return self.system.lonlat(cells, self.system.level)

        return draw_places(self.region, self.system.at, centers, f"cell of {self.system.name}", count, seed)

    def _near(self, cells: Integer[np.ndarray, "n"], level: int) -> Integer[np.ndarray, "m"]:
        """Keep the cells of which a descendant may have its centre in the region."""
        import shapely

        if self.region.shape is None or not len(cells):
            return cells
        # Twice the radius of a circle of the cells' mean area; cells differ in area and shape.
        reach = 2 * math.sqrt(_EARTH_KM2 / self.system.size(level) / math.pi) / _KM_PER_DEGREE
        lon, lat = self.system.lonlat(cells, level).T
        south, north = lat - reach, lat + reach
        highest = np.maximum(np.abs(south), np.abs(north))
        wide = np.where(highest < 89, reach / np.cos(np.radians(np.minimum(highest, 89.0))), 180.0)
        wide = np.minimum(wide, 180.0)
        shapely.prepare(self.region.shape)
        near: Bool[np.ndarray, "n"] = np.zeros(len(cells), bool)
        for turn in (-360.0, 0.0, 360.0):
            boxes = shapely.box(lon - wide + turn, south, lon + wide + turn, north)
            near |= shapely.intersects(self.region.shape, boxes)
        return cells[near]


def write_cells(path: Any, cells: Cells, parts: Iterator[Part], coding: Coding, notes: dict[bytes, bytes]) -> None:
    """Write a GeoParquet of cells: the centre as geometry, the id in a column called h3 or healpix, and `embedding`.

    Args:
        path: The file, which is replaced.
        cells: The cells.
        parts: What `Cells.make` returned, in order.
        coding: What the values are.
        notes: Further metadata of the file.
    """

    def table(part: Part) -> pa.Table:
        columns = {cells.system.name: cells.system.column(part["cell"]), "embedding": list_column(part["values"])}
        return with_geometry(pa.table(columns), part["lonlat"])

    empty = {
        "cell": np.empty(0, np.int64),
        "lonlat": np.empty((0, 2)),
        "values": np.empty((0, len(coding.bands)), coding.dtype),
    }
    schema = table(empty).schema
    schema = schema.with_metadata({**(schema.metadata or {}), **notes})
    chunks = (
        (table(part).replace_schema_metadata(schema.metadata), part["lonlat"]) for part in parts if len(part["cell"])
    )
    write_points(path, schema, chunks)


def _h3() -> Any:
    try:
        import h3.api.numpy_int
    except ImportError:
        raise ImportError("Cells of H3 are found with h3: pip install 'geotether[export]'.") from None
    return h3.api.numpy_int


def _healpix() -> Any:
    try:
        import healpix
    except ImportError:
        raise ImportError("Cells of HEALPix are found with healpix: pip install 'geotether[export]'.") from None
    return healpix
