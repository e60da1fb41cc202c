"""Delimited text of any size into a spool: types decided by all rows, broken lines set aside."""

import csv
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from geotether.sources.packed import unpacking
from geotether.sources.records.broken_lines import SHOWN, BrokenLine, told_lines
from geotether.sources.records.spool import FAULT, write_spool

# What stands for a missing number; in a column of texts only the empty text is missing ("NA" may be Namibia).
_MISSING = ("", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nil", "-", "?")
_BOOLEANS = ("true", "false")
_TOLD = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """How a delimited text is written.

    Attributes:
        delimiter: Between values; None: comma, semicolon, tab or bar, whichever the header has most of.
        quote: Around values that hold a delimiter; None: nothing does.
        encoding: Of the text.
        names: Of the columns; None: the first line has them.
        skip: Lines before the first row, where `names` is given.
    """

    delimiter: str | None = None
    quote: str | None = '"'
    encoding: str = "utf-8"
    names: tuple[str, ...] | None = None
    skip: int = 0


def spool_delimited(
    opened: Callable[[], io.BufferedIOBase],
    spool: Path,
    layout: Layout = Layout(),
    keep: Callable[[pa.Table], pa.Table] = lambda rows: rows,
) -> None:
    """Copy delimited text into a spool, reading it twice from front to back; see `read_delimited`.

    Args:
        opened: Opens the text anew.
        spool: File to write.
        layout: How it is written.
        keep: Gets every run of rows and gives those to keep.

    Raises:
        ValueError: If the encoding is another, a column name comes twice, or what is packed is cut short.
    """
    broken: list[BrokenLine] = []
    schema, batches = read_delimited(opened, layout, broken)
    # A broken line has no values that could be asked for: it stays, to be told.
    write_spool(spool, schema, (keep(rows) if rows.column(FAULT).null_count else rows for rows in batches))
    if broken:  # the list of rejected rows has them by their reason only
        _log.warning("Lines that are rejected: %s.", told_lines(broken, _TOLD))


def read_delimited(
    opened: Callable[[], io.BufferedIOBase], layout: Layout = Layout(), broken: list[BrokenLine] | None = None
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Read delimited text twice from front to back: for the kinds of its columns, then for its values.

    A column is boolean, whole numbers, numbers (also with decimal commas, where the delimiter is none), or else texts;
    numbers with leading zeros are texts. Lines with too few or too many values come last, with the reason in the
    column `FAULT`.

    Args:
        opened: Opens the text anew.
        layout: How it is written.
        broken: Gets the lines with too few or too many values, as the rows are read.

    Returns:
        The schema, and the rows some at a time.

    Raises:
        ValueError: If the encoding is another, a column name comes twice, or what is packed is cut short.
    """
    layout = _with_header(opened, layout)
    kinds = _column_kinds(opened, layout)
    types = {"boolean": pa.bool_(), "whole": pa.int64(), "number": pa.float64(), "comma": pa.float64()}
    fields = [pa.field(name, types.get(kind, pa.string())) for name, kind in kinds.items()]
    schema = pa.schema([*fields, pa.field(FAULT, pa.string())])
    broken = [] if broken is None else broken

    def batches() -> Iterator[pa.Table]:
        for texts in _texts(opened, layout, broken):
            columns = [_converted(column, kind) for column, kind in zip(texts.columns, kinds.values(), strict=True)]
            fault = pa.nulls(texts.num_rows, pa.string())
            yield pa.Table.from_arrays([*columns, fault], schema=schema)
        missing = [pa.nulls(len(broken), field.type) for field in fields]
        faults = pa.array([line.reason for line in broken], pa.string())
        yield pa.Table.from_arrays([*missing, faults], schema=schema)

    return schema, batches()


def _with_header(opened: Callable[[], io.BufferedIOBase], layout: Layout) -> Layout:
    """The same layout with delimiter and names filled in."""
    encoding = "utf-8-sig" if layout.encoding.lower() in {"utf-8", "utf8"} else layout.encoding
    try:
        with unpacking(), closing(io.TextIOWrapper(cast(Any, opened()), encoding=encoding, newline="")) as file:
            header = file.readline()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not {layout.encoding} text ({error.reason} at byte {error.start}); save it as UTF-8.")  # noqa: B904
    except LookupError:
        raise ValueError(f"there is no text encoding {layout.encoding!r}.") from None
    delimiter = layout.delimiter or max(",;\t|", key=header.count)
    names, skip = layout.names, layout.skip
    if names is None:
        quoting: Any = csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE
        line = header.rstrip("\r\n")
        names = tuple(next(csv.reader([line], delimiter=delimiter, quotechar=layout.quote or '"', quoting=quoting), []))
        skip = 1
    if not names:
        raise ValueError("it is empty; its first line must name the columns.")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"the header names column {min(twice)!r} twice; rename one.")
    return Layout(delimiter, layout.quote, layout.encoding, names, skip)


def _texts(
    opened: Callable[[], io.BufferedIOBase], layout: Layout, broken: list[BrokenLine]
) -> Iterator[pa.RecordBatch]:
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, open_csv

    def set_aside(line: Any) -> str:
        broken.append(BrokenLine(line.actual_columns, line.expected_columns, line.number, line.text[: SHOWN + 1]))
        return "skip"

    names = list(layout.names or ())
    with unpacking(), closing(opened()) as file:
        try:
            reader = open_csv(
                file,
                ReadOptions(use_threads=False, column_names=names, skip_rows=layout.skip, encoding=layout.encoding),
                ParseOptions(
                    delimiter=layout.delimiter,
                    quote_char=layout.quote or False,
                    newlines_in_values=bool(layout.quote),
                    invalid_row_handler=set_aside,
                ),
                ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
            )
            yield from reader
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            if "UTF8" in str(error):
                raise ValueError(f"it is not UTF-8 text ({error}); save it as UTF-8.") from error
            raise
        except UnicodeDecodeError as error:
            raise ValueError(f"it is not {layout.encoding} text: {error}.") from error


def _column_kinds(opened: Callable[[], io.BufferedIOBase], layout: Layout) -> dict[str, str]:
    """The narrowest kind that every value of a column has, by column."""
    possible = ["boolean", "whole", "number"] + (["comma"] if layout.delimiter != "," else [])
    left = {name: list(possible) for name in layout.names or ()}
    seen = dict.fromkeys(left, False)
    for texts in _texts(opened, layout, []):
        for name, column in zip(left, texts.columns, strict=True):
            if not left[name]:
                continue
            given = _trimmed(column).drop_null()
            seen[name] |= len(given) > 0
            left[name] = [kind for kind in left[name] if _fits(given, kind)]
    return {name: kinds[0] if kinds and seen[name] else "text" for name, kinds in left.items()}


def _trimmed(column: pa.Array) -> pa.Array:
    """Texts without spaces around them; what stands for a missing number is null."""
    trimmed = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(pc.utf8_lower(trimmed), pa.array(_MISSING)), None, trimmed)


def _fits(given: pa.Array, kind: str) -> bool:
    if kind == "boolean":
        return pc.all(pc.is_in(pc.utf8_lower(given), pa.array(_BOOLEANS)), min_count=0).as_py()
    # A postcode such as 01234 is a text: as a number it would lose its zero.
    if pc.any(pc.match_substring_regex(given, r"^[-+]?0\d"), min_count=0).as_py():
        return False
    try:
        _cast(given, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _converted(column: pa.Array, kind: str) -> pa.Array:
    if kind == "text":
        return pc.if_else(pc.equal(column, ""), None, column)
    return _cast(_trimmed(column), kind)


def _cast(values: pa.Array, kind: str) -> pa.Array:
    if kind == "boolean":
        return pc.equal(pc.utf8_lower(values), "true")
    if kind == "comma":
        values = pc.replace_substring(values, ",", ".")
    return values.cast(pa.int64() if kind == "whole" else pa.float64())
