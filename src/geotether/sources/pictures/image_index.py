"""Indexes of images: tables that say where each file was taken."""

import csv
from pathlib import Path

import pyarrow as pa

from geotether.files.formats import PARQUET_ENDINGS

INDEX_ENDINGS = (".csv", ".tsv", *PARQUET_ENDINGS)


def index_columns(index: Path) -> list[str]:
    """Name the columns of an index.

    Args:
        index: CSV, TSV or Parquet.

    Raises:
        ValueError: If it is damaged or not UTF-8.
    """
    if index.suffix.lower() in (".csv", ".tsv"):
        return _csv_header(index)[1]
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(index).names
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"The index {index} is damaged or no Parquet file: {error}") from error


def _csv_header(index: Path) -> tuple[str, list[str]]:
    try:
        with index.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"The index {index} is not UTF-8 text; save it as UTF-8.") from error
    delimiter = max(",;\t", key=header.count)
    return delimiter, next(csv.reader([header], delimiter=delimiter), [])


def read_index(index: Path, names: list[str], texts: list[str]) -> pa.Table:
    """Read some columns of an index.

    Args:
        index: CSV, TSV or Parquet.
        names: Which columns.
        texts: Those that a CSV shall give as the texts they are, such as ids with leading zeros, or degrees of which
            one may be no number.
    """
    if index.suffix.lower() not in (".csv", ".tsv"):
        import pyarrow.parquet as pq

        return pq.read_table(index, columns=names)
    from pyarrow.csv import ConvertOptions, ParseOptions, read_csv

    kinds = dict.fromkeys(texts, pa.string())
    options = ConvertOptions(include_columns=names, column_types=kinds, strings_can_be_null=True)
    parse = ParseOptions(delimiter=_csv_header(index)[0], newlines_in_values=True)
    return read_csv(index, parse_options=parse, convert_options=options)
