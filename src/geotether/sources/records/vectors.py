"""Existing vectors, such as embeddings of other encoders, as columns of a table or as NumPy arrays."""

import fnmatch
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.files.arrays import reading_arrays
from geotether.files.disk import check_file, file_fingerprint, replacing_file
from geotether.files.formats import endings_of
from geotether.files.places import refuse_places
from geotether.files.values import is_list, is_number
from geotether.sources.records.row_file import RowFile
from geotether.sources.source import Observations, usable

_LIST_NAMES = ("features", "embedding", "embeddings", "vector", "vectors")


@dataclass(eq=False, kw_only=True)
class VectorsSource(RowFile):
    """One vector per row.

    Rows with a gap, NaN or infinity in the vector, or with a vector of another width than the first, are rejected.

    Args:
        path: A table with one column of lists or with many columns of numbers (all formats of `ColumnsSource`), or an
            array of shape (n, d) in .npy, or in .npz under the name `column` where there are several.
        column: The column of lists; or a pattern of the columns of numbers, such as "A??" for A00 to A63, in the order
            of the file; or a list of their names. By default the only column of lists.
        positions: Places of the rows of an array: a table with as many rows, or an array of shape (n, 2) of longitudes
            and latitudes in .npy.

    The other arguments are those of `RowFile`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an ending is unknown, an array lacks positions, or an option does not fit.
    """

    kind: ClassVar[str] = "vectors"
    features: ClassVar[str] = "vectors"
    column: str | list[str] | None = None
    positions: Any = None  # str or Path

    def __post_init__(self) -> None:
        """Check the options."""
        self.source, given = Path(self.path), self.positions
        self.is_array = self.source.suffix.lower() in endings_of("array")
        self.positions = None if given is None else Path(given)
        if self.is_array and self.positions is None:
            raise ValueError(f"{self.path} is an array; name its places with positions=, a table or a .npy of (n, 2).")
        if not self.is_array and self.positions is not None:
            raise ValueError(f"{self.path} is a table with places of its own; leave positions={str(given)!r} out.")
        if self.is_array and self.where is not None:
            raise ValueError("where chooses rows of a table; it cannot be used with an array.")
        for file in filter(None, [self.source, self.positions]):
            check_file(file)
        # Places may also be an array, which has no columns.
        self.has_rows = self.positions is None or self.positions.suffix.lower() != ".npy"
        if self.has_rows:
            self.path = self.positions or self.source
            super().__post_init__()
        elif any((self.lon, self.lat, self.id, self.time, self.labels, self.crs, self.layer)):
            raise ValueError(f"{given} is an array; it has no columns for lon, lat, id, time, labels, crs or layer.")
        self._array: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Drop the mapped array."""
        return self.__dict__ | {"_array": None}

    def prepare(self, folder: Path) -> None:
        """See `Source.prepare`."""
        if self.has_rows:
            self.open(folder)
        if self.is_array:
            self._unpacked = _unpack(self.source, self.column, folder)
            array = self._mapped()
            places = super().__len__() if self.has_rows else len(self._places())
            if places != len(array):
                raise ValueError(f"{self.source} has {len(array)} vectors, but {self.positions} has {places} places.")
            self.width = int(array.shape[1])
        else:
            self.columns = self._columns()
            self.width = self._width()
        if not self.width:
            raise ValueError(f"{self.source}: the vectors are empty.")

    def __len__(self) -> int:
        """Count the rows."""
        return super().__len__() if self.has_rows else len(self._mapped())

    def read(self, start: int, stop: int) -> Observations:
        """Read some rows; see `Source.read`."""
        start, stop = max(start, 0), min(stop, len(self))
        if self.has_rows:
            table, seen, reasons = self.observe(start, stop)
        else:
            table = pa.table({})
            lonlat = np.array(self._places()[start:stop], dtype=np.float64)
            seen = Observations(np.arange(start, stop, dtype=np.int64), lonlat, None)
            reasons = refuse_places(lonlat)
        if self.is_array:
            vectors = np.array(self._mapped()[start:stop])
            found: dict[int, str] = {}
        else:
            vectors, found = self._vectors(table)
        holes = np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist()
        reasons = dict.fromkeys(holes, "vector with NaN or infinity") | found | reasons
        return usable(seen, reasons, lambda good: vectors[good])

    def fingerprint(self) -> str:
        """See `Source.fingerprint`."""
        parts = [super().fingerprint() if self.has_rows else file_fingerprint(self.positions)]
        parts += [file_fingerprint(self.source)] * self.is_array + [repr(self.column)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def _mapped(self) -> np.ndarray:
        if self._array is None:
            self._array = np.load(self._unpacked, mmap_mode="r", allow_pickle=False)
        return self._array

    def _places(self) -> np.ndarray:
        places = _load(self.positions)
        if places.ndim != 2 or places.shape[1] != 2 or places.dtype.kind not in "fiu":
            raise ValueError(
                f"{self.positions} must contain longitudes, latitudes of shape (n, 2), got {places.shape}."
            )
        return places

    def _columns(self) -> list[str]:
        lists = [field.name for field in self.schema if _is_list_of_numbers(field.type)]
        numbers = [field.name for field in self.schema if is_number(field.type)]
        there = f"Columns of lists: {', '.join(map(repr, lists)) or 'none'}; of numbers: {_some(numbers)}."
        if self.column is None:
            known = [name for name in lists if name.lower() in _LIST_NAMES]
            if len(lists) != 1 and len(known) != 1:
                raise ValueError(f"{self.path}: name the columns of the vectors with column=. {there}")
            return known if len(known) == 1 else lists
        if isinstance(self.column, str) and self.column in lists:
            return [self.column]
        asked = [self.column] if isinstance(self.column, str) else list(self.column)
        free = [name for name in numbers if name not in self.finder.columns]
        chosen = [name for pattern in asked for name in free if name == pattern or fnmatch.fnmatchcase(name, pattern)]
        lacking = [pattern for pattern in asked if not fnmatch.filter(free, pattern) and pattern not in free]
        if lacking:
            raise ValueError(f"{self.path}: no column of numbers is called {lacking[0]!r}. {there}")
        return list(dict.fromkeys(chosen))

    def _width(self) -> int:
        kind = self.schema.field(self.columns[0]).type
        if not _is_list_of_numbers(kind):
            return len(self.columns)
        if pa.types.is_fixed_size_list(kind):
            return int(kind.list_size)
        for start in range(0, len(self), 4096):
            lengths = pc.list_value_length(self.observe(start, start + 4096)[0][self.columns[0]]).drop_null()
            if len(lengths):
                return int(lengths[0].as_py())
        raise ValueError(f"{self.path}: column {self.columns[0]!r} has no vectors.")

    def _vectors(self, table: pa.Table) -> tuple[np.ndarray, dict[int, str]]:
        """Read the vectors of rows, NaN where there is none of this width, and the reasons for those."""
        column = table[self.columns[0]]
        if not _is_list_of_numbers(column.type):
            parts = [table[name].cast(pa.float64()).to_numpy() for name in self.columns]
            return np.stack(parts, axis=1).astype(np.float32), {}
        vectors = np.full((len(column), self.width), np.nan, dtype=np.float32)
        lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
        fits = lengths == self.width
        whole = column.filter(pa.array(fits))
        numbers = pc.list_flatten(whole).cast(pa.float32(), safe=False).to_numpy()
        vectors[fits] = np.asarray(numbers).reshape(-1, self.width)
        missing = dict.fromkeys(np.flatnonzero(lengths < 0).tolist(), "no vector")
        others = {int(row): f"a vector of {lengths[row]} numbers, not {self.width}" for row in np.flatnonzero(~fits)}
        return vectors, others | missing


def _unpack(path: Path, name: str | list[str] | None, folder: Path) -> Path:
    """Return a .npy that can be mapped: the file itself, or a copy of one array of an .npz."""
    array = _load(path)
    if isinstance(array, np.lib.npyio.NpzFile):
        names = list(array.files)
        chosen = names[0] if name is None and len(names) == 1 else name
        if not isinstance(chosen, str) or chosen not in names:
            raise ValueError(f"{path} contains {', '.join(names)}; name one with column=, got {name!r}.")
        target = folder / "vectors.npy"
        with reading_arrays(path):
            array = np.asarray(array[chosen])  # a damaged member gives its bytes
        with replacing_file(target) as part, part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    else:
        target = path
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise ValueError(f"{path} contains {array.dtype} of shape {array.shape}; vectors are numbers of shape (n, d).")
    return target


def _load(path: Path) -> Any:
    with reading_arrays(path):
        return np.load(path, mmap_mode="r" if path.suffix.lower() == ".npy" else None, allow_pickle=False)


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    return is_list(kind) and is_number(kind.value_type)


def _some(names: list[str]) -> str:
    return (", ".join(map(repr, names[:20])) or "none") + (f" and {len(names) - 20} more" if len(names) > 20 else "")
