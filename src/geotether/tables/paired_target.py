"""What is to be told about a sample: its class, its labels or a number."""

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geotether.tables.sensor import set_fields

TARGET_KINDS = ("classes", "labels", "numbers")


@dataclass(frozen=True, eq=False)
class Target:
    """A target of every row, some of them unknown. Checked once, here.

    Args:
        kind: "classes" (one of k a row), "labels" (any number of k a row) or "numbers".
        values: Classes: whole numbers (n,) from 0 to k - 1, -1 where unknown (int64). Labels: 0 or 1, shape (n, k),
            a whole row of NaN where unknown (float32). Numbers: shape (n,), NaN where unknown (float64).
        names: Of the k classes or labels; of numbers one name, with its unit.

    Raises:
        TypeError: If values are no numbers.
        ValueError: If the kind is unknown, shapes do not fit, a class is out of range, a label is neither 0 nor 1, a
            number is infinite, or names are missing or come twice.

    Example:
        >>> crop = Target("classes", np.array([1, -1, 0]), ("maize", "wheat"))
        >>> crop.known.tolist(), crop.counts
        ([True, False, True], {'maize': 1, 'wheat': 1})
    """

    kind: str
    values: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check and convert."""
        if self.kind not in TARGET_KINDS:
            raise ValueError(f"kind must be one of {', '.join(TARGET_KINDS)}, got {self.kind!r}.")
        values, names = np.asarray(self.values), tuple(map(str, self.names))
        if values.dtype.kind not in "fiub":
            raise TypeError(f"values of a target must be numbers, got {values.dtype}.")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"the name {twice[0]!r} comes twice.")
        axes = 2 if self.kind == "labels" else 1
        if values.ndim != axes:
            raise ValueError(f"{self.kind} need shape {'(n, k)' if axes == 2 else '(n,)'}, got {values.shape}.")
        check = {"classes": _classes, "labels": _labels, "numbers": _numbers}[self.kind]
        set_fields(self, values=check(values, names), names=names)

    def __len__(self) -> int:
        """Count the rows, known or not."""
        return len(self.values)

    def __repr__(self) -> str:
        """Say what the target holds in one line."""
        which = self.names[0] if self.kind == "numbers" else f"{len(self.names)} {self.kind}"
        return f"Target({which}, {self.known.sum()} of {len(self)} rows known)"

    @property
    def known(self) -> np.ndarray:
        """Which rows are known, shape (n,)."""
        if self.kind == "classes":
            return self.values >= 0
        return ~np.isnan(self.values if self.kind == "numbers" else self.values[:, 0])

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each class or label among those known; of numbers, the rows known."""
        if self.kind == "classes":
            found = np.bincount(self.values[self.known], minlength=len(self.names))
        else:
            found = np.atleast_1d(np.nansum(self.values, axis=0) if self.kind == "labels" else self.known.sum())
        return dict(zip(self.names, found.astype(int).tolist(), strict=True))

    def rows(self, numbers: np.ndarray) -> "Target":
        """Take rows by their numbers, in their order; the names stay.

        Args:
            numbers: Row numbers, shape (m,).
        """
        return set_fields(copy.copy(self), values=self.values[numbers])


def classes_target(
    values: Sequence[Any] | np.ndarray,
    names: Sequence[str] | Mapping[Any, str] | None = None,
    unknown: Iterable[Any] = (),
    min_count: int = 0,
) -> Target:
    """Make classes from what a column holds.

    Args:
        values: One a row: texts, whole numbers, booleans or dates. None, NaN, NaT and "" are unknown.
        names: If values are codes 0 to k - 1: the k names; if they are texts: those that count, in this order; or a
            name for each code or text. None: the values that occur become the names, sorted (numbers by size).
        unknown: Further values that mean unknown, such as -1.
        min_count: Classes that occur in fewer rows are no classes, and their rows unknown.

    Raises:
        ValueError: If a value is none of the classes that have names, or no class is left.

    Example:
        >>> target = classes_target(["oak", "", "ash", "oak"])
        >>> target.names, target.values.tolist()
        (('ash', 'oak'), [1, -1, 0, 1])
    """
    given = [_plain(value) for value in _listed(values)]
    none = {_plain(value) for value in unknown} | {None, ""}
    counts = Counter(value for value in given if value not in none)
    if isinstance(names, Mapping):
        known = {_plain(value): str(name) for value, name in names.items()}
    elif names is None:
        known = {value: str(value) for value in _sorted(counts)}
    elif any(isinstance(value, str) for value in counts):
        known = {str(name): str(name) for name in names}
    else:
        known = dict(enumerate(map(str, names)))
    for row, value in enumerate(given):
        if value not in none and value not in known:
            listed = ", ".join(map(repr, list(known)[:20])) + (" ..." if len(known) > 20 else "")
            raise ValueError(f"class {value!r} in row {row} is none of {listed}; list it as unknown if it means that.")
    none |= {value for value in known if counts[value] < min_count}
    known = {value: name for value, name in known.items() if value not in none}
    if not known:
        raise ValueError(f"no class occurs in {max(min_count, 1)} or more of {len(given)} rows.")
    codes = {value: code for code, value in enumerate(known)}
    coded = [-1 if value in none else codes[value] for value in given]
    return Target("classes", np.array(coded, dtype=np.int64), tuple(known.values()))


def labels_target(
    lists: Sequence[Any],
    names: Sequence[str] | Mapping[Any, str] | None = None,
    min_count: int = 0,
    leave_out: Iterable[Any] = (),
) -> Target:
    """Make multi-label targets from lists of codes or texts.

    Args:
        lists: One list a row, which may be empty; None is unknown.
        names: Which labels there are, in this order, or their codes and names; what is not among them is left out.
            None: every value that occurs, sorted.
        min_count: Only labels that occur in so many rows.
        leave_out: Values that are no label, such as a code for "no data".

    Raises:
        ValueError: If no label is left.

    Example:
        >>> target = labels_target([[8, 3], [], None, [3]], min_count=2)
        >>> target.names, target.values.tolist()
        (('3',), [[1.0], [0.0], [nan], [1.0]])
    """
    rows = [None if row is None else {_plain(value) for value in _listed(row)} for row in lists]
    out = {_plain(value) for value in leave_out} | {None}
    counts = Counter(value for row in rows if row for value in row if value not in out)
    if isinstance(names, Mapping):
        codes = {_plain(value): str(name) for value, name in names.items() if _plain(value) not in out}
    elif names is not None:
        codes = {_plain(value): str(value) for value in names if _plain(value) not in out}
    else:
        codes = {value: str(value) for value in _sorted(counts)}
    codes = {value: name for value, name in codes.items() if counts[value] >= min_count}
    if not codes:
        raise ValueError(f"no label occurs in {max(min_count, 1)} or more of {len(rows)} rows.")
    at = {value: column for column, value in enumerate(codes)}
    matrix = np.zeros((len(rows), len(codes)), dtype=np.float32)
    for number, row in enumerate(rows):
        if row is None:
            matrix[number] = np.nan
        else:
            matrix[number, [at[value] for value in row if value in at]] = 1
    return Target("labels", matrix, tuple(codes.values()))


def _classes(values: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    if values.dtype.kind not in "iu" or not names:
        raise ValueError(f"classes need whole numbers and names, got {values.dtype} and {len(names)} names.")
    wrong = (values < -1) | (values >= len(names))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"class {values[row]} in row {row} is out of range: there are {len(names)} names, -1 unknown.")
    return values.astype(np.int64)


def _labels(values: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    if values.shape[1] != len(names) or not names:
        raise ValueError(f"labels have {values.shape[1]} columns and {len(names)} names; each needs one.")
    values = values.astype(np.float32)
    unknown = np.isnan(values).all(axis=1)
    wrong = (values != 0) & (values != 1) & ~unknown[:, None]
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"label {names[column]!r} in row {row} is {values[row, column]:g}; labels are 0 or 1, and a row that is "
            "not labelled is NaN as a whole."
        )
    return values


def _numbers(values: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    if len(names) != 1:
        raise ValueError(f"numbers have one name, such as 'height (m)'; got {len(names)}.")
    values = values.astype(np.float64)
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise ValueError(f"row {row} is {values[row]}; a number that is not known is NaN.")
    return values


def _listed(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) and values.dtype.kind != "M" else list(values)


def _plain(value: Any) -> Any:
    """A value that compares and prints as one expects: 3.0 is 3, NaN and NaT are None, dates are texts."""
    if value is None or value != value:
        return None
    if isinstance(value, np.generic):
        value = str(value) if isinstance(value, np.datetime64) else value.item()
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float | str) else str(value)


def _sorted(values: Iterable[Any]) -> list[Any]:
    """Numbers by size before texts by their letters."""
    return sorted(values, key=lambda value: (isinstance(value, str), value))
