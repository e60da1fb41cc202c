"""Published tables that come without a header, written again as CSV with one."""

import csv
from pathlib import Path

from geotether.datasets.registry import PlainTable
from geotether.files.disk import replacing_file


def with_header(table: PlainTable, folder: Path) -> Path:
    """Write a table again as CSV in UTF-8 with a header.

    Args:
        table: Which, and its columns.
        folder: The data set's folder.

    Returns:
        Path of the CSV.

    Raises:
        FileNotFoundError: If the table is not there.
        ValueError: If a row has another number of values than there are columns, or it is not UTF-8.
    """
    source, target = folder / table.source, folder / table.to
    if not source.is_file():
        raise FileNotFoundError(f"There is no table {source}; the archive may have another content than expected.")
    with (
        source.open(encoding="utf-8", newline="") as given,
        replacing_file(target) as part,
        part.open("w", encoding="utf-8", newline="") as written,
    ):
        if table.quoted:
            rows = csv.reader(given, delimiter=table.delimiter)
        else:
            rows = csv.reader(given, delimiter=table.delimiter, quoting=csv.QUOTE_NONE)
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(table.columns)
        try:
            for number, row in enumerate(rows, start=1):
                if len(row) != len(table.columns):
                    raise ValueError(f"line {number} has {len(row)} values, but there are {len(table.columns)} columns")
                writer.writerow("" if value == table.missing else value for value in row)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{source} is not as expected: {error}. Its publisher may have changed it.") from error
    return target
