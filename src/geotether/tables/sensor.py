"""What one sensor saw of every sample: vectors, time series or image chips."""

import copy
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

KINDS = ("vector", "series", "chip")
_AXES = {"vector": "(n, d)", "series": "(n, t, bands)", "chip": "(n, bands, height, width)"}
_KEPT = ("uint8", "uint16", "int16")  # chips in these stay as they are: a quarter or half of the memory
_BYTES_AT_ONCE = 2**26


@dataclass(frozen=True, eq=False)
class Sensor:
    """Observations of one modality, row by row. Checked once, here; its arrays are not to be written to.

    Args:
        kind: One of `KINDS`.
        values: Of a vector (n, d), of a series (n, t, bands), of a chip (n, bands, height, width). Kept as float32;
            chips of uint8, uint16 or int16 stay what they are. NaN is missing inside a row. May be a memory map.
        present: False where a row lacks this modality, shape (n,); its values are then without meaning. By default
            every row has it. Rows that hold nothing but NaN lack it in either case.
        bands: Names of the bands (of a vector, of its d numbers); empty if they have none.

    Raises:
        TypeError: If values are no numbers.
        ValueError: If the kind is unknown, values have the wrong number of axes, an axis is empty, a value is
            infinite, or lengths differ.

    Example:
        >>> radar = Sensor("series", np.array([[[-9.6, -16.5]], [[np.nan, np.nan]]]), bands=("VV", "VH"))
        >>> radar.shape, radar.num_bands, radar.present.tolist()
        ((1, 2), 2, [True, False])
    """

    kind: str
    values: np.ndarray
    present: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    bands: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check and convert."""
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}.")
        values = _numbers(self.kind, self.values)
        if values.ndim != len(_AXES[self.kind].split(",")):
            raise ValueError(f"a {self.kind} needs values of shape {_AXES[self.kind]}, got {values.shape}.")
        if len(values) == 0 or 0 in values.shape:
            raise ValueError(f"values have shape {values.shape}; no axis may be empty.")
        present = np.asarray(self.present if len(self.present) else np.ones(len(values), dtype=bool))
        if present.shape != (len(values),) or present.dtype != bool:
            raise ValueError(
                f"present needs one True or False for each of {len(values)} rows, got {present.dtype} of shape "
                f"{present.shape}."
            )
        if len(self.bands) not in (0, _num_bands(self.kind, values)):
            raise ValueError(f"{len(self.bands)} names of bands for {_num_bands(self.kind, values)} bands.")
        set_fields(self, values=values, present=present & _seen(values, present), bands=tuple(map(str, self.bands)))

    def __len__(self) -> int:
        """Count the rows, with those that lack this modality."""
        return len(self.values)

    def __repr__(self) -> str:
        """Say what the sensor holds in one line."""
        return f"Sensor({self.kind!r}, {self.present.sum()} of {len(self)} rows, {self.shape} of {self.values.dtype})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row: (d,), (t, bands) or (bands, height, width)."""
        return self.values.shape[1:]

    @property
    def num_bands(self) -> int:
        """Number of bands; of a vector, its d."""
        return _num_bands(self.kind, self.values)

    def rows(self, numbers: np.ndarray) -> "Sensor":
        """Take rows by their numbers, in their order; those of a memory map go into another memory map.

        Args:
            numbers: Row numbers, shape (m,).
        """
        taken = copy.copy(self)
        return set_fields(taken, values=take_rows(self.values, numbers), present=self.present[numbers])


def set_fields(frozen: Any, **values: Any) -> Any:
    """Set fields of a frozen dataclass that is still being made, and return it."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)
    return frozen


def parts_of(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Runs of rows of bounded size with the number of their first row, so that a memory map stays on disk."""
    step = max(1, _BYTES_AT_ONCE // max(1, values[:1].nbytes))
    for start in range(0, len(values), step):
        yield start, values[start : start + step]


def take_rows(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Rows of an array of any shape; those of a memory map go into a nameless memory map on the same disk."""
    if not isinstance(values, np.memmap):
        return values[numbers]
    source = getattr(values, "filename", None)
    with tempfile.TemporaryFile(dir=Path(source).parent if source else None) as file:
        step = max(1, _BYTES_AT_ONCE // max(1, values[:1].nbytes))
        for start in range(0, len(numbers), step):
            # Not through a map: a full disk would kill the process.
            file.write(values[numbers[start : start + step]].tobytes())
        file.flush()
        return np.memmap(file, values.dtype, "r", shape=(len(numbers), *values.shape[1:]))


def _num_bands(kind: str, values: np.ndarray) -> int:
    return values.shape[2] if kind == "series" else values.shape[1]


def _numbers(kind: str, values: Any) -> np.ndarray:
    values = np.asanyarray(values)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"values must be numbers, got {values.dtype}.")
    if values.dtype == np.float32 or (kind == "chip" and values.dtype.name in _KEPT):
        return values
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is named below
        return values.astype(np.float32)


def _seen(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Where rows hold any number; an infinite one in a row that counts is refused."""
    seen = np.ones(len(values), dtype=bool)
    if values.dtype.kind != "f":
        return seen
    for start, part in parts_of(values):
        axes = tuple(range(1, part.ndim))
        seen[start : start + len(part)] = ~np.isnan(part).all(axis=axes)
        infinite = np.isinf(part).any(axis=axes) & present[start : start + len(part)]
        if infinite.any():
            row = int(infinite.argmax())
            at = tuple(np.argwhere(np.isinf(part[row]))[0].tolist())
            raise ValueError(f"row {start + row} is {part[row][at]} at {at}; what is missing is written as NaN.")
    return seen
