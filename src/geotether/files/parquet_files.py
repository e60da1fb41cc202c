"""Parquet as one sequence of rows: a file, a folder of shards, or either on object storage or a web server."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from geotether.files.disk import check_file
from geotether.files.formats import PARQUET_ENDINGS, is_address
from geotether.user_folders import plain_hash

_SHARD = re.compile(r"part-(\d{5})-of-(\d{5})\.parquet")
# Facts that differ between versions of a remote file; each kind of storage reports some of them.
_VERSIONS = ("size", "etag", "mtime", "lastmodified", "last_modified", "updated", "created", "md5hash", "content-md5")


class ParquetFiles:
    """Parquet files of one schema, read as if they were one file; only requested columns are read.

    Args:
        path: A file; a folder whose Parquet files are read in the order of their names; or an address that fsspec
            knows, such as "s3://bucket/birds.parquet", of a file or, except on web servers, of a folder. The address of
            the first shard that `write_table` wrote stands for all of them.

    Attributes:
        path: As given.
        names: Names of the files.
        schema: Columns, with the metadata of the first file.
        footers: Parquet's metadata of each file.

    Raises:
        FileNotFoundError: If there is no such file, or a shard is missing.
        ValueError: If a file is not Parquet, or its columns differ from those of the first.
        ImportError: If fsspec, or what it needs for this kind of address, is not installed.
        OSError: If an address cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self._files = _remote(str(path)) if is_address(path) else _local(Path(path))
        self.names = [file.name for file in self._files]
        self.footers: list[pq.FileMetaData] = []
        for number in range(len(self._files)):
            with self._open(number) as file:
                self.footers.append(file.metadata)
                if number == 0:
                    self.schema: pa.Schema = file.schema_arrow
                elif not file.schema_arrow.equals(self.schema):
                    raise ValueError(
                        f"its columns differ from those of {self.names[0]}; shards of one table have the same columns."
                    )

    def __len__(self) -> int:
        """Count the rows."""
        return sum(footer.num_rows for footer in self.footers)

    @property
    def key(self) -> str:
        """A hash of the files' names, sizes, times of change and footers, to detect changes."""
        facts = [
            [file.name, file.facts, footer.to_dict()] for file, footer in zip(self._files, self.footers, strict=True)
        ]
        return plain_hash(facts)

    @property
    def bytes(self) -> int:
        """Size of the row groups, compressed."""
        groups = [footer.row_group(number) for footer in self.footers for number in range(footer.num_row_groups)]
        return sum(group.column(at).total_compressed_size for group in groups for at in range(group.num_columns))

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Read columns of all rows."""
        parts = []
        for number in range(len(self._files)):
            with self._open(number) as file:
                parts.append(file.read(columns=list(columns)).replace_schema_metadata(self.schema.metadata))
        return pa.concat_tables(parts)

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield columns in runs of at most `rows` rows; a run never spans two files."""
        for number in range(len(self._files)):
            with self._open(number) as file:
                yield from file.iter_batches(batch_size=rows, columns=list(columns))

    @contextmanager
    def _open(self, number: int) -> Iterator[pq.ParquetFile]:
        footer = self.footers[number] if number < len(self.footers) else None
        with (
            _explained(self.path, self.names[number] if len(self.names) > 1 else ""),
            self._files[number].open() as file,
        ):
            # Remote columns are fetched as whole ranges at once.
            remote = is_address(self.path)
            with pq.ParquetFile(file, metadata=footer, pre_buffer=remote, page_checksum_verification=True) as opened:
                yield opened


class _File(NamedTuple):
    """A file: its name, facts that differ between its versions, and a function that opens it."""

    name: str
    facts: list[Any]
    open: Callable[[], Any]


def is_sharded(path: str | Path) -> bool:
    """Whether a path is a folder with shards of a table."""
    return not is_address(path) and Path(path).is_dir() and bool(_parquet_in(Path(path)))


def has_only_shards(folder: Path) -> bool:
    """Whether a folder contains shards that `write_table` wrote and nothing else, so that it may be replaced."""
    names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    return bool(names) and all(_SHARD.fullmatch(name) for name in names)


def shard_name(number: int, count: int) -> str:
    """Return the name of a shard.

    Example:
        >>> shard_name(3, 20)
        'part-00003-of-00020.parquet'
    """
    return f"part-{number:05d}-of-{count:05d}.parquet"


def _local(path: Path) -> list[_File]:
    if not path.is_dir():
        check_file(path)
    files = _complete(_parquet_in(path), str(path)) if path.is_dir() else [path.name]
    folder = path if path.is_dir() else path.parent
    found = []
    for name in files:
        facts = (folder / name).stat()
        found.append(_File(name, [facts.st_size, facts.st_mtime_ns], partial((folder / name).open, "rb")))
    return found


def _parquet_in(folder: Path) -> list[str]:
    names = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in PARQUET_ENDINGS and file.is_file())
    return [name for name in names if not name.startswith((".", "_"))]


def _complete(names: list[str], where: str) -> list[str]:
    """Return the files of a folder; FileNotFoundError if there is none, or a shard is missing."""
    if not names:
        raise FileNotFoundError(f"There is no Parquet file in {where}.")
    numbered = [match for match in map(_SHARD.fullmatch, names) if match]
    if not numbered:
        return names
    count = int(numbered[0][2])
    wanted = [shard_name(number, count) for number in range(count)]
    if missing := sorted(set(wanted) - set(names)):
        raise FileNotFoundError(f"{where} lacks {missing[0]}, one of the {count} shards of its table; copy it again.")
    return wanted


def _remote(address: str) -> list[_File]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ImportError(f"{address} is read with fsspec: pip install 'geotether[cloud]'.") from None
    with _explained(address):
        system, path = url_to_fs(address)
        folder, _, name = path.rpartition("/")
        if (first := _SHARD.fullmatch(name)) and int(first[1]) == 0:
            paths = [f"{folder}/{shard_name(number, int(first[2]))}" for number in range(int(first[2]))]
        elif "http" not in system.protocol and system.isdir(path):
            inside = sorted(one for one in system.ls(path, detail=False) if one.lower().endswith(PARQUET_ENDINGS))
            names = _complete([one.rpartition("/")[2] for one in inside], address)
            paths = [f"{path.rstrip('/')}/{one}" for one in names]
        else:
            paths = [path]
        found = []
        for one in paths:
            facts = {key.lower(): str(value) for key, value in system.info(one).items()}
            versions = [facts.get(key, "") for key in _VERSIONS]
            # No cache: pyarrow asks for exactly the ranges that it needs.
            opened = partial(system.open, one, "rb", cache_type="none")
            found.append(_File(one.rpartition("/")[2], [system.unstrip_protocol(one), *versions], opened))
        return found


@contextmanager
def _explained(path: str | Path, name: str = "") -> Iterator[None]:
    """Turn errors of Parquet and of remote storage into our own, with the name of the file."""
    where = f"{path}: {name}" if name else f"{path}"
    try:
        yield
    except (FileNotFoundError, ImportError) as error:
        if not is_address(path):
            raise
        why = str(error.__cause__ or error).rstrip(".")
        why = "there is no such file" if isinstance(error, FileNotFoundError) and why in f"{path}" else why
        raise type(error)(f"{path} cannot be read: {why}.") from error
    except (ValueError, pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) and not isinstance(error, pa.ArrowException):
            raise  # an error of the system, such as a full disk
        if type(error) is ValueError:
            raise ValueError(f"{where}: {error}") from error
        raise ValueError(f"{where} is damaged or is not a Parquet file: {str(error).rstrip('.')}.") from error
    except Exception as error:  # each kind of storage has its own errors
        if not is_address(path) or isinstance(error, TypeError | LookupError | MemoryError):
            raise
        raise OSError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
