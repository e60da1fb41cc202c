"""A Parquet file of embeddings at known places, used as an encoder by lookup."""

import hashlib
import re
from pathlib import Path
from typing import Any, Never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32, Float64

from geotether.files.places import lonlat_of_columns
from geotether.files.rows import naming, read_rows
from geotether.files.values import is_list
from geotether.geodesy.coordinates import as_lonlat, check_lonlat, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, sphere_tree

# Places this close are the same place: 11 cm on the ground at any longitude.
TOLERANCE_DEGREES = 1e-6
EMBEDDING = "embedding"


class EmbeddingFile:
    """Embeddings that another encoder computed, looked up by place.

    Args:
        path: Parquet with coordinates (as for `read_points`) and either a column `embedding` of lists of numbers, as
            `geotether encode` writes it, or numeric columns e0, e1, ...

    Attributes:
        dim: Length of an embedding.
        provenance: File, hash and number of places.
        config: Empty; a file of embeddings has no settings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a Parquet file, has no coordinates or embeddings, an embedding is missing, not
            finite or of another width, or one place has two different embeddings.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        columns = read_rows(path, kind="parquet")
        with naming(path, "Parquet"):
            lonlat = lonlat_of_columns(columns)
            self._embeddings = embeddings_of_columns(columns)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.path = path
        self.dim = self._embeddings.shape[1]
        self.config: dict[str, Any] = {}
        self.provenance: dict[str, Any] = {
            "layout": "embedding file",
            "file": path.name,
            "sha256": sha256,
            "places": len(lonlat),
        }
        self._tree = sphere_tree(lonlat)
        self._refuse_contradictions(lonlat)

    def __repr__(self) -> str:
        """Describe the file in one line."""
        return f"EmbeddingFile({self.dim} numbers at {len(self._embeddings):,} places, {self.path.name})"

    @property
    def module(self) -> Never:
        """Raise, because a file of embeddings has no network."""
        raise AttributeError(f"{self.path} is a file of embeddings: it has no network. Use encode(lon=, lat=).")

    def encode(self, places: Any = None, *, lon: Any = None, lat: Any = None) -> Float32[np.ndarray, "n d"]:
        """Look places up.

        Args:
            places: A Table or PointRecords; anything with an array `lonlat`.
            lon: Instead of `places`, longitudes in degrees, WGS 84, [-180, 360]: a number, list, array or Series.
            lat: As many latitudes, [-90, 90].

        Returns:
            One row per place in the same order, shape (n, dim).

        Raises:
            TypeError: If neither `places` nor both `lon` and `lat` are given, or `places` has no `lonlat`.
            ValueError: If a row is not a coordinate, or a place is not in the file; the message names the first.
        """
        if places is None and lon is not None and lat is not None:
            lonlat = as_lonlat(lon, lat)
        elif hasattr(places, "lonlat") and lon is None and lat is None:
            lonlat = places.lonlat
            check_lonlat(lonlat)
        else:
            raise TypeError("encode needs lon= and lat=, or a table with lonlat.")
        if len(lonlat) == 0:
            return np.empty((0, self.dim), dtype=np.float32)
        chords, rows = self._tree.query(unit_vectors(lonlat))
        missing = np.flatnonzero(chords > _tolerance())
        if len(missing):
            row = missing[0]
            raise ValueError(
                f"{self.path} has no embedding for {len(missing)} of {len(lonlat)} places, first for row {row} at "
                f"lon={lonlat[row, 0]:.9g}, lat={lonlat[row, 1]:.9g}; the nearest one in it is "
                f"{_spoken_distance(float(chords[row]))} away. Encode exactly these places, "
                "with coordinates in float64."
            )
        return self._embeddings[rows]

    def _refuse_contradictions(self, lonlat: Float64[np.ndarray, "n 2"]) -> None:
        # Equal rows are dropped first, or a file of one place many times over would have a pair for every two rows.
        keyed = np.concatenate((lonlat, self._embeddings.astype(np.float64)), axis=1)
        _, kept = np.unique(keyed.view(np.dtype((np.void, keyed.dtype.itemsize * keyed.shape[1]))), return_index=True)
        kept.sort()
        pairs = sphere_tree(lonlat[kept]).query_pairs(_tolerance(), output_type="ndarray")
        first, second = kept[pairs[:, 0]], kept[pairs[:, 1]]
        differ = (self._embeddings[first] != self._embeddings[second]).any(axis=1)
        if differ.any():
            a, b = min(zip(first[differ].tolist(), second[differ].tolist(), strict=True))
            raise ValueError(
                f"{self.path} has two different embeddings for one place, rows {a} and {b} at lon={lonlat[a, 0]:.9g}, "
                f"lat={lonlat[a, 1]:.9g}; keep one of them."
            )


def embeddings_of_columns(columns: pa.Table) -> Float32[np.ndarray, "n d"]:
    """Find the embeddings of a table: a column `embedding` of lists, or columns e0, e1, ...

    Args:
        columns: Any table.

    Returns:
        Shape (n, d), float32.

    Raises:
        ValueError: If there are none, or one is missing, of another width or not finite; the message names the row.

    Example:
        >>> embeddings_of_columns(pa.table({"e0": [1.0, 2.0], "e1": [3.0, 4.0]}))
        array([[1., 3.],
               [2., 4.]], dtype=float32)
    """
    numbered = sorted(int(name[1:]) for name in columns.column_names if re.fullmatch(r"e(0|[1-9]\d*)", name))
    if EMBEDDING in columns.column_names:
        embeddings = _of_lists(columns[EMBEDDING].combine_chunks())
    elif numbered:
        if numbered != list(range(len(numbered))):
            gap = next(number for number in range(len(numbered)) if number not in numbered)
            raise ValueError(f"it has columns up to e{numbered[-1]}, but no e{gap}.")
        embeddings = np.stack([_numbers(columns[f"e{number}"], f"e{number}") for number in numbered], axis=1)
    else:
        found = ", ".join(map(repr, columns.column_names[:30])) or "none"
        raise ValueError(
            f"there is no column {EMBEDDING!r} of lists, and no columns e0, e1, ... of numbers; columns found: {found}."
        )
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise ValueError(f"{len(bad)} of {len(embeddings)} embeddings are not finite, first in row {bad[0]}.")
    return embeddings


def _of_lists(column: Any) -> np.ndarray:
    kind = column.type
    if not is_list(kind):
        raise ValueError(f"column {EMBEDDING!r} contains {kind}; expected lists of numbers.")
    if column.null_count:
        row = int(pc.is_null(column).to_numpy(zero_copy_only=False).argmax())
        raise ValueError(f"row {row} has no embedding; leave such rows out.")
    if len(column) == 0:
        return np.empty((0, 0), dtype=np.float32)
    widths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    if (widths != widths[0]).any():
        row = int((widths != widths[0]).argmax())
        raise ValueError(f"row {row} has an embedding of {widths[row]} numbers, row 0 of {widths[0]}.")
    if widths[0] == 0:
        raise ValueError("its embeddings have no numbers.")
    return _numbers(pc.list_flatten(column), EMBEDDING).reshape(len(column), int(widths[0]))


def _numbers(column: Any, name: str) -> np.ndarray:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise ValueError(f"column {name!r} contains {column.type}, not numbers.")
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite and are reported
        return np.asarray(column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column).astype(
            np.float32
        )


def _tolerance() -> float:
    """The tolerance as a chord of the unit sphere, with a little room for rounding."""
    return float(np.deg2rad(TOLERANCE_DEGREES)) * (1 + 1e-6)


def _spoken_distance(chord: float) -> str:
    metres = 2000 * EARTH_RADIUS_KM * np.arcsin(min(chord / 2, 1.0))
    return f"{metres:.3g} m" if metres < 1000 else f"{metres / 1000:,.0f} km"
