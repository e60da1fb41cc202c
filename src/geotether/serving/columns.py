"""Tables of points as the server keeps them, and what their columns can be used for."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.files.places import PlaceFinder, degrees_axes
from geotether.files.values import is_number, is_text, without_dictionary
from geotether.prediction.labels import ADVICE, read_labels
from geotether.tasks.table import Labelled

_AXES = ("lon", "lat", "row")  # columns before those of the table


def write_points(read: Labelled, name: str, out: Path) -> dict[str, Any]:
    """Write the rows of a table, and describe them: "columns" (`described_columns`), "bounds" and number of "rows".

    Columns of lists, bytes and the like are described only.

    Args:
        read: The rows.
        name: Name of the table, for messages.
        out: The file to write.
    """
    table = read.columns
    plain = pa.Table.from_arrays([without_dictionary(one) for one in table.columns], names=table.column_names)
    columns = described_columns(read._replace(columns=plain.replace_schema_metadata(table.schema.metadata)), name)
    axes = [*read.lonlat.T, read.rows.astype(np.int64)]
    kept = plain.select([one["name"] for one in columns if one["kind"] != "other"])
    arrays = [pa.array(np.ascontiguousarray(one)) for one in axes] + kept.columns
    table = pa.Table.from_arrays(arrays, names=[*_AXES, *kept.column_names])
    with pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    bounds = [*read.lonlat.min(axis=0).tolist(), *read.lonlat.max(axis=0).tolist()]
    return {"columns": columns, "bounds": bounds, "rows": len(read.lonlat)}


def stored_rows(file: Path) -> Labelled:
    """Return the rows of a file of `write_points`, from a memory map."""
    table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
    lon, lat, rows = (table.column(at).to_numpy() for at in range(len(_AXES)))
    columns = table.select(list(range(len(_AXES), table.num_columns)))
    return Labelled(columns, np.stack([lon, lat], axis=1), rows)


def described_columns(read: Labelled, name: str) -> list[dict[str, Any]]:
    """Describe the columns of a table, with whether a map can be made of each, or why not."""
    places = {*PlaceFinder(read.columns.schema).columns, *degrees_axes(read.columns.column_names)}
    found = []
    for column, values in zip(read.columns.column_names, read.columns.columns, strict=True):
        kind = kind_of(values.type)
        count = None if kind == "other" else pc.count_distinct(values).as_py()
        why = "it says where the points are" if column in places else _why_no_label(read, name, column)
        found.append({"name": column, "kind": kind, "values": count, "usable_as_label": not why, "why": why})
    return found


def kind_of(stored: pa.DataType) -> str:
    """Return what a column contains: "number", "text", "flag" (true or false) or "other"."""
    if pa.types.is_boolean(stored):
        return "flag"
    return "number" if is_number(stored) else "text" if is_text(stored) else "other"


def _why_no_label(read: Labelled, name: str, column: str) -> str:
    try:
        read_labels(name, column, read=read)
    except (ValueError, TypeError) as error:
        said = str(error).removeprefix(f"{name}: ").removesuffix(f" {ADVICE}")
        return said.removeprefix(f"{column!r} ").removesuffix(".")
    return ""


@contextmanager
def warnings_of_thread() -> Iterator[list[str]]:
    """Collect the warnings that this thread logs in the block."""
    found: list[str] = []
    thread = threading.get_ident()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                found.append(record.getMessage())

    handler, logger = Collector(logging.WARNING), logging.getLogger("geotether")
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
