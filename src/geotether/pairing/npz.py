"""Paired data as the arrays of one .npz file."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from geotether.pairing.arrays import arranged_rows
from geotether.pairing.paired_file import Observed, band_names, unknown_column
from geotether.pairing.specification import ModalitySpec, PairedSpec


class NpzFile:
    """The arrays of a .npz file whose first axes are the samples.

    Args:
        path: The file; nothing in it is unpickled.
        spec: Which arrays are read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no .npz file.
    """

    def __init__(self, path: Path, spec: PairedSpec) -> None:
        self.folder = path.parent
        self._path = path
        with open_npz(path) as arrays:
            self._names = list(arrays.files)
        # The first array that has a row for every sample says how many there are.
        places = [one.values for one in spec.modalities.values() if one.values and one.at is None]
        columns = [name for name in (spec.id, spec.lon, spec.split, spec.group, spec.time, *spec.rows) if name]
        targets = [target.values or name for name, target in spec.targets.items()]
        self._counted = next(iter([*places, *columns, *targets]), "")
        if not self._counted:
            raise ValueError("no array tells the number of rows; at least one needs a row for every sample.")
        self._count = len(self._array(self._counted))

    def __len__(self) -> int:
        """Count the rows."""
        return self._count

    def column(self, name: str) -> np.ndarray:
        """Read an array with one value, or one line of values, a row."""
        return self._of_rows(name, self._array(name))

    def names(self, name: str) -> list[str]:
        """Read an array of names."""
        values = self._array(name)
        if values.ndim != 1:
            raise ValueError(f"array {name!r} should hold names, but has shape {values.shape}.")
        return [str(value) for value in values.tolist()]

    def places(self) -> None:
        """An npz marks no array as places."""
        return None

    def matrix(self, columns: str | list[str]) -> tuple[list[str], np.ndarray]:
        """Refuse: columns are parts of tables."""
        raise ValueError(f"columns {columns!r} are for Parquet and CSV; in an npz, name one array with values.")

    def observe(self, name: str, spec: ModalitySpec, rows: np.ndarray) -> Observed:
        """Read the observations of one modality for some rows."""
        if spec.values is None:
            raise ValueError("an npz holds arrays; name one with values.")
        values = arranged_rows(self._array(spec.values), spec, f"array {spec.values!r}")
        bands = self.names(spec.bands) if isinstance(spec.bands, str) else spec.bands or []
        if spec.at is None:
            values = self._of_rows(spec.values, values)[rows]
            return Observed(values, np.ones(len(rows), dtype=bool), band_names(bands))
        at = self._array(spec.at)
        if at.dtype.kind not in "iu" or at.shape != (len(values),):
            raise ValueError(
                f"{spec.at!r} needs one row number for each of {len(values)} rows of {spec.values!r}, got "
                f"{at.dtype} of shape {at.shape}."
            )
        if len(at) and (at.min() < 0 or at.max() >= len(self) or len(np.unique(at)) < len(at)):
            raise ValueError(f"{spec.at!r} must hold different row numbers from 0 to {len(self) - 1}.")
        position = np.full(len(self), -1)
        position[at] = np.arange(len(at))
        present = position[rows] >= 0
        spread = np.zeros((len(rows), *values.shape[1:]), dtype=values.dtype)
        spread[present] = values[position[rows][present]]
        return Observed(spread, present, band_names(bands))

    def _array(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise ValueError(unknown_column("array", name, self._names))
        with open_npz(self._path) as arrays:
            return plain_array(arrays, name)

    def _of_rows(self, name: str, values: np.ndarray) -> np.ndarray:
        if values.ndim == 0 or len(values) != len(self):
            raise ValueError(
                f"array {self._counted!r} has {len(self)} rows and {name!r} has "
                f"{len(values) if values.ndim else 'a single value'}; each sample needs one in both."
            )
        return values


@contextmanager
def open_npz(path: Path) -> Iterator[Any]:
    """Open a .npz file without unpickling anything.

    Args:
        path: The file.

    Yields:
        NumPy's mapping of names to arrays.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no .npz file, or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    with path.open("rb") as file:  # NumPy leaves a file of its own open where it is no zip
        try:
            arrays = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"it is damaged or is no .npz file: {error}.") from error
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array (.npy); save several with numpy.savez.")
        with arrays:
            yield arrays


def plain_array(arrays: Any, name: str) -> np.ndarray:
    """Read one array.

    Raises:
        ValueError: If it holds Python objects or is damaged.
    """
    try:
        return arrays[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise ValueError(f"array {name!r} is damaged: {error}.") from error
        raise ValueError(
            f"array {name!r} holds Python objects, which are not unpickled because that can run anybody's code; save "
            "it as numbers or texts, such as numpy.array(values, dtype=str)."
        ) from error
    except (EOFError, OSError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise ValueError(f"array {name!r} is damaged: {error}.") from error
