"""Archives are unpacked safely, and tables without a header are rewritten with one."""

import csv
import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from geotether.datasets.registry import PlainTable
from geotether.files.disk import replacing_file, replacing_folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip or .tar (.gz, .bz2, .xz) into a folder, which appears only once it is complete.

    Args:
        archive: The file.
        folder: Folder to write. Files of an existing folder that the archive lacks are kept.

    Raises:
        ValueError: If it is not an archive, is corrupt, or a member would land outside the folder or is a device;
            nothing is written then.
        OSError: If the content does not fit on the disk.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _check(archive, [(info.filename, info.file_size) for info in opened.infolist()])
                with replacing_folder(folder) as part:
                    opened.extractall(part)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as opened:
                _check(archive, [(info.name, info.size) for info in opened])
                with replacing_folder(folder) as part:
                    opened.extractall(part, filter="data")
        else:
            raise ValueError("it is neither a zip nor a tar archive")
    # An encrypted member or an unknown compression is a RuntimeError of zipfile.
    except (ValueError, zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError) as error:
        raise ValueError(f"{archive} cannot be unpacked: {error}.") from error


def _check(archive: Path, members: list[tuple[str, int]]) -> None:
    """Refuse members outside the folder (zipfile would rename them), and content that does not fit on the disk."""
    for name, _ in members:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or ":" in name:
            raise ValueError(f"{name!r} in it would land outside the folder")
    needed, free = sum(size for _, size in members), shutil.disk_usage(archive.parent).free
    if needed > free:
        raise OSError(
            f"{archive} contains {needed:,} bytes, but only {free:,} are free in {archive.parent}. Free some space."
        )


def with_header(table: PlainTable, folder: Path) -> Path:
    """Rewrite a table without a header as CSV in UTF-8 with one.

    Args:
        table: The table and its columns.
        folder: The data set's folder.

    Returns:
        Path of the CSV.

    Raises:
        FileNotFoundError: If the table does not exist.
        ValueError: If a row has another number of values than there are columns, or the file is not UTF-8.
    """
    source, target = folder / table.source, folder / table.to
    if not source.is_file():
        raise FileNotFoundError(f"There is no table {source}; the archive may contain other files than described.")
    with (
        source.open(encoding="utf-8", newline="") as given,
        replacing_file(target) as part,
        part.open("w", encoding="utf-8", newline="") as written,
    ):
        rows = csv.reader(
            given, delimiter=table.delimiter, quoting=csv.QUOTE_MINIMAL if table.quoted else csv.QUOTE_NONE
        )
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(table.columns)
        try:
            for number, row in enumerate(rows, start=1):
                if len(row) != len(table.columns):
                    raise ValueError(f"line {number} has {len(row)} values, but there are {len(table.columns)} columns")
                writer.writerow("" if value == table.missing else value for value in row)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{source} is not as expected: {error}. Its publisher may have changed it.") from error
    return target
