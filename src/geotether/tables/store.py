"""Tables on disk: GeoParquet, in one file or in shards, for tables of one modality, .npz for all others."""

import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geotether.features.featurizer import TRANSFORM_ENDING
from geotether.files.arrays import reading_arrays
from geotether.files.disk import check_file, replacing_file, replacing_folder, size_in_words
from geotether.files.formats import is_address
from geotether.files.geometry import geometry_column, with_geometry
from geotether.files.parquet_files import ParquetFiles, has_only_shards, shard_name
from geotether.files.places import degrees_axes, lonlat_of_columns
from geotether.files.rows import naming
from geotether.files.writers import list_column
from geotether.geodesy.dates import strict_times
from geotether.tables.mapped_table import map_table, mapped_table
from geotether.tables.matrix import (
    feature_columns,
    feature_count,
    fits_in_memory,
    read_matrix,
    refuse_too_many,
    total_memory,
)
from geotether.tables.modality import Modality, parts_of, text_array
from geotether.tables.origin import Origin, origin_of_note
from geotether.tables.table import COLUMNS, POOL_BLOCKS, Table
from geotether.tables.target import Target, target_column
from geotether.user_folders import user_cache

TARGET_PREFIX = "label:"
FEATURES = "features"
_NOTE = b"geotether"
_ABOUT = "about"
_GROUP_BYTES = 2**26
# Features of more bytes are written in shards.
_LARGE_BYTES, _SHARD_BYTES = 2**32, 2**28
# Numbers in a block of a table in shards: 64 KiB as float16, which disks read at nearly full speed.
_BLOCK_NUMBERS, _BLOCK_ROWS = 2**15, 2**9


def write_table(
    table: Table, path: str | Path, shard_rows: int | None = None, dtype: Literal["float32", "float16"] = "float32"
) -> None:
    """Write a table; an older one is replaced only once the new one is complete.

    A path that ends in .npz becomes a file of plain arrays, which `numpy.load(..., allow_pickle=False)` reads:
    `values/NAME` and `present/NAME` of each modality, `target/NAME` of each target, and the columns `id`, `lonlat`,
    `time`, `split` and `group`; the rest is JSON in `about`. It is not compressed, so that large modalities can be
    memory-mapped.

    Any other path becomes GeoParquet 1.1 with the columns `geometry` (points, OGC:CRS84), `lon`, `lat`, `id`, `time`
    (milliseconds, UTC), `split`, `label:NAME` for each target, and `features` (fixed-size lists). Name and origin are
    in the schema's metadata `geotether`. It holds tables of one modality, as `Table.single` makes.

    With `shard_rows`, or if the features take more than 4 GiB as float32, the table becomes a folder of such files,
    `part-00000-of-00020.parquet` and so on. Batches of a large one are drawn by blocks; see
    `Table.block_rows`.

    Args:
        table: The table.
        path: Missing folders are created.
        shard_rows: Rows of a file; None: one file, or files of about 256 MiB where the table is large.
        dtype: Number type of the features in Parquet. They are read as float32; float16 keeps three digits.

    Raises:
        ValueError: If Parquet cannot hold the table, or float16 a number.
        FileExistsError: If a folder of that name contains anything but shards.
        OSError: If the disk is full or the folder cannot be written to; an older table is unchanged.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        if shard_rows is not None or dtype != "float32":
            raise ValueError(f"{path}: shards and float16 are for Parquet; leave out shard_rows and dtype.")
        _write_npz(table, path)
        return
    if not table.is_single or table.group is not None or any(one.kind == "labels" for one in table.targets.values()):
        raise ValueError(
            f"{path}: a Parquet file holds one modality, complete and with places, without groups and with one value "
            "per target; write this table to a file that ends in .npz."
        )
    shard_rows = _rows_per_shard(table, dtype) if shard_rows is None else shard_rows
    if path.is_dir() and not has_only_shards(path):
        raise FileExistsError(f"{path} is a folder that contains other files than a table; choose another name.")
    if shard_rows is None:
        with replacing_file(path) if not path.is_dir() else replacing_folder(path, keep=False) as part:
            if part.is_dir():
                part.rmdir()
            _write_parquet(table, slice(0, len(table)), part, dtype)
        return
    if shard_rows < 1:
        raise ValueError(f"shard_rows must be 1 or more, got {shard_rows}.")
    starts = range(0, len(table), shard_rows)
    with replacing_folder(path, keep=False) as folder:
        for number, start in enumerate(starts):
            rows = slice(start, min(start + shard_rows, len(table)))
            _write_parquet(table, rows, folder / shard_name(number, len(starts)), dtype)


def _rows_per_shard(table: Table, dtype: str) -> int | None:
    """Return the rows of a file of about 256 MiB of a table that is written in shards; None of one that is not."""
    if len(table) * table.dim * 4 <= _LARGE_BYTES:
        return None
    return max(1, _SHARD_BYTES // (table.dim * np.dtype(dtype).itemsize))


def _write_parquet(table: Table, rows: slice, path: Path, dtype: str) -> None:
    """Write some rows of a table as one file."""
    lonlat = np.asarray(table.lonlat[rows])
    columns: dict[str, pa.Array] = {
        "lon": pa.array(np.ascontiguousarray(lonlat[:, 0])),
        "lat": pa.array(np.ascontiguousarray(lonlat[:, 1])),
        "id": pa.array(np.asarray(table.id[rows]), pa.string()),
    }
    if table.time is not None:
        columns["time"] = pa.array(np.asarray(table.time[rows]))
    if table.split is not None:
        columns["split"] = pa.array(np.asarray(table.split[rows]), pa.string())
    columns |= {TARGET_PREFIX + name: pa.array(target.rows(rows).column) for name, target in table.targets.items()}
    file = with_geometry(pa.table(columns), lonlat)
    note: dict[str, Any] = {"table": 1, "name": table.name}
    if not table.origin.is_empty:
        note["origin"] = table.origin.plain()
    kind = pa.list_(pa.from_numpy_dtype(np.dtype(dtype)), table.dim)
    schema = file.schema.append(pa.field(FEATURES, kind))
    schema = schema.with_metadata({**file.schema.metadata, _NOTE: json.dumps(note).encode()})
    group_rows = max(1024, _GROUP_BYTES // (4 * table.dim))

    def groups() -> Iterator[pa.Table]:
        for start in range(0, len(file), group_rows):
            first = rows.start + start
            features = table.features[first : min(first + group_rows, rows.stop)]
            with np.errstate(over="ignore"):
                stored = features.astype(dtype, copy=False)
            if not np.isfinite(stored).all():
                row, column = np.argwhere(~np.isfinite(stored))[0].tolist()
                raise ValueError(
                    f"feature {column} of row {first + row} is {features[row, column]:g}, beyond float16 (65,504); "
                    "write float32."
                )
            group = file.slice(start, group_rows).append_column(schema.field(FEATURES), list_column(stored))
            yield group.replace_schema_metadata(schema.metadata)

    _write_groups(path, schema, groups())


def write_origin(path: str | Path, origin: Origin) -> None:
    """Replace the origin in what `write_table` wrote as Parquet; its rows are copied unchanged.

    Args:
        path: The file, or the folder of shards; each file is replaced only once the new one is complete.
        origin: The new origin.

    Raises:
        OSError: If the disk is full or the folder cannot be written to; the file is unchanged.
    """
    for shard in sorted(Path(path).glob("*.parquet")) if Path(path).is_dir() else [Path(path)]:
        with pq.ParquetFile(shard, page_checksum_verification=True) as file, replacing_file(shard) as part:
            metadata = dict(file.schema_arrow.metadata)
            note = {**json.loads(metadata.pop(_NOTE)), "origin": origin.plain()}
            schema = file.schema_arrow.with_metadata({**metadata, _NOTE: json.dumps(note).encode()})
            # Parquet names the items of lists differently from Arrow; use Arrow's name, as `write_table` did.
            place = schema.get_field_index(FEATURES)
            kind = schema.field(place).type
            schema = schema.set(place, pa.field(FEATURES, pa.list_(kind.value_type, kind.list_size)))
            _write_groups(
                part, schema, (file.read_row_group(group).cast(schema) for group in range(file.num_row_groups))
            )


def read_table(
    path: str | Path,
    name: str | None = None,
    features: str | Sequence[str] = FEATURES,
    memory_share: float = 0.25,
    cache_dir: str | Path | None = None,
) -> Table:
    """Read a table that `write_table` wrote, or any Parquet or GeoParquet with places and features.

    Places come from a GeoParquet geometry or from columns of coordinates as in `read_points`; `id`, `time`, `split`
    and `label:NAME` are read if they exist, other columns are not.

    Args:
        path: A file; a folder of shards; or the address of either, such as "s3://bucket/birds.parquet". See
            `geotether.files.parquet_files.ParquetFiles`.
        name: Name of the table; by default the one it was written with, or else the file's name.
        features: Parquet: one column of lists of numbers, or several columns of numbers.
        memory_share: Tables whose features take more than this share of the memory are mapped from disk; 0 always
            maps, 1 hardly ever does.
        cache_dir: Parquet: folder of the maps of a large table, which are made once and named by a hash of names,
            sizes, times and footers of the files; by default `geotether` in the user's cache folder. It may be deleted
            while no table uses it.

    Returns:
        The checked table. Batches of a large one in shards are drawn by blocks; see `Table.block_rows`.

    Raises:
        FileNotFoundError: If there is no such file, or a shard is missing.
        ValueError: If the file is damaged or of another format, has no coordinates or features (its columns are
            listed), rows differ in width (the first such row is named), or the content is not that of a `Table`.
        OSError: If the maps do not fit on the disk, or an address cannot be read.
        ImportError: If an address needs a package that is not installed.
    """
    if not 0 <= memory_share <= 1:
        raise ValueError(f"memory_share must lie in [0, 1], got {memory_share}.")
    if not is_address(path) and not Path(path).is_dir():
        path = Path(path)
        check_file(path)
        if path.suffix.lower() == ".npz" or is_table_npz(path):
            return _read_npz(path, name, memory_share)
    files = ParquetFiles(path)
    schema, stem = files.schema, PurePosixPath(Path(path).as_posix()).stem
    note = (schema.metadata or {}).get(_NOTE)
    beside = None if is_address(path) else Path(path).with_name(stem + TRANSFORM_ENDING)
    further: dict[str, Any] = {
        "origin": origin_of_note(note),
        "transform": beside if features == FEATURES and beside and beside.is_file() else None,
    }
    name = name or _written_name(note) or stem
    labels = {one.removeprefix(TARGET_PREFIX): one for one in schema.names if one.startswith(TARGET_PREFIX)}
    with naming(path, "Parquet"):
        chosen = feature_columns(schema, features)
        places = _places(schema)
        if not places:
            lonlat_of_columns(schema.empty_table())  # says what is missing
        if len(files) == 0:
            raise ValueError("it has no rows.")
        mapped = not fits_in_memory(files, chosen, memory_share)
        refuse_too_many(len(files), mapped)
        if len(files.names) > 1 or shard_name(0, 1) in files.names:
            block_rows = min(max(1, _BLOCK_NUMBERS // feature_count(files, chosen)), _BLOCK_ROWS)
            # Fewer rows are one pool, which is shuffled as a whole.
            further["block_rows"] = block_rows if len(files) > POOL_BLOCKS * block_rows else None
        if mapped:
            cache = user_cache() if cache_dir is None else Path(cache_dir)
            return mapped_table(map_table(files, chosen, places, labels, cache), name, **further)
        columns = files.read(
            [*places, *labels.values(), *(one for one in ("id", "time", "split") if one in schema.names)]
        )
        lonlat, matrix = lonlat_of_columns(columns), read_matrix(files, chosen)
        texts = {one: _texts(columns[one], one) for one in ("id", "split") if one in columns.column_names}
        if "time" in columns.column_names:
            further["time"] = strict_times(columns["time"], lambda row: f"column 'time', row {row}")
    targets = {target: target_column(columns[column]) for target, column in labels.items()}
    return Table.single(name, lonlat, matrix, targets=targets, **texts, **further)


def read_origin(path: str | Path) -> Origin:
    """Read the origin from a Parquet table without reading its rows; empty if there is none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not Parquet.
    """
    return origin_of_note((ParquetFiles(path).schema.metadata or {}).get(_NOTE))


def is_table_npz(path: str | Path) -> bool:
    """Whether a file is an .npz that `write_table` wrote, based on its entry `about`."""
    try:
        # Opened here, because NumPy does not close a file that is not a zip.
        with reading_arrays(path), Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return _ABOUT in file.files and '"paired_table"' in str(file[_ABOUT])
    except (ValueError, OSError):
        return False


def _write_groups(path: Path, schema: pa.Schema, groups: Iterable[pa.Table]) -> None:
    targets = [name for name in schema.names if name.startswith(TARGET_PREFIX)]
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["split", *targets]}
    # An open file, because given a path pyarrow deletes it on failure, even if it is a device.
    with (
        path.open("wb") as out,
        pq.ParquetWriter(out, schema, write_page_checksum=True, **options) as writer,
    ):
        for group in groups:
            writer.write_table(group, row_group_size=max(1, len(group)))


def _places(schema: pa.Schema) -> list[str]:
    """List the column of the geometry, or those that may hold coordinates."""
    if geometry := geometry_column(schema):
        return [geometry]
    degrees = degrees_axes(schema.names)
    return [name for name in schema.names if name in degrees or name.strip().lower() in "xy"]


def _written_name(note: bytes | None) -> str | None:
    try:
        return json.loads(note or b"{}").get("name")
    except (ValueError, AttributeError):
        return None


def _texts(column: pa.ChunkedArray, name: str) -> np.ndarray:
    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise ValueError(f"column {name!r} has no value in row {row}; fill it in or leave the column out.")
    return text_array(column.cast(pa.string()).to_pylist())


def _write_npz(table: Table, path: str | Path) -> None:
    about: dict[str, Any] = {
        "paired_table": 1,
        "name": table.name,
        "sensors": {
            name: {"kind": one.kind, "bands": one.bands} | ({"complete": True} if one.complete else {})
            for name, one in table.modalities.items()
        },
        "targets": {name: {"kind": one.kind, "names": one.names} for name, one in table.targets.items()},
        "origin": table.origin.plain(),
    }
    arrays = {_ABOUT: np.array(json.dumps(about))}
    arrays |= {name: getattr(table, name) for name in COLUMNS if getattr(table, name) is not None}
    arrays |= {f"present/{name}": one.present for name, one in table.modalities.items()}
    arrays |= {f"target/{name}": one.values for name, one in table.targets.items()}
    arrays |= {f"values/{name}": one.values for name, one in table.modalities.items()}
    with replacing_file(path) as part, part.open("wb") as out, zipfile.ZipFile(out, "w", allowZip64=True) as file:
        for name, values in arrays.items():
            if values.dtype.kind == "O":
                values = _stored_texts(values)
            # ZipInfo has a fixed date, so that equal tables give equal files.
            with file.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                descr = np.lib.format.dtype_to_descr(values.dtype)
                header = {"descr": descr, "fortran_order": False, "shape": values.shape}
                np.lib.format.write_array_header_2_0(entry, header)
                for _, rows in parts_of(values) if values.ndim else [(0, values)]:
                    entry.write(np.ascontiguousarray(rows).tobytes())


def _stored_texts(texts: np.ndarray) -> np.ndarray:
    """Return texts as NumPy stores them; as JSON in bytes where a few long ones would make all of them as long."""
    lengths = [len(text) for text in texts.tolist()]
    if max(lengths, default=0) * len(lengths) <= max(2**22, 4 * sum(lengths)):
        return np.array(texts.tolist(), dtype=str)
    return np.frombuffer(json.dumps(texts.tolist()).encode(), dtype=np.uint8)


def _read_npz(path: Path, name: str | None, memory_share: float) -> Table:
    if not is_table_npz(path):
        raise ValueError(f"{path} was not written by write_table, or is damaged.")
    with reading_arrays(path), np.load(path, allow_pickle=False) as file:
        memory = total_memory()
        unpacked = sum(one.file_size for one in file.zip.infolist() if one.compress_type != zipfile.ZIP_STORED)
        if unpacked > memory:
            have = f"this machine has {size_in_words(memory)} of memory"
            raise ValueError(f"{path} takes {size_in_words(unpacked)} unpacked, and {have}.")
        about = json.loads(str(file[_ABOUT]))
        modalities = {}
        for key, one in about["sensors"].items():
            values = _mapped(path, file.zip.getinfo(f"values/{key}.npy"), memory_share * memory)
            values = file[f"values/{key}"] if values is None else values
            complete = one.get("complete", False)
            modalities[key] = Modality(one["kind"], values, file[f"present/{key}"], tuple(one["bands"]), complete)
        targets = {}
        for key, one in about["targets"].items():
            values = file[f"target/{key}"]
            if one["kind"] == "numbers" and values.dtype != np.float64:
                targets[key] = Target.of_column(one["names"][0], values)
            else:
                targets[key] = Target(one["kind"], values, tuple(one["names"]))
        columns = {column: file[column] for column in COLUMNS if column in file.files}
        for column, values in columns.items():
            if values.dtype == np.uint8:
                columns[column] = text_array(json.loads(values.tobytes()))
        # A part of a table, such as rows to predict, may lack a modality or all values of a target.
        origin = Origin.of(about["origin"])
        return Table(name or about["name"], modalities, targets, **columns, origin=origin, is_part=True)


def _mapped(path: Path, entry: zipfile.ZipInfo, most: float) -> np.ndarray | None:
    """Map an entry of more than `most` bytes; None if it is smaller or compressed."""
    if entry.file_size <= most or entry.compress_type != zipfile.ZIP_STORED:
        return None
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        # The entry's own header may be longer than the directory says: its last two fields have the lengths.
        name, extra = np.frombuffer(file.read(30)[26:], dtype="<u2").tolist()
        file.seek(name + extra, 1)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if fortran or dtype.hasobject:
            return None
        return np.memmap(path, dtype, "r", offset=file.tell(), shape=shape)
