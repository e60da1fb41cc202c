"""Delimited text of any size: types decided by all rows, malformed lines set aside."""

import codecs
import csv
import io
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.files.formats import not_utf8, unpacking
from geotether.files.numbers import STYLES, decided, decimal_mark, fits, parsed, trimmed
from geotether.files.places import degrees_axes

# Name of the column that says why a row could not be read at all; every other value of such a row is missing.
FAULT = "__fault__"
# Before the name of a column: its cells as they are written, beside the typed ones.
RAW = "__raw__:"
_BOOLEANS = ("true", "false")
_TYPES = {"text": pa.string(), "boolean": pa.bool_(), "whole": pa.int64(), "unsigned": pa.uint64()}
_SHOWN = 60  # characters of a line
_SEPARATOR = re.compile(r"""["']?sep=(.)["']?\s*$""")
_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*")
_PREAMBLE = 100  # lines before the header at most
_LONGEST = 2**21  # bytes of a quoted value, more than a row may have
_log = logging.getLogger(__name__)
_FORMS = {
    "identifier": r"^\+|^\d+[eE]\d+$|^-0+$",
    "many digits": r"^[^eE]*[1-9][.,]?(\d[.,]?){17}",
    "zeros": r"[.,](\d*[1-9]0+|00+)$",
    "point zero": r"[.,]0$",
}
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


def read_delimited(
    opened: Opened, layout: Layout, broken: list[BrokenLine], keep: str | None = None
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Read delimited text twice from front to back: for the types of its columns, then for its values.

    A column contains booleans, whole numbers, numbers (see `geotether.files.numbers`), or else texts; numbers with
    leading zeros and whole numbers of more than 64 bits stay texts. Whether a comma separates decimals or thousands is
    decided by all columns together. Lines with too few or too many values come last, with the reason in the column
    `FAULT`. Empty lines, lines of comments (#) and a line such as "sep=;" may precede the header.

    Args:
        opened: Opens the text; called several times.
        layout: How it is written.
        broken: Gets the lines with too few or too many values, as the rows are read.
        keep: What the rows are to be written again as. "texts": every column is there twice, typed and, under its name
            after `RAW`, as the texts of the file. "values": so is every column whose types would not give the texts
            back, such as identifiers like 1E5, +31301234567, 1.10 beside 1.1, or numbers of more than 17 digits.

    Returns:
        The schema, and the rows in tables.

    Raises:
        ValueError: If the encoding differs, two columns have one name, a quote is not closed (its line is named), or a
            packed file is truncated.
    """
    layout = with_header(opened, layout)
    _check_bytes(opened, layout)
    kinds = _column_kinds(opened, layout)
    raw = list(kinds) if keep == "texts" else _inexact(opened, layout, kinds) if keep else []
    fields = [pa.field(name, _TYPES.get(kind, pa.float64())) for name, kind in kinds.items()]
    fields += [pa.field(RAW + name, pa.string()) for name in raw]
    schema = pa.schema([*fields, pa.field(FAULT, pa.string())])

    def tables() -> Iterator[pa.Table]:
        for texts in _texts(opened, layout, broken):
            columns = [_converted(column, kind) for column, kind in zip(texts.columns, kinds.values(), strict=True)]
            fault = pa.nulls(texts.num_rows, pa.string())
            columns += [_converted(texts.column(name), "text") for name in raw]
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
    lines: list[str] = []
    try:
        with unpacking(), closing(io.TextIOWrapper(cast(Any, opened()), encoding=encoding, newline="")) as file:
            while len(lines) < _PREAMBLE and (not lines or _is_preamble(lines[-1])) and (line := file.readline()):
                lines.append(line)
            first = file.readline()
    except UnicodeDecodeError as error:
        raise not_utf8(layout.encoding, error) from None
    except LookupError:
        raise ValueError(f"there is no text encoding {layout.encoding!r}.") from None
    names, skip, delimiter = layout.names, layout.skip, layout.delimiter
    header = lines[-1] if lines else ""
    if names is None:
        skip = len(lines)
        stated = next(filter(None, map(_SEPARATOR.match, lines)), None)
        delimiter = delimiter or (stated[1] if stated else None) or max(",;\t|", key=header.count)
        cells = _cells(header, delimiter, layout)
        # A header may begin with #: then the next line has as many values, and a number among them.
        if len(lines) > 1 and lines[-2].startswith("#") and any(map(_NUMBER.fullmatch, cells)):
            marked = _cells(lines[-2].lstrip("# "), delimiter, layout)
            cells, skip = (marked, skip - 1) if len(marked) == len(cells) else (cells, skip)
        # The rows may end in a delimiter though the header does not.
        ends = first.rstrip("\r\n").endswith(delimiter) and first.count(delimiter) == len(cells) > 0
        names = (*cells, "") if ends else tuple(cells)
    delimiter = delimiter or max(",;\t|", key=header.count)
    if not names:
        raise ValueError("it is empty; its first line must name the columns.")
    if "\0" in header:
        raise ValueError("it contains NUL characters, so it may be UTF-16; save it as UTF-8.")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"the header names column {min(twice)!r} twice; rename one.")
    return replace(layout, delimiter=delimiter, names=names, skip=skip)


def _is_preamble(line: str) -> bool:
    return not line.strip() or line.startswith("#") or _SEPARATOR.match(line) is not None


def _cells(line: str, delimiter: str, layout: Layout) -> list[str]:
    quoting: Any = csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE
    line = line.rstrip("\r\n")
    try:
        return next(csv.reader([line], delimiter=delimiter, quotechar=layout.quote or '"', quoting=quoting), [])
    except csv.Error as error:
        raise ValueError(f"its header cannot be read: {error}.") from error


def _check_bytes(opened: Opened, layout: Layout) -> None:
    """Raise ValueError where a quote is not closed or a character is not of the encoding.

    A pass of its own: an error within Arrow's reader threads can keep the process from ending.
    """
    quotes = _Quotes(layout)
    name = layout.encoding.lower().replace("_", "-")
    decoder = codecs.getincrementaldecoder(layout.encoding)() if name not in ("utf-8", "utf8") else None
    with unpacking(), closing(opened()) as file:
        while True:
            data = file.read(2**20)
            try:
                if decoder is not None:
                    decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise not_utf8(layout.encoding, error) from error
            if layout.quote and not name.startswith(("utf-16", "utf-32")):
                quotes.check(data)
            if not data:
                return


class _Quotes:
    """The quotes of a delimited text, checked as its bytes arrive; no bytes are its end."""

    def __init__(self, layout: Layout) -> None:
        self.width = len(layout.names or ())
        self.quote, self.delimiter = str(layout.quote).encode(), str(layout.delimiter).encode()
        self.kept, self.line = b"\n", 1  # what is not checked yet, after one byte; and its first line
        self.is_start = True

    def check(self, data: bytes) -> None:
        """Raise ValueError at a quote that is not closed as it should be."""
        is_end = not data
        text = self.kept + (data.removeprefix(b"\xef\xbb\xbf") if self.is_start else data) + b"\n" * is_end
        self.is_start = False
        end = len(text) - 1
        signs, ends = np.frombuffer(text, np.uint8), np.frombuffer(self.delimiter + b"\r\n", np.uint8)
        at = np.flatnonzero(signs[1:end] == self.quote[0]) + 1
        opened = int(at[-1]) if len(at) % 2 else 0
        lines = np.searchsorted(np.flatnonzero(signs == ord("\n")), at)
        pairs = len(at) - len(at) % 2
        if not (
            np.isin(signs[at[0::2] - 1], ends).all()
            and np.isin(signs[at[1::2] + 1], ends).all()
            and (lines[0:pairs:2] == lines[1:pairs:2]).all()
        ):  # quotes within values, or values of several lines
            opened = self._check_each(text, at, end, frozenset(ends.tolist()))
        if opened and (is_end or end - opened > _LONGEST):
            self._refuse(text, opened, "is never closed")
        start = max((opened or end) - 1, 0)
        self.line += text.count(b"\n", 1, start + 1)
        self.kept = text[start:]

    def _check_each(self, text: bytes, at: np.ndarray, end: int, ends: frozenset[int]) -> int:
        """Follow the quotes one by one; return where the last value that is still open begins, or 0."""
        opened = 0
        quotes = iter(at.tolist())
        for place in quotes:
            if not opened:
                opened = place if text[place - 1] in ends else 0
            elif text[place + 1] == self.quote[0]:  # a quote within the value is written twice
                if place + 1 < end:
                    next(quotes, None)
                else:
                    break
            elif text[place + 1 : place + 33].lstrip(b" ")[:1] in (b"", *(bytes([one]) for one in ends)):
                self._refuse_rows(text, opened, place)
                opened = 0
            else:
                self._refuse(text, opened, "is followed by a quote within the value, which must be written twice")
        return opened

    def _refuse_rows(self, text: bytes, opened: int, closed: int) -> None:
        """Refuse a value of several lines that look like rows."""
        lines = text[opened:closed].split(b"\n")[1:-1] if b"\n" in text[opened:closed] else []
        if len(lines) * (self.width - 1) >= 3 and all(line.count(self.delimiter) == self.width - 1 for line in lines):
            self._refuse(text, opened, f"closes only after {len(lines)} lines that look like rows")

    def _refuse(self, text: bytes, opened: int, what: str) -> None:
        line = self.line + text.count(b"\n", 1, opened)
        shown = text[opened : opened + 40].split(b"\n")[0].decode("utf-8", "replace")
        raise ValueError(f"the quote that opens in line {line} ({shown!r}) {what}. Correct this line.")


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
            if "straddling" in str(error):
                raise ValueError("a line is longer than a megabyte.") from None
            if "UTF8" in str(error):
                raise not_utf8("UTF-8", error) from error
            raise


def _column_kinds(opened: Opened, layout: Layout) -> dict[str, str]:
    """Find the narrowest kind that every value of a column has, by column."""
    left = {name: ["boolean", "whole", "unsigned", *STYLES] for name in layout.names or ()}
    seen, digits = dict.fromkeys(left, False), dict.fromkeys(left, True)
    for texts in _texts(opened, layout, []):
        for name, column in zip(left, texts.columns, strict=True):
            if left[name]:
                given = trimmed(column).drop_null()
                seen[name] |= len(given) > 0
                left[name] = _fitting(given, left[name])
                digits[name] &= pc.all(pc.match_substring_regex(given, r"^[-+]?\d+$"), min_count=0).as_py()
    marks = {name: decimal_mark(set(kinds) & set(STYLES)) for name, kinds in left.items() if seen[name]}
    for name in degrees_axes(left):
        if name in marks and not {"unsigned", "point"} & set(left[name]):
            marks[name] = {"comma"} & set(left[name])  # degrees have no thousands
    proven = set().union(*marks.values())
    kinds = {}
    for name, fitting in left.items():
        whole = next((kind for kind in ("boolean", "whole", "unsigned") if kind in fitting), None)
        number = decided(set(fitting) & set(STYLES), marks.get(name) or proven)
        # Whole numbers beyond 64 bits are identifiers, which a float would change.
        kinds[name] = (whole or (None if digits[name] else number) or "text") if seen[name] else "text"
        if number is None and {"comma", "point, grouped"} <= set(fitting):
            _log.warning("Column %r: a comma may separate decimals or thousands there; it is read as texts.", name)
    return kinds


def _inexact(opened: Opened, layout: Layout, kinds: dict[str, str]) -> list[str]:
    """Name the columns of numbers with texts that are more than their number, such as identifiers."""
    forms: dict[str, set[str]] = {name: set() for name, kind in kinds.items() if kind not in ("text", "boolean")}
    for texts in _texts(opened, layout, []):
        for name, found in forms.items():
            given = trimmed(texts.column(name)).drop_null()
            found |= {form for form, pattern in _FORMS.items() if _any_match(given, pattern)}
            ends = pc.struct_field(pc.extract_regex(given, r"[.,](?P<digits>\d+)$"), "digits")
            found |= {f"{length} decimals" for length in pc.unique(pc.utf8_length(ends).fill_null(0)).to_pylist()}
    return [name for name, found in forms.items() if _is_inexact(found, kinds[name] in ("whole", "unsigned"))]


def _is_inexact(found: set[str], whole: bool) -> bool:
    """Whether numbers of these forms would lose something: 1.10 is a price beside 2.50 and a version beside 1.1."""
    equal = sum("decimals" in form for form in found) == 1
    zeros = ("zeros" in found and not equal) or {"point zero", "0 decimals"} <= found
    return "identifier" in found or ("many digits" in found and not whole) or zeros


def _any_match(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, pattern), min_count=0).as_py())


def _fitting(given: pa.Array, kinds: list[str]) -> list[str]:
    """Keep the kinds that all values have."""
    booleans = "boolean" in kinds and _all(pc.is_in(pc.utf8_lower(given), pa.array(_BOOLEANS)))
    # A postcode such as 01234 is a text: as a number it would lose its zero.
    if pc.any(pc.match_substring_regex(given, r"^[-+]?0[\dxX]"), min_count=0).as_py():
        kinds = []
    kept: list[str] = []
    for kind in ("whole", "unsigned"):
        with suppress(pa.ArrowInvalid):
            if kind in kinds:
                given.cast(_TYPES[kind])
                kept.append(kind)
    if kept:  # whole numbers are numbers in every style
        kept += [kind for kind in kinds if kind in STYLES]
    else:
        kept += [kind for kind in kinds if kind in STYLES and _all(fits(given, kind))]
    return ["boolean", *kept] if booleans else kept


def _converted(column: pa.Array, kind: str) -> pa.Array:
    if kind == "text":
        return pc.if_else(pc.equal(column, ""), None, column)
    values = trimmed(column)
    if kind == "boolean":
        return pc.equal(pc.utf8_lower(values), "true")
    return parsed(values, kind) if kind in STYLES else values.cast(_TYPES[kind])


def _all(mask: pa.Array) -> bool:
    return bool(pc.all(mask, min_count=0).as_py())
