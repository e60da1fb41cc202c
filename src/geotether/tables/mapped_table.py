"""Tables larger than memory: columns of Parquet files as maps in a folder of the user's cache."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.files.disk import replacing_folder, writing
from geotether.files.mapped_rows import MappedRows
from geotether.files.parquet_files import ParquetFiles
from geotether.files.places import lonlat_of_columns
from geotether.files.values import is_text, without_dictionary
from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.geodesy.dates import strict_times
from geotether.tables.matrix import ROWS_AT_ONCE, matrix_parts
from geotether.tables.modality import Modality, set_fields
from geotether.tables.table import SPLITS, Table, unknown_split
from geotether.tables.target import Target, target_column
from geotether.user_folders import plain_hash

_ABOUT = "about.json"
_FORM = 1


def map_table(files: ParquetFiles, features: list[str], places: list[str], labels: dict[str, str], cache: Path) -> Path:
    """Write the columns of a table into a folder, one file each, unless that was done before.

    Memory is bounded by the largest column besides the features. Everything is checked here, as `Table` does.

    Args:
        files: The table's files.
        features: Columns of features.
        places: Columns of the geometry or the coordinates.
        labels: Name of each target to its column.
        cache: The folder in which the folder is made; its name has the key of the files.

    Returns:
        The folder.

    Raises:
        ValueError: As `read_table`.
        OSError: If the disk is full.
    """
    folder = cache / f"table-{plain_hash([_FORM, files.key, features, sorted(labels)])[:32]}"
    if (folder / _ABOUT).is_file():
        return folder
    with writing(folder, folder=True, wait=True):
        if (folder / _ABOUT).is_file():  # another process has made it meanwhile
            return folder
        with replacing_folder(folder) as unfinished:
            _write_features(files, features, unfinished / "features.npy")
            _write_places(files, places, unfinished / "lonlat.npy")
            about: dict[str, Any] = {"form": _FORM, "targets": {}}
            for column in [name for name in ("id", "split") if name in files.schema.names]:
                _write_texts(files.read([column])[column], column, unfinished / f"{column}.npy")
            if "time" in files.schema.names:
                time = strict_times(files.read(["time"])["time"], lambda row: f"column 'time', row {row}")
                np.save(unfinished / "time.npy", time.astype("datetime64[ms]"))
            for number, (name, column) in enumerate(labels.items()):
                target = _target(name, files.read([column])[column])
                np.save(unfinished / f"target-{number}.npy", target.values)
                about["targets"][name] = {"kind": target.kind, "names": target.names}
            if "id" not in files.schema.names:
                texts = (
                    pa.array(map(str, range(start, min(start + ROWS_AT_ONCE, len(files)))))
                    for start in range(0, len(files), ROWS_AT_ONCE)
                )
                _write_strings(texts, len(files), len(str(len(files) - 1)), unfinished / "id.npy")
            (unfinished / _ABOUT).write_text(json.dumps(about), "utf-8")
            about["content_hash"] = mapped_table(unfinished, "table").content_hash
            (unfinished / _ABOUT).write_text(json.dumps(about), "utf-8")
    return folder


def mapped_table(folder: Path, name: str, **further: Any) -> Table:
    """Open what `map_table` wrote; only a few bytes are read.

    Args:
        folder: The folder.
        name: Name of the table.
        **further: `origin`, `transform` and `block_rows` of the table.
    """
    about = json.loads((folder / _ABOUT).read_text("utf-8"))
    values = MappedRows(folder / "features.npy")
    present = np.broadcast_to(np.array(True), len(values))
    vectors: Any = set_fields(
        object.__new__(Modality), kind="vector", values=values, present=present, bands=(), complete=True
    )
    targets = {
        name: set_fields(
            object.__new__(Target),
            kind=one["kind"],
            names=tuple(one["names"]),
            values=np.load(folder / f"target-{number}.npy", mmap_mode="r"),
        )
        for number, (name, one) in enumerate(about["targets"].items())
    }
    columns = {
        column: np.load(folder / f"{column}.npy", mmap_mode="r")
        for column in ("id", "lonlat", "time", "split")
        if (folder / f"{column}.npy").is_file()
    }
    table = Table.of_checked(name, {name: vectors}, targets, **columns, **further)
    if "content_hash" in about:
        table.__dict__["content_hash"] = about["content_hash"]
    return table


def _write_features(files: ParquetFiles, names: list[str], path: Path) -> None:
    """Write the features in order; a full disk is then an error, and does not kill the process."""
    first: np.ndarray | None = None
    start, differ = 0, False
    with path.open("wb") as out:
        for part in matrix_parts(files, names, ROWS_AT_ONCE, halves=True):
            if first is None:
                first = part[0].copy()
                _write_header(out, part.dtype, (len(files), part.shape[1]))
            finite = np.isfinite(part)
            if not finite.all():
                row, column = np.argwhere(~finite)[0].tolist()
                raise ValueError(
                    f"features must be finite float32 numbers; row {start + row}, column {column} is "
                    f"{part[row, column]}. Leave such rows out or fill them in."
                )
            differ = differ or bool((part != first).any())
            out.write(np.ascontiguousarray(part).tobytes())
            start += len(part)
    if not differ:
        raise ValueError("all rows have the same features, so there is nothing to learn from them.")


def _write_places(files: ParquetFiles, columns: list[str], path: Path) -> None:
    start = 0
    with path.open("wb") as out:
        _write_header(out, np.dtype(np.float64), (len(files), 2))
        for batch in files.batches(columns, 16 * ROWS_AT_ONCE):
            table = pa.Table.from_batches([batch]).replace_schema_metadata(files.schema.metadata)
            try:
                lonlat = lonlat_of_columns(table)
                check_lonlat(lonlat)
            except ValueError as error:
                raise ValueError(
                    f"{error} (Rows are counted from row {start} of the table.)" if start else f"{error}"
                ) from error
            lonlat[:, 0] = wrap_longitude(lonlat[:, 0])
            out.write(np.ascontiguousarray(lonlat, dtype="<f8").tobytes())
            start += len(lonlat)


def _write_texts(column: pa.ChunkedArray, name: str, path: Path) -> None:
    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise ValueError(f"column {name!r} has no value in row {row}; fill it in or leave the column out.")
    if name == "split":
        column = without_dictionary(column)
        for value in pc.unique(column).to_pylist():
            if value not in (*SPLITS, "val"):
                raise unknown_split(value, pc.index(column, value).as_py())
        column = pc.replace_substring_regex(column, "^val$", "validation")
        width = max(map(len, SPLITS))
    else:
        column = column.cast(pa.string())
        width = pc.max(pc.utf8_length(column)).as_py()
        _refuse_repeated(column)
    _write_strings(column.iterchunks(), len(column), max(width, 1), path)


def _refuse_repeated(column: pa.ChunkedArray) -> None:
    """Raise ValueError if a text repeats; 8 bytes of memory per row, unless many do."""
    hashes = np.fromiter(map(hash, _listed(column.iterchunks())), np.int64, len(column))
    hashes.sort()
    repeated = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    seen: set[str] = set()
    for text in _listed(column.iterchunks()) if repeated else ():
        if hash(text) in repeated:
            if text in seen:
                raise ValueError(f"ids must differ, but several rows are {text!r}.")
            seen.add(text)


def _listed(chunks: Iterable[pa.Array]) -> Iterator[str]:
    """Yield texts, some thousand of them at a time as Python objects."""
    for chunk in chunks:
        for start in range(0, len(chunk), ROWS_AT_ONCE):
            yield from chunk.slice(start, ROWS_AT_ONCE).to_pylist()


def _write_strings(chunks: Iterable[pa.Array], count: int, width: int, path: Path) -> None:
    with path.open("wb") as out:
        _write_header(out, np.dtype(f"<U{width}"), (count,))
        for chunk in chunks:
            for start in range(0, len(chunk), ROWS_AT_ONCE):
                out.write(np.array(chunk.slice(start, ROWS_AT_ONCE).to_pylist(), f"<U{width}").tobytes())


def _target(name: str, column: pa.ChunkedArray) -> Target:
    """Make a target without a Python object per row."""
    if not is_text(without_dictionary(column).type):
        return Target.of_column(name, target_column(column))
    coded = (
        pa.chunked_array(column).unify_dictionaries()
        if pa.types.is_dictionary(column.type)
        else column.dictionary_encode()
    )
    coded = coded.combine_chunks()
    words = coded.dictionary.to_pylist()
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    names = sorted({words[code] for code in np.unique(codes) if code >= 0} - {""})
    numbers = np.array([*(names.index(word) if word in names else -1 for word in words), -1])
    return Target("classes", numbers[codes].astype(np.int64), tuple(names))


def _write_header(out: Any, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
