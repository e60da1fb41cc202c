"""Chips of one modality, collected one by one in memory or in a nameless file."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Shaped

from geotether.tables.modality import Modality

IN_MEMORY = 8 * 2**30  # bytes of one modality that are held without being asked
_KEPT = ("uint8", "uint16", "int16", "float32")


class ChipRows:
    """Chips of one modality, row by row; the first one says shape and number type.

    uint8, uint16, int16 and float32 stay as they are, all else becomes float32.

    Args:
        name: Of the modality, for messages.
        count: Rows there will be.
        bands: Names of the bands, or empty.
        scratch: A folder for a nameless file that holds the chips in place of memory (it is gone when the last user
            is); None: in memory.

    Raises:
        FileNotFoundError: If there is no such folder.
    """

    def __init__(self, name: str, count: int, bands: Sequence[str] = (), scratch: str | Path | None = None) -> None:
        if scratch is not None and not Path(scratch).is_dir():
            raise FileNotFoundError(f"scratch must be a folder, but there is no {scratch}.")
        self.name, self.count, self.bands, self.scratch = name, count, tuple(bands), scratch
        self._present = np.zeros(count, dtype=bool)
        self._values: np.ndarray | None = None
        self._file: IO[bytes] | None = None
        self._row = 0
        self._shape: tuple[int, ...] = ()
        self._dtype = np.dtype(np.float32)

    def add(self, chip: Shaped[np.ndarray, "bands height width"] | None, where: object = "") -> None:
        """Add the next row.

        Args:
            chip: Shape (bands, height, width), or None where the row lacks this modality.
            where: The file or row, for messages.

        Raises:
            ValueError: If it has another shape than those before, a number type that theirs cannot hold, or all
                together need more than `IN_MEMORY` bytes and no scratch folder was given.
        """
        if chip is None:
            if self._shape:
                self._put(self._blank())
        else:
            self._start(chip)
            if chip.shape != self._shape:
                raise ValueError(
                    f"{where}: {self.name} has shape {chip.shape} (bands, height, width), but rows before it have "
                    f"{self._shape}. Give size= to bring all chips to one size."
                )
            stored = chip.dtype if chip.dtype.name in _KEPT else np.dtype(np.float32)
            if stored != self._dtype and not np.can_cast(stored, self._dtype, "safe"):
                raise ValueError(
                    f"{where}: {self.name} holds {chip.dtype}, but rows before it hold {self._dtype}; "
                    "read the two kinds of files apart."
                )
            self._present[self._row] = True
            self._put(chip.astype(self._dtype, copy=False))
        self._row += 1

    def sensor(self) -> Modality:
        """Give what was collected, after the last row."""
        if self._file is not None:
            self._file.flush()
            values: np.ndarray = np.memmap(self._file, self._dtype, "r", shape=(self.count, *self._shape))
            self._file.close()  # the map holds on to it
        else:
            values = np.empty(0) if self._values is None else self._values
        return Modality("chip", values, self._present, self.bands if len(self.bands) == self._shape[0] else ())

    def _start(self, chip: np.ndarray) -> None:
        if self._shape:
            return
        self._shape = chip.shape
        self._dtype = chip.dtype if chip.dtype.name in _KEPT else np.dtype(np.float32)
        needed = self.count * int(np.prod(chip.shape)) * self._dtype.itemsize
        if self.scratch is not None:
            self._file = tempfile.TemporaryFile(dir=self.scratch)  # noqa: SIM115 (open until the last chip)
        elif needed > IN_MEMORY:
            raise ValueError(
                f"{self.count} chips of {self.name} need {needed / 2**30:.0f} GiB of memory. Choose rows (limit=, "
                "split=), smaller chips (size=), or scratch=FOLDER to keep them on disk."
            )
        else:
            self._values = np.empty((self.count, *self._shape), dtype=self._dtype)
            self._values[: self._row] = self._blank()
        if self._file is not None:
            for _ in range(self._row):
                self._put(self._blank())

    def _blank(self) -> np.ndarray:
        return np.full(self._shape, np.nan if self._dtype.kind == "f" else 0, dtype=self._dtype)

    def _put(self, chip: np.ndarray) -> None:
        if self._file is not None:
            self._file.write(np.ascontiguousarray(chip).tobytes())  # not through a map: a full disk would kill
        elif self._values is not None:
            self._values[self._row] = chip
