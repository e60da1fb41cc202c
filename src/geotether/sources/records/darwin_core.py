"""Occurrences of species from GBIF: simple tables and Darwin Core archives."""

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa

from geotether.files.delimited import Layout, with_header
from geotether.files.formats import endings_of, unpacking
from geotether.files.numbers import numbers_of
from geotether.files.rows import naming
from geotether.files.values import texts_of
from geotether.geodesy.dates import times_of
from geotether.sources.records.columns import columns_to_keep, with_columns
from geotether.sources.records.row_file import RowSource, names_of
from geotether.sources.source import Observations

# Terms about what was found; the many others are about the record, or about the place in words.
TERMS = (
    "kingdom", "phylum", "class", "order", "family", "genus", "species", "taxonRank", "basisOfRecord",
    "individualCount", "sex", "lifeStage", "reproductiveCondition", "behavior", "establishmentMeans",
    "degreeOfEstablishment", "habitat", "vitality", "eventDate",
)  # fmt: skip
# GBIF's flags for coordinates that are certainly or very likely wrong.
WRONG_PLACES = frozenset((
    "ZERO_COORDINATE", "COORDINATE_OUT_OF_RANGE", "COORDINATE_INVALID", "COORDINATE_REPROJECTION_FAILED",
    "COORDINATE_REPROJECTION_SUSPICIOUS", "COUNTRY_COORDINATE_MISMATCH", "PRESUMED_SWAPPED_COORDINATE",
    "PRESUMED_NEGATED_LATITUDE", "PRESUMED_NEGATED_LONGITUDE",
))  # fmt: skip
_LON, _LAT, _UNCERTAINTY = "decimalLongitude", "decimalLatitude", "coordinateUncertaintyInMeters"
_NS = "{http://rs.tdwg.org/dwc/text/}"


class DarwinCoreSource(RowSource):
    """Occurrences of species, with columns about what was found.

    The time is that of eventDate: the start of a range, the first day of a month or a year; unknown where it is not a
    date. Rejected are rows without valid coordinates, with both of them 0, with a flag of GBIF that they are wrong
    (`WRONG_PLACES`), less exact than `max_uncertainty_m`, and records of absence.

    Args:
        path: A download of GBIF as it comes: a simple table (.csv with tabs, also zipped), a Darwin Core archive (.zip
            with meta.xml and its core file), or a folder with an unpacked one.
        columns: Columns to make features of; by default those of `TERMS` that exist.
        id: Column of ids; by default gbifID, else id, else occurrenceID.
        labels: Columns to keep as labels.
        where: Only rows with these values, such as {"class": ["Aves"]}, or without them, {"class": {"not": "Aves"}};
            others are not counted.
        max_uncertainty_m: Reject rows whose coordinates are less exact, in metres. Rows without this value are
            kept.
        zeros: Keep rows at longitude 0 and latitude 0.
        flagged: Keep rows that GBIF flags.
        absences: Keep rows whose occurrenceStatus is ABSENT.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a download, or an option does not fit.
    """

    kind = "columns"
    features = "columns"

    def __init__(
        self,
        path: str | Path,
        columns: list[str] | None = None,
        id: str | None = None,
        labels: Any = (),
        where: Mapping[str, Any] | None = None,
        max_uncertainty_m: float | None = None,
        zeros: bool = False,
        flagged: bool = False,
        absences: bool = False,
    ) -> None:
        if max_uncertainty_m is not None and not max_uncertainty_m > 0:
            raise ValueError(f"max_uncertainty_m must be above 0 metres, got {max_uncertainty_m}.")
        self.max_uncertainty_m, self.zeros, self.flagged, self.absences = max_uncertainty_m, zeros, flagged, absences
        self.core = find_core(Path(path))
        names = self.core.names
        missing = [name for name in (_LON, _LAT) if name not in names]
        if missing:
            raise ValueError(f"{path} has no column {' or '.join(missing)}; it has {', '.join(map(repr, names[:40]))}.")
        found = id or next((name for name in ("gbifID", "id", "occurrenceID") if name in names), None)
        super().__init__(self.core.path, _LON, _LAT, found, labels=labels, where=where)
        asked = names_of("columns", columns) if columns is not None else tuple(t for t in TERMS if t in names)
        taken = {*self.labels, found}
        self.columns = asked if columns is not None else tuple(name for name in asked if name not in taken)

    def _format(self) -> str:
        return "csv"

    def _member(self) -> tuple[Layout | None, Callable[[], Any] | None]:
        return self.core.layout, self.core.open

    def _choose(self, schema: pa.Schema) -> None:
        self.kept = columns_to_keep(self, schema, self.columns, ())

    def _observe(self, table: pa.Table, seen: Observations, reasons: dict[int, str]) -> Observations:
        reasons = self._doubts(table, seen.lonlat) | reasons
        if "eventDate" in table.column_names:  # not a date: unknown; "spring 1902" is as good a record
            times = times_of(table["eventDate"])[0]
            seen = Observations(seen.row, seen.lonlat, None, seen.id, times, seen.labels)
            at = table.column_names.index("eventDate")
            table = table.set_column(at, "eventDate", pa.array(times, pa.timestamp("ms")))
        return with_columns(self.kept, table, seen, reasons)

    def _doubts(self, table: pa.Table, lonlat: np.ndarray) -> dict[int, str]:
        names, found = table.column_names, {}
        if not self.absences and "occurrenceStatus" in names:
            absent = (row for row, text in enumerate(texts_of(table["occurrenceStatus"])) if text.upper() == "ABSENT")
            found.update(dict.fromkeys(absent, "a record of absence"))
        if self.max_uncertainty_m is not None and _UNCERTAINTY in names:
            metres, odd = numbers_of(table[_UNCERTAINTY])
            reason = f"coordinates less exact than {self.max_uncertainty_m:g} m"
            found.update(dict.fromkeys(np.flatnonzero(metres > self.max_uncertainty_m).tolist(), reason))
            found.update(dict.fromkeys(odd, f"{_UNCERTAINTY} is not a number"))
        if not self.flagged and "issue" in names:
            for row, issues in enumerate(texts_of(table["issue"]).tolist()):
                wrong = WRONG_PLACES & {issue.strip() for issue in issues.replace(",", ";").split(";")}
                if wrong:
                    found[row] = f"GBIF flags it {min(wrong)}"
        if not self.zeros:
            found.update(dict.fromkeys(np.flatnonzero((lonlat == 0).all(axis=1)).tolist(), "longitude and latitude 0"))
        return found


@dataclass(frozen=True)
class Core:
    """The table of occurrences: its file, columns and layout."""

    path: Path
    member: str | None
    names: tuple[str, ...]
    layout: Layout

    def open(self) -> io.BufferedIOBase:
        """Open it for reading from front to back."""
        if self.member is None:
            return self.path.open("rb")
        return _Member(self.path, self.member)


class _Member(io.BufferedReader):
    """A file in a zip; closing it closes the zip."""

    def __init__(self, path: Path, member: str) -> None:
        self._zip = zipfile.ZipFile(path)
        super().__init__(self._zip.open(member))  # type: ignore[arg-type]

    def close(self) -> None:
        super().close()
        self._zip.close()


def find_core(path: Path) -> Core:
    """Find the table of occurrences of a download, and its layout.

    Args:
        path: A table, an archive, or the folder of an unpacked one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a zip without a table, or meta.xml does not follow the standard.

    Source:
        TDWG (2023), Darwin Core text guide, sections 2 and 3.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.is_dir():
        if not (path / "meta.xml").is_file():
            raise ValueError(f"{path} has no meta.xml, so it is not an unpacked Darwin Core archive.")
        location, names, layout = _described((path / "meta.xml").read_bytes(), path)
        return _with_names(path / location, None, names, layout)
    if path.suffix.lower() != ".zip":
        return _with_names(path, None, (), Layout())
    with unpacking(str(path)), zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        if "meta.xml" in members:
            location, names, layout = _described(archive.read("meta.xml"), path)
            if location not in members:
                raise ValueError(f"{path} has no {location!r}, which its meta.xml names; it may be incomplete.")
            return _with_names(path, location, names, layout)
    tables = [name for name in members if name.lower().endswith(endings_of("csv"))]
    if len(tables) != 1:
        raise ValueError(f"{path} has neither a meta.xml nor a single table; it contains {', '.join(members[:20])}.")
    return _with_names(path, tables[0], (), Layout())


def _with_names(path: Path, member: str | None, names: tuple[str, ...], layout: Layout) -> Core:
    """Take the names of the columns from the first line where meta.xml gives none."""
    core = Core(path, member, names, layout)
    if names:
        return core
    with naming(path, "zip"):
        # GBIF's tab-separated files quote nothing; with commas there is no other way.
        delimiter = with_header(core.open, Layout(quote=None)).delimiter
        layout = with_header(core.open, Layout(delimiter, None if delimiter == "\t" else '"'))
    return Core(path, member, layout.names or (), layout)


def _described(meta: bytes, path: Path) -> tuple[str, tuple[str, ...], Layout]:
    """Read the file, the columns and the layout of the core from meta.xml."""
    try:
        core = ElementTree.fromstring(meta).find(f"{_NS}core")
        if core is None:
            raise KeyError("no core")
        location = core.findtext(f"{_NS}files/{_NS}location")
        named = {
            int(field.attrib["index"]): field.attrib["term"]
            for field in core.iter(f"{_NS}field")
            if "index" in field.attrib
        }
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: meta.xml does not follow the Darwin Core text guide ({error}).") from error
    if not location or not named:
        raise ValueError(f"{path}: meta.xml names no file or no columns of the core.")
    terms = {number: term.rsplit("/", 1)[-1] for number, term in named.items()}
    identity = core.find(f"{_NS}id")
    if identity is not None:
        terms.setdefault(int(identity.attrib.get("index", 0)), "id")
    names: list[str] = []
    for number in range(max(terms) + 1):
        name = terms.get(number, f"column {number}")
        names.append(name if name not in names else f"{name} {number}")
    escapes = {"\\t": "\t", "\\n": "\n", "": None}
    delimiter = core.attrib.get("fieldsTerminatedBy", ",")
    quote = core.attrib.get("fieldsEnclosedBy", '"')
    layout = Layout(
        delimiter=escapes.get(delimiter, delimiter) or ",",
        quote=escapes.get(quote, quote),
        encoding=core.attrib.get("encoding", "UTF-8"),
        names=tuple(names),
        skip=int(core.attrib.get("ignoreHeaderLines", 0)),
    )
    return location.strip(), tuple(names), layout
