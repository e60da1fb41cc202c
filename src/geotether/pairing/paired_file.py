"""What every format of paired data can be asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from geotether.pairing.specification import ModalitySpec
from geotether.suggestions import closest


@dataclass(frozen=True, eq=False)
class Observed:
    """The observations of one modality as a file holds them; the fields are those of `Modality`."""

    values: np.ndarray
    present: np.ndarray
    bands: tuple[str, ...] = ()


@runtime_checkable
class PairedFile(Protocol):
    """Rows of samples in some format.

    Attributes:
        folder: The folder that other files are seen from.
    """

    folder: Path

    def __len__(self) -> int:
        """Count the rows."""

    def column(self, name: str) -> np.ndarray:
        """Read one value a row, or one line of values: shape (n,) or (n, k); lists stay lists (dtype object).

        Raises:
            ValueError: If there is no such column, or it has another number of rows.
        """

    def names(self, name: str) -> list[str]:
        """Read names that the file keeps beside the rows.

        Raises:
            ValueError: If it keeps none of that name.
        """

    def places(self) -> np.ndarray | None:
        """Read the places that the format itself marks as such, shape (n, 2); None if there are none."""

    def matrix(self, columns: str | list[str]) -> tuple[list[str], np.ndarray]:
        """Read columns of numbers by their names or a pattern: their names, and shape (n, k).

        Raises:
            ValueError: If there is no such column, or it holds no numbers.
        """

    def observe(self, name: str, spec: ModalitySpec, rows: np.ndarray) -> Observed:
        """Read what one modality saw of some rows.

        Args:
            name: Of the modality.
            spec: Where its observations are.
            rows: Row numbers, rising.

        Raises:
            ValueError: If something is missing or not as specified.
        """


def band_names(bands: Iterable[object]) -> tuple[str, ...]:
    """Names of bands as texts."""
    return tuple(str(band) for band in bands)


def unknown_column(what: str, name: str, known: Iterable[str]) -> str:
    """Say that there is no column or array of this name, and which is closest."""
    known = list(known)
    listed = ", ".join(known[:30]) or "none"
    return f"there is no {what} {name!r}.{closest(name, known)} Found: {listed}."
