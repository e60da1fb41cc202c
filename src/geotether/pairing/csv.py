"""Paired data in one CSV: columns of numbers, lists as JSON, or names of files."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from geotether.files.rows import read_rows
from geotether.pairing.table_file import TableFile


def open_csv(path: Path) -> TableFile:
    """Read a CSV with a header; comma, semicolon, tab or bar.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8, rows differ in length, or there are none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        table = read_rows(path)
    except pa.ArrowException as error:
        raise ValueError(f"it is no CSV with a header: {error}.") from error
    return table_in_memory(path.parent, table)


def table_in_memory(folder: Path, table: pa.Table) -> TableFile:
    """Ask a table that is read already.

    Args:
        folder: That files are seen from.
        table: The rows.

    Raises:
        ValueError: If it has no rows.
    """

    def runs(names: list[str]) -> Iterator[pa.Table]:
        yield table.select(names)

    return TableFile(folder, table.schema, table.num_rows, runs)
