"""Files that clients send, read in a separate process with limits on memory and time."""

import gzip
import json
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from geotether.files.formats import endings_of, row_format, unpacking
from geotether.files.places import CRS_ADVICE, NAME_ADVICE
from geotether.geodesy.coordinates import SWAP_ADVICE

MOST_BYTES = 200_000_000  # of a file once it is unpacked
MOST_ROWS = 100_000
MOST_COLUMNS = 500
MOST_CELLS = 5_000_000
SECONDS = 20
MEMORY_BYTES = 3_000_000_000
_AT_ONCE = 2
_WAIT_SECONDS = 5.0
_PIECE = 2**20
# The files of a Shapefile that are read; others of the archive are left alone.
_SHAPE = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_NAME = "points"
_MAGIC = {".gpkg": b"SQLite format 3\0", ".fgb": b"fgb\x03fgb", ".shp": b"\0\0'\n"}
_PACKAGES = (b"GPKG", b"GP10", b"GP11")
# Names of codes, WKT and PROJJSON; a PROJ string may name files.
_CRS = re.compile(r"((EPSG|ESRI|IGNF|OGC|CRS|urn:ogc:def:crs|https?://www\.opengis\.net/def/crs)[:/]|\{|\w+\[)", re.I)
_CRS_FILE = re.compile(r"file|grids|init\s*=|\.(gsb|gtx|tiff?|las|los|ct2)\b", re.I)
# Advice of file readers in messages, and what clients can do instead.
_ADVICE = (
    (r"name the columns of coordinates with lon= .*?--lat\)", "call these columns lon and lat"),
    (NAME_ADVICE, "rename one of them"),
    (SWAP_ADVICE, "exchange the names of the two columns"),
    (CRS_ADVICE, "write the CRS into the file, as GeoParquet does"),
    (r"name one with layer= or --layer", "send a file of one of them"),
)
_log = logging.getLogger(__name__)
_turn = threading.BoundedSemaphore(_AT_ONCE)


class UploadError(ValueError):
    """A file that is not accepted.

    Args:
        status: HTTP status: 413 too large, 415 of a format that is not read, 422 with content that cannot be used, 429
            too many at once.
        text: What is wrong, in one sentence or two.
    """

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


def shown_name(name: str | None) -> str:
    r"""Return the name of a client's file as it is shown: without folders and control characters, at most 80 long.

    Example:
        >>> shown_name("../../etc/towns.csv"), shown_name("C:\\data\\towns\n.csv"), shown_name(None)
        ('towns.csv', 'towns.csv', 'points')
    """
    last = re.split(r"[/\\]", name or "")[-1]
    kept = "".join(sign for sign in last if sign.isprintable()).strip()
    return kept[-80:] or _NAME


def read_upload(content: Any, name: str, out: Path) -> dict[str, Any]:
    """Read a file of points that a client sent, and write its rows for `StoredPoints`.

    A separate process reads it, with limits on memory and time. Formats are accepted by their content, and those that
    name other files are not.

    Args:
        content: The file, open for reading bytes.
        name: Its name, from `shown_name`; the ending says the format.
        out: The file to write; its folder must exist.

    Returns:
        The description that `geotether.serving.columns.write_points` returns, with "notes" about rows that are left
        out and the like.

    Raises:
        UploadError: If it is not accepted.
    """
    ending = upload_ending(name)
    if not _turn.acquire(timeout=_WAIT_SECONDS):
        raise UploadError(429, "Other files are being read; send this one again in a few seconds.")
    folder = out.with_suffix(".upload")
    try:
        folder.mkdir()
        file = folder / f"{_NAME}{ending}"
        with file.open("wb") as target:
            shutil.copyfileobj(content, target, _PIECE)
        return _read_apart(file, name, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _turn.release()


def upload_ending(name: str) -> str:
    """Return the ending of a file's name, which says its format, such as ".csv" or ".csv.gz".

    Raises:
        UploadError: If it is not one that clients may send.
    """
    try:
        found = row_format(name)
    except ValueError as error:
        raise UploadError(415, str(error)) from None
    lower = name.lower()
    packed = ".gz" if found.packed and lower.endswith(".gz") else ""
    ending = Path(lower.removesuffix(packed)).suffix + packed
    if ending == ".shp":
        raise UploadError(415, f"{name}: a Shapefile has several files; send all of them in one .zip.")
    return ending


def _read_apart(file: Path, name: str, out: Path) -> dict[str, Any]:
    """Run `main` in another process."""
    about = json.dumps({"file": str(file), "name": name, "out": str(out), "memory": MEMORY_BYTES})
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OGR_SQLITE_STATIC_VIRTUAL_OGR": "NO", "PROJ_NETWORK": "OFF"}
    too_much = f"{name} cannot be read in {SECONDS} seconds and {MEMORY_BYTES / 1e9:g} GB of memory; send fewer rows."
    try:
        # -P: no module is imported from the folder of the file, which is the current one.
        done = subprocess.run(
            [sys.executable, "-P", "-m", "geotether.serving.uploads"], input=about.encode(), capture_output=True,
            timeout=SECONDS, cwd=file.parent, env=environment, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UploadError(413, too_much) from None
    try:
        found = json.loads(done.stdout)
    except ValueError:
        _log.warning("%s was not read: %s", name, done.stderr.decode(errors="replace")[-2000:])
        raise UploadError(422, f"{too_much[:-1]}, or is damaged.") from None
    if "error" in found:
        out.unlink(missing_ok=True)
        raise UploadError(found["status"], found["error"])
    return found


def main() -> None:
    """Read the file named on standard input, and print its description, or why it is not accepted, as JSON."""
    from geotether.serving.columns import warnings_of_thread

    about = json.load(sys.stdin)
    file, name = Path(about["file"]), about["name"]
    _limit_process(about["memory"])
    try:
        with warnings_of_thread() as notes:
            found: dict[str, Any] = read_file(file, name, Path(about["out"]))
        found["notes"] = [for_client(note, file, name) for note in notes]
    except UploadError as error:
        found = {"status": error.status, "error": for_client(str(error), file, name)}
    except ImportError as error:
        found = {"status": 415, "error": for_client(str(error), file, name)}
    except MemoryError:
        found = {"status": 413, "error": f"{name} does not fit into {MEMORY_BYTES / 1e9:g} GB of memory."}
    except (ValueError, TypeError, OSError, RecursionError, ArithmeticError) as error:
        found = {"status": 422, "error": for_client(str(error), file, name)}
    sys.stdout.write(json.dumps(found))


def _limit_process(memory: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 2 * MOST_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def for_client(text: str, file: Path, name: str) -> str:
    """Return a message about a file as its client reads it: it begins with the name that the client gave."""
    for pattern, advice in _ADVICE:
        text = re.sub(pattern, advice, text)
    for path in (file, file.with_suffix(""), file.parent / f"{_NAME}.shp"):
        text = text.replace(str(path), name)
    text = text.replace(f"{file.parent}{os.sep}", "").replace(str(file.parent), name)
    return text if name in text else f"{name}: {text}"


def read_file(file: Path, name: str, out: Path) -> dict[str, Any]:
    """Read a file that a client sent, in this process; see `read_upload`.

    Raises:
        UploadError, ValueError, TypeError, ImportError: If it is not accepted.
    """
    from geotether.files.delimited import FAULT
    from geotether.files.geometry import geometry_notes
    from geotether.files.rows import open_rows
    from geotether.serving.columns import write_points
    from geotether.tasks.table import read_labelled

    file = _opened(file, name)
    if file.suffix in (".csv", ".tsv", ".txt"):
        _check_header(file, name)
    if file.suffix in endings_of("parquet"):
        _check_parquet(file, name)
    with open_rows(file) as rows:
        schema = rows.schema
        notes = geometry_notes(schema).get("columns", {})
    check_size(name, 0, len(set(schema.names) - {FAULT}))
    for column in notes.values():
        _check_crs(column.get("crs"), name)
    read = read_labelled(file)
    check_size(name, len(read.lonlat), read.columns.num_columns)
    return write_points(read, name, out)


def check_size(name: str, rows: int, columns: int) -> None:
    """Raise UploadError if a file has too many rows or columns."""
    if columns > MOST_COLUMNS:
        raise UploadError(413, f"{name} has {columns:,} columns, more than {MOST_COLUMNS}; send fewer.")
    if rows > MOST_ROWS:
        raise UploadError(413, f"{name} has {rows:,} rows, more than {MOST_ROWS:,}; send fewer.")
    if rows * columns > MOST_CELLS:
        said = f"{rows:,} rows of {columns} columns, more than {MOST_CELLS:,} values"
        raise UploadError(413, f"{name} has {said}; leave out columns that are not needed.")


def _opened(file: Path, name: str) -> Path:
    """Unpack a file, and check that its content is what the ending says."""
    if file.suffix == ".gz":
        packed, file = file, file.with_suffix("")
        with unpacking(name), gzip.open(packed) as source:
            _copy(source, file, name)
    elif file.suffix == ".zip":
        file = _shapefile(file, name)
    magic = _MAGIC.get(file.suffix)
    if magic is not None:
        with file.open("rb") as opened:
            head = opened.read(100)
        kind = f"{file.suffix} file" if name.lower().endswith(file.suffix) else "Shapefile"
        if not head.startswith(magic) or (file.suffix == ".gpkg" and head[68:72] not in _PACKAGES):
            raise UploadError(422, f"{name} is damaged, or is not a {kind}.")
    if file.suffix == ".gpkg":
        _check_database(file, name)
    return file


def _copy(source: Any, target: Path, name: str, before: int = 0) -> int:
    """Copy bytes that are unpacked on the way; return how many there are in all."""
    size = before
    with target.open("wb") as written:
        while piece := source.read(_PIECE):
            size += len(piece)
            if size > MOST_BYTES:
                raise UploadError(413, f"{name} has more than {MOST_BYTES / 1e6:g} MB when it is unpacked; send less.")
            written.write(piece)
    return size


def _shapefile(file: Path, name: str) -> Path:
    """Unpack the one Shapefile of an archive, under a name of our own."""
    with unpacking(name), zipfile.ZipFile(file) as archive:
        members = [one for one in archive.infolist() if one.filename.lower().endswith(_SHAPE)]
        shapes = [one for one in members if one.filename.lower().endswith(".shp")]
        shapes = [one for one in shapes if "__MACOSX" not in one.filename]
        if len(shapes) != 1:
            there = f"{len(shapes)} Shapefiles" if shapes else "no Shapefile"
            raise UploadError(422, f"{name} contains {there}; send an archive of the files of one.")
        stem, size = shapes[0].filename[:-4], 0
        for member in members:
            if member.filename[:-4] == stem:
                with archive.open(member) as source:
                    target = file.with_name(f"{_NAME}{member.filename[-4:].lower()}")
                    size = _copy(source, target, name, size)
    return file.with_name(f"{_NAME}.shp")


def _check_database(file: Path, name: str) -> None:
    """Raise UploadError if a GeoPackage has views or virtual tables, which may compute and read anything."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            parts = database.execute("SELECT type, sql FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        raise UploadError(422, f"{name} is damaged, or is not a GeoPackage: {error}.") from None
    for kind, text in parts:
        is_virtual = re.match(r"\s*CREATE\s+VIRTUAL\s", str(text), re.I) is not None
        if kind == "view" or (is_virtual and not re.search(r"\sUSING\s+rtree\b", str(text), re.I)):
            what = "views" if kind == "view" else "virtual tables"
            raise UploadError(422, f"{name} has {what}, which are not read here; export its layer as a new file.")


def _check_header(file: Path, name: str) -> None:
    """Raise UploadError if delimited text has a line of very many columns, before its types are inferred."""
    with file.open("rb") as opened:
        for _ in range(10):
            line = opened.readline(_PIECE)
            check_size(name, 0, max(map(line.count, (b",", b";", b"\t", b"|"))) + 1)


def _check_parquet(file: Path, name: str) -> None:
    """Raise UploadError if the metadata of a Parquet file exceed the limits."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        raise UploadError(422, f"{name} is damaged or is not a parquet file: {error}.") from None
    check_size(name, about.num_rows, about.num_columns)
    size = sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups))
    if size > MOST_BYTES:
        raise UploadError(413, f"{name} has more than {MOST_BYTES / 1e6:g} MB when it is unpacked; send less.")


def _check_crs(crs: Any, name: str) -> None:
    """Raise UploadError if a CRS is written in a way that can name files."""
    text = json.dumps(crs) if isinstance(crs, Mapping) else str(crs or "EPSG:4326")
    if not _CRS.match(text) or _CRS_FILE.search(text):
        raise UploadError(422, f"{name} states a CRS that is not read here, {text[:60]}; use a code such as EPSG:4326.")


if __name__ == "__main__":
    main()
