"""A Parquet file of embeddings at known places, used as an encoder by lookup."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32, Float64

from geotether.files.frames import places_first
from geotether.files.places import lonlat_of_columns
from geotether.files.rows import naming, read_rows
from geotether.files.values import is_list, is_number, is_text
from geotether.geodesy.coordinates import as_lonlat, check_lonlat, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, sphere_tree

# Places this close are the same place: 11 cm on the ground at any longitude; 1.3 m where the file's are in float32.
TOLERANCE_DEGREES, SINGLE_TOLERANCE_DEGREES = 1e-6, 1.2e-5
EMBEDDING = "embedding"


class EmbeddingFile:
    """Embeddings that another encoder computed, looked up by place.

    Args:
        path: Parquet with coordinates (as for `read_points`) and embeddings (as `embeddings_of_columns` finds them).

    Attributes:
        dim: Length of an embedding.
        provenance: File, hash, number of places and columns of the embeddings.
        config: Empty; a file of embeddings has no settings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a Parquet file, has no coordinates or embeddings, an embedding is missing, not
            finite or of another width, or one place has two different embeddings.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        columns = read_rows(path, kind="parquet")
        with naming(path, "Parquet"):
            lonlat = lonlat_of_columns(columns)
            self._embeddings, found = embeddings_of_columns(columns)
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
            "columns": found,
        }
        # Coordinates in float32 are off by up to half of 1.5e-5 degrees from the places that were encoded.
        single = bool((lonlat == lonlat.astype(np.float32)).all())
        degrees = TOLERANCE_DEGREES if not single else SINGLE_TOLERANCE_DEGREES
        self._tolerance = float(np.deg2rad(degrees)) * (1 + 1e-6)  # a chord, with a little room for rounding
        self._tree = sphere_tree(lonlat)
        self._refuse_contradictions(lonlat)

    def __repr__(self) -> str:
        """Describe the file in one line."""
        return f"EmbeddingFile({self.dim} numbers at {len(self._embeddings):,} places, {self.path.name})"

    @property
    def module(self) -> Never:
        """Raise, because a file of embeddings has no network."""
        raise AttributeError(f"{self.path} is a file of embeddings: it has no network. Use encode(lon=, lat=).")

    @places_first
    def encode(self, places: Any = None, *, lon: Any = None, lat: Any = None) -> Float32[np.ndarray, "n d"]:
        """Look places up, given as a Table or PointRecords, or as `lon` and `lat` in degrees; see `Encoder.encode`.

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
        missing = np.flatnonzero(chords > self._tolerance)
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
        pairs = sphere_tree(lonlat[kept]).query_pairs(self._tolerance, output_type="ndarray")
        first, second = kept[pairs[:, 0]], kept[pairs[:, 1]]
        differ = (self._embeddings[first] != self._embeddings[second]).any(axis=1)
        if differ.any():
            a, b = min(zip(first[differ].tolist(), second[differ].tolist(), strict=True))
            raise ValueError(
                f"{self.path} has two different embeddings for one place, rows {a} and {b} at lon={lonlat[a, 0]:.9g}, "
                f"lat={lonlat[a, 1]:.9g}; keep one of them."
            )


def embeddings_of_columns(columns: pa.Table) -> tuple[Float32[np.ndarray, "n d"], str]:
    """Find the embeddings of a table.

    They are, in this order: the column `embedding`, of lists of numbers or such lists as JSON; columns of numbers e0,
    e1, ...; the only other column of lists; the only other numbered columns, such as A00 to A63.

    Returns:
        Shape (n, d), float32; and the names of the columns.

    Raises:
        ValueError: If there are none or several candidates, or an embedding is missing, of another width, not finite or
            beyond float32; the message names the row.

    Example:
        >>> embeddings_of_columns(pa.table({"e0": [1.0, 2.0], "e1": [3.0, 4.0]}))
        (array([[1., 3.],
               [2., 4.]], dtype=float32), 'e0 to e1')
    """
    names = _candidates(columns)
    if names == [EMBEDDING] or is_list(columns.schema.field(names[0]).type):
        values = _of_lists(columns[names[0]].combine_chunks(), names[0])
    else:
        values = np.stack([_numbers(columns[name], name) for name in names], axis=1)
    with np.errstate(over="ignore"):
        embeddings = values.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        why = "beyond the range of float32" if np.isfinite(values[bad]).all() else "not finite"
        raise ValueError(f"{len(bad)} of {len(embeddings)} embeddings are {why}, first in row {bad[0]}.")
    return embeddings, names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _candidates(columns: pa.Table) -> list[str]:
    """Name the columns of the embeddings, in order."""
    if EMBEDDING in columns.column_names:
        return [EMBEDDING]
    numbered: dict[str, dict[int, str]] = {}
    for name in columns.column_names:
        match = re.fullmatch(r"(.*?\D)_?(\d+)", name)
        if match and (match[1] == "e" or is_number(columns.schema.field(name).type)):
            numbered.setdefault(match[1], {})[int(match[2])] = name
    families = {"e": numbered["e"]} if "e" in numbered else {k: v for k, v in numbered.items() if len(v) > 1}
    lists = [field.name for field in columns.schema if is_list(field.type)]
    if len(lists) == 1 and "e" not in numbered:
        return lists
    if len(lists) + len(families) != 1:
        found = ", ".join(map(repr, columns.column_names[:30])) or "none"
        raise ValueError(
            f"there is no column {EMBEDDING!r} of lists, and no columns e0, e1, ... of numbers, nor one other column "
            f"of lists or one other set of numbered columns; columns found: {found}. Rename the columns."
        )
    (family,) = families.values()
    start = min(family) if min(family) < 2 else 0
    gap = next((number for number in range(start, max(family)) if number not in family), None)
    if gap is not None:
        raise ValueError(f"it has columns up to {family[max(family)]}, but none with the number {gap}.")
    return [family[number] for number in sorted(family)]


def _of_lists(column: Any, name: str) -> np.ndarray:
    if is_text(column.type):
        column = _of_json(column, name)
    if not is_list(column.type):
        raise ValueError(f"column {name!r} contains {column.type}; expected lists of numbers.")
    if column.null_count:
        row = int(pc.is_null(column).to_numpy(zero_copy_only=False).argmax())
        raise ValueError(f"row {row} has no embedding; leave such rows out.")
    widths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    if (widths != widths[0]).any():
        row = int((widths != widths[0]).argmax())
        raise ValueError(f"row {row} has an embedding of {widths[row]} numbers, row 0 of {widths[0]}.")
    if widths[0] == 0:
        raise ValueError("its embeddings have no numbers.")
    return _numbers(pc.list_flatten(column), name).reshape(len(column), int(widths[0]))


def _of_json(column: Any, name: str) -> Any:
    lists = []
    for row, text in enumerate(column.to_pylist()):
        try:
            lists.append(json.loads(text) if text else None)
            pa.array(lists[-1:], pa.list_(pa.float64()))
        except (ValueError, TypeError, RecursionError, pa.ArrowException):
            raise ValueError(f"column {name!r}, row {row}: {text!r:.40} is not a list of numbers.") from None
    return pa.array(lists, pa.list_(pa.float64()))


def _numbers(column: Any, name: str) -> np.ndarray:
    if not is_number(column.type):
        raise ValueError(f"column {name!r} contains {column.type}, not numbers.")
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _spoken_distance(chord: float) -> str:
    metres = 2000 * EARTH_RADIUS_KM * np.arcsin(min(chord / 2, 1.0))
    return f"{metres:.3g} m" if metres < 1000 else f"{metres / 1000:,.0f} km"
