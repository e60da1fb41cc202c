"""The table assembled from parts: features through a memory map, unique ids, and the list of rejected rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from geotether.featurizing.parts import LABEL, Work, read_part, read_tally
from geotether.files.disk import replacing_file
from geotether.files.writers import write_parquet
from geotether.sources.source import Rejected
from geotether.tables.table import Table

_PLACE_DEGREES = 1e-6


def gather_table(work: Work, name: str) -> tuple[Table, int]:
    """Assemble the complete parts of the work, in order.

    Returns:
        The table, without split and origin, with its features mapped from a file in the job's folder; and the number
        of ids that were changed to be unique.
    """
    columns: dict[str, list[Any]] = {}
    rows: list[np.ndarray] = []
    lonlat: list[np.ndarray] = []
    matrix = work.folder.parent / "features.npy"
    width = 0
    with replacing_file(matrix) as unfinished, unfinished.open("wb") as out:
        for number in range(work.part_count):
            part = read_part(work.part_file(number))
            if part.num_rows == 0:
                continue
            features = part["features"].combine_chunks()
            width = features.type.list_size
            # Written in order rather than through a map, so that a full disk is an error and does not kill the process.
            out.write(np.ascontiguousarray(features.flatten().to_numpy(), dtype="<f4").tobytes())
            rows.append(part["row"].to_numpy())
            lonlat.append(np.stack([part["lon"].to_numpy(), part["lat"].to_numpy()], axis=1))
            for column in part.column_names:
                if column in {"id", "time"} or column.startswith(LABEL):
                    columns.setdefault(column, []).append((len(rows) - 1, part[column].to_numpy(zero_copy_only=False)))
    count = sum(map(len, rows))
    if count < 2:
        raise ValueError(f"{'No' if count == 0 else 'Only one'} row is left; contrast needs at least two places.")
    whole = {column: _column(parts, [len(part) for part in rows], column) for column, parts in columns.items()}
    numbers = np.concatenate(rows)
    ids, changed = unique_ids(numbers, whole.pop("id", None))
    table = Table.single(
        name,
        np.concatenate(lonlat),
        np.memmap(matrix, "<f4", "r", shape=(count, width)),
        id=ids,
        time=whole.pop("time", None),
        targets={column.removeprefix(LABEL): values for column, values in whole.items()},
    )
    return table, changed


def unique_ids(rows: Int64[np.ndarray, "n"], ids: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Give every row a unique id.

    Args:
        rows: Number of each row in the source, shape (n,).
        ids: Texts, shape (n,), or None where rows have no ids.

    Returns:
        The row's own id; its number where it has none; its own with "#" and the number where an earlier row has the
        same. And the number of changed ids.

    Example:
        >>> unique_ids(np.array([4, 7, 9]), np.array(["wren", "", "wren"]))[0].tolist()
        ['wren', '7', 'wren#9']
    """
    if ids is None:
        return rows.astype(str), 0
    given = [str(value) if value is not None else "" for value in ids.tolist()]
    seen: set[str] = set()
    found, changed = [], 0
    for row, own in zip(rows.tolist(), given, strict=True):
        name = own or str(row)
        while name in seen:
            name += f"#{row}"
        changed += name != own
        seen.add(name)
        found.append(name)
    return np.array(found), changed


def count_duplicates(lonlat: Float64[np.ndarray, "n 2"]) -> dict[str, int]:
    """Count the `rows` that share a place, and such `places`, to a millionth of a degree (11 cm).

    Example:
        >>> count_duplicates(np.array([[5.66, 51.97], [0.0, 0.0], [5.66, 51.97]]))
        {'rows': 2, 'places': 1}
    """
    rounded = np.round(lonlat / _PLACE_DEGREES).astype(np.int64)
    _, counts = np.unique(rounded[:, 0] * 2**32 + rounded[:, 1], return_counts=True)
    return {"rows": int(counts[counts > 1].sum()), "places": int((counts > 1).sum())}


def all_rejected(work: Work) -> list[Rejected]:
    """List the rejected rows of the complete parts, in order."""
    return [row for number in work.complete for row in read_tally(work.part_file(number)).rejected]


def write_rejected(rejected: Sequence[Rejected], path: Path) -> None:
    """Write the rejected rows: columns row, id and reason. The file exists even if there are none."""
    columns = {
        "row": pa.array([row.row for row in rejected], pa.int64()),
        "id": pa.array([row.id for row in rejected], pa.string()),
        "reason": pa.array([row.reason for row in rejected], pa.string()),
    }
    write_parquet(pa.table(columns), path)


def _column(parts: list[tuple[int, np.ndarray]], lengths: list[int], name: str) -> np.ndarray:
    """Concatenate a column of all parts; its values are missing in parts without it."""
    have = dict(parts)
    if name == "time":
        missing: Any = np.datetime64("NaT", "ms")
    elif name == "id" or any(values.dtype.kind in "OU" for values in have.values()):
        missing = ""
    else:
        missing = np.nan
    found = [have.get(number, np.full(length, missing)) for number, length in enumerate(lengths)]
    whole = np.concatenate(found)
    if whole.dtype.kind == "O":
        whole = np.array(["" if value is None else value for value in whole.tolist()])
    return whole
