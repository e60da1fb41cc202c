"""Archives unpacked so that nothing in them can reach outside their folder."""

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from geotether.files.disk import replacing_folder

# Name in the archive, size, and how to open it; None for a folder.
Member = tuple[str, int, Callable[[], IO[bytes] | None] | None]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip or .tar (.gz, .bz2, .xz) into a folder, which is there only once all is in it.

    Args:
        archive: The file.
        folder: Where to. Files of an existing folder that the archive lacks are kept.

    Raises:
        ValueError: If it is no archive, is damaged, or a member would land outside the folder or is a link or a
            device; nothing is written then.
        OSError: If the content does not fit on the disk.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _write(list(_zip_members(zipped)), archive, folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tarred:
                _write(list(_tar_members(tarred)), archive, folder)
        else:
            raise ValueError("it is neither a zip nor a tar archive")
    # An encrypted member or an unknown compression is a RuntimeError of zipfile.
    except (ValueError, zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError) as error:
        raise ValueError(f"{archive} cannot be unpacked: {error}.") from error


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ValueError(f"{info.filename!r} in it is a link")
        name = info.filename
        yield name, info.file_size, None if info.is_dir() else partial(archive.open, info)


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        if not (info.isfile() or info.isdir()):
            raise ValueError(f"{info.name!r} in it is a link or a device")
        yield info.name, info.size, None if info.isdir() else partial(archive.extractfile, info)


def _write(members: list[Member], archive: Path, folder: Path) -> None:
    for name, _, _ in members:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or ":" in name:
            raise ValueError(f"{name!r} in it would land outside the folder")
    needed, free = sum(size for _, size, _ in members), shutil.disk_usage(archive.parent).free
    if needed > free:
        raise OSError(
            f"{archive} holds {needed:,} bytes, but only {free:,} are free in {archive.parent}. Free some space."
        )
    with replacing_folder(folder) as part:
        for name, size, opened in members:
            path = part / name
            if opened is None:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            source = opened()
            if source is None:
                raise ValueError(f"{name!r} in it has no content")
            with source, path.open("xb") as target:
                shutil.copyfileobj(source, target)
                if target.tell() != size:
                    raise ValueError(f"{name!r} in it has {target.tell():,} bytes instead of {size:,}")
