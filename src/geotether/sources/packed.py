"""Files that may be packed, and what to say of those that are cut short."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def opened_bytes(path: Path) -> Any:
    """Open a file, unpacking it on the way where its name ends in .gz."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


@contextmanager
def unpacking(what: str = "it") -> Iterator[None]:
    """Turn what .gz and .zip raise where they are cut short or damaged into words.

    Args:
        what: The file; "it" where the path is put before the message later.

    Raises:
        ValueError: In the place of EOFError, zlib.error, BadGzipFile and BadZipFile.

    Example:
        >>> with unpacking():
        ...     gzip.decompress(gzip.compress(b"lon,lat")[:-9])
        Traceback (most recent call last):
            ...
        ValueError: it cannot be unpacked: Compressed file ended before the end-of-stream marker was reached. It is \
damaged or only a part; get it anew.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise ValueError(f"{what} cannot be unpacked: {error}. It is damaged or only a part; get it anew.") from error
