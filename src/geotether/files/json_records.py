"""JSON of any size: one object per line, an array of objects, or the features of a GeoJSON collection."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.files.delimited import FAULT
from geotether.files.formats import opened_bytes, unpacking
from geotether.files.geometry import with_geometry_note

_ROWS_AT_ONCE = 4096
_CHUNK = 2**20
JSON_TEXT = b"geotether:json"  # in a field's metadata: its texts are JSON
Record = tuple[dict[str, Any], Any, str | None]  # properties, geometry as GeoJSON, fault


def read_json(path: Path, by_line: bool, keep: str | None = None) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Read JSON twice from front to back: for the types of its properties, then for its values.

    Lists of texts or of numbers stay lists; values that do not fit one type become their JSON text, and so do whole
    numbers beyond 64 bits. Lines that cannot be read stay rows, with the reason in the column `FAULT`.

    Args:
        path: The file, also as .gz.
        by_line: Whether it has one object or GeoJSON feature per line, rather than one FeatureCollection.
        keep: What the rows are to be written again as. "json": values that do not fit one type all become JSON texts,
            texts too, as the field's metadata `JSON_TEXT` says. Any: a property that would be lost is an error.

    Returns:
        The schema, with geometries as well-known binary in the column "geometry" and their CRS noted as GeoParquet
        notes it, and the rows in tables.

    Raises:
        ValueError: If a collection is not one, not UTF-8 or not JSON, or a .gz is truncated; single lines are rejected.
    """
    notes: dict[str, Any] = {}

    def records() -> Iterator[Record]:
        with unpacking(), _opened(path) as file:
            yield from (_lines(file) if by_line else _collection(file, notes))

    tags: dict[str, set[str]] = {}
    geometry = False
    for properties, shape, _ in records():
        geometry |= shape is not None
        for name, value in properties.items():
            tags.setdefault(name, set()).add(_tag(value))
    if keep is not None and geometry and "geometry" in tags:
        raise ValueError("a property is called 'geometry' as well; rename it.")
    fields = []
    for name, found in tags.items():
        if name not in {FAULT, "geometry"}:
            kind, is_mixed = _type(found - {"null"}), not found <= {"null", "text"}
            mixed = {JSON_TEXT: b""} if keep == "json" and is_mixed and pa.types.is_string(kind) else None
            fields.append(pa.field(name, kind, metadata=mixed))
    schema = pa.schema(fields)
    if geometry or "is_geojson" in notes:
        about = {"encoding": "WKB"} | ({"crs": notes["crs"]} if "crs" in notes else {})
        schema = with_geometry_note(schema.insert(0, pa.field("geometry", pa.binary())), about)
    schema = schema.append(pa.field(FAULT, pa.string()))
    return schema, _tables(records(), schema)


def _tables(records: Iterator[Record], schema: pa.Schema) -> Iterator[pa.Table]:
    run: list[dict[str, Any]] = []
    texts = {field.name: bool(field.metadata) for field in schema if pa.types.is_string(field.type)}
    for properties, shape, fault in records:
        row = {
            name: json.dumps(value, ensure_ascii=False)
            if name in texts and value is not None and (texts[name] or not isinstance(value, str))
            else value
            for name, value in properties.items()
        }
        run.append(row | {"geometry": shape, FAULT: fault})
        if len(run) == _ROWS_AT_ONCE:
            yield _table(run, schema)
            run = []
    yield _table(run, schema)


def _table(run: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    if "geometry" in schema.names:
        import shapely

        given = [row["geometry"] for row in run]
        if all(shape is not None and shape["type"] == "Point" for shape in given):
            points = np.array([shape["coordinates"][:2] for shape in given], dtype=np.float64).reshape(-1, 2)
            shapes: Any = shapely.points(points)
        else:
            texts = [None if shape is None else json.dumps(shape) for shape in given]
            shapes = shapely.from_geojson(texts, on_invalid="ignore")
        for row, shape, wkb in zip(run, shapes, shapely.to_wkb(shapes), strict=True):
            if row["geometry"] is not None and shape is None and row[FAULT] is None:
                row[FAULT] = "invalid geometry"
            row["geometry"] = wkb
    return pa.Table.from_pylist(run, schema=schema)


def _opened(path: Path) -> io.TextIOBase:
    # Bytes that are not UTF-8 become surrogates, so that they can be found and one bad line is one bad row.
    return io.TextIOWrapper(opened_bytes(path), encoding="utf-8-sig", errors="surrogateescape")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _lines(file: io.TextIOBase) -> Iterator[Record]:
    for line in file:
        line = line.strip("\x1e \t\r\n")  # GeoJSON text sequences start every record with a separator
        if not line:
            continue
        if not _is_utf8(line):
            yield {}, None, "the line is not UTF-8"
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield {}, None, "the line is not JSON"
            continue
        yield _record(value) if isinstance(value, dict) else ({}, None, "the line is not a JSON object")


def _collection(file: io.TextIOBase, notes: dict[str, Any]) -> Iterator[Record]:
    """Yield the features of a collection, or the objects of an array, one by one, without holding the rest."""
    stream = _Stream(file)
    hint = 'it must be {"type": "FeatureCollection", "features": [...]}, or an array of objects'
    if stream.next() == "[":
        yield from map(_record, stream.items())
        return
    notes["is_geojson"] = True
    if stream.next() != "{":
        raise ValueError(f"it is not a GeoJSON FeatureCollection; {hint}.")
    stream.skip()
    found = False
    while stream.next() not in "}":
        name = stream.value()
        stream.expect(":")
        if name == "features" and stream.next() == "[":
            found = True
            yield from (_record(item, is_feature=True) for item in stream.items())
        else:
            value = stream.value()
            if name == "crs" and isinstance(value, dict):
                notes["crs"] = str((value.get("properties") or {}).get("name", "OGC:CRS84"))
            if name == "type" and value != "FeatureCollection":
                raise ValueError(f"it is a GeoJSON {value}, not a FeatureCollection; {hint}.")
        if stream.next() != "}":
            stream.expect(",")
    if not found:
        raise ValueError(f"it is not a GeoJSON FeatureCollection; {hint}.")


def _record(item: Any, is_feature: bool = False) -> Record:
    if not isinstance(item, dict):
        return {}, None, "the feature is not a JSON object"
    return _feature(item) if is_feature or item.get("type") == "Feature" else (item, None, None)


class _Stream:
    """JSON values one by one from a text that is read in pieces."""

    def __init__(self, file: io.TextIOBase) -> None:
        self.file, self.buffer, self.at = file, "", 0
        self.decoder = json.JSONDecoder()

    def _fill(self) -> bool:
        rest = self.buffer[self.at :]
        piece = self.file.read(max(_CHUNK, len(rest)))  # twice as much each time keeps one huge value linear
        if not _is_utf8(piece):
            raise ValueError("it is not UTF-8 text; save it as UTF-8.")
        self.buffer, self.at = rest + piece, 0
        return bool(piece)

    def next(self) -> str:
        """Peek at the next non-whitespace character."""
        while True:
            while self.at < len(self.buffer):
                if self.buffer[self.at] not in " \t\r\n":
                    return self.buffer[self.at]
                self.at += 1
            if not self._fill():
                raise ValueError("it is not complete JSON: it ends too early.")

    def skip(self) -> None:
        self.at += 1

    def expect(self, wanted: str) -> None:
        found = self.next()
        if found != wanted:
            raise ValueError(f"it is not JSON: {found!r} where {wanted!r} was expected.")
        self.skip()

    def items(self) -> Iterator[Any]:
        """Yield the items of the array that comes next."""
        self.skip()
        while self.next() != "]":
            yield self.value()
            if self.next() != "]":
                self.expect(",")
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
            except RecursionError:
                raise ValueError("its JSON is nested too deeply.") from None


def _feature(feature: dict[str, Any]) -> Record:
    properties = feature.get("properties")
    row = ({"id": feature["id"]} if "id" in feature else {}) | (properties if isinstance(properties, dict) else {})
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict):
        return row, None, None
    if "type" not in geometry:
        return row, None, "invalid geometry"
    place = geometry.get("coordinates")
    if geometry.get("type") == "Point" and not (
        isinstance(place, list)
        and len(place) >= 2
        and all(isinstance(value, int | float) and abs(value) < 1e300 for value in place[:2])
    ):
        return row, None, "the Point needs [longitude, latitude]"
    return row, geometry, None


def _tag(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "whole" if abs(value) <= 2**53 else "long" if -(2**63) <= value < 2**63 else "huge"
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
        if kinds <= {"whole", "long"}:
            return "wholes"
        if kinds <= {"whole", "number"}:
            return "numbers"
    return "other"


def _type(tags: set[str]) -> pa.DataType:
    """Find the Arrow type of a property; texts where nothing else fits all values."""
    for fitting, kind in (
        ({"whole", "long"}, pa.int64()),  # a long one beside fractions would lose digits
        ({"whole", "number"}, pa.float64()),
        ({"boolean"}, pa.bool_()),
        ({"texts"}, pa.list_(pa.string())),
        ({"wholes"}, pa.list_(pa.int64())),
        ({"wholes", "numbers"}, pa.list_(pa.float64())),
    ):
        if tags and tags <= fitting:
            return kind
    return pa.string()
