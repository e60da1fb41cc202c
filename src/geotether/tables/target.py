"""Targets: what to predict about each row: its class, its labels or a number."""

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.files.values import is_text, without_dictionary
from geotether.tables.modality import refuse_masked, set_fields, text_array

TARGET_KINDS = ("classes", "labels", "numbers")


@dataclass(frozen=True, eq=False)
class Target:
    """A target of every row, some of them unknown. Checked once, here.

    Args:
        kind: "classes" (one of k per row), "labels" (any number of k per row) or "numbers".
        values: Classes: integers (n,) from 0 to k - 1, -1 where unknown (int64). Labels: 0 or 1, shape (n, k), a row
            of NaN where unknown (float32). Numbers: shape (n,), NaN where unknown (float64; `of_column` keeps other
            number types).
        names: Names of the k classes or labels; for numbers one name, with its unit.

    Raises:
        TypeError: If values are not numbers.
        ValueError: If the kind is unknown, shapes do not fit, a class is out of range, a label is neither 0 nor 1, a
            number is infinite, or names are missing or repeated.

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
        refuse_masked(self.values, "values")
        values, names = np.asarray(self.values), tuple(map(str, self.names))
        if values.dtype.kind not in "fiub":
            raise TypeError(f"values of a target must be numbers, got {values.dtype}.")
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise ValueError(f"the name {repeated[0]!r} is repeated.")
        axes = 2 if self.kind == "labels" else 1
        if values.ndim != axes:
            raise ValueError(f"{self.kind} need shape {'(n, k)' if axes == 2 else '(n,)'}, got {values.shape}.")
        check = {"classes": _classes, "labels": _labels, "numbers": _numbers}[self.kind]
        set_fields(self, values=check(values, names), names=names)

    @classmethod
    def of_column(cls, name: str, values: Sequence[Any] | np.ndarray) -> "Target":
        """Make a target of a column: texts become classes, numbers and booleans stay what they are.

        Args:
            name: Name of the column.
            values: Shape (n,); an empty text or NaN is unknown.

        Raises:
            TypeError: If values are neither texts nor numbers.
            ValueError: If there are several per row.

        Example:
            >>> Target.of_column("kind", ["oak", "", "ash"]).names
            ('ash', 'oak')
        """
        refuse_masked(values, "it")
        if not isinstance(values, np.ndarray):
            values = np.array(values, dtype=object if any(isinstance(value, str) for value in values) else None)
        if values.ndim != 1:
            raise ValueError(f"it needs one value per row, got shape {values.shape}.")
        if values.dtype.kind in "OU":
            for row, value in enumerate(values):
                if not isinstance(value, str):
                    raise TypeError(f"it must hold numbers or texts, but row {row} is {value!r}.")
            names = tuple(sorted(set(values.tolist()) - {""}))
            codes = {"": -1} | {name: code for code, name in enumerate(names)}
            return cls("classes", np.array([codes[value] for value in values.tolist()], dtype=np.int64), names)
        if values.dtype.kind not in "fiub":
            raise TypeError(f"it must hold numbers or texts, got {values.dtype}.")
        target = cls("numbers", np.zeros(len(values)), (name,))
        return set_fields(target, values=values)  # the number type counts for hashes and files

    @property
    def column(self) -> np.ndarray:
        """The values as a column: classes as texts, "" where unknown; labels and numbers as they are."""
        return text_array([*self.names, ""])[self.values] if self.kind == "classes" else self.values

    def __len__(self) -> int:
        """Count the rows, known or not."""
        return len(self.values)

    def __repr__(self) -> str:
        """Describe the target in one line."""
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
        """Number of known rows of each class or label; for numbers, of known rows."""
        if self.kind == "classes":
            found = np.bincount(self.values[self.known], minlength=len(self.names))
        else:
            found = np.atleast_1d(np.nansum(self.values, axis=0) if self.kind == "labels" else self.known.sum())
        return dict(zip(self.names, found.astype(int).tolist(), strict=True))

    def rows(self, which: np.ndarray | slice) -> "Target":
        """Take rows by number, in their order, or by a slice; the names stay."""
        return set_fields(copy.copy(self), values=self.values[which])


@dataclass(frozen=True)
class TargetEncoding:
    """The numbers by which a network predicts a target.

    Attributes:
        target: Name of the target.
        kind: "classes", "labels" or "numbers".
        names: Names of the classes or labels; for numbers one name.
        mean: Mean of the training rows, for numbers; else 0.
        scale: Their standard deviation, for numbers; else 1.
    """

    target: str
    kind: str
    names: tuple[str, ...]
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, name: str, target: Target, training_rows: np.ndarray) -> "TargetEncoding":
        """Fit the encoding of a whole table's target to the known ones of its training rows, given by number.

        Raises:
            ValueError: If no training row is known, or all have the same class, labels or number.
        """
        known = training_rows[target.known[training_rows]]
        if not len(known):
            raise ValueError(
                f"No training row has the target {name!r} ({int(target.known.sum())} rows of other splits have it), so "
                "there is nothing to learn. Choose another target, or train without label ties (ties.label=0)."
            )
        values = target.values[known]
        if len(np.unique(values, axis=0)) < 2:
            raise ValueError(f"All {len(known)} training rows have the same {name!r} ({values[0]}): nothing to learn.")
        if target.kind != "numbers":
            return cls(name, target.kind, target.names)
        return cls(name, target.kind, target.names, float(values.mean()), float(values.std()))

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "TargetEncoding":
        """Restore what `plain` returned."""
        return cls(**{**plain, "names": tuple(plain["names"])})

    def plain(self) -> dict[str, Any]:
        """Return plain values for a model folder."""
        return {**asdict(self), "names": list(self.names)}

    @property
    def num_outputs(self) -> int:
        """Number of outputs of the network per row."""
        return len(self.names)

    def encode(self, target: Target, known: np.ndarray | None = None) -> np.ndarray:
        """Encode a target for the loss: numbers are standardised, unknown values are -1 or NaN.

        Args:
            target: The target of some rows.
            known: Numbers of the rows whose target may be used; None: all that are known.

        Returns:
            Classes int64 (n,), labels float32 (n, k), or numbers float32 (n,).

        Raises:
            ValueError: If the target is of another kind or has other names.
        """
        if target.kind != self.kind or (self.kind != "numbers" and target.names != self.names):
            raise ValueError(
                f"{self.target!r} is {target.kind} of {_summary(target.names)}, but the model was trained on "
                f"{self.kind} of {_summary(self.names)}; give rows with the same names in the same order."
            )
        if self.kind == "classes":
            encoded = target.values.astype(np.int64)
        else:
            values = target.values if self.kind == "labels" else (target.values - self.mean) / self.scale
            encoded = values.astype(np.float32)
        if known is not None:
            encoded[np.setdiff1d(np.arange(len(encoded)), known)] = -1 if self.kind == "classes" else np.nan
        return encoded


def classes_target(
    values: Sequence[Any] | np.ndarray,
    names: Sequence[str] | Mapping[Any, str] | None = None,
    unknown: Iterable[Any] = (),
    min_count: int = 0,
) -> Target:
    """Make classes from the values of a column.

    Args:
        values: One per row: texts, integers, booleans or dates. None, NaN, NaT and "" are unknown.
        names: If values are codes 0 to k - 1: the k names; if they are texts: those to keep, in this order; or a
            name for each code or text. None: the values that occur become the names, sorted (numbers by size).
        unknown: Further values that mean unknown, such as -1.
        min_count: Classes with fewer rows are dropped; their rows become unknown.

    Raises:
        ValueError: If a value has no name, or no class is left.

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
    """Make labels from lists of codes or texts.

    Args:
        lists: One list per row, which may be empty; None is unknown.
        names: The labels to keep, in this order, or their codes and names; other values are left out. None: every
            value that occurs, sorted.
        min_count: Labels with fewer rows are left out.
        leave_out: Values that are not labels, such as a code for "no data".

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


def target_column(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a column of a target: texts, "" where missing, or numbers, NaN where missing."""
    column = without_dictionary(column)
    if is_text(column.type):
        return text_array(column.fill_null("").to_pylist())
    if column.null_count and pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.to_numpy()


def _classes(values: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    if values.dtype.kind not in "iu":
        raise ValueError(f"classes need integers, got {values.dtype}.")
    wrong = (values < -1) | (values >= len(names))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"class {values[row]} in row {row} is out of range: there are {len(names)} names, and -1 is unknown."
        )
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
            f"label {names[column]!r} in row {row} is {values[row, column]:g}; labels are 0 or 1, and all "
            "values of a row without labels are NaN."
        )
    return values


def _numbers(values: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    if len(names) != 1:
        raise ValueError(f"numbers have one name, such as 'height (m)'; got {len(names)}.")
    values = values.astype(np.float64)
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise ValueError(f"row {row} is {values[row]}; write unknown numbers as NaN.")
    return values


def _listed(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) and values.dtype.kind != "M" else list(values)


def _plain(value: Any) -> Any:
    """Convert a value to one that compares as expected: 3.0 to 3, NaN and NaT to None, dates to texts."""
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
    """Sort numbers by size before texts alphabetically."""
    return sorted(values, key=lambda value: (isinstance(value, str), value))


def _summary(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:4])}{' and others' if len(names) > 4 else ''} ({len(names)})"
