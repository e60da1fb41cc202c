"""The one reader of numbers written as texts: decimal marks, thousands separators, marks of missing values."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from geotether.files.values import is_number, is_text, usual

# Texts for a missing number; in a column of texts only the empty text is missing ("NA" may be Namibia).
MISSING = (
    "", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "<na>", "nan", "-nan", "nat", "null", "(null)", "none", "nil", "-",
    "--", "?", ".", "..", "***", r"\n", "#value!", "#div/0!", "#ref!", "#num!", "no data", "nodata",
)  # fmt: skip
_POINT = r"^[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|(?i:inf|infinity))$"
_COMMA = r"^[-+]?(?:\d+,?\d*|,\d+)(?:[eE][-+]?\d+)?$"
_GROUPED = r"^[-+]?[1-9]\d{0,2}(?:,\d{2,3})*,\d{3}(?:\.\d+)?$"  # 60,565 or 1,234.5, and 1,00,000 of India
_DOTTED = r"^[-+]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?$"  # 60.565 or 1.234,5
_SPACED = "^[-+]?[1-9]\\d{0,2}(?:[ '\u2019\u00a0\u2009\u202f]\\d{3})+(?:[.,]\\d+)?$"
_SPACES = "[ '\u2019\u00a0\u2009\u202f]"
# Ways to write a number: what its values match, and the separator of thousands to remove.
STYLES = {
    "point": (_POINT, ""),
    "comma": (_COMMA, ""),
    "point, grouped": (f"{_POINT}|{_GROUPED}", ","),
    "comma, grouped": (f"{_COMMA}|{_DOTTED}", "."),
}


def trimmed(texts: pa.Array | pa.ChunkedArray) -> Any:
    """Strip spaces, also those between thousands; texts that mark a missing number become null."""
    texts = pc.utf8_trim_whitespace(texts)
    texts = pc.if_else(pc.is_in(pc.utf8_lower(texts), pa.array(MISSING)), None, texts)
    spaced = pc.match_substring_regex(texts, _SPACED)
    return pc.if_else(spaced, pc.replace_substring_regex(texts, _SPACES, ""), texts) if _some(spaced) else texts


def fits(texts: pa.Array | pa.ChunkedArray, style: str) -> Any:
    """Whether each text is a number in one of `STYLES`; null where it is missing."""
    return pc.match_substring_regex(texts, STYLES[style][0])


def parsed(texts: pa.Array | pa.ChunkedArray, style: str) -> Any:
    """Convert texts in one of `STYLES` to float64."""
    separator = STYLES[style][1]
    texts = pc.replace_substring(texts, separator, "") if separator else texts
    return pc.replace_substring(texts, ",", ".").cast(pa.float64())


def decided(left: Iterable[str], others: Iterable[str]) -> str | None:
    """Choose among the styles that all values of a column have; None where 1,234 may be either number.

    Args:
        left: Those styles.
        others: Decimal marks, "point" or "comma", that other columns of the same file have.

    Example:
        >>> decided(["comma", "point, grouped"], ["point"]), decided(["comma", "point, grouped"], [])
        ('point, grouped', None)
    """
    left, others = set(left), set(others)
    if "point" in left:  # 60.565 beside 5,66 in another column
        return "comma, grouped" if "comma, grouped" in left and others == {"comma"} else "point"
    if {"comma", "point, grouped"} <= left:
        return "comma" if others == {"comma"} else "point, grouped" if others == {"point"} else None
    return next((style for style in STYLES if style in left), None)


def decimal_mark(left: Iterable[str]) -> set[str]:
    """Name the decimal mark that the styles of a column prove, as a set of one or none."""
    marks = {style.split(",")[0] for style in left}
    return marks if len(marks) == 1 else set()


def numbers_of(column: pa.ChunkedArray, comma: bool = False) -> tuple[Float64[np.ndarray, " n"], dict[int, Any]]:
    """Read cells as numbers.

    Args:
        column: Numbers, or texts that are numbers, with a decimal point or (in all of the column) a decimal comma.
        comma: Whether 1,234 is read as 1.234 where no other cell shows what the comma means; else it is not a number.

    Returns:
        float64 with NaN where a cell is missing or not a number; and the cells that are not numbers, by row.

    Example:
        >>> numbers_of(pa.chunked_array([["5.66", "", "five", "1_0"]]))
        (array([5.66,  nan,  nan,  nan]), {2: 'five', 3: '1_0'})
    """
    column = usual(column)
    if pa.types.is_decimal(column.type):  # directly, 350.84 would become 350.84000000000003
        column = column.cast(pa.string()).cast(pa.float64())
    if is_number(column.type) or pa.types.is_null(column.type):
        return np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64), {}
    if not is_text(column.type):
        return np.full(len(column), np.nan), {row: v for row, v in enumerate(column.to_pylist()) if v is not None}
    texts = trimmed(column.cast(pa.string()))
    style = "point"
    if not _all(fits(texts, "point")):
        left = {style: fits(texts, style) for style in STYLES}
        has_comma = _some(pc.and_not(left["comma, grouped"], pc.or_(left["point"], left["point, grouped"])))
        has_point = _some(pc.and_not(left["point, grouped"], pc.or_(left["comma"], left["comma, grouped"])))
        if has_comma != has_point:
            style = "comma, grouped" if has_comma else "point, grouped"
        elif comma and not has_comma:
            style = "comma"
    good = fits(texts, style)
    values = parsed(pc.if_else(good, texts, None), style)
    wrong = np.flatnonzero(pc.fill_null(pc.invert(good), False).to_numpy()).tolist()
    return np.array(values.to_numpy(), dtype=np.float64), {row: column[row].as_py() for row in wrong}


def odd_among_numbers(column: pa.ChunkedArray) -> dict[int, str]:
    """Find the odd values of a column of texts that are nearly all numbers.

    Returns:
        Row to text; empty unless at least nine in ten of the given cells are numbers, and some are not.

    Example:
        >>> odd_among_numbers(pa.chunked_array([[*map(str, range(20)), "n.b.", None]]))
        {20: 'n.b.'}
    """
    if not is_text(column.type):
        return {}
    values, odd = numbers_of(column, comma=True)
    return odd if 0 < 9 * len(odd) <= np.isfinite(values).sum() else {}


def odd_in_words(odd: Mapping[int, Any], most: int = 3) -> str:
    """List odd values with their rows for a message.

    Example:
        >>> odd_in_words({5: "n.b.", 9: "low", 11: "low"}, most=2)
        "'n.b.' (row 5), 'low' (row 9) and 1 more"
    """
    shown = ", ".join(f"{str(value)[:40]!r} (row {row})" for row, value in list(odd.items())[:most])
    return shown + (f" and {len(odd) - most:,} more" if len(odd) > most else "")


def _some(mask: Any) -> bool:
    return bool(pc.any(mask, min_count=0).as_py())


def _all(mask: Any) -> bool:
    return bool(pc.all(mask, min_count=0).as_py())
