"""Paired data in the arrays of one .npz file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from geotether.files.arrays import reading_arrays
from geotether.files.disk import check_file
from geotether.pairing.observations import arranged_rows, spread, unknown_column
from geotether.pairing.specification import ModalitySpec, PairedSpec
from geotether.tables.modality import Modality


class NpzFile:
    """The arrays of a .npz file whose first axes are the samples; nothing in it is unpickled."""

    def __init__(self, path: Path, spec: PairedSpec) -> None:
        self.folder = path.parent
        self._path = path
        with _open_npz(path) as arrays:
            self._names = list(arrays.files)
        # The first array with a row for every sample gives the number of rows.
        places = [one.values for one in spec.modalities.values() if one.values and one.at is None]
        columns = [name for name in (spec.id, spec.lon, spec.split, spec.group, spec.time, *spec.rows) if name]
        targets = [target.values or name for name, target in spec.targets.items()]
        self._counted = next(iter([*places, *columns, *targets]), "")
        if not self._counted:
            raise ValueError("no array gives the number of rows; at least one needs a row for every sample.")
        self._count = len(self._array(self._counted))

    def __len__(self) -> int:
        """Count the rows."""
        return self._count

    def column(self, name: str) -> np.ndarray:
        """Read an array with one value, or one row of values, per sample."""
        return self._of_rows(name, self._array(name))

    def names(self, name: str) -> list[str]:
        """Read an array of names."""
        values = self._array(name)
        if values.ndim != 1:
            raise ValueError(f"array {name!r} should hold names, but has shape {values.shape}.")
        return [str(value) for value in values.tolist()]

    def places(self, lon: str | None, lat: str | None) -> np.ndarray | None:
        """Read arrays of longitudes and latitudes, shape (n, 2); None without names."""
        if lon is None or lat is None:
            return None
        degrees = []
        for axis, name in (("lon", lon), ("lat", lat)):
            values = self.column(name)
            if values.dtype.kind not in "fiu" or values.ndim != 1:
                raise TypeError(f"{axis} must be numbers in degrees, but {name!r} holds {values.dtype}.")
            degrees.append(values.astype(np.float64))
        return np.stack(degrees, axis=1)

    def matrix(self, columns: str | list[str]) -> tuple[list[str], np.ndarray]:
        """Refuse: an npz has arrays, not columns."""
        raise ValueError(f"columns {columns!r} are for tables; in an npz, name one array with values.")

    def observe(self, name: str, spec: ModalitySpec, rows: np.ndarray) -> Modality:
        """Read the observations of one modality for some rows."""
        if spec.values is None:
            raise ValueError("an npz holds arrays; name one with values.")
        values = arranged_rows(self._array(spec.values), spec, f"array {spec.values!r}")
        bands = self.names(spec.bands) if isinstance(spec.bands, str) else spec.bands or []
        if spec.at is None:
            return Modality(spec.kind, self._of_rows(spec.values, values)[rows], bands=tuple(bands))
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
        position = position[rows]
        return spread(values[position[position >= 0]], position >= 0, spec, bands)

    def _array(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise ValueError(unknown_column("array", name, self._names))
        with reading_arrays(f"array {name!r}"), _open_npz(self._path) as arrays:
            return arrays[name]

    def _of_rows(self, name: str, values: np.ndarray) -> np.ndarray:
        if values.ndim == 0 or len(values) != len(self):
            raise ValueError(
                f"array {self._counted!r} has {len(self)} rows and {name!r} has "
                f"{len(values) if values.ndim else 'a single value'}; each sample needs one in both."
            )
        return values


@contextmanager
def _open_npz(path: Path) -> Iterator[Any]:
    check_file(path)
    with path.open("rb") as file:  # opened here, because NumPy does not close a file that is not a zip
        with reading_arrays(path):
            arrays = np.load(file, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array (.npy); save several with numpy.savez.")
        with arrays:
            yield arrays
