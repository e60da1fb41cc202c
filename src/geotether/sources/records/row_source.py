"""Sources whose rows are those of one file."""

from abc import ABC, abstractmethod
from pathlib import Path

import pyarrow as pa

from geotether.sources.records.row_file import RowFile
from geotether.sources.source import Observations


class RowSource(ABC):
    """A source that reads a `RowFile`; a subclass says which columns of it count and what they make of a row.

    Args:
        file: Of the rows.
    """

    def __init__(self, file: RowFile) -> None:
        self.file = file

    def prepare(self, folder: Path) -> None:
        """See `Source.prepare`.

        Raises:
            ValueError: If the file is damaged, lacks a column (those found are listed), has none that suits, or no row
                has a valid place.
        """
        self._choose(self.file.prepare(folder))

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.file)

    def read(self, start: int, stop: int) -> Observations:
        """Read some rows; see `Source.read`."""
        return self._observe(*self.file.read(start, stop))

    def fingerprint(self) -> str:
        """See `Source.fingerprint`."""
        return self.file.fingerprint()

    @abstractmethod
    def _choose(self, schema: pa.Schema) -> None:
        """Keep the names of the columns that count.

        Raises:
            ValueError: If one is not there or does not suit.
        """

    @abstractmethod
    def _observe(self, table: pa.Table, seen: Observations, reasons: dict[int, str]) -> Observations:
        """Give the content to what `RowFile.read` gave, and reject what has none."""
