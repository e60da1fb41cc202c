"""Features of columns: scaled numbers, classes and booleans as 0/1, dates on circles; declared or inferred."""

import fnmatch
import logging
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64

from geotether.features.column_encodings import (
    BooleanEncoding,
    DateEncoding,
    Encoding,
    LevelEncoding,
    NumberEncoding,
    encoding_of_plain,
    plain_encoding,
)
from geotether.features.column_kinds import UnsuitedError, as_plain, infer_kind, names_a_place
from geotether.features.featurizer import PlainSettings
from geotether.moments import mean_and_scale, principal_directions, project

_log = logging.getLogger(__name__)
_LISTED = 12  # omitted columns that a message names; others are counted
_A = {"numeric": "a number", "boolean": "true or false", "date": "a date", "categorical": "a class"}
# A name, a pattern, or several of them; checked by `_patterns`.
Names = Any


class ColumnFeatures(PlainSettings):
    """Features of the columns of a table.

    Columns are declared (a name, or a pattern such as "bio*" or "[0-9]*[A-Z]"), and the others are inferred by
    `geotether.features.column_kinds.infer_kind`. Inference omits ids, free texts, constants, and columns whose name
    says where a row is (country, tz, min_latitude ...); `ignored_` lists them with the reasons. A declared column is
    used whatever its name; it is an error if that is impossible.

    Numbers are centred on their median, divided by their interquartile range (scaled to a standard deviation) and
    clipped; those never negative and with a skewness above 2 become log(1 + x) first. Classes become one 0/1 feature
    per frequent value and one for all others; several values in one cell (lists) set several. Dates become sine and
    cosine of the day of the year and of the hour, and the year. Gaps are 0, the median, or the share of ones; they get
    a feature of their own if more than 0.1 % of the fitted rows have one.

    Args:
        numeric: Columns of numbers, used as they are.
        log: Columns of numbers, used as log(1 + x).
        categorical: Columns of classes, such as codes.
        boolean: Columns of booleans: true/false, yes/no, 1/0.
        date: Columns of dates or times; see `geotether.geodesy.dates.times_of`.
        ignore: Columns to omit.
        max_levels: Largest number of values of a class that get a feature.
        min_count: Number of fitted rows in which such a value must occur.
        hash_buckets: Number of features for the other values, assigned by hash; 0: one feature for all of them.
        clip: Numbers and years are clipped to -clip and clip.
        missing: "flag": gaps get features of their own; "fill": they are only filled.
        infer: Whether to use columns that are not declared.
        dim: Number of principal directions of the fitted rows on which the standardised features are projected, for
            many sparse classes. None: no projection.

    Attributes:
        ignored_: After `fit`: the reason for each omitted column.
        kinds_: After `fit`: the kind of each column used.

    Source:
        Fisher-Pearson skewness; robust scaling as in scikit-learn's RobustScaler(unit_variance=True); hashing after
        Weinberger et al. (2009), arXiv:0902.2206.

    Example:
        >>> trees = pa.table({"height": [3.0, 9.0, 12.0, 4.0], "kind": ["oak", "oak", "elm", "elm"]})
        >>> features = ColumnFeatures(min_count=2).fit(trees)
        >>> features.names()
        ['height', 'kind=elm', 'kind=oak']
        >>> features.transform(trees)[:2]
        array([[-0.7869047,  0.       ,  1.       ],
               [ 0.5620748,  0.       ,  1.       ]], dtype=float32)
    """

    takes: ClassVar[str] = "columns"
    fit_rows: ClassVar[int] = 100_000
    plain_state = ("encodings", "ignored")
    array_state = ("mean", "spread", "directions")

    def __init__(
        self,
        numeric: Names = None,
        log: Names = None,
        categorical: Names = None,
        boolean: Names = None,
        date: Names = None,
        ignore: Names = (),
        max_levels: int = 40,
        min_count: int = 20,
        hash_buckets: int = 0,
        clip: float = 5.0,
        missing: str = "flag",
        infer: bool = True,
        dim: int | None = None,
    ) -> None:
        declared = {"numeric": numeric, "log": log, "categorical": categorical, "boolean": boolean, "date": date}
        self.declared = {kind: _patterns(kind, names) for kind, names in declared.items()}
        self.ignore = _patterns("ignore", ignore)
        for option, value, least in (
            ("max_levels", max_levels, 1), ("min_count", min_count, 1), ("hash_buckets", hash_buckets, 0)
        ):  # fmt: skip
            if value < least:
                raise ValueError(f"{option} must be {least} or more, got {value}.")
        if not clip > 0:
            raise ValueError(f"clip must be above 0, got {clip}.")
        if missing not in ("flag", "fill"):
            raise ValueError(f'missing is "flag" or "fill", got {missing!r}.')
        if dim is not None and dim < 1:
            raise ValueError(f"dim must be 1 or more, or None, got {dim}.")
        if not infer and not any(self.declared.values()):
            raise ValueError("With infer=False, declare columns: numeric, log, categorical, boolean or date.")
        self.max_levels, self.min_count, self.hash_buckets = max_levels, min_count, hash_buckets
        self.clip, self.missing, self.infer, self.dim = clip, missing, infer, dim

    def fit(self, columns: Any) -> "ColumnFeatures":
        """Choose and fit an encoding for each column of an Arrow table; omitted columns are in `ignored_`."""
        _check_table(columns)
        if columns.num_rows == 0:
            raise ValueError("There are no rows to fit to.")
        kinds = self._declared_kinds(columns.column_names)
        ignored = _matching("ignore", self.ignore, columns.column_names)
        self.ignored_: dict[str, str] = {}
        texts: list[str] = []
        self.encodings_: list[Encoding] = []
        for name in columns.column_names:
            if name in kinds and name in ignored:
                raise ValueError(f"Column {name!r} is both declared {kinds[name]} and ignored.")
            if name in ignored or (name not in kinds and not self.infer):
                self.ignored_[name] = "as asked" if name in ignored else "not declared"
                continue
            column = as_plain(columns[name])
            try:
                self.encodings_.append(self._encoding(name, column, kinds.get(name)))
            except UnsuitedError as reason:
                if name in kinds and str(reason) != "constant" and "min_count" not in str(reason):
                    raise ValueError(f"Column {name!r} is declared {kinds[name]}, but: {reason}.") from None
                self.ignored_[name] = str(reason)
                texts += [name] * reason.is_text
        self._log_ignored()
        hint = f" For features of the texts in {texts[0]}: --source texts --set column={texts[0]}." if texts else ""
        if not self.encodings_:
            said = "; ".join(f"{name}: {reason}" for name, reason in self.ignored_.items())
            raise ValueError(f"No column is left. {said or 'There are no columns.'}{hint}")
        self.kinds_ = {encoding.name: encoding.kind for encoding in self.encodings_}
        if self.dim is not None:
            matrix = self._encoded(columns)
            if self.dim > min(matrix.shape) and hint:
                raise ValueError(
                    f"dim={self.dim} needs as many features and rows to fit, but these {len(matrix)} rows have "
                    f"{matrix.shape[1]} features without the omitted texts.{hint}"
                )
            self.mean_, self.spread_ = mean_and_scale(matrix)
            self.directions_ = principal_directions((matrix - self.mean_) / self.spread_, self.dim)
        return self

    def transform(self, columns: pa.Table) -> Float32[np.ndarray, "n d"]:
        """Compute the features, shape (n, d); a class not seen in `fit` counts as other, or is 0 in all features."""
        matrix = self._encoded(columns)
        if self.dim is None:
            return matrix.astype(np.float32)
        return project((matrix - self.mean_) / self.spread_, self.directions_)

    def refuse(self, columns: pa.Table) -> dict[int, str]:
        """Refuse rows with a value that cannot be read, or without any value in the columns used."""
        self._check(columns)
        empty = np.ones(columns.num_rows, dtype=bool)
        reasons: dict[int, str] = {}
        for encoding in self.encodings_:
            gaps, bad = encoding.read(as_plain(columns[encoding.name]))
            empty &= gaps & ~bad
            reasons |= dict.fromkeys(np.flatnonzero(bad).tolist(), f"{encoding.name} is not {_A[encoding.kind]}")
        return reasons | dict.fromkeys(np.flatnonzero(empty).tolist(), "no value in any of the columns used")

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        lists = {kind: None if names is None else list(names) for kind, names in self.declared.items()}
        rest = ("max_levels", "min_count", "hash_buckets", "clip", "missing", "infer", "dim")
        return lists | {"ignore": list(self.ignore or ())} | {name: getattr(self, name) for name in rest}

    def fitted(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the fitted state; see `Featurizer.fitted`."""
        values = {"encodings": [plain_encoding(encoding) for encoding in self.encodings_], "ignored": self.ignored_}
        return values, super().fitted()[1]

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "ColumnFeatures":
        """Restore the state returned by `fitted`."""
        super().restore(values | {"encodings": [encoding_of_plain(plain) for plain in values["encodings"]]}, arrays)
        self.kinds_ = {encoding.name: encoding.kind for encoding in self.encodings_}
        return self

    def names(self) -> list[str]:
        """Return the names of the features: "log mass", "diet=seeds"; with `dim` "direction 1" and so on."""
        if self.dim is not None:
            return [f"direction {number + 1}" for number in range(self.dim)]
        return [name for encoding in self.encodings_ for name in encoding.names()]

    def _declared_kinds(self, there: list[str]) -> dict[str, str]:
        kinds: dict[str, str] = {}
        for kind, patterns in self.declared.items():
            for name in _matching(kind, patterns, there):
                if name in kinds:
                    raise ValueError(f"Column {name!r} is declared both {kinds[name]} and {kind}.")
                kinds[name] = kind
        return kinds

    def _encoding(self, name: str, column: pa.ChunkedArray, kind: str | None) -> Encoding:
        flag, declared = self.missing == "flag", kind
        kind = kind or infer_kind(name, column, self.min_count)
        if kind in ("numeric", "log"):
            log = None if declared is None else kind == "log"
            return NumberEncoding.fit(name, column, log, self.clip, flag)
        if kind == "boolean":
            return BooleanEncoding.fit(name, column, flag)
        if pa.types.is_binary(column.type) or pa.types.is_struct(column.type):
            raise ValueError(f"Column {name!r} is declared {kind}, but has the type {column.type}.")
        if kind == "date":
            return DateEncoding.fit(name, column, self.clip, flag)
        return LevelEncoding.fit(name, column, self.max_levels, self.min_count, self.hash_buckets, flag)

    def _log_ignored(self) -> None:
        placed = [name for name, reason in self.ignored_.items() if names_a_place(name) and "place" in reason]
        if placed:
            _log.warning(
                "Omitted, because their names say that they are places: %s. Declare them to use them.",
                ", ".join(placed),
            )
        rest = [f"{name} ({reason})" for name, reason in self.ignored_.items() if name not in placed]
        if rest:
            more = f"; and {len(rest) - _LISTED} more" if len(rest) > _LISTED else ""
            _log.info("Omitted: %s%s.", "; ".join(rest[:_LISTED]), more)

    def _check(self, columns: pa.Table) -> None:
        _check_table(columns)
        self.check_fitted()
        lacking = [encoding.name for encoding in self.encodings_ if encoding.name not in columns.column_names]
        if lacking:
            raise ValueError(
                f"There is no column {lacking[0]!r}, which the features were fitted to; "
                f"there are {', '.join(map(repr, columns.column_names[:40]))}."
            )

    def _encoded(self, columns: pa.Table) -> Float64[np.ndarray, "n d"]:
        self._check(columns)
        return np.concatenate([part.encode(as_plain(columns[part.name])) for part in self.encodings_], axis=1)


def _check_table(columns: Any) -> None:
    if not isinstance(columns, pa.Table):
        raise TypeError(f"Columns must be an Arrow table, got {type(columns).__name__}; see pyarrow.Table.from_pandas.")


def _patterns(option: str, names: Names) -> tuple[str, ...] | None:
    if names is None:
        return None
    given = (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) for name in given):
        raise ValueError(f"{option} must be names of columns or patterns, got {names!r}.")
    return given


def _matching(option: str, patterns: tuple[str, ...] | None, there: list[str]) -> list[str]:
    found: dict[str, None] = {}
    for pattern in patterns or ():
        hits = [pattern] if pattern in there else [name for name in there if fnmatch.fnmatchcase(name, pattern)]
        if not hits:
            raise ValueError(
                f"{option}: there is no column {pattern!r}; there are {', '.join(map(repr, there[:40])) or 'none'}."
            )
        found |= dict.fromkeys(hits)
    return list(found)
