"""JSON of any size into a spool: one object a line, or the features of a GeoJSON collection."""

import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from geotether.sources.packed import opened_bytes, unpacking
from geotether.sources.records.spool import FAULT, ROWS_AT_ONCE, write_spool

LINE_ENDINGS = (".jsonl", ".ndjson", ".geojsonl", ".geojsons", ".geojsonseq")
_CHUNK = 2**20
Record = tuple[dict[str, Any], bytes | None, str | None]  # properties, geometry, fault


def spool_json(path: Path, spool: Path, keep: Callable[[pa.Table], pa.Table] = lambda rows: rows) -> None:
    """Copy JSON into a spool, reading it twice from front to back.

    Lists of texts or of numbers stay lists; what else does not fit one type becomes its JSON text. Lines that cannot be
    read stay rows, with the reason in the column `FAULT`.

    Args:
        path: GeoJSON with a FeatureCollection (.geojson, .json), or one object or GeoJSON feature a line (.jsonl,
            .ndjson, .geojsonl, .geojsonseq), also as .gz.
        spool: File to write.
        keep: Gets every run of rows and gives those to keep.

    Raises:
        ValueError: If a collection is not JSON or none, or a .gz is cut short; single lines are no reason.
    """
    by_line = path.name.lower().removesuffix(".gz").endswith(LINE_ENDINGS)
    notes: dict[str, Any] = {}

    def records() -> Iterator[Record]:
        with unpacking(), _opened(path) as file:
            yield from (_lines(file) if by_line else _collection(file, notes))

    tags: dict[str, set[str]] = {}
    geometry, failed = False, False
    for properties, shape, fault in records():
        geometry |= shape is not None
        failed |= fault is not None
        for name, value in properties.items():
            tags.setdefault(name, set()).add(_tag(value))
    fields = {name: _type(found - {"null"}) for name, found in tags.items() if name not in {FAULT, "geometry"}}
    schema = pa.schema([pa.field(name, kind) for name, kind in fields.items()])
    if geometry or not by_line:
        about = {"encoding": "WKB"} | ({"crs": notes["crs"]} if "crs" in notes else {})
        geo = json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}})
        schema = schema.append(pa.field("geometry", pa.binary())).with_metadata({"geo": geo})
    schema = schema.append(pa.field(FAULT, pa.string()))
    write_spool(spool, schema, map(keep, _tables(records(), schema)))


def _tables(records: Iterator[Record], schema: pa.Schema) -> Iterator[pa.Table]:
    run: list[dict[str, Any]] = []
    texts = {field.name for field in schema if pa.types.is_string(field.type)}
    for properties, shape, fault in records:
        row = {
            name: json.dumps(value, ensure_ascii=False)
            if name in texts and value is not None and not isinstance(value, str)
            else value
            for name, value in properties.items()
        }
        run.append(row | {"geometry": shape, FAULT: fault})
        if len(run) == ROWS_AT_ONCE:
            yield pa.Table.from_pylist(run, schema=schema)
            run = []
    yield pa.Table.from_pylist(run, schema=schema)


def _opened(path: Path) -> io.TextIOBase:
    # What is not UTF-8 becomes a sign that JSON texts may hold, so that one bad line is one bad row.
    return io.TextIOWrapper(opened_bytes(path), encoding="utf-8-sig", errors="replace")


def _lines(file: io.TextIOBase) -> Iterator[Record]:
    for line in file:
        line = line.strip("\x1e \t\r\n")  # GeoJSON text sequences start every record with a separator
        if not line:
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield {}, None, "the line is not JSON"
            continue
        if not isinstance(value, dict):
            yield {}, None, "the line is no JSON object"
        else:
            yield _feature(value) if value.get("type") == "Feature" else (value, None, None)


def _collection(file: io.TextIOBase, notes: dict[str, Any]) -> Iterator[Record]:
    """The features of a collection, one after the other, without holding the rest."""
    stream = _Stream(file)
    hint = 'it must be {"type": "FeatureCollection", "features": [...]}'
    if stream.next() != "{":
        raise ValueError(f"it is no GeoJSON FeatureCollection; {hint}.")
    stream.skip()
    found = False
    while stream.next() not in "}":
        name = stream.value()
        stream.expect(":")
        if name == "features" and stream.next() == "[":
            found = True
            stream.skip()
            while stream.next() != "]":
                feature = stream.value()
                yield _feature(feature) if isinstance(feature, dict) else ({}, None, "the feature is no JSON object")
                if stream.next() != "]":
                    stream.expect(",")
            stream.skip()
        else:
            value = stream.value()
            if name == "crs" and isinstance(value, dict):
                notes["crs"] = str((value.get("properties") or {}).get("name", "OGC:CRS84"))
        if stream.next() != "}":
            stream.expect(",")
    if not found:
        raise ValueError(f"it is no GeoJSON FeatureCollection; {hint}.")


class _Stream:
    """JSON values one by one from a text that is read in pieces."""

    def __init__(self, file: io.TextIOBase) -> None:
        self.file, self.buffer, self.at = file, "", 0
        self.decoder = json.JSONDecoder()

    def _fill(self) -> bool:
        rest = self.buffer[self.at :]
        piece = self.file.read(max(_CHUNK, len(rest)))  # twice as much each time keeps one huge value linear
        self.buffer, self.at = rest + piece, 0
        return bool(piece)

    def next(self) -> str:
        """The next sign that is no space, not taken; "" at the end."""
        while True:
            while self.at < len(self.buffer):
                if self.buffer[self.at] not in " \t\r\n":
                    return self.buffer[self.at]
                self.at += 1
            if not self._fill():
                raise ValueError("it is not complete JSON: it ends too early.")

    def skip(self) -> None:
        self.at += 1

    def expect(self, sign: str) -> None:
        found = self.next()
        if found != sign:
            raise ValueError(f"it is not JSON: {found!r} where {sign!r} was expected.")
        self.skip()

    def value(self) -> Any:
        self.next()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.buffer, self.at)
                if end < len(self.buffer) or not self._fill():  # a number may go on in the next piece
                    self.at = end if end < len(self.buffer) else len(self.buffer)
                    return value
            except json.JSONDecodeError as error:
                if not self._fill():
                    raise ValueError(f"it is not JSON: {error.msg} near {self.buffer[self.at :][:40]!r}.") from None


def _feature(feature: dict[str, Any]) -> Record:
    properties = feature.get("properties")
    row = ({"id": feature["id"]} if "id" in feature else {}) | (properties if isinstance(properties, dict) else {})
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict):
        return row, None, None
    place = geometry.get("coordinates")
    if geometry.get("type") == "Point":
        if not isinstance(place, list) or len(place) < 2 or not all(isinstance(v, int | float) for v in place[:2]):
            return row, None, "the Point needs [longitude, latitude]"
        return row, struct.pack("<BIdd", 1, 1, *map(float, place[:2])), None
    try:
        import shapely
    except ImportError:
        raise ImportError(
            f"The file has a {geometry.get('type')}; a point inside is found by shapely: pip install 'geotether[geo]'."
        ) from None
    shape = shapely.from_geojson(json.dumps(geometry), on_invalid="ignore")
    return (row, None, "invalid geometry") if shape is None else (row, shapely.to_wkb(shape), None)


def _tag(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "whole" if -(2**63) <= value < 2**63 else "number"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        kinds = {_tag(part) for part in value} - {"null"}
        if not kinds:
            return "null"
        if kinds == {"text"}:
            return "texts"
        return "numbers" if kinds <= {"whole", "number"} else "other"
    return "other"


def _type(tags: set[str]) -> pa.DataType:
    if tags and tags <= {"whole", "number"}:
        return pa.int64() if tags == {"whole"} else pa.float64()
    single = {"boolean": pa.bool_(), "texts": pa.list_(pa.string()), "numbers": pa.list_(pa.float64())}
    return single.get(next(iter(tags)), pa.string()) if len(tags) == 1 else pa.string()
