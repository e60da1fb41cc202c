"""The file formats that points are read from, each into one Arrow table."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.sources.geometry import with_geometry


def read_csv(path: Path) -> pa.Table:
    """Read a CSV with a header; comma, semicolon or tab are told apart by it.

    Numbers with leading zeros stay texts.

    Raises:
        ValueError: If it is not UTF-8 or a column name comes twice.
    """
    from pyarrow.csv import ConvertOptions, ParseOptions
    from pyarrow.csv import read_csv as read

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8.") from error
    delimiter = max(",;\t", key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"the header names column {min(twice)!r} twice; rename one.")
    parse = ParseOptions(delimiter=delimiter, newlines_in_values=True)
    columns = read(path, parse_options=parse)
    binary = [name for name in columns.column_names if pa.types.is_binary(columns[name].type)]
    if binary:
        raise ValueError(f"column {binary[0]!r} is not UTF-8 text; save the file as UTF-8.")
    # A postcode such as 01234 is a text: as a number it would lose its zero.
    whole = [name for name in columns.column_names if pa.types.is_integer(columns[name].type)]
    as_text = ConvertOptions(column_types=dict.fromkeys(whole, pa.string()), include_columns=whole)
    texts = read(path, parse_options=parse, convert_options=as_text) if whole else columns
    for name in whole:
        same = pc.equal(columns[name].cast(pa.string()), texts[name])
        if not pc.all(same, min_count=0).as_py():
            columns = columns.set_column(columns.column_names.index(name), name, texts[name])
    return columns


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
