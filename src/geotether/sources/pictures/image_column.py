"""Images as bytes in a column of Parquet files."""

import hashlib
import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.files.disk import file_fingerprint, replacing_file
from geotether.files.formats import PARQUET_ENDINGS
from geotether.files.geometry import geometry_column
from geotether.files.places import PlaceFinder
from geotether.sources.pictures.image_rows import degrees, find_column, position_columns, row_columns
from geotether.sources.pictures.image_source import Encoded, ImageSource
from geotether.sources.pictures.pixels import MAX_PIXELS, ImageError, Photo, image_kind, read_photo

# Row groups are what Parquet can read by itself. Larger ones are copied into smaller ones once, because each would be
# read again for every run of rows in it.
GROUP_BYTES = 2**25
_LOOK_AT = 100  # values in which the magic bytes of an image are looked for


class ImageColumnSource(ImageSource):
    """Encoded images (JPEG, PNG, WebP, TIFF) in a column of bytes of a Parquet file, or of all in a folder.

    The column holds the bytes themselves or, as Hugging Face writes them, structs of `bytes` and `path`. Places come
    from columns of longitude and latitude or from a GeoParquet geometry. Only the rows that are asked for, to the row
    group, are held in memory.

    Args:
        path: A Parquet file, or a folder of Parquet files of equal columns, which are read in the order of their names.
        column: The column of images; found by its bytes if there is just one.
        lon: Column of longitudes; found by name if not given.
        lat: Column of latitudes; found by name if not given.
        id: Column of ids; none if not given.
        time: Column of times: timestamps or ISO 8601, UTC where no zone is given.
        labels: Columns to keep as labels.
        mode: "RGB" or "L": convert all images to three bands or to grey. None: bands as they are.
        size: Resize the shorter side to so many pixels and cut out the middle.
        max_pixels: Larger images are rejected before they are decoded.

    Attributes:
        kind: "images".
        features: "convolution".

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it is no Parquet, has no or several columns of images, or lacks a column that is named.
    """

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
        super().__init__(labels, mode, size, max_pixels)
        self._originals = _parquet_files(Path(path))
        schema = _schema(self._originals)
        names = schema.names
        self._image = _image_column(self._originals[0], schema, column)
        self._named = row_columns(names, id, time, self._labels, self._originals[0])
        geometry = geometry_column(schema) if lon is None and lat is None else None
        self._places = (geometry,) if geometry is not None else position_columns(names, lon, lat, self._originals[0])
        self._files = list(self._originals)
        # By row group: its file, its number there, and the number of its first row.
        self._groups: list[tuple[int, int, int]] = []

    def prepare(self, folder: Path) -> None:
        """Find where the row groups begin, and copy files whose row groups are too large to be read at once."""
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

    def fingerprint(self) -> str:
        """Return a text that changes when a file changes, or an option."""
        named = [self._named.get("id"), self._named.get("time"), self._labels]
        digest = hashlib.sha256(repr([self._options, self._image, self._places, *named]).encode())
        for file in self._originals:
            digest.update(f"{file.name} {file_fingerprint(file)}".encode())
        return digest.hexdigest()

    def _columns(self) -> list[str]:
        return list(dict.fromkeys([self._image, *self._places, *self._named.values()]))

    def _copied(self, original: Path, folder: Path, number: int) -> Path:
        """The columns needed of a file in row groups of bounded size, written once."""
        import pyarrow.parquet as pq

        copy = folder / f"images-{number:05d}-{file_fingerprint(original)[:16]}.parquet"
        if copy.is_file():
            return copy
        with pq.ParquetFile(original) as file, replacing_file(copy) as part:
            facts = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
            row_bytes = max(1, sum(group.total_byte_size for group in facts) // max(1, file.metadata.num_rows))
            schema = pa.schema([file.schema_arrow.field(name) for name in self._columns()], file.schema_arrow.metadata)
            with pq.ParquetWriter(part, schema, compression="none", use_dictionary=False) as writer:
                rows = max(1, GROUP_BYTES // 4 // row_bytes)
                for batch in file.iter_batches(rows, columns=self._columns()):
                    writer.write_table(pa.Table.from_batches([batch]).select(schema.names), row_group_size=rows)
        return copy

    def _rows(self, start: int, stop: int) -> Encoded:
        table = self._table(start, stop)
        id, time = self._named.get("id"), self._named.get("time")
        return Encoded(
            table[self._image].to_pylist(),
            ["" if value is None else str(value) for value in table[id].to_pylist()] if id else (),
            self._lonlat(table),
            table[time] if time else None,
            {name: table[name] for name in self._labels},
        )

    def _decoded(self, image: Any) -> Photo:
        data = _bytes_of(image)
        if not data:
            raise ImageError("no image (empty cell)")
        return read_photo(data, **self._options)

    def _table(self, start: int, stop: int) -> pa.Table:
        import pyarrow.parquet as pq

        begins = [begin for _, _, begin in self._groups]
        first, last = bisect_right(begins, start) - 1, bisect_right(begins, max(start, stop - 1))
        tables = []
        for number, groups in itertools.groupby(self._groups[first:last], key=lambda group: group[0]):
            with pq.ParquetFile(self._files[number]) as file:
                wanted = [group for _, group, _ in groups]
                # One row group after the other: a thread for each would hold them all at once.
                tables.append(file.read_row_groups(wanted, columns=self._columns(), use_threads=False))
        return pa.concat_tables(tables, promote_options="permissive").slice(start - begins[first], stop - start)

    def _lonlat(self, table: pa.Table) -> Float64[np.ndarray, "n 2"]:
        if len(self._places) == 1:
            return PlaceFinder(table.schema).find(table)[0]
        return np.stack([degrees(table[name]) for name in self._places], axis=1)


def _parquet_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"There is no file or folder {path}.")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PARQUET_ENDINGS)
    if not files:
        raise ValueError(f"There are no Parquet files in {path}; files of images are read by 'images'.")
    return files


def _schema(files: list[Path]) -> pa.Schema:
    import pyarrow.parquet as pq

    found = None
    for file in files:
        try:
            schema = pq.read_schema(file)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{file} is damaged or no Parquet file: {error}") from error
        if found is not None and set(found.names) != set(schema.names):
            odd = ", ".join(sorted(set(found.names) ^ set(schema.names)))
            raise ValueError(f"{file} has other columns than {files[0]}: {odd}.")
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
    """The column that holds images, by its type and the first bytes of its first values."""
    import pyarrow.parquet as pq

    listed = ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:30])
    if column is not None:
        find_column(schema.names, column, (), "images (option column)", file)
        if not _holds_bytes(schema.field(column).type):
            raise ValueError(f"Column {column!r} of {file} holds {schema.field(column).type}, not bytes of images.")
        return column
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    images = []
    with pq.ParquetFile(file) as parquet:
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
