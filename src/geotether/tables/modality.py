"""One modality's observations of every row: vectors, time series or image chips."""

import copy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geotether.files.mapped_rows import MappedRows

KINDS = ("vector", "series", "chip")
_AXES = {"vector": "(n, d)", "series": "(n, t, bands)", "chip": "(n, bands, height, width)"}
_KEPT = ("uint8", "uint16", "int16")  # the number types of chips that are not converted: they save memory
_BYTES_AT_ONCE = 2**26


@dataclass(frozen=True, eq=False)
class Modality:
    """Observations of one kind, one per row. Checked once, here; do not write to its arrays.

    Args:
        kind: One of `KINDS`.
        values: Shape (n, d) for vectors, (n, t, bands) for series, (n, bands, height, width) for chips. Converted to
            float32, except chips of uint8, uint16 or int16. NaN marks a missing value. May be a memory map, or
            `MappedRows`, whose values were checked before.
        present: False where a row lacks this modality, shape (n,); its values are then ignored. By default all rows
            have it. Rows whose values are all NaN lack it in either case.
        bands: Names of the bands (for vectors, of the d numbers); may be empty.
        complete: Require at least two rows of finite vectors that are not all equal, as training with locations does.

    Raises:
        TypeError: If values are not numbers.
        ValueError: If the kind is unknown, the shape does not fit it, an axis is empty, a value is infinite, lengths
            differ, or `complete` is requested and a value is missing or all rows are equal.

    Example:
        >>> radar = Modality("series", np.array([[[-9.6, -16.5]], [[np.nan, np.nan]]]), bands=("VV", "VH"))
        >>> radar.shape, radar.num_bands, radar.present.tolist()
        ((1, 2), 2, [True, False])
    """

    kind: str
    values: Any
    present: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    bands: tuple[str, ...] = ()
    complete: bool = False

    def __post_init__(self) -> None:
        """Check and convert."""
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}.")
        values = _numbers(self.kind, self.values)
        if values.ndim != len(_AXES[self.kind].split(",")):
            raise ValueError(f"a {self.kind} needs values of shape {_AXES[self.kind]}, got {values.shape}.")
        if self.complete and len(values) < 2:
            raise ValueError(f"it has {len(values) or 'no'} rows; contrast needs at least two.")
        if len(values) == 0 or 0 in values.shape:
            raise ValueError(f"values have shape {values.shape}; no axis may be empty.")
        present = np.asarray(self.present if len(self.present) else np.ones(len(values), dtype=bool))
        if present.shape != (len(values),) or present.dtype != bool:
            raise ValueError(
                f"present needs one boolean for each of {len(values)} rows, got {present.dtype} of shape "
                f"{present.shape}."
            )
        if len(self.bands) not in (0, _num_bands(self.kind, values)):
            raise ValueError(f"{len(self.bands)} names of bands for {_num_bands(self.kind, values)} bands.")
        if not self.complete:
            present = present & _observed(values, present)
        elif not isinstance(values, MappedRows):
            _check_complete(self.kind, values, present)
        set_fields(self, values=values, present=present, bands=tuple(map(str, self.bands)))

    def __len__(self) -> int:
        """Count the rows, including those that lack this modality."""
        return len(self.values)

    def __repr__(self) -> str:
        """Describe the observations in one line."""
        return f"Modality({self.kind!r}, {self.present.sum()} of {len(self)} rows, {self.shape} of {self.values.dtype})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row: (d,), (t, bands) or (bands, height, width)."""
        return self.values.shape[1:]

    @property
    def num_bands(self) -> int:
        """Number of bands; for vectors, d."""
        return _num_bands(self.kind, self.values)

    def rows(self, which: np.ndarray | slice) -> "Modality":
        """Take rows by number, as `take_rows`, or by a slice, which copies nothing."""
        return set_fields(copy.copy(self), values=take_rows(self.values, which), present=self.present[which])


def set_fields(frozen: Any, **values: Any) -> Any:
    """Set fields of a frozen dataclass that is still being made, and return it."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)
    return frozen


def refuse_masked(values: Any, what: str) -> None:
    """Raise TypeError for a masked array, whose hidden values would otherwise be used."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{what} is a masked array; fill it first, such as values.astype(float).filled(numpy.nan).")


def text_array(values: Any) -> np.ndarray:
    """Return texts as an object array: one long text then takes no more memory than its own."""
    if isinstance(values, np.ndarray):
        values = (values.astype(str) if values.dtype.kind in "SM" else values).tolist()
    found = np.empty(len(values), dtype=object)
    found[:] = [str(value) for value in values]
    return found


def parts_of(values: Any) -> Iterator[tuple[int, np.ndarray]]:
    """Yield runs of rows of bounded size, each with the number of its first row, without loading a whole memory map."""
    step = max(1, _BYTES_AT_ONCE // max(1, values[:1].nbytes))
    for start in range(0, len(values), step):
        yield start, values[start : start + step]


def take_rows(values: Any, numbers: np.ndarray | slice) -> Any:
    """Take rows of an array by number or by a slice, which copies nothing.

    Rows of a memory map are copied to an unnamed memory map on the same disk; of `MappedRows` nothing is copied.
    """
    if isinstance(values, MappedRows):
        return values.rows(numbers)
    if isinstance(numbers, slice) or not isinstance(values, np.memmap):
        return values[numbers]
    source = getattr(values, "filename", None)
    with tempfile.TemporaryFile(dir=Path(source).parent if source else None) as file:
        step = max(1, _BYTES_AT_ONCE // max(1, values[:1].nbytes))
        for start in range(0, len(numbers), step):
            # Written as bytes: writing through a map to a full disk would kill the process.
            file.write(values[numbers[start : start + step]].tobytes())
        file.flush()
        return np.memmap(file, values.dtype, "r", shape=(len(numbers), *values.shape[1:]))


def _num_bands(kind: str, values: np.ndarray) -> int:
    return values.shape[2] if kind == "series" else values.shape[1]


def _numbers(kind: str, values: Any) -> Any:
    if isinstance(values, MappedRows):
        return values
    refuse_masked(values, "values")
    values = np.asanyarray(values)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"values must be numbers, got {values.dtype}.")
    if values.dtype == np.float32 or (kind == "chip" and values.dtype.name in _KEPT):
        return values
    with np.errstate(over="ignore"):  # values beyond float32 become infinite and are reported below
        return values.astype(np.float32)


def _observed(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Find rows that hold any number; refuse infinite ones in rows that are present."""
    observed = np.ones(len(values), dtype=bool)
    if values.dtype.kind != "f":
        return observed
    for start, part in parts_of(values):
        axes = tuple(range(1, part.ndim))
        observed[start : start + len(part)] = ~np.isnan(part).all(axis=axes)
        infinite = np.isinf(part).any(axis=axes) & present[start : start + len(part)]
        if infinite.any():
            row = int(infinite.argmax())
            at = tuple(np.argwhere(np.isinf(part[row]))[0].tolist())
            raise ValueError(f"row {start + row} is {part[row][at]} at {at}; write missing values as NaN.")
    return observed


def _check_complete(kind: str, values: np.ndarray, present: np.ndarray) -> None:
    if kind != "vector" or not present.all():
        raise ValueError("only vectors that are present in every row can be complete.")
    where = _first(values, lambda part: ~np.isfinite(part))
    if where is not None:
        raise ValueError(
            f"features must be finite float32 numbers; row {where[0]}, column {where[1]} is {values[where]}. "
            "Leave such rows out or fill them in."
        )
    if _first(values, lambda part: part != values[:1]) is None:
        raise ValueError("all rows have the same features, so there is nothing to learn from them.")


def _first(values: np.ndarray, wrong: Callable[[np.ndarray], np.ndarray]) -> tuple[int, int] | None:
    """Find row and column of the first value for which `wrong` holds."""
    for start, part in parts_of(values):
        found = wrong(part)
        if found.any():
            row, column = divmod(int(found.argmax()), found.shape[1])
            return start + row, column
    return None
