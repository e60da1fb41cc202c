"""The formats of files with all their endings, and how to open a packed file."""

import errno
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: Short name, such as "parquet".
        holds: "rows" (a table), "raster", "image" or "array".
        endings: Of its files, in lower case.
        packed: Whether it is also read gzipped, such as .csv.gz.
        extra: Extra of the package that reads it; "" where none is needed.
        written: Whether points can be written in it.
    """

    name: str
    holds: str
    endings: tuple[str, ...]
    packed: bool = False
    extra: str = ""
    written: bool = False


FORMATS = (
    Format("csv", "rows", (".csv", ".tsv"), packed=True, written=True),
    Format("csv", "rows", (".txt",), packed=True),
    Format("parquet", "rows", (".parquet", ".geoparquet", ".pq"), written=True),
    Format("geojson", "rows", (".geojson", ".json"), written=True),
    Format("json lines", "rows", (".jsonl", ".ndjson", ".geojsonl", ".geojsons", ".geojsonseq"), packed=True),
    Format("layer", "rows", (".gpkg", ".shp", ".fgb", ".zip"), extra="geo"),
    Format("array", "array", (".npy", ".npz")),
    Format("geotiff", "raster", (".tif", ".tiff", ".vrt"), extra="geo"),
    Format("netcdf", "raster", (".nc", ".nc3", ".nc4", ".cdf", ".netcdf"), extra="geo"),
    Format("zarr", "raster", (".zarr",), extra="geo"),
    Format("image", "image", (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")),
)
# Images that are not read; telling so is better than passing over them.
UNREAD_IMAGES = (
    *(
        ".heic",
        ".heif",
        ".hif",
        ".avif",
        ".jxl",
        ".jp2",
        ".j2k",
        ".jpx",
        ".jxr",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
    ),
    *(".orf", ".raf", ".rw2", ".srw", ".pef", ".raw", ".psd", ".svg", ".tga", ".ppm", ".pgm", ".exr"),
)


def endings_of(*wanted: str) -> tuple[str, ...]:
    """List the endings of formats.

    Args:
        wanted: Names of formats, or what they hold.

    Example:
        >>> endings_of("netcdf", "zarr")
        ('.nc', '.nc3', '.nc4', '.cdf', '.netcdf', '.zarr')
    """
    return tuple(ending for one in FORMATS if one.name in wanted or one.holds in wanted for ending in one.endings)


PARQUET_ENDINGS = endings_of("parquet")  # of feature tables too


def is_address(path: str | Path) -> bool:
    """Whether a text is an address such as "s3://bucket/birds.parquet" rather than a path.

    Example:
        >>> is_address("memory://birds.parquet"), is_address("data/birds.parquet")
        (True, False)
    """
    return isinstance(path, str) and "://" in path


def format_of(path: str | Path, *holds: str) -> Format | None:
    """Find the format of a file by its name; None if its ending is unknown.

    Args:
        path: The file, which need not exist.
        holds: Consider only formats that hold one of these; by default all, in the order of `FORMATS`.

    Example:
        >>> format_of("towns.CSV.gz").name, format_of("photo.tif", "image").name, format_of("notes.docx")
        ('csv', 'image', None)
    """
    name = Path(path).name.lower()
    for one in FORMATS:
        bare = name.removesuffix(".gz") if one.packed else name
        if (not holds or one.holds in holds) and bare.endswith(one.endings):
            return one
    return None


def row_format(path: str | Path) -> Format:
    """Find the format of a file of rows by its name.

    Raises:
        ValueError: If its ending is none of theirs; they are listed.
    """
    found = format_of(path, "rows")
    if found is None:
        packed = ", ".join(ending + ".gz" for one in FORMATS if one.packed for ending in one.endings)
        raise ValueError(
            f"{path} ends in {Path(path).suffix or 'nothing'!r}; rows are read from {', '.join(endings_of('rows'))}, "
            f"and from {packed}."
        )
    return found


def opened_bytes(path: Path) -> Any:
    """Open a file for reading bytes; one that ends in .gz is unpacked on the way."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def not_utf8(encoding: str, error: Exception) -> ValueError:
    """Return an error about the encoding of a text that names the way out."""
    why = f"{error.reason} at byte {error.start}" if isinstance(error, UnicodeDecodeError) else str(error)
    content = error.object if isinstance(error, UnicodeDecodeError) else b""
    likely = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:99] else "WINDOWS-1252"
    return ValueError(
        f"it is not {encoding} text ({why}); save it as UTF-8, for instance by `iconv -f {likely} -t UTF-8 OLD > NEW`."
    )


@contextmanager
def unpacking(what: str = "it") -> Iterator[None]:
    """Raise one clear ValueError for all errors of truncated or damaged .gz and .zip files.

    Args:
        what: The file; "it" where the path is put before the message later.

    Raises:
        ValueError: Instead of EOFError, zlib.error, BadGzipFile and BadZipFile.

    Example:
        >>> with unpacking():
        ...     gzip.decompress(gzip.compress(b"lon,lat")[:-9])
        Traceback (most recent call last):
            ...
        ValueError: it cannot be unpacked: Compressed file ended before the end-of-stream marker was reached. The file \
is corrupt or incomplete; download it again.
    """
    try:
        yield
    except (EOFError, zlib.error, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # a damaged offset: EINVAL
            raise
        raise ValueError(
            f"{what} cannot be unpacked: {error}. The file is corrupt or incomplete; download it again."
        ) from error
