"""A file of rows in any of the formats people have, read by row number after one pass."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.geodesy.coordinates import swap_suspicion
from geotether.geodesy.dates import times_of
from geotether.sources.fingerprints import file_fingerprint
from geotether.sources.packed import opened_bytes
from geotether.sources.points import DELIMITED_ENDINGS, PARQUET_ENDINGS
from geotether.sources.records.cell_values import is_plain, label_of, texts_of, without_dictionary
from geotether.sources.records.delimited import Layout, spool_delimited
from geotether.sources.records.json_records import LINE_ENDINGS, spool_json
from geotether.sources.records.layers import ENDINGS as LAYER_ENDINGS
from geotether.sources.records.layers import open_layer
from geotether.sources.records.places import PlaceFinder
from geotether.sources.records.spool import FAULT, ROWS_AT_ONCE, ParquetRows, Rows, SpooledRows, write_spool
from geotether.sources.source import Observations

COLLECTION_ENDINGS = (".geojson", ".json")


class RowFile:
    """Rows with a place each, and perhaps an id, a time and labels; what else they hold is for others to read.

    Args:
        path: CSV or TSV (also .gz), Parquet, GeoParquet, GeoJSON, JSON lines (also .gz), GeoPackage, Shapefile.
        lon: Column of longitudes, or of x in `crs`; by default found.
        lat: Column of latitudes, or of y.
        id: Column of ids.
        time: Column of dates or times.
        labels: Columns to keep as labels.
        crs: What the coordinates are in, where the file does not say and they are not degrees in WGS 84.
        layer: Of a GeoPackage with several.
        where: Column to the value or the list of values of the rows to read; the others are as if not in the file.
        layout: How delimited text is written, where its header does not tell.
        ending: Says the format where the file's own does not.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the ending is unknown or an option does not fit.
    """

    def __init__(
        self,
        path: str | Path,
        lon: str | None = None,
        lat: str | None = None,
        id: str | None = None,
        time: str | None = None,
        labels: Any = (),
        crs: str | None = None,
        layer: str | None = None,
        where: Mapping[str, Any] | None = None,
        layout: Layout | None = None,
        ending: str | None = None,
    ) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file {path}." if not self.path.exists() else f"{path} is not a file.")
        self.ending = ending or _ending(self.path)
        self.lon, self.lat, self.crs, self.layer, self.layout = lon, lat, crs, layer, layout
        self.id, self.time, self.labels = id, time, names_of("labels", labels)
        if where is not None and (not isinstance(where, Mapping) or not where):
            raise ValueError(f"where is a mapping of a column to its value or values, got {where!r}.")
        self.where = {name: given if isinstance(given, list) else [given] for name, given in (where or {}).items()}
        if layer is not None and self.ending not in LAYER_ENDINGS:
            raise ValueError(f"{path} has no layers; leave layer={layer!r} out.")

    def prepare(self, folder: Path) -> pa.Schema:
        """Make every row readable; see `Source.prepare`.

        Returns:
            The columns of the file, the place's included.

        Raises:
            ValueError: If the file is damaged, has no rows, lacks a column, or none of its rows has a place.
        """
        spool = folder / f"rows-{self.fingerprint()[:16]}.arrow"
        try:
            if not spool.is_file():
                self._copy(spool)
            self.rows: Rows = SpooledRows(spool) if spool.is_file() else ParquetRows(self.path)
            columns = [field for field in self.rows.schema if field.name != FAULT]
            self.schema = pa.schema(columns, self.rows.schema.metadata)
            self.require([*filter(None, (self.id, self.time)), *self.labels])
            self.finder = PlaceFinder(self.schema, self.lon, self.lat, self.crs)
            if len(self.rows) == 0:
                raise ValueError("it has no rows." if not self.where else f"no row has {_said(self.where)}.")
            self._with_gaps = self._labels_with_gaps()
            self._require_a_place()
        except (pa.ArrowException, OSError) as error:
            if getattr(error, "errno", None):  # the system's own error, such as a full disk
                raise
            raise ValueError(f"{self.path} is damaged or is no {self.ending} file: {error}.") from error
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
        return self.schema

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.rows)

    def read(self, start: int, stop: int) -> tuple[pa.Table, Observations, dict[int, str]]:
        """Read some rows.

        Returns:
            All of them with every column; all of them as observations without content, their places not all valid; and
            why some are refused, by position. `geotether.sources.source.usable` puts the three together.
        """
        table = self.rows.read(start, stop)
        faults: dict[int, str] = {}
        if FAULT in table.column_names:
            given = table[FAULT].to_pylist()
            faults = {row: fault for row, fault in enumerate(given) if fault is not None}
            table = table.drop_columns([FAULT])
        lonlat, reasons = self.finder.find(table)
        ids = np.empty(0, dtype="<U1")
        if self.id is not None:
            ids = texts_of(table[self.id])
            reasons = dict.fromkeys(np.flatnonzero(ids == "").tolist(), "no id") | reasons
        time = None
        if self.time is not None:
            time, bad = times_of(table[self.time])
            why = f"{self.time} is not a date in ISO 8601, such as 2003-06-21"
            reasons |= {int(row): why for row in np.flatnonzero(bad) if int(row) not in reasons}
        labels = {name: label_of(table[name], name in self._with_gaps) for name in self.labels}
        row = max(start, 0) + np.arange(table.num_rows, dtype=np.int64)
        return table, Observations(row, lonlat, None, ids, time, labels), reasons | faults

    def fingerprint(self) -> str:
        """Name the rows: the file and the options that choose or read them."""
        chosen = [self.layer, self.where, repr(self.layout), self.lon, self.lat, self.crs]
        facts = json.dumps(chosen, default=str)
        return hashlib.sha256(f"{self._file_fingerprint()} {facts}".encode()).hexdigest()

    def _file_fingerprint(self) -> str:
        beside = [self.path.with_suffix(other) for other in (".dbf", ".prj", ".cpg") if self.ending == ".shp"]
        return " ".join(file_fingerprint(path) for path in [self.path, *beside] if path.is_file())

    def _copy(self, spool: Path) -> None:
        """Write the spool, unless a Parquet file can stay where it is."""
        if self.ending in DELIMITED_ENDINGS:
            spool_delimited(self._opened, spool, self.layout or Layout(), self._kept)
        elif self.ending in (*LINE_ENDINGS, *COLLECTION_ENDINGS):
            spool_json(self.path, spool, self._kept)
        elif self.ending in LAYER_ENDINGS:
            with open_layer(self.path, self.layer) as (schema, batches):
                self._write(spool, schema, batches)
        else:
            found = ParquetRows(self.path)
            twice = [name for name, count in Counter(found.schema.names).items() if count > 1]
            if twice:
                raise ValueError(f"two columns are called {twice[0]!r}; rename one.")
            if self.where or not found.is_small_grained:
                self._write(spool, found.schema, found.batches())

    def _write(self, spool: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        write_spool(spool, schema, (self._kept(pa.Table.from_batches([batch])) for batch in batches))

    def _opened(self) -> Any:
        return opened_bytes(self.path)

    def _kept(self, rows: pa.Table) -> pa.Table:
        """The rows that `where` asks for."""
        self.require(list(self.where), rows.column_names)
        for name, values in self.where.items():
            column, given = without_dictionary(rows[name]), [value for value in values if value is not None]
            try:
                wanted = pa.array(given, from_pandas=False).cast(column.type)
            except (pa.ArrowException, TypeError):
                raise ValueError(f"where asks for {values!r} in column {name!r}, which holds {column.type}.") from None
            chosen = pc.is_in(column, wanted)
            rows = rows.filter(pc.or_(chosen, column.is_null()) if None in values else chosen)
        return rows

    def require(self, names: list[str], there: list[str] | None = None) -> None:
        """Raise ValueError if a column is not there; those there are listed."""
        there = [name for name in (self.schema.names if there is None else there) if name != FAULT]
        for name in names:
            if name not in there:
                raise ValueError(f"there is no column {name!r}. Columns found: {', '.join(map(repr, there[:40]))}.")

    def _labels_with_gaps(self) -> set[str]:
        """Labels of whole numbers or truths that lack some values, and so must be read as floats in every run."""
        asked = []
        for name in self.labels:
            kind = self.schema.field(name).type
            if not is_plain(kind):
                raise ValueError(f"column {name!r} holds {kind}; labels are numbers, truths, dates or texts.")
            if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
                asked.append(name)
        found: set[str] = set()
        for start in range(0, len(self.rows) if asked else 0, ROWS_AT_ONCE):
            table = self.rows.read(start, start + ROWS_AT_ONCE)
            found |= {name for name in asked if table[name].null_count}
        return found

    def _require_a_place(self) -> None:
        """Raise unless some row can be used; reading stops at the first."""
        why: Counter[str] = Counter()
        first = np.empty((0, 2))
        for start in range(0, len(self.rows), ROWS_AT_ONCE):
            _, seen, reasons = self.read(start, start + ROWS_AT_ONCE)
            if len(reasons) < len(seen):
                return
            why.update(reasons.values())
            first = first if len(first) else seen.lonlat
        hint = swap_suspicion(first) or ""
        raise ValueError(
            f"none of the {len(self.rows)} rows can be used; most often: {why.most_common(1)[0][0]}. {hint}"
            f" Columns found: {', '.join(map(repr, self.schema.names[:40]))}."
        )


def names_of(option: str, given: Any) -> tuple[str, ...]:
    """Take one column name or several."""
    names = (given,) if isinstance(given, str) or not hasattr(given, "__iter__") else tuple(given)
    if given is None:
        return ()
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{option} are names of columns, got {given!r}.")
    return names


def _ending(path: Path) -> str:
    name = path.name.lower()
    known = (*DELIMITED_ENDINGS, *PARQUET_ENDINGS, *COLLECTION_ENDINGS, *LINE_ENDINGS, *LAYER_ENDINGS)
    zipped = name.endswith(".gz")
    for ending in known:
        if name.removesuffix(".gz").endswith(ending) and (not zipped or ending in (*DELIMITED_ENDINGS, *LINE_ENDINGS)):
            return ending
    raise ValueError(
        f"{path} ends in {path.suffix or 'nothing'!r}; rows are read from {', '.join(known)}, and from "
        f"{', '.join(ending + '.gz' for ending in (*DELIMITED_ENDINGS, *LINE_ENDINGS))}."
    )


def _said(where: Mapping[str, list[Any]]) -> str:
    return " and ".join(f"{name} = {' or '.join(map(repr, values))}" for name, values in where.items())
