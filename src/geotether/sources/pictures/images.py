"""Image files: photographs with a place in their metadata, or an index with the places."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from geotether.files.disk import files_fingerprint
from geotether.files.formats import UNREAD_IMAGES, endings_of, format_of
from geotether.files.places import find_name, listed_columns, refuse_places
from geotether.files.random_access import CopiedRows, copy_rows
from geotether.files.rows import column_names, open_rows
from geotether.files.values import texts_of
from geotether.sources.pictures.exif import NOWHERE
from geotether.sources.pictures.pixels import (
    MAX_PIXELS,
    UNKNOWN_TIME,
    ImageError,
    Photo,
    check_image_options,
    read_all,
    read_file,
    read_photo,
)
from geotether.sources.records.row_file import RowFile
from geotether.sources.source import Observations, usable

ENDINGS = endings_of("image")
_LOOK_AT = 1000
_log = logging.getLogger(__name__)
# Names of the column of paths, including those of MP-16 and SatCLIP.
FILE_NAMES = ("file", "file_name", "filename", "filepath", "path", "fn", "img_file", "img_id", "image", "image_path")


class ImagesSource:
    """Image files in a folder, searched recursively.

    Without an index, each image is a row, in the order of the paths, and needs a place in its metadata: the GPS
    position in the EXIF of a photograph, or the georeference of a GeoTIFF. With an index (any file of rows, such as
    CSV or Parquet), the rows of the index are read in order: a path relative to the folder, longitude and latitude, as
    in MP-16 (`IMG_ID, AUTHOR, LAT, LON, ...` beside nested folders of hashes) or Im2GPS. Hidden files and files that
    are not images are ignored.

    Times come from the index, or else from the EXIF (see `photo_time`). Ids are the paths, with "/".

    Args:
        path: The folder; or an index whose paths are relative to its folder.
        index: An index in another folder, or a path relative to the folder.
        lon: Column of the index with longitudes; by default found by name.
        lat: Column of the index with latitudes; named together with `lon`.
        file: Column of the index with paths; by default found by name.
        id: Column of the index with ids.
        time: Column of the index with dates or times; see `geotether.geodesy.dates.times_of`.
        labels: Columns of the index to keep as labels.
        mode: "RGB" or "L": convert all images to three bands or to grey. None: keep the bands.
        size: Resize the shorter side to this number of pixels and crop the centre, so that all images have one size.
        min_bytes: Smaller files are rejected.
        max_pixels: Larger images are rejected before decoding.

    Attributes:
        kind: "images".
        features: "convolution".

    Raises:
        FileNotFoundError: If there is no such folder or index.
        ValueError: If there are no images, an option is out of range, or the index lacks a column.
    """

    kind: str = "images"
    features: str = "convolution"

    def __init__(
        self,
        path: str | Path,
        index: str | Path | None = None,
        lon: str | None = None,
        lat: str | None = None,
        file: str | None = None,
        id: str | None = None,
        time: str | None = None,
        labels: Sequence[str] = (),
        mode: str | None = None,
        size: int | None = None,
        min_bytes: int = 0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        check_image_options(mode, size, max_pixels)
        if min_bytes < 0:
            raise ValueError(f"min_bytes must be 0 or more, got {min_bytes}.")
        self._options = {"mode": mode, "size": size, "max_pixels": max_pixels}
        self._min_bytes = min_bytes
        self._folder, found = _folder_and_index(Path(path), index)
        self._count: int | None = None
        self._listing: CopiedRows | None = None
        self._index: RowFile | None = None
        self._column = "file"
        if found is None:
            given = {"lon": lon, "lat": lat, "file": file, "id": id, "time": time, "labels": labels or None}
            extra = [name for name, value in given.items() if value is not None]
            if extra:
                raise ValueError(f"{', '.join(extra)} need an index; give index=FILE.")
            return
        self._index = RowFile(found, lon, lat, id, time, labels)
        names = column_names(found)
        column = find_name(names, FILE_NAMES) if file is None else file
        if column is None or column not in names:
            raise ValueError(
                f"{found} has no column {'of image paths; name it with file=' if file is None else repr(file)}. "
                f"{listed_columns(names)} Image bytes in a column are read by the source 'image_column'."
            )
        self._column = column

    def __len__(self) -> int:
        """Return the number of rows, usable or not. Called after `prepare`."""
        if self._count is None:
            raise ValueError("The number of rows is not known yet; call prepare(folder) first.")
        return self._count

    def prepare(self, folder: Path) -> None:
        """List the images, or prepare the index; see `Source.prepare`.

        Raises:
            ValueError: If there are no images, or the index is damaged or empty.
        """
        if self._index is not None:
            self._index.open(Path(folder))
            self._count = len(self._index)
            table, _, _ = self._index.observe(0, _LOOK_AT)
            named = [file for file in self._paths(table) if file]
            if named and not any((self._folder / file).exists() for file in named):
                raise ValueError(
                    f"{self._index.path}: none of the first {len(named)} images of the column {self._column!r} exists, "
                    f"such as {self._folder / named[0]}; paths are relative to {self._folder}."
                )
            return
        listing = Path(folder) / f"images-{self.fingerprint()[:16]}.arrow"
        if not listing.is_file():
            table = pa.table({"file": pa.array(self._files(), pa.string())})
            left_out = _left_out(self._folder)
            if table.num_rows == 0:
                raise ValueError(
                    f"There are no images ({', '.join(ENDINGS)}) in {self._folder} or its subfolders.{left_out}"
                )
            if left_out:
                _log.warning("%s:%s", self._folder, left_out)
            copy_rows(listing, table.schema, [table])
        self._listing = CopiedRows(listing)
        self._count = len(self._listing)

    def read(self, start: int, stop: int) -> Observations:
        """Read and decode rows `start` to `stop`, `stop` not included."""
        start, stop = max(start, 0), max(start, min(stop, len(self)))
        reasons: dict[int, str] = {}
        if self._index is not None:
            table, seen, reasons = self._index.observe(start, stop)
        else:
            table = self._listing.read(start, stop)  # type: ignore[union-attr]
            seen = Observations(start + np.arange(len(table), dtype=np.int64), np.full((len(table), 2), np.nan), None)
        files = self._paths(table)
        photos, unread = read_all(files.tolist(), self._photo, skip=reasons)
        if self._index is None:
            places = [photos[at].place if at in photos else NOWHERE for at in range(len(files))]
            seen = replace(seen, lonlat=np.array(places, dtype=np.float64).reshape(-1, 2))
            reasons = refuse_places(seen.lonlat)
        if seen.time is None:
            times = [photos[at].time if at in photos else UNKNOWN_TIME for at in range(len(files))]
            seen = replace(seen, time=np.array(times, dtype="datetime64[ms]"))
        if len(seen.id) == 0:
            seen = replace(seen, id=files)
        return usable(seen, reasons | unread, lambda good: [photos[at].pixels for at in good.tolist()])

    def fingerprint(self) -> str:
        """Return a hash of the options, the index, and the paths, sizes and times of the image files."""
        digest = hashlib.sha256(repr([self._options, self._min_bytes]).encode())
        if self._index is None:
            digest.update(files_fingerprint(self._folder, [self._folder / file for file in self._files()]).encode())
            return digest.hexdigest()
        columns = [self._column, self._index.id, self._index.time, *self._index.labels]
        digest.update(f"{self._index.fingerprint()} {columns}".encode())
        with open_rows(self._index.path) as rows:
            for table in rows.tables:
                for file in self._paths(table):
                    try:
                        facts = (self._folder / file).stat()
                        digest.update(f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
                    except OSError:  # the row of a missing file is rejected
                        digest.update(f"{file}\0missing\n".encode())
        return digest.hexdigest()

    def _files(self) -> list[str]:
        return sorted(file for file in _walk(self._folder) if file.lower().endswith(ENDINGS))

    def _paths(self, table: pa.Table) -> np.ndarray:
        """Return the paths of some rows, those written on Windows with "/"."""
        files = texts_of(table[self._column])
        for row, file in enumerate(files):
            if "\\" in file and not (self._folder / file).exists():
                files[row] = file.replace("\\", "/")
        return files

    def _photo(self, file: str) -> Photo:
        if not file:
            raise ImageError("no file name in the index")
        if not Path(os.path.normpath(self._folder / file)).is_relative_to(os.path.normpath(self._folder)):
            raise ImageError("the file is outside the folder of images")
        data = read_file(self._folder / file, self._min_bytes)
        return read_photo(data, **self._options, needs_place=self._index is None)  # type: ignore[arg-type]


def _folder_and_index(path: Path, index: str | Path | None) -> tuple[Path, Path | None]:
    if path.is_file():
        if index is not None:
            raise ValueError(f"{path} is a file; with index= the path must be the folder of images.")
        if format_of(path, "rows") is None:
            raise ValueError(f"{path} is neither a folder of images nor an index ({', '.join(endings_of('rows'))}).")
        return path.parent, path
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {path}.")
    if index is None:
        return path, None
    found = next((place for place in (Path(index), path / index) if place.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"There is no index {index}, neither here nor in {path}.")
    return path, found


def _walk(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield Path(parent, name).relative_to(folder).as_posix()


def _left_out(folder: Path) -> str:
    """Count the images of a folder in formats that are not read; "" if there are none."""
    endings = Counter(Path(file).suffix.lower() for file in _walk(folder))
    counts = [f"{count} {ending}" for ending, count in endings.most_common() if ending in UNREAD_IMAGES]
    return f" Left out: {', '.join(counts)} (formats that are not read; convert them to JPEG or PNG)." if counts else ""
