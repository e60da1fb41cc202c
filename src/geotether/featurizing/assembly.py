"""From parts to a table: features through a memory map, ids made unique, rows that were rejected in a file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from geotether.featurizing.parts import LABEL, Work, read_part, read_rejected
from geotether.files.disk import replacing_file
from geotether.files.writers import write_parquet
from geotether.sources.source import Rejected
from geotether.tables.table import Table

_PLACE_DEGREES = 1e-6


def gather_table(work: Work, name: str) -> tuple[Table, int]:
    """Put all parts together.

    Args:
        work: All its parts are complete.
        name: Of the table.

    Returns:
        The table, without split and origin, its features mapped from a file in the job's folder; and how many ids
        were made unique.

    Raises:
        ValueError: If fewer than two rows can be used, or all have the same features.
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
            # Written in order rather than through a map: a full disk is then an error, not a killed process.
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
    """Give every row an id of its own.

    Args:
        rows: Number of each row in the source, shape (n,).
        ids: Texts, shape (n,), or None where rows have no ids.

    Returns:
        The ids: the row's own; its number where it has none; the own with "#" and the number where an earlier row has
        the same. And how many were changed.

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
    """Count the rows that share their place with others.

    Args:
        lonlat: Degrees, shape (n, 2). Places closer than a millionth of a degree (11 cm) are the same.

    Returns:
        `rows` that share a place, and the number of such `places`.

    Example:
        >>> count_duplicates(np.array([[5.66, 51.97], [0.0, 0.0], [5.66, 51.97]]))
        {'rows': 2, 'places': 1}
    """
    rounded = np.round(lonlat / _PLACE_DEGREES).astype(np.int64)
    _, counts = np.unique(rounded[:, 0] * 2**32 + rounded[:, 1], return_counts=True)
    return {"rows": int(counts[counts > 1].sum()), "places": int((counts > 1).sum())}


def rejected_path(out: Path) -> Path:
    """Say where the rejected rows of a table are listed: beside it.

    Example:
        >>> rejected_path(Path("tables/birds.parquet")).name
        'birds.rejected.parquet'
    """
    return out.with_name(f"{out.stem}.rejected.parquet")


def failed_path(folder: Path) -> Path:
    """Say where a job that stops lists the rows rejected so far: in its own folder."""
    return folder / "failed-rejected.parquet"


def all_rejected(work: Work) -> list[Rejected]:
    """List the rejected rows of the parts that are complete, in order."""
    complete = [file for number in range(work.part_count) if (file := work.part_file(number)).is_file()]
    return [rejected for file in complete for rejected in read_rejected(file)]


def write_rejected(rejected: Sequence[Rejected], path: Path) -> None:
    """Write which rows were rejected: columns row, id and reason; a file without rows where none was."""
    columns = {
        "row": pa.array([row.row for row in rejected], pa.int64()),
        "id": pa.array([row.id for row in rejected], pa.string()),
        "reason": pa.array([row.reason for row in rejected], pa.string()),
    }
    write_parquet(pa.table(columns), path)


def spoken_reasons(reasons: Counter[str], most: int = 5) -> str:
    """Say the most frequent reasons.

    Example:
        >>> spoken_reasons(Counter({"empty text": 3, "longitude or latitude missing": 1200}))
        'longitude or latitude missing (1,200), empty text (3)'
    """
    named = [f"{reason} ({count:,})" for reason, count in reasons.most_common(most)]
    more = len(reasons) - len(named)
    return ", ".join(named) + (f" and {more} other reasons" if more > 0 else "")


def _column(parts: list[tuple[int, np.ndarray]], lengths: list[int], name: str) -> np.ndarray:
    """One column of all parts; a part without it has none of its values."""
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
