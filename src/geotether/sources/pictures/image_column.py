"""Images as bytes in a column of Parquet files."""

import hashlib
import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from geotether.files.disk import file_fingerprint, replacing_file
from geotether.files.formats import PARQUET_ENDINGS
from geotether.files.places import PlaceFinder, listed_columns
from geotether.files.rows import naming
from geotether.files.values import is_text, usual_schema
from geotether.sources.pictures.pixels import (
    MAX_PIXELS,
    ImageError,
    Photo,
    check_image_options,
    image_kind,
    read_all,
    read_photo,
)
from geotether.sources.records.row_file import names_of, observations_of
from geotether.sources.source import Observations, usable

# Parquet reads whole row groups. Larger ones are copied into smaller ones once, because each would be read again for
# every run of rows in it.
GROUP_BYTES = 2**25
_LOOK_AT = 100  # number of values searched for the first bytes of an image


class ImageColumnSource:
    """Encoded images (JPEG, PNG, WebP, TIFF) in a column of bytes of a Parquet file, or of all files in a folder.

    The column contains the bytes or, as written by Hugging Face, structs of `bytes` and `path`. Places come from
    columns of longitude and latitude or from a GeoParquet geometry. Only the row groups of the requested rows are
    held in memory.

    Args:
        path: A Parquet file, or a folder of Parquet files with the same columns, read in the order of their names.
        column: The column of images; by default the only one whose bytes are images.
        lon: Column of longitudes; by default the geometry, or found by name.
        lat: Column of latitudes; named together with `lon`.
        id: Column of ids; none by default.
        time: Column of dates or times; see `geotether.geodesy.dates.times_of`.
        labels: Columns to keep as labels.
        mode: "RGB" or "L": convert all images to three bands or to grey. None: keep the bands.
        size: Resize the shorter side to this number of pixels and crop the centre.
        max_pixels: Larger images are rejected before decoding.

    Attributes:
        kind: "images".
        features: "convolution".

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it is not Parquet, has no or several columns of images, or lacks a named column.
    """

    kind: str = "images"
    features: str = "convolution"

    def __init__(
        self,
        path: str | Path,
        column: str | None = None,
        lon: str | None = None,
        lat: str | None = None,
        id: str | None = None,
        time: str | None = None,
        labels: Sequence[str] = (),
        mode: str | None = None,
        size: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        check_image_options(mode, size, max_pixels)
        self._options = {"mode": mode, "size": size, "max_pixels": max_pixels}
        self._originals = _parquet_files(Path(path))
        self._id, self._time, self._labels = id, time, names_of("labels", labels)
        schema = _schema(self._originals)
        with naming(self._originals[0], "parquet"):
            for name in filter(None, (column, id, time, *self._labels)):
                if name not in schema.names:
                    raise ValueError(f"there is no column {name!r}. {listed_columns(schema.names)}")
            self._image = _image_column(self._originals[0], schema, column)
            self._finder = PlaceFinder(schema, lon, lat)
        self._files = list(self._originals)
        # For each row group: its file, its number in the file, and the number of its first row.
        self._groups: list[tuple[int, int, int]] = []
        self._count: int | None = None
        self._with_gaps: set[str] = set()

    def __len__(self) -> int:
        """Return the number of rows, usable or not. Called after `prepare`."""
        if self._count is None:
            raise ValueError("The number of rows is not known yet; call prepare(folder) first.")
        return self._count

    def prepare(self, folder: Path) -> None:
        """Find the first rows of the row groups, and copy files with large row groups."""
        import pyarrow.parquet as pq

        self._groups, count = [], 0
        for number, original in enumerate(self._originals):
            largest = max((facts.total_byte_size for facts in _group_facts(original)), default=0)
            self._files[number] = self._copied(original, Path(folder), number) if largest > GROUP_BYTES else original
            metadata = pq.read_metadata(self._files[number])
            for group in range(metadata.num_row_groups):
                self._groups.append((number, group, count))
                count += metadata.row_group(group).num_rows
        if count == 0:
            raise ValueError(f"{self._originals[0]} has no rows.")
        self._count = count
        for file in self._files if self._labels else ():
            with naming(file, "parquet"):
                labels = pq.read_table(file, columns=list(self._labels))
            gaps = {name for name in self._labels if labels[name].null_count and not is_text(labels[name].type)}
            self._with_gaps |= gaps

    def read(self, start: int, stop: int) -> Observations:
        """Read and decode rows `start` to `stop`, `stop` not included."""
        start, stop = max(start, 0), max(start, min(stop, len(self)))
        table = self._table(start, stop)
        columns = (self._id, self._time, self._labels)
        seen, reasons = observations_of(table, start, self._finder, *columns, self._with_gaps)
        photos, unread = read_all(table[self._image].to_pylist(), self._photo, skip=reasons)
        return usable(seen, reasons | unread, lambda good: [photos[at].pixels for at in good.tolist()])

    def fingerprint(self) -> str:
        """Return a hash of the files and the options."""
        columns = [self._image, self._finder.columns, self._id, self._time, self._labels]
        digest = hashlib.sha256(repr([self._options, *columns]).encode())
        for file in self._originals:
            digest.update(f"{file.name} {file_fingerprint(file)}".encode())
        return digest.hexdigest()

    def _columns(self) -> list[str]:
        named = filter(None, (self._id, self._time))
        return list(dict.fromkeys([self._image, *self._finder.columns, *named, *self._labels]))

    def _copied(self, original: Path, folder: Path, number: int) -> Path:
        """Copy the needed columns of a file once, in row groups of bounded size."""
        import pyarrow.parquet as pq

        copy = folder / f"images-{number:05d}-{file_fingerprint(original)[:16]}.parquet"
        if copy.is_file():
            return copy
        with replacing_file(copy) as part, naming(original, "parquet"), pq.ParquetFile(original) as file:
            facts = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
            row_bytes = max(1, sum(group.total_byte_size for group in facts) // max(1, file.metadata.num_rows))
            schema = pa.schema([file.schema_arrow.field(name) for name in self._columns()], file.schema_arrow.metadata)
            with pq.ParquetWriter(part, schema, compression="none", use_dictionary=False) as writer:
                rows = max(1, GROUP_BYTES // 4 // row_bytes)
                for batch in file.iter_batches(rows, columns=self._columns()):
                    writer.write_table(pa.Table.from_batches([batch]).select(schema.names), row_group_size=rows)
        return copy

    def _photo(self, image: Any) -> Photo:
        data = _bytes_of(image)
        if not data:
            raise ImageError("no image (empty cell)")
        return read_photo(data, **self._options)  # type: ignore[arg-type]

    def _table(self, start: int, stop: int) -> pa.Table:
        import pyarrow.parquet as pq

        begins = [begin for _, _, begin in self._groups]
        first, last = bisect_right(begins, start) - 1, bisect_right(begins, max(start, stop - 1))
        tables = []
        for number, groups in itertools.groupby(self._groups[first:last], key=lambda group: group[0]):
            with naming(self._files[number], "parquet"), pq.ParquetFile(self._files[number]) as file:
                wanted = [group for _, group, _ in groups]
                # Threads would hold several row groups in memory.
                tables.append(file.read_row_groups(wanted, columns=self._columns(), use_threads=False))
        return pa.concat_tables(tables, promote_options="permissive").slice(start - begins[first], stop - start)


def _parquet_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"There is no file or folder {path}.")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PARQUET_ENDINGS)
    if not files:
        raise ValueError(f"There are no Parquet files in {path}; image files are read by the source 'images'.")
    return files


def _schema(files: list[Path]) -> pa.Schema:
    import pyarrow.parquet as pq

    found = None
    for file in files:
        with naming(file, "parquet"):
            schema = usual_schema(pq.read_schema(file))
        if found is not None and set(found.names) != set(schema.names):
            odd = ", ".join(sorted(set(found.names) ^ set(schema.names)))
            raise ValueError(f"{file} and {files[0]} have different columns: {odd}.")
        found = found or schema
    return found


def _group_facts(file: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(file)
    return (metadata.row_group(group) for group in range(metadata.num_row_groups))


def _bytes_of(value: Any) -> bytes | None:
    return value.get("bytes") if isinstance(value, dict) else value


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def _image_column(file: Path, schema: pa.Schema, column: str | None) -> str:
    """Find the column of images by its type and the first bytes of its first values."""
    import pyarrow.parquet as pq

    listed = ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:30])
    if column is not None:
        if not _holds_bytes(schema.field(column).type):
            raise ValueError(f"Column {column!r} of {file} contains {schema.field(column).type}, not bytes of images.")
        return column
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    images = []
    with naming(file, "parquet"), pq.ParquetFile(file) as parquet:
        batches = parquet.iter_batches(_LOOK_AT, columns=candidates)
        first = next(batches, pa.RecordBatch.from_pylist([])) if candidates else pa.RecordBatch.from_pylist([])
    for name in first.schema.names:
        values = [_bytes_of(value) for value in first[name].to_pylist()]
        if any(image_kind(value) for value in values if value):
            images.append(name)
    if len(images) != 1:
        what = "several columns" if images else "no column"
        raise ValueError(
            f"{file} has {what} of image bytes{': ' + ', '.join(images) if images else ''}; name one with column=. "
            f"Columns found: {listed}."
        )
    return images[0]
