"""Files of images: photographs that say where they were taken, or an index that says it."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from geotether.files.disk import file_fingerprint, files_fingerprint, replacing_file
from geotether.sources.pictures.image_index import INDEX_ENDINGS, index_columns, read_index
from geotether.sources.pictures.image_rows import degrees, find_column, position_columns, row_columns
from geotether.sources.pictures.image_source import Encoded, ImageSource
from geotether.sources.pictures.pixels import MAX_PIXELS, ImageError, Photo, read_file, read_photo

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
# Names of the column of paths, MP-16's and SatCLIP's among them.
FILE_NAMES = ("file", "file_name", "filename", "filepath", "path", "fn", "img_file", "img_id", "image", "image_path")
_ROWS_A_GROUP = 10_000


class ImagesSource(ImageSource):
    """Files of images in a folder and the folders below it.

    Without an index, every image is a row, in the order of their paths, and must say itself where it was taken: a
    photograph by the GPS position in its EXIF, a GeoTIFF by its georeference. With an index (CSV, TSV or Parquet), its
    rows count, in its order: a path relative to the folder, longitude and latitude, as in MP-16 (`IMG_ID, AUTHOR, LAT,
    LON, ...` beside nested folders of hashes) or Im2GPS. Hidden files and files that are no images are passed over.

    Times come from the index, or else from the EXIF (see `photo_time`). Ids are the paths, with "/".

    Args:
        path: The folder; or an index whose paths are relative to the folder that it lies in.
        index: An index that lies elsewhere, or relative to the folder.
        lon: Column of the index with longitudes; found by name if not given.
        lat: Column of the index with latitudes; found by name if not given.
        file: Column of the index with paths; found by name if not given.
        id: Column of the index with ids of the rows.
        time: Column of the index with times: timestamps or ISO 8601, UTC where no zone is given.
        labels: Columns of the index to keep as labels.
        mode: "RGB" or "L": convert all images to three bands or to grey. None: bands as they are.
        size: Resize the shorter side to so many pixels and cut out the middle, so that all images are alike.
        min_bytes: Smaller files are rejected.
        max_pixels: Larger images are rejected before they are decoded.

    Attributes:
        kind: "images".
        features: "convolution".

    Raises:
        FileNotFoundError: If the folder or the index is not there.
        ValueError: If there are no images, an option is out of range, or the index lacks a column.
    """

    dated: ClassVar[bool] = True

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
        super().__init__(labels, mode, size, max_pixels)
        if min_bytes < 0:
            raise ValueError(f"min_bytes must be 0 or more, got {min_bytes}.")
        self._folder, self._index = _folder_and_index(Path(path), index)
        self._min_bytes = min_bytes
        self._columns: dict[str, str] = {}
        self._listing: Path | None = None
        if self._index is None:
            given = {"lon": lon, "lat": lat, "file": file, "id": id, "time": time, "labels": self._labels or None}
            extra = [name for name, value in given.items() if value is not None]
            if extra:
                raise ValueError(f"{', '.join(extra)} name columns of an index; give index=FILE as well.")
            return
        names = index_columns(self._index)
        lon, lat = position_columns(names, lon, lat, self._index)
        file = find_column(names, file, FILE_NAMES, "paths of the images (option file)", self._index)
        named = row_columns(names, id, time, self._labels, self._index)
        self._columns = {"lon": lon, "lat": lat, "file": file, **named}

    def prepare(self, folder: Path) -> None:
        """List the images, or copy the columns of the index that are needed, into a file that rows are read from.

        Raises:
            ValueError: If there are no images, or the index is damaged or empty.
        """
        import pyarrow.parquet as pq

        listing = Path(folder) / f"images-{self.fingerprint()[:16]}.parquet"
        if not listing.is_file():
            table = self._read_index() if self._index else pa.table({"file": pa.array(self._files(), pa.string())})
            if table.num_rows == 0:
                ending = ", ".join(ENDINGS)
                raise ValueError(
                    f"{self._index} has no rows."
                    if self._index
                    else f"There are no images ({ending}) in {self._folder} or below."
                )
            with replacing_file(listing) as part:
                pq.write_table(table, part, row_group_size=_ROWS_A_GROUP)
        self._listing = listing
        self._count = pq.ParquetFile(listing).metadata.num_rows

    def fingerprint(self) -> str:
        """Return a text that changes when the paths, sizes or times of the files change, or the index, or an option."""
        digest = hashlib.sha256(repr([self._options, self._min_bytes, self._columns]).encode())
        if self._index is None:
            digest.update(files_fingerprint(self._folder, [self._folder / file for file in self._files()]).encode())
            return digest.hexdigest()
        digest.update(file_fingerprint(self._index).encode())
        for file in self._read_index(["file"])["file"].to_pylist():
            try:
                facts = (self._folder / (file or "")).stat()
                digest.update(f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
            except OSError:  # a missing file is a rejected row
                digest.update(f"{file}\0missing\n".encode())
        return digest.hexdigest()

    def _files(self) -> list[str]:
        return sorted(_walk(self._folder))

    def _rows(self, start: int, stop: int) -> Encoded:
        table = self._listed(start, stop)
        files = table["file"].to_pylist()
        named = table.column_names
        return Encoded(
            files,
            [str(value) for value in table["id"].to_pylist()] if "id" in named else [file or "" for file in files],
            np.stack([degrees(table["lon"]), degrees(table["lat"])], axis=1) if self._index else None,
            table["time"] if "time" in named else None,
            {name: table[f"label:{name}"] for name in self._labels},
        )

    def _decoded(self, image: str | None) -> Photo:
        if not image:
            raise ImageError("the index names no file")
        data = read_file(self._folder / image, self._min_bytes)
        return read_photo(data, **self._options, needs_place=self._index is None)

    def _listed(self, start: int, stop: int) -> pa.Table:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._listing) as file:
            groups = range(start // _ROWS_A_GROUP, -(-stop // _ROWS_A_GROUP))
            table = file.read_row_groups(list(groups)) if len(groups) else file.schema_arrow.empty_table()
        return table.slice(start - start // _ROWS_A_GROUP * _ROWS_A_GROUP, stop - start)

    def _read_index(self, roles: Sequence[str] | None = None) -> pa.Table:
        """The needed columns of the index, named by what they are for."""
        wanted = {role: name for role, name in self._columns.items() if roles is None or role in roles}
        names = list(dict.fromkeys(wanted.values()))
        texts = [name for role, name in wanted.items() if not role.startswith("label:")]
        try:
            table = read_index(Path(str(self._index)), names, texts)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ValueError(f"The index {self._index} is damaged: {error}") from error
        columns: dict[str, Any] = {role: table[name] for role, name in wanted.items()}
        columns["file"] = columns["file"].cast(pa.string())
        return pa.table(columns)


def _folder_and_index(path: Path, index: str | Path | None) -> tuple[Path, Path | None]:
    if path.is_file():
        if index is not None:
            raise ValueError(f"{path} is a file already; with index= the path must be the folder of images.")
        if path.suffix.lower() not in INDEX_ENDINGS:
            raise ValueError(
                f"{path} is neither a folder of images nor an index ({', '.join(INDEX_ENDINGS)}); "
                "image bytes in a Parquet column are read by the source 'image_column'."
            )
        return path.parent, path
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {path}.")
    if index is None:
        return path, None
    found = next((place for place in (Path(index), path / index) if place.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"There is no index {index}, neither here nor in {path}.")
    if found.suffix.lower() not in INDEX_ENDINGS:
        raise ValueError(f"The index {found} must end in {', '.join(INDEX_ENDINGS)}.")
    return path, found


def _walk(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield Path(parent, name).relative_to(folder).as_posix()
