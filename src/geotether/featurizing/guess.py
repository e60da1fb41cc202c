"""Which source reads a file: told by its ending, and by a look into it."""

import zipfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from geotether.sources.catalogue import source_names

_ENDINGS = {
    "columns": (".csv", ".tsv", ".geoparquet", ".geojson", ".json", ".gpkg", ".shp"),
    "texts": (".jsonl", ".ndjson"),
    "raster": (".tif", ".tiff", ".nc", ".nc4", ".zarr", ".vrt"),
    "vectors": (".npy", ".npz"),
}
_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
_EMBEDDINGS = ("embedding", "features", "vector")
_ARCHIVE = ("meta.xml", "occurrence.txt")
_ENTRIES = 10_000  # so far a folder is searched for its first image


def guess_source(path: str | Path) -> str:
    """Tell which source reads a file or a folder.

    Args:
        path: Of the file or folder.

    Returns:
        "columns" (CSV, TSV, Parquet, GeoParquet, GeoJSON, GeoPackage, Shapefile), "texts" (JSON lines), "images" (a
        folder of them), "image_column" (Parquet with a column of bytes), "raster" (GeoTIFF, NetCDF, Zarr), "vectors"
        (npy, or Parquet with one list column `embedding`, `features` or `vector`), "darwin_core" (an archive with
        meta.xml or occurrence.txt, packed or not) or "sentinel2" (a folder with index.csv and images).

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it cannot be told; all sources are listed.

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
            f"{path}: which source reads {what} cannot be told; name it (source: ..., or --source), one of "
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
    return "images" if _any_ending(islice(path.rglob("*"), _ENTRIES), _IMAGES) else None


def _of_file(path: Path) -> str | None:
    if path.name.lower() == "occurrence.txt":
        return "darwin_core"
    ending = path.suffix.lower()
    if ending == ".zip":
        return "darwin_core" if _is_archive(path) else None
    if ending in (".csv", ".tsv") and _is_occurrences(path):
        return "darwin_core"
    if ending in (".parquet", ".pq"):
        return _of_parquet(path)
    return next((source for source, endings in _ENDINGS.items() if ending in endings), None)


def _is_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(Path(name).name in _ARCHIVE for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _is_occurrences(path: Path) -> bool:
    """Whether this is what GBIF calls a simple download: one tab-separated file with its own names of columns."""
    with path.open("rb") as file:
        names = file.readline(2**16).decode("utf-8", "replace").strip().split("\t")
    return {"gbifID", "decimalLatitude", "decimalLongitude"} <= set(names)


def _of_parquet(path: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from geotether.files.geometry import geometry_column

    try:
        schema = pq.read_schema(path)
    except pa.ArrowException as error:
        raise ValueError(f"{path} is damaged or is not a Parquet file: {error}.") from error
    lists = [field.name for field in schema if pa.types.is_nested(field.type) and not pa.types.is_struct(field.type)]
    if len(lists) == 1 and lists[0].lower() in _EMBEDDINGS:
        return "vectors"
    geometry = geometry_column(schema)
    is_bytes = (pa.types.is_binary, pa.types.is_large_binary)
    if any(field.name != geometry and any(kind(field.type) for kind in is_bytes) for field in schema):
        return "image_column"
    return "columns"


def _any_ending(files: Iterable[Path], endings: tuple[str, ...]) -> bool:
    return any(file.suffix.lower() in endings for file in files)
