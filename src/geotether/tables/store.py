"""Tables on disk: GeoParquet for tables of one modality, .npz for all others."""

import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geotether.features.featurizer import TRANSFORM_ENDING
from geotether.files.arrays import reading_arrays
from geotether.files.disk import check_file, replacing_file, size_in_words
from geotether.files.geometry import geometry_column, with_geometry
from geotether.files.places import degrees_axis, lonlat_of_columns
from geotether.files.values import is_text, without_dictionary
from geotether.files.writers import list_column
from geotether.geodesy.dates import strict_times
from geotether.tables.matrix import feature_columns, read_matrix, refuse_too_many, total_memory
from geotether.tables.modality import Modality, parts_of, text_array
from geotether.tables.origin import Origin, origin_of_note
from geotether.tables.table import COLUMNS, Table
from geotether.tables.target import Target

TARGET_PREFIX = "label:"
FEATURES = "features"
_NOTE = b"geotether"
_ABOUT = "about"
_GROUP_BYTES = 2**26


def write_table(table: Table, path: str | Path) -> None:
    """Write a table; an older file is replaced only once the new one is complete.

    A path that ends in .npz becomes a file of plain arrays, which `numpy.load(..., allow_pickle=False)` reads:
    `values/NAME` and `present/NAME` of each modality, `target/NAME` of each target, and the columns `id`, `lonlat`,
    `time`, `split` and `group`; the rest is JSON in `about`. It is not compressed, so that large modalities can be
    memory-mapped.

    Any other path becomes GeoParquet 1.1 with the columns `geometry` (points, OGC:CRS84), `lon`, `lat`, `id`, `time`
    (milliseconds, UTC), `split`, `label:NAME` for each target, and `features` (fixed-size lists of float32). Name and
    origin are in the schema's metadata `geotether`. It holds tables of one modality, as `Table.single` makes.

    Args:
        table: The table.
        path: Missing folders are created.

    Raises:
        ValueError: If Parquet cannot hold the table.
        OSError: If the disk is full or the folder cannot be written to; an older file is unchanged.
    """
    if Path(path).suffix.lower() == ".npz":
        _write_npz(table, path)
        return
    if not table.is_single or table.group is not None or any(one.kind == "labels" for one in table.targets.values()):
        raise ValueError(
            f"{path}: a Parquet file holds one modality, complete and with places, without groups and with one value "
            "per target; write this table to a file that ends in .npz."
        )
    columns: dict[str, pa.Array] = {
        "lon": pa.array(np.ascontiguousarray(table.lonlat[:, 0])),
        "lat": pa.array(np.ascontiguousarray(table.lonlat[:, 1])),
        "id": pa.array(table.id, pa.string()),
    }
    if table.time is not None:
        columns["time"] = pa.array(table.time)
    if table.split is not None:
        columns["split"] = pa.array(table.split, pa.string())
    columns |= {TARGET_PREFIX + name: pa.array(target.column) for name, target in table.targets.items()}
    columns[FEATURES] = list_column(table.features)
    file = with_geometry(pa.table(columns), table.lonlat)
    note: dict[str, Any] = {"table": 1, "name": table.name}
    if not table.origin.is_empty:
        note["origin"] = table.origin.plain()
    file = file.replace_schema_metadata({**file.schema.metadata, _NOTE: json.dumps(note).encode()})
    rows = max(1024, _GROUP_BYTES // (4 * table.dim))
    _write_groups(path, file.schema, (file.slice(start, rows) for start in range(0, len(file), rows)))


def write_origin(path: str | Path, origin: Origin) -> None:
    """Replace the origin in a Parquet file of `write_table`; its rows are copied unchanged.

    Args:
        path: The file; replaced only once the new one is complete.
        origin: The new origin.

    Raises:
        OSError: If the disk is full or the folder cannot be written to; the file is unchanged.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        metadata = dict(file.schema_arrow.metadata)
        note = {**json.loads(metadata.pop(_NOTE)), "origin": origin.plain()}
        schema = file.schema_arrow.with_metadata({**metadata, _NOTE: json.dumps(note).encode()})
        # Parquet names the items of lists differently from Arrow; use Arrow's name, as `write_table` did.
        place = schema.get_field_index(FEATURES)
        schema = schema.set(place, pa.field(FEATURES, pa.list_(pa.float32(), schema.field(place).type.list_size)))
        _write_groups(path, schema, (file.read_row_group(group).cast(schema) for group in range(file.num_row_groups)))


def read_table(
    path: str | Path,
    name: str | None = None,
    features: str | Sequence[str] = FEATURES,
    memory_share: float = 0.25,
    cache_dir: str | Path | None = None,
) -> Table:
    """Read a table that `write_table` wrote, or any Parquet or GeoParquet file with places and features.

    Places come from a GeoParquet geometry or from columns of coordinates as in `read_points`; `id`, `time`, `split`
    and `label:NAME` are read if they exist.

    Args:
        path: The file.
        name: Name of the table; by default the one it was written with, or else the file's name.
        features: Parquet: one column of lists of numbers, or several columns of numbers.
        memory_share: Features larger than this share of the machine's memory are memory-mapped; 0 always maps, 1
            hardly ever does.
        cache_dir: Parquet: folder of the memory map, which is named by the hash of the file; by default `geotether`
            in the user's cache folder. It may be deleted while no table uses it.

    Returns:
        The checked table.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or of another format, has no coordinates or features (its columns are
            listed), rows differ in width (the first such row is named), or the content is not that of a `Table`.
        OSError: If the memory map does not fit on the disk.
    """
    path = Path(path)
    check_file(path)
    if not 0 <= memory_share <= 1:
        raise ValueError(f"memory_share must lie in [0, 1], got {memory_share}.")
    if path.suffix.lower() == ".npz" or is_table_npz(path):
        return _read_npz(path, name, memory_share)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            chosen = feature_columns(file.schema_arrow, features)
            refuse_too_many(file.metadata.num_rows)
            columns = file.read(columns=_wanted(file.schema_arrow))
            lonlat = lonlat_of_columns(columns if columns.num_columns else file.schema_arrow.empty_table())
            if file.metadata.num_rows == 0:
                raise ValueError("it has no rows.")
            matrix = read_matrix(file, path, chosen, memory_share, None if cache_dir is None else Path(cache_dir))
            texts = {one: _texts(columns[one], one) for one in ("id", "split") if one in columns.column_names}
            time = (
                strict_times(columns["time"], lambda row: f"column 'time', row {row}")
                if "time" in columns.column_names
                else None
            )
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # an error of the system, such as a full disk
            raise
        raise ValueError(f"{path} is damaged or is not a Parquet file: {str(error).rstrip('.')}.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    note = (columns.schema.metadata or {}).get(_NOTE)
    targets = [one for one in columns.column_names if one.startswith(TARGET_PREFIX)]
    beside = path.with_name(path.stem + TRANSFORM_ENDING)
    return Table.single(
        name or _written_name(note) or path.stem,
        lonlat,
        matrix,
        targets={one.removeprefix(TARGET_PREFIX): target_column(columns[one]) for one in targets},
        time=time,
        origin=origin_of_note(note),
        transform=beside if features == FEATURES and beside.is_file() else None,
        **texts,
    )


def read_origin(path: str | Path) -> Origin:
    """Read the origin from a Parquet file without reading its rows; empty if there is none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a Parquet file.
    """
    try:
        return origin_of_note((pq.read_schema(path).metadata or {}).get(_NOTE))
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):
            raise
        raise ValueError(f"{path} is damaged or is not a Parquet file: {str(error).rstrip('.')}.") from error


def is_table_npz(path: str | Path) -> bool:
    """Whether a file is an .npz that `write_table` wrote, based on its entry `about`."""
    try:
        # Opened here, because NumPy does not close a file that is not a zip.
        with reading_arrays(path), Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return _ABOUT in file.files and '"paired_table"' in str(file[_ABOUT])
    except (ValueError, OSError):
        return False


def _write_groups(path: str | Path, schema: pa.Schema, groups: Iterable[pa.Table]) -> None:
    targets = [name for name in schema.names if name.startswith(TARGET_PREFIX)]
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["split", *targets]}
    # An open file, because given a path pyarrow deletes it on failure, even if it is a device.
    with (
        replacing_file(path) as part,
        part.open("wb") as out,
        pq.ParquetWriter(out, schema, write_page_checksum=True, **options) as writer,
    ):
        for group in groups:
            writer.write_table(group, row_group_size=max(1, len(group)))


def _wanted(schema: pa.Schema) -> list[str]:
    """List the columns besides the features; coordinates only if there is no geometry."""
    geometry = geometry_column(schema)
    known = {"id", "time", "split"} | ({geometry} if geometry else set())
    is_place = (lambda name: False) if geometry else (lambda name: degrees_axis(name) or name.strip().lower() in "xy")
    return [name for name in schema.names if name in known or name.startswith(TARGET_PREFIX) or is_place(name)]


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


def target_column(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a column of a target: texts, "" where missing, or numbers, NaN where missing."""
    column = without_dictionary(column)
    if is_text(column.type):
        return text_array(column.fill_null("").to_pylist())
    if column.null_count and pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.to_numpy()


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
