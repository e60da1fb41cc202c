"""Rows of a matrix in a file, read on access."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Integer

# Slices of more bytes release the pages of the file as soon as they are copied.
_RELEASED_BYTES = 2**20


class MappedRows:
    """A matrix in an .npy file, or some of its rows, which are copied to float32 when they are read.

    It is used as an array of shape (n, d): `rows[numbers]`, `rows[start:stop]`, `len(rows)`, `rows.shape`;
    `numpy.asarray` loads all of it. The system drops pages of the file from memory when memory is short.

    Args:
        path: An .npy file of shape (n, d), float16 or float32, whose numbers are known to be finite.

    Attributes:
        path: The file.
        numbers: Numbers of the rows in the file, shape (n,), or None for all.
        stored: Number type in the file.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, path: Path) -> None:
        self.path = path
        self.numbers: Integer[np.ndarray, "n"] | None = None
        self.is_read_ahead = False
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, self.stored = header(file)
            self._start = file.tell()
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        count = shape[0] * shape[1]
        self._rows: np.ndarray = np.frombuffer(self._map, self.stored, count, self._start).reshape(shape)

    def __getstate__(self) -> dict[str, Any]:
        """Drop the map; another process maps the file again."""
        return {"path": self.path, "numbers": self.numbers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]
        self.numbers = state["numbers"]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._rows if self.numbers is None else self.numbers)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self), self._rows.shape[1]

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self) * self._rows.shape[1]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Load all rows."""
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def __getitem__(self, which: Any) -> Float32[np.ndarray, "..."]:
        """Copy rows: a number, a slice, an array of numbers or a mask; a second index chooses columns of these."""
        if isinstance(which, tuple):
            return self[which[0]][(..., *which[1:])]
        if isinstance(which, slice) and which.step in (None, 1):
            start, stop, _ = which.indices(len(self))
            found = _as_float32(
                self._rows[start:stop] if self.numbers is None else self._rows[self.numbers[start:stop]]
            )
            if found.nbytes > _RELEASED_BYTES:
                self.release(start, stop)
            return found
        if isinstance(which, slice):
            which = np.arange(*which.indices(len(self)))
        return _as_float32(self._rows[which if self.numbers is None else self.numbers[which]])

    def rows(self, which: Integer[np.ndarray, "m"] | slice) -> "MappedRows":
        """Take rows by number or by a slice; nothing is read."""
        taken = object.__new__(MappedRows)
        taken.__dict__.update(self.__dict__)
        taken.numbers = np.arange(len(self))[which] if self.numbers is None else self.numbers[which]
        if len(self._rows) < 2**31:
            taken.numbers = taken.numbers.astype(np.int32)
        taken.is_read_ahead = False
        return taken

    def prefetch(self, start: int, stop: int) -> None:
        """Ask the system to read rows `start` to `stop` soon; returns at once."""
        self._advise("MADV_WILLNEED", start, stop)

    def release(self, start: int, stop: int) -> None:
        """Tell the system that rows `start` to `stop` will not be read soon."""
        self._advise("MADV_DONTNEED", start, stop)

    def _advise(self, advice: str, start: int, stop: int) -> None:
        if not hasattr(mmap, advice) or start >= stop:  # Windows
            return
        first, last = (start, stop - 1) if self.numbers is None else (self.numbers[start], self.numbers[stop - 1])
        each = self._rows.itemsize * self._rows.shape[1]
        begin = self._start + int(first) * each
        begin -= begin % mmap.PAGESIZE
        end = self._start + (int(last) + 1) * each
        if begin < end:
            self._map.madvise(getattr(mmap, advice), begin, end - begin)


def _as_float32(values: np.ndarray) -> np.ndarray:
    """Copy to float32."""
    if values.dtype != np.float16:
        return np.array(values, dtype=np.float32)
    import torch  # four times as fast as NumPy for this

    return torch.from_numpy(np.array(values)).float().numpy()
