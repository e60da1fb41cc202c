"""All sources by name, built in and from other packages."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geotether.plugins import Registry
from geotether.sources.source import KINDS, Source

# Name to the class, which is imported only when used.
SOURCES = Registry(
    "source",
    "geotether.sources",
    {
        "columns": "geotether.sources.records.columns:ColumnsSource",
        "texts": "geotether.sources.records.texts:TextsSource",
        "darwin_core": "geotether.sources.records.darwin_core:DarwinCoreSource",
        "images": "geotether.sources.pictures.images:ImagesSource",
        "image_column": "geotether.sources.pictures.image_column:ImageColumnSource",
        "raster": "geotether.sources.grids.raster_source:RasterSource",
        "sentinel2": "geotether.sources.pictures.sentinel2:Sentinel2Source",
        "vectors": "geotether.sources.records.vectors:VectorsSource",
    },
)
register_source = SOURCES.register
"""Class decorator `@register_source("name")`; see docs/extend.md."""

_PARTS = ("kind", "features", "__len__", "prepare", "read", "fingerprint")


def source_names() -> list[str]:
    """List the names of all sources, built in and registered by other packages."""
    return SOURCES.names()


def source_class(name: str) -> Any:  # a class; issubclass cannot check a protocol that has attributes
    """Find the class of a source; ValueError for an unknown name, ImportError or TypeError for an unusable plug-in."""
    found = SOURCES.load(name)
    missing = [part for part in _PARTS if not isinstance(SOURCES[name], str) and not _has(found, part)]
    if missing:
        where = f"{found.__module__}:{found.__qualname__}"
        raise TypeError(f"{where} is registered as the source {name!r}, but it has no {', '.join(missing)}.")
    return found


def open_source(name: str, path: str | Path, options: Mapping[str, Any] | None = None) -> Source:
    """Open the source `name` at a path, with the further arguments of its constructor.

    Raises:
        ValueError: If the source or an option is unknown (the known ones are listed), or the source refuses.
    """
    source_class(name)
    source: Source = SOURCES.make(name, options, path=path)
    if source.kind not in KINDS:
        raise TypeError(f"The source {name!r} has the kind {source.kind!r}; it must be one of {', '.join(KINDS)}.")
    return source


def _has(found: Any, part: str) -> bool:
    # An attribute may be set in the constructor or be declared only, so annotations count as well.
    return hasattr(found, part) or part in inspect.get_annotations(found) if isinstance(found, type) else False
