"""A file of rows with a place each, read by row number, and the sources that read one such file."""

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.files.delimited import FAULT, Layout, described_lines
from geotether.files.disk import check_file, file_fingerprint
from geotether.files.formats import row_format
from geotether.files.numbers import numbers_of, odd_among_numbers, odd_in_words
from geotether.files.places import PlaceFinder, listed_columns
from geotether.files.random_access import ROWS_AT_ONCE, CopiedRows, ParquetRows, copy_rows
from geotether.files.rows import naming, open_rows
from geotether.files.values import is_number, is_plain, is_text, texts_of, usual, without_dictionary
from geotether.geodesy.coordinates import swap_suspicion
from geotether.geodesy.dates import times_of, why_no_time
from geotether.sources.source import Observations

_SHOWN_LINES = 3
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class RowFile:
    """Rows with a place each, and optionally an id, a time and labels; the other columns are for sources to read.

    Args:
        path: A file in any format of rows; see `geotether.files.formats`.
        lon: Column of longitudes, or of x in `crs`; by default found, see `geotether.files.places.PlaceFinder`.
        lat: Column of latitudes, or of y; named together with `lon`.
        id: Column of ids. A row without one is rejected.
        time: Column of dates, times, ISO 8601 texts or years; see `geotether.geodesy.dates.times_of`. A row with
            something else is rejected, one without a time is not. It stays among the columns as well.
        labels: Columns to keep as labels; they are not features.
        crs: CRS of x and y, such as "EPSG:28992", where the file does not state it; by default degrees in WGS 84.
        layer: Layer of a GeoPackage that has several.
        where: Only rows with these values, such as {"source": ["pleiades", "cia_factbook"]}, or without them:
            {"source": {"not": "wikivoyage"}}; None is a missing value. Other rows are not counted.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the ending is unknown or an option does not fit the file.
    """

    path: Any  # str or Path
    lon: str | None = None
    lat: str | None = None
    id: str | None = None
    time: str | None = None
    labels: Any = ()
    crs: str | None = None
    layer: str | None = None
    where: Any = None  # a mapping

    def __post_init__(self) -> None:
        """Check the options."""
        self.path = Path(self.path)
        check_file(self.path)
        self.format = self._format()
        self.labels = names_of("labels", self.labels)
        if self.where is not None and (not isinstance(self.where, Mapping) or not self.where):
            raise ValueError(f"where is a mapping of a column to its value or values, got {self.where!r}.")
        self.where = {name: _condition(name, given) for name, given in (self.where or {}).items()}
        if self.layer is not None and self.format != "layer":
            raise ValueError(f"{self.path} has no layers; leave layer={self.layer!r} out.")

    def _format(self) -> str:
        return row_format(self.path).name

    def _member(self) -> tuple[Layout | None, Callable[[], Any] | None]:
        """The layout of delimited text where it is known, and what opens it where it is part of another file."""
        return None, None

    def open(self, folder: Path) -> pa.Schema:
        """Make every row readable; see `Source.prepare`.

        Returns:
            The columns of the file, including those of the place.

        Raises:
            ValueError: If the file is damaged, has no rows, lacks a column, or none of its rows has a place.
        """
        copy = folder / f"rows-{self.fingerprint()[:16]}.arrow"
        with naming(self.path, self.format):
            in_place = self.format == "parquet" and not self.where and ParquetRows(self.path).is_small_grained
            if not in_place and not copy.is_file():
                self._copy(copy)
            self.rows: CopiedRows | ParquetRows = ParquetRows(self.path) if in_place else CopiedRows(copy)
            columns = [field for field in self.rows.schema if field.name != FAULT]
            self.schema = pa.schema(columns, self.rows.schema.metadata)
            self.require([*filter(None, (self.id, self.time)), *self.labels])
            self.finder = PlaceFinder(self.schema, self.lon, self.lat, self.crs)
            if len(self.rows) == 0:
                raise ValueError("it has no rows." if not self.where else f"no row has {_described(self.where)}.")
            self._floats = self._float_labels()
            self._require_a_place()
        return self.schema

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.rows)

    def observe(self, start: int, stop: int) -> tuple[pa.Table, Observations, dict[int, str]]:
        """Read some rows.

        Returns:
            All of them with every column; all of them as observations without content, whose places need not be valid;
            and the reasons for rejecting rows, by position. `geotether.sources.source.usable` combines the three.
        """
        with naming(self.path, self.format):
            table = self.rows.read(start, stop)
        faults: dict[int, str] = {}
        if FAULT in table.column_names:
            given = table[FAULT].to_pylist()
            faults = {row: fault for row, fault in enumerate(given) if fault is not None}
            table = table.drop_columns([FAULT])
        columns = (self.id, self.time, self.labels)
        seen, reasons = observations_of(table, max(start, 0), self.finder, *columns, self._floats)
        return table, seen, reasons | faults

    def fingerprint(self) -> str:
        """Identify the rows: the file and the options that choose or read them."""
        chosen = [self.layer, self.where, repr(self._member()[0]), self.lon, self.lat, self.crs]
        facts = json.dumps(chosen, default=str)
        beside = [self.path.with_suffix(other) for other in (".dbf", ".prj", ".cpg") if self.path.suffix == ".shp"]
        files = " ".join(file_fingerprint(path) for path in [self.path, *beside] if path.is_file())
        return hashlib.sha256(f"{files} {facts}".encode()).hexdigest()

    def _copy(self, copy: Path) -> None:
        """Copy the rows that are wanted into a file that can be read by row number."""
        with open_rows(self.path, self.layer, *self._member()) as rows:

            def kept() -> Iterator[pa.Table]:
                for table in rows.tables:
                    # A row that could not be read has no values to compare: it stays, to be rejected.
                    fault = table.column(FAULT).is_valid() if FAULT in table.column_names else None
                    yield self._kept(table) if fault is None else self._kept(table, fault)

            copy_rows(copy, rows.schema, kept())
            if rows.broken:  # the list of rejected rows has only their reason
                _log.warning("Rejected lines: %s.", described_lines(rows.broken, _SHOWN_LINES))

    def _kept(self, rows: pa.Table, fault: pa.ChunkedArray | None = None) -> pa.Table:
        """Choose the rows that `where` asks for, and those with a fault."""
        self.require(list(self.where), rows.column_names)
        keep = None
        for name, condition in self.where.items():
            excluded = isinstance(condition, Mapping)
            values = condition["not"] if excluded else condition
            column, given = without_dictionary(rows[name]), [value for value in values if value is not None]
            try:
                wanted = pa.array(given, from_pandas=False).cast(column.type)
            except (pa.ArrowException, TypeError):
                raise ValueError(
                    f"where asks for {values!r} in column {name!r}, which contains {column.type}."
                ) from None
            chosen = pc.is_in(column, wanted)
            chosen = pc.or_(chosen, column.is_null()) if None in values else chosen
            chosen = pc.invert(chosen) if excluded else chosen
            keep = chosen if keep is None else pc.and_(keep, chosen)
        if keep is None:
            return rows
        return rows.filter(keep if fault is None else pc.or_(keep, fault))

    def require(self, names: list[str], there: list[str] | None = None) -> None:
        """Raise ValueError if a column is missing; those found are listed."""
        there = [name for name in (self.schema.names if there is None else there) if name != FAULT]
        for name in names:
            if name not in there:
                raise ValueError(f"there is no column {name!r}. {listed_columns(there)}")

    def _float_labels(self) -> set[str]:
        """Find the labels that are read as floats in every run: numbers with gaps, or nearly all numbers."""
        kinds = {name: self.schema.field(name).type for name in self.labels}
        for name, kind in kinds.items():
            if not is_plain(kind):
                raise ValueError(f"column {name!r} contains {kind}; labels are numbers, booleans, dates or texts.")
        asked = [name for name, kind in kinds.items() if pa.types.is_integer(kind) or pa.types.is_boolean(kind)]
        found: set[str] = set()
        for start in range(0, len(self.rows) if asked else 0, ROWS_AT_ONCE):
            table = self.rows.read(start, start + ROWS_AT_ONCE)
            found |= {name for name in asked if table[name].null_count}
        for name in (name for name, kind in kinds.items() if is_text(kind)):
            odd = odd_among_numbers(self._whole(name))
            if odd:
                found.add(name)
                _log.warning(
                    "%s: label %r contains numbers, except %s, which count as missing.",
                    self.path, name, odd_in_words(odd),
                )  # fmt: skip
        return found

    def _whole(self, name: str) -> pa.ChunkedArray:
        starts = range(0, len(self.rows), ROWS_AT_ONCE)
        return pa.chunked_array(
            [chunk for start in starts for chunk in self.rows.read(start, start + ROWS_AT_ONCE)[name].chunks]
        )

    def _require_a_place(self) -> None:
        """Raise unless some row can be used; reading stops at the first that can."""
        why: Counter[str] = Counter()
        first = np.empty((0, 2))
        for start in range(0, len(self.rows), ROWS_AT_ONCE):
            _, seen, reasons = self.observe(start, start + ROWS_AT_ONCE)
            if len(reasons) < len(seen):
                return
            why.update(reasons.values())
            first = first if len(first) else seen.lonlat
        hint = swap_suspicion(first) or ""
        raise ValueError(
            f"none of the {len(self.rows)} rows can be used; most often: {why.most_common(1)[0][0]}. {hint}"
            f" {listed_columns(self.schema.names)}"
        )


def observations_of(
    table: pa.Table,
    start: int,
    finder: PlaceFinder,
    id: str | None,
    time: str | None,
    labels: Sequence[str],
    floats: Collection[str],
) -> tuple[Observations, dict[int, str]]:
    """Read places, ids, times and labels of some rows, the first of which has the number `start`.

    `floats` are the labels to read as floats with NaN: those with missing values anywhere in the file.

    Returns:
        All rows as observations without content, whose places need not be valid; and the reasons for rejecting rows,
        by position.
    """
    lonlat, reasons = finder.find(table)
    ids = np.empty(0, dtype=object)
    if id is not None:
        ids = texts_of(table[id])
        reasons = dict.fromkeys(np.flatnonzero(ids == "").tolist(), "no id") | reasons
    times = None
    if time is not None:
        times, bad = times_of(table[time])
        for at in np.flatnonzero(bad).tolist():
            reasons.setdefault(at, f"{time} {why_no_time(table[time][at].as_py())}")
    found = {name: _label(table[name], name in floats) for name in labels}
    row = start + np.arange(table.num_rows, dtype=np.int64)
    return Observations(row, lonlat, None, ids, times, found), reasons


def _label(column: pa.ChunkedArray, floats: bool) -> np.ndarray:
    """Read some cells of a label: numbers and booleans as they are or as floats with NaN, else texts."""
    column = usual(column)
    kind = column.type
    if (pa.types.is_integer(kind) or pa.types.is_boolean(kind)) and not floats:
        return np.asarray(column.to_numpy())
    if floats or is_number(kind):
        return numbers_of(column.cast(pa.int8()) if pa.types.is_boolean(kind) else column, comma=True)[0]
    return texts_of(column)


def names_of(option: str, given: Any) -> tuple[str, ...]:
    """Normalise an option that is one column name or several."""
    names = (given,) if isinstance(given, str) or not hasattr(given, "__iter__") else tuple(given)
    if given is None:
        return ()
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{option} are names of columns, got {given!r}.")
    return names


def _condition(name: str, given: Any) -> Any:
    """Normalise a condition of `where`: a list of values, or {"not": such a list}."""
    if not isinstance(given, Mapping):
        return given if isinstance(given, list) else [given]
    if list(given) != ["not"]:
        raise ValueError(f"where: {name} takes a value, a list of values or {{not: VALUES}}, got {dict(given)!r}.")
    excluded = given["not"]
    return {"not": excluded if isinstance(excluded, list) else [excluded]}


def _described(where: Mapping[str, Any]) -> str:
    parts = []
    for name, condition in where.items():
        excluded = isinstance(condition, Mapping)
        values = " or ".join(map(repr, condition["not"] if excluded else condition))
        parts.append(f"{name} {'other than' if excluded else '='} {values}")
    return " and ".join(parts)


class RowSource(RowFile, ABC):
    """A source of the rows of a file; a subclass chooses its columns and makes the content of a row from them."""

    def prepare(self, folder: Path) -> None:
        """See `Source.prepare`.

        Raises:
            ValueError: If the file is damaged, lacks a column (those found are listed) or a suitable one, or no row has
                a valid place.
        """
        self._choose(self.open(folder))

    def read(self, start: int, stop: int) -> Observations:
        """Read some rows; see `Source.read`."""
        return self._observe(*self.observe(start, stop))

    @abstractmethod
    def _choose(self, schema: pa.Schema) -> None:
        """Choose the columns to read; ValueError if one is missing or unsuitable."""

    @abstractmethod
    def _observe(self, table: pa.Table, seen: Observations, reasons: dict[int, str]) -> Observations:
        """Add the content to the rows that `observe` returned, and reject those without any."""
