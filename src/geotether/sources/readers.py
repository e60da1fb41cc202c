"""The file formats that points are read from, each into one Arrow table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.sources.geometry import with_geometry
from geotether.sources.packed import opened_bytes
from geotether.sources.records.broken_lines import BrokenLine, told_lines
from geotether.sources.records.delimited import read_delimited
from geotether.sources.records.spool import FAULT


def read_csv(path: Path) -> pa.Table:
    """Read delimited text with a header, as `geotether table build` does; also gzipped.

    Comma, semicolon, tab or bar are told apart by the header; where it is no comma, numbers may have decimal commas.
    Numbers with leading zeros stay texts.

    Raises:
        ValueError: If it is not UTF-8, a column name comes twice, a line has too few or too many values, or a .gz is
            cut short.
    """
    broken: list[BrokenLine] = []
    schema, batches = read_delimited(lambda: opened_bytes(path), broken=broken)
    columns = pa.Table.from_batches([batch for rows in batches for batch in rows.to_batches()], schema)
    if broken:
        raise ValueError(f"{told_lines(broken)}. Mend the file, or put quotes around values with the delimiter.")
    columns = columns.drop_columns([FAULT])
    for place, field in enumerate(columns.schema):
        if pa.types.is_string(field.type):
            columns = columns.set_column(place, field.name, _dated(columns[field.name]))
    return columns


def _dated(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same column as dates or times where every value is one in ISO 8601; else texts, "" where none is given."""
    if texts.null_count == len(texts):
        return pa.chunked_array([pa.nulls(len(texts))])
    for kind in (pa.date32(), pa.timestamp("s"), pa.timestamp("ns")):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            continue
    return texts.fill_null("")


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file with its schema's notes, such as GeoParquet's."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).read()


def read_geojson(path: Path) -> pa.Table:
    """Read the points of a GeoJSON FeatureCollection as properties and a geometry column.

    Raises:
        ValueError: If it is none, or a feature is not a point; the row is named.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"it is not JSON in UTF-8: {error}.") from error
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        raise ValueError('it is no GeoJSON FeatureCollection; it must start with {"type": "FeatureCollection", ...}.')
    crs = str(((document.get("crs") or {}).get("properties") or {}).get("name", "CRS84"))
    if not crs.endswith(("CRS84", "4326")):
        raise ValueError(
            f"its coordinates are in {crs}, but GeoJSON is in WGS 84; convert it (ogr2ogr -t_srs OGC:CRS84)."
        )
    rows: list[dict[str, Any]] = []
    places = []
    for row, feature in enumerate(document.get("features") or []):
        geometry = feature.get("geometry") or {}
        if geometry.get("type") != "Point":
            raise ValueError(f"row {row} is a {geometry.get('type') or 'feature without geometry'}, not a Point.")
        place = geometry.get("coordinates")
        if not isinstance(place, list) or len(place) < 2 or not all(isinstance(v, int | float) for v in place[:2]):
            raise ValueError(f"row {row} has coordinates {place!r}; a Point needs [longitude, latitude].")
        places.append(place[:2])
        identity = {"id": feature["id"]} if "id" in feature else {}
        rows.append(identity | (feature.get("properties") or {}))
    names = list(dict.fromkeys(name for row_values in rows for name in row_values if name != "geometry"))
    columns = pa.table({name: _column([values.get(name) for values in rows]) for name in names})
    lonlat = np.array(places, dtype=np.float64).reshape(-1, 2)
    return with_geometry(columns, lonlat) if names else with_geometry(pa.table({"row": np.arange(len(rows))}), lonlat)


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except pa.ArrowException:  # GeoJSON may mix kinds in one property; its JSON text keeps them all
        return pa.array([None if value is None else json.dumps(value, ensure_ascii=False) for value in values])
