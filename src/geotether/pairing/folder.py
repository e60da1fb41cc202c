"""Paired data as a folder of files for each modality, with an index table or without."""

from pathlib import Path

from geotether.files.formats import PARQUET_ENDINGS, endings_of
from geotether.pairing.csv import open_csv, table_in_memory
from geotether.pairing.files import rows_of_files
from geotether.pairing.parquet import open_parquet
from geotether.pairing.specification import PairedSpec
from geotether.pairing.table_file import TableFile

# Ending to how such a table is opened.
TABLE_READERS = {**dict.fromkeys(endings_of("csv"), open_csv), **dict.fromkeys(PARQUET_ENDINGS, open_parquet)}


def open_folder(path: Path, spec: PairedSpec) -> TableFile:
    """Open a folder.

    Args:
        path: The folder; patterns of files are seen from it.
        spec: Its `index` is a CSV or Parquet file in the folder with one row a sample. Without one, the names of the
            files tell the samples, and what stands in braces becomes their columns.

    Raises:
        FileNotFoundError: If there is no such folder or index, or no file fits.
        ValueError: If the index is of another kind, or the samples cannot be told.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {path}.")
    if spec.index is None:
        return table_in_memory(path, rows_of_files(path, spec.modalities))
    file = path / spec.index
    read = TABLE_READERS.get(file.suffix.lower())
    if read is None:
        raise ValueError(f"the index {spec.index!r} must be a CSV or a Parquet file.")
    table = read(file)
    table.folder = path  # an index in a folder of its own still names files as seen from the data's folder
    return table
