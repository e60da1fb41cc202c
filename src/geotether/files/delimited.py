"""Delimited text of any size: types decided by all rows, malformed lines set aside."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from geotether.files.formats import unpacking

# Name of the column that says why a row could not be read at all; every other value of such a row is missing.
FAULT = "__fault__"
# Texts for a missing number; in a column of texts only the empty text is missing ("NA" may be Namibia).
_MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none", "nil", "-", "?", ".", "***", r"\n")
_BOOLEANS = ("true", "false")
_TYPES = {"boolean": pa.bool_(), "whole": pa.int64(), "unsigned": pa.uint64()}
_SHOWN = 60  # characters of a line
Opened = Callable[[], io.BufferedIOBase]


@dataclass(frozen=True)
class Layout:
    """How a delimited text is written.

    Attributes:
        delimiter: Between values; None: comma, semicolon, tab or bar, whichever is most frequent in the header.
        quote: Character around values that contain a delimiter; None: there is none.
        encoding: Of the text.
        names: Of the columns; None: the first line names them.
        skip: Lines before the first row, where `names` is given.
    """

    delimiter: str | None = None
    quote: str | None = '"'
    encoding: str = "utf-8"
    names: tuple[str, ...] | None = None
    skip: int = 0


@dataclass(frozen=True)
class BrokenLine:
    """A line with too few or too many values.

    Attributes:
        values: How many it has.
        header: How many it should have.
        number: Of the line, from 1; empty lines and line breaks within quotes do not count.
        text: The line, or its beginning.
    """

    values: int
    header: int
    number: int | None
    text: str

    @property
    def reason(self) -> str:
        """What is wrong, in the same words for all such lines."""
        return f"the line has {self.values} values, the header {self.header}"

    def __str__(self) -> str:
        """What is wrong and where.

        Example:
            >>> str(BrokenLine(3, 2, 7, "5.66,51.97,Wageningen"))
            "the line has 3 values, the header 2: line 7, '5.66,51.97,Wageningen'"
        """
        said = repr(self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN]}...")
        return f"{self.reason}: {said if self.number is None else f'line {self.number}, {said}'}"


def described_lines(broken: list[BrokenLine], most: int = 1) -> str:
    """Show some malformed lines and count the others.

    Example:
        >>> described_lines([BrokenLine(1, 2, 4, "5.66"), BrokenLine(1, 2, 9, "")])
        "the line has 1 values, the header 2: line 4, '5.66'; and 1 more do not fit"
    """
    more = f"; and {len(broken) - most:,} more do not fit" if len(broken) > most else ""
    return "; ".join(map(str, broken[:most])) + more


def read_delimited(opened: Opened, layout: Layout, broken: list[BrokenLine]) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Read delimited text twice from front to back: for the types of its columns, then for its values.

    A column contains booleans, whole numbers, numbers (also with decimal commas, where the delimiter is not a comma),
    or else texts; numbers with leading zeros and whole numbers of more than 64 bits stay texts. Lines with too few or
    too many values come last, with the reason in the column `FAULT`.

    Args:
        opened: Opens the text; called several times.
        layout: How it is written.
        broken: Gets the lines with too few or too many values, as the rows are read.

    Returns:
        The schema, and the rows in tables.

    Raises:
        ValueError: If the encoding differs, two columns have one name, or a packed file is truncated.
    """
    layout = with_header(opened, layout)
    kinds = _column_kinds(opened, layout)
    fields = [pa.field(name, _type_of(kind)) for name, kind in kinds.items()]
    schema = pa.schema([*fields, pa.field(FAULT, pa.string())])

    def tables() -> Iterator[pa.Table]:
        for texts in _texts(opened, layout, broken):
            columns = [_converted(column, kind) for column, kind in zip(texts.columns, kinds.values(), strict=True)]
            fault = pa.nulls(texts.num_rows, pa.string())
            yield pa.Table.from_arrays([*columns, fault], schema=schema)
        missing = [pa.nulls(len(broken), field.type) for field in fields]
        faults = pa.array([line.reason for line in broken], pa.string())
        yield pa.Table.from_arrays([*missing, faults], schema=schema)

    return schema, tables()


def with_header(opened: Opened, layout: Layout = Layout()) -> Layout:
    """Find the delimiter and the names of the columns, where a layout does not state them.

    Raises:
        ValueError: If the text is empty, has another encoding, or names a column twice.
    """
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


def _texts(opened: Opened, layout: Layout, broken: list[BrokenLine]) -> Iterator[pa.RecordBatch]:
    """All cells as texts."""
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, open_csv

    def set_aside(line: Any) -> str:
        broken.append(BrokenLine(line.actual_columns, line.expected_columns, line.number, line.text[: _SHOWN + 1]))
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


def _column_kinds(opened: Opened, layout: Layout) -> dict[str, str]:
    """Find the narrowest kind that every value of a column has, by column."""
    possible = ["boolean", "whole", "unsigned", "number"] + (["comma"] if layout.delimiter != "," else [])
    left = {name: list(possible) for name in layout.names or ()}
    seen, digits = dict.fromkeys(left, False), dict.fromkeys(left, True)
    for texts in _texts(opened, layout, []):
        for name, column in zip(left, texts.columns, strict=True):
            if not left[name]:
                continue
            given = _trimmed(column).drop_null()
            seen[name] |= len(given) > 0
            left[name] = [kind for kind in left[name] if _fits(given, kind)]
            digits[name] &= pc.all(pc.match_substring_regex(given, r"^[-+]?\d+$"), min_count=0).as_py()
    # Whole numbers beyond 64 bits are identifiers, which a float would change.
    return {
        name: "text" if not seen[name] or not kinds or (digits[name] and kinds[0] in ("number", "comma")) else kinds[0]
        for name, kinds in left.items()
    }


def _type_of(kind: str) -> pa.DataType:
    return pa.string() if kind == "text" else _TYPES.get(kind, pa.float64())


def _trimmed(column: pa.Array) -> pa.Array:
    """Strip spaces from texts; those that mark a missing number become null."""
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
    return values.cast(_type_of(kind))
