"""Layers of GeoPackages, Shapefiles and what else GDAL reads, some rows at a time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

ENDINGS = (".gpkg", ".shp", ".fgb", ".zip")


@contextmanager
def open_layer(path: Path, layer: str | None = None) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Open a layer to read its rows once, from front to back.

    Args:
        path: GeoPackage, Shapefile (also zipped) or FlatGeobuf.
        layer: Which layer; None: the only one.

    Yields:
        The schema, with the geometry as well-known binary in the column "geometry" and its CRS noted as GeoParquet
        notes it, and the rows.

    Raises:
        ValueError: If it cannot be read, has no such layer, or several and none was named.
        ImportError: If geopandas' parts are missing.
    """
    try:
        import pyogrio
    except ImportError:
        raise ImportError(f"{path} is read with pyogrio: pip install 'geotether[geo]'.") from None
    try:
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
    except pyogrio.errors.DataSourceError as error:
        raise ValueError(f"it is damaged or no file that GDAL knows: {error}") from error
    if layer is None and len(layers) > 1:
        raise ValueError(f"it has the layers {', '.join(layers)}; name one with layer=.")
    if layer is not None and layer not in layers:
        raise ValueError(f"it has no layer {layer!r}; there are {', '.join(layers) or 'none'}.")
    with pyogrio.open_arrow(path, layer=layer or layers[0], use_pyarrow=True, batch_size=4096) as (about, reader):
        schema = _schema(reader.schema, about)
        yield schema, (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in reader)


def read_layer(path: Path) -> pa.Table:
    """Read the only layer of a file as a whole."""
    with open_layer(path) as (schema, batches):
        return pa.Table.from_batches(list(batches), schema)


def _schema(schema: pa.Schema, about: dict[str, Any]) -> pa.Schema:
    names = list(schema.names)
    geometry = about.get("geometry_name") or next((name for name in ("wkb_geometry", "geom") if name in names), None)
    if about.get("geometry_type") is None or geometry not in names:
        return schema.remove_metadata()
    fields = [
        pa.field("geometry", field.type) if field.name == geometry else pa.field(field.name, field.type)
        for field in schema
    ]
    note = {"encoding": "WKB", "crs": about.get("crs")}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": note}}
    return pa.schema(fields, {"geo": json.dumps(geo)})
