"""Which source reads a file, inferred from its ending and its content."""

import zipfile
from itertools import islice
from pathlib import Path

from geotether.files.disk import naming
from geotether.files.formats import UNREAD_IMAGES, endings_of, format_of, opened_bytes, unpacking
from geotether.sources.catalogue import source_names

# The source that reads a format where nothing in the file says otherwise.
_SOURCES = {
    "csv": "columns",
    "geojson": "columns",
    "layer": "columns",
    "json lines": "texts",
    "array": "vectors",
    "geotiff": "raster",
    "netcdf": "raster",
    "zarr": "raster",
}
_EMBEDDINGS = ("embedding", "features", "vector")
_ARCHIVE = ("meta.xml", "occurrence.txt")
_ENTRIES = 10_000  # files of a folder among which an image is looked for


def guess_source(path: str | Path) -> str:
    """Infer which source reads a file or a folder.

    Args:
        path: The file or folder.

    Returns:
        "columns" (CSV, TSV, Parquet, GeoParquet, GeoJSON, GeoPackage, Shapefile), "texts" (JSON lines), "images" (a
        folder of them), "image_column" (Parquet with a column of bytes), "raster" (GeoTIFF, NetCDF, Zarr), "vectors"
        (npy, or Parquet with one list column `embedding`, `features` or `vector`), "darwin_core" (an archive with
        meta.xml or occurrence.txt, packed or not) or "sentinel2" (a folder with index.csv and images).

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If none can be inferred; all sources are listed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(f"{folder}/birds.csv").write_text("lon,lat,mass")
        ...     guess_source(f"{folder}/birds.csv")
        'columns'
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}.")
    found = _of_folder(path) if path.is_dir() else _of_file(path)
    if found is None:
        what = "this folder" if path.is_dir() else f"files ending in {path.suffix or 'nothing'!r}"
        raise ValueError(
            f"{path}: cannot infer a source for {what}; set source: in the specification or pass --source, one of "
            f"{', '.join(source_names())}."
        )
    return found


def _of_folder(path: Path) -> str | None:
    if path.suffix.lower() == ".zarr" or any((path / name).exists() for name in (".zgroup", ".zattrs", "zarr.json")):
        return "raster"
    if any((path / name).is_file() for name in _ARCHIVE):
        return "darwin_core"
    if (path / "index.csv").is_file() and (path / "images").is_dir():
        return "sentinel2"
    files = islice(path.rglob("*"), _ENTRIES)
    known = {*endings_of("image"), *UNREAD_IMAGES}  # the source says which it does not read
    return "images" if any(file.suffix.lower() in known for file in files) else None


def _of_file(path: Path) -> str | None:
    if path.name.lower() == "occurrence.txt":
        return "darwin_core"
    found = format_of(path)
    if found is None:
        return None
    if path.suffix.lower() == ".zip":
        return _of_zip(path)
    if found.name == "csv" and _is_occurrences(path):
        return "darwin_core"
    if found.name == "parquet":
        return _of_parquet(path)
    if ".geojson" in path.name.lower():  # one feature per line: columns with a geometry
        return "columns"
    return _SOURCES.get(found.name)


def _of_zip(path: Path) -> str | None:
    with naming(path), zipfile.ZipFile(path) as archive:
        names = [Path(name).name.lower() for name in archive.namelist()]
    if any(name in _ARCHIVE for name in names):
        return "darwin_core"
    return "columns" if any(name.endswith(".shp") for name in names) else None


def _is_occurrences(path: Path) -> bool:
    """Whether this is what GBIF calls a simple download: one tab-separated file with its own names of columns."""
    with unpacking(str(path)), opened_bytes(path) as file:
        names = file.readline(2**16).decode("utf-8", "replace").strip().split("\t")
    return {"gbifID", "decimalLatitude", "decimalLongitude"} <= set(names)


def _of_parquet(path: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from geotether.files.geometry import bare_geometry, geometry_column, geometry_notes
    from geotether.files.rows import naming
    from geotether.files.values import is_bytes

    try:
        schema = pq.read_schema(path)
    except pa.ArrowException as error:
        raise ValueError(f"{path} is damaged or is not a Parquet file: {error}.") from error
    lists = [field.name for field in schema if pa.types.is_nested(field.type) and not pa.types.is_struct(field.type)]
    if len(lists) == 1 and lists[0].lower() in _EMBEDDINGS:
        return "vectors"
    with naming(path, "parquet"):
        geometries = {geometry_column(schema), bare_geometry(schema), *geometry_notes(schema).get("columns", ())}
    if any(is_bytes(field.type) and field.name not in geometries for field in schema):
        return "image_column"
    return "columns"
