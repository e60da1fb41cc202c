"""What kind of thing a column holds, told from its type, its values and its name."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.features.column_names import ID_WORDS, names_a_place, words_of
from geotether.geodesy.dates import is_time, times_of

KINDS = ("numeric", "categorical", "boolean", "date")
_TRUTHS = {"true", "false", "yes", "no", "t", "f", "y", "n"}
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:?\d{2}.*)?$"
_OTHER_DATE = r"^\s*\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})(\s.*)?$"
_LONG_TEXT = 60  # characters, on average
_MOSTLY_DATES = 0.99


class UnsuitedError(ValueError):
    """A column that no features are made of.

    Args:
        why: In words.
        is_text: Whether it holds texts that the source 'texts' could read.
    """

    def __init__(self, why: str, is_text: bool = False) -> None:
        super().__init__(why)
        self.is_text = is_text


def as_plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without dictionary or extension type."""
    while pa.types.is_dictionary(column.type) or isinstance(column.type, pa.BaseExtensionType):
        inner = column.type.value_type if pa.types.is_dictionary(column.type) else column.type.storage_type
        column = column.cast(inner)
    return column


def is_number(kind: pa.DataType) -> bool:
    """Is this the Arrow type of a number?"""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def is_text(kind: pa.DataType) -> bool:
    """Is this the Arrow type of a text?"""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_list(kind: pa.DataType) -> bool:
    """Is this the Arrow type of a list?"""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def infer_kind(name: str, column: pa.ChunkedArray, min_count: int) -> str:
    """Tell the kind of a column.

    Numbers are numeric, except ids and 0/1, which is boolean; texts are categorical if some value comes `min_count`
    times, boolean if they are yes and no, dates if 99 % are ISO 8601 dates. Whole numbers that are codes look like any
    other numbers; declare them categorical.

    Args:
        name: Of the column.
        column: Plain; see `as_plain`.
        min_count: So many rows make a level.

    Raises:
        UnsuitedError: With the reason.
    """
    kind = column.type
    if names_a_place(name):
        raise UnsuitedError("its name says that it tells the place")
    if is_list(kind):
        if not is_text(kind.value_type):
            raise UnsuitedError(f"a list of {kind.value_type}; the source 'vectors' reads lists of numbers")
        column = pc.list_flatten(column)
    elif not (is_number(kind) or is_text(kind) or is_time(kind) or pa.types.is_boolean(kind)):
        raise UnsuitedError("it has no values" if pa.types.is_null(kind) else f"it holds {kind}")
    given = _given(column)
    if len(given) == 0:
        raise UnsuitedError("it has no values")
    distinct = len(pc.unique(given))
    if distinct == 1 and len(given) == len(column):
        raise UnsuitedError("constant")
    if is_time(kind):
        return "date"
    if pa.types.is_boolean(kind):
        return "boolean"
    if is_number(kind):
        return _kind_of_numbers(name, given, distinct)
    return _kind_of_texts(name, given, distinct, min_count, listed=is_list(kind))


def _given(column: pa.ChunkedArray) -> pa.ChunkedArray:
    given = column.drop_null()
    if pa.types.is_floating(column.type):
        return given.filter(pc.is_finite(given))
    if is_text(column.type):
        return given.filter(pc.not_equal(pc.utf8_trim_whitespace(given), ""))
    return given


def _kind_of_numbers(name: str, given: pa.ChunkedArray, distinct: int) -> str:
    values = np.asarray(given.cast(pa.float64()).to_numpy())
    if distinct <= 2 and set(np.unique(values).tolist()) <= {0.0, 1.0}:
        return "boolean"
    whole = bool((values == np.round(values)).all())
    if whole and words_of(name) & ID_WORDS:
        raise UnsuitedError("its name says that it is an id or a code; declare it if it is a count")
    if whole and distinct == len(values) >= 20:
        climbs = bool((np.diff(values) > 0).all())
        if climbs or np.ptp(values) < 2 * len(values):
            raise UnsuitedError("whole numbers that are all different: an id")
    return "numeric"


def _kind_of_texts(name: str, given: pa.ChunkedArray, distinct: int, min_count: int, listed: bool) -> str:
    if not listed:
        lowered = {str(value).strip().lower() for value in pc.unique(given).to_pylist()} if distinct <= 4 else {""}
        if lowered <= _TRUTHS:
            return "boolean"
        dated = pc.mean(pc.match_substring_regex(given, _ISO_DATE).cast(pa.float64())).as_py()
        if dated >= _MOSTLY_DATES and times_of(given)[1].mean() <= 1 - _MOSTLY_DATES:
            return "date"
        if pc.mean(pc.match_substring_regex(given, _OTHER_DATE).cast(pa.float64())).as_py() >= _MOSTLY_DATES:
            raise UnsuitedError(
                f"dates written as {given[0].as_py()}, which may mean two days; write them as 2003-06-21 (ISO 8601)"
            )
        if words_of(name) & ID_WORDS:
            raise UnsuitedError("its name says that it is an id or a code; declare it if it is a class")
        if distinct == len(given):
            raise UnsuitedError("texts that are all different: an id, or for the source 'texts'", is_text=True)
        length = pc.mean(pc.utf8_length(given)).as_py()
        if length > _LONG_TEXT:
            raise UnsuitedError(
                f"texts of {length:.0f} characters on average; the source 'texts' reads them", is_text=True
            )
        if 2 * distinct > len(given) > min_count:
            raise UnsuitedError("texts that are mostly different: names or ids")
    most = max(pc.value_counts(given).field("counts").to_pylist())
    if most < min_count:
        raise UnsuitedError(f"no value comes {min_count} times (min_count); the commonest comes {most} times")
    return "categorical"
