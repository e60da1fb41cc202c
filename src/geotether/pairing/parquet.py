"""Paired data in one Parquet file: cells of lists or bytes, columns of numbers, or names of files."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from geotether.pairing.table_file import TableFile

_ROWS_AT_ONCE = 1024


def open_parquet(path: Path) -> TableFile:
    """Open a Parquet file; columns are read when they are asked for.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no Parquet file, or has no rows.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with pq.ParquetFile(path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is damaged or is not a Parquet file: {error}.") from error

    def runs(names: list[str]) -> Iterator[pa.Table]:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_ROWS_AT_ONCE, columns=names, use_threads=False):
                    # In the order asked for, not in the file's.
                    yield pa.Table.from_batches([batch]).select(names).replace_schema_metadata(None)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"it is damaged: {error}.") from error

    return TableFile(path.parent, schema, count, runs)
