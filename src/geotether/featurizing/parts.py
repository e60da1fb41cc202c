"""Parts of the work: runs of rows that any process can turn into a file of features, and the table made of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.featurizing.rows import PART_ROWS, read_runs
from geotether.featurizing.transform import Transform
from geotether.files.disk import replacing_file
from geotether.files.writers import list_column, write_parquet
from geotether.sources.source import Observations, Rejected, Source
from geotether.tables.modality import text_array
from geotether.tables.store import TARGET_PREFIX
from geotether.tables.table import Table
from geotether.tables.target import target_column

_PLACE_DEGREES = 1e-6


@runtime_checkable
class Parts(Protocol):
    """Work in numbered parts, each of which is complete once its file exists; any process can make any part."""

    @property
    def carries(self) -> str:
        """What is sent to other processes, in words."""

    @property
    def folder(self) -> Path:
        """The folder of the job."""

    @property
    def part_count(self) -> int:
        """Number of parts."""

    @property
    def complete(self) -> list[int]:
        """Numbers of the parts that are complete."""

    def part_file(self, number: int) -> Path:
        """Return the path of a part."""

    def make(self, number: int) -> None:
        """Compute a part and write its file."""


@dataclass(frozen=True)
class Work:
    """Everything that a process needs to make any part; a part is complete once its file exists.

    Attributes:
        source: The prepared source.
        transform: The fitted features.
        folder: The folder of the job; the parts are in `parts` in it.
        count: Number of rows of the source.
        at_once: Number of rows that may be in memory together.
        chosen: Numbers of the rows to use, in order; None: all.
    """

    source: Source
    transform: Transform
    folder: Path
    count: int
    at_once: int
    chosen: np.ndarray | None = None

    @property
    def carries(self) -> str:
        """What is sent to other processes, in words."""
        return f"{type(self.source).__name__} or its features"

    @property
    def part_count(self) -> int:
        """Number of parts; their borders depend on row numbers alone."""
        return -(-self.count // PART_ROWS[self.source.kind])

    @property
    def row_count(self) -> int:
        """Number of rows to use."""
        return self.count if self.chosen is None else len(self.chosen)

    @property
    def complete(self) -> list[int]:
        """Numbers of the parts that are complete."""
        return [number for number in range(self.part_count) if self.part_file(number).is_file()]

    def part_file(self, number: int) -> Path:
        """Return the path of a part."""
        return self.folder / "parts" / f"{number:07d}.arrow"

    def make(self, number: int) -> None:
        """Compute a part and write its file."""
        rows = PART_ROWS[self.source.kind]
        start, stop = number * rows, min((number + 1) * rows, self.count)
        tables, used = [], 0
        rejected: list[Rejected] = []
        for run in read_runs(self.source, start, stop, self.at_once, self.chosen):
            found, features = self.transform.apply(run)
            rejected += found.rejected
            used += len(found)
            if len(found):
                tables.append(_columns(replace(found, content=None), features))
        content = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
        rejected.sort(key=lambda one: one.row)
        note = {"used": used, "rejected": [[one.row, one.id, one.reason] for one in rejected]}
        content = content.replace_schema_metadata({"part": json.dumps(note)})
        with replacing_file(self.part_file(number)) as file, pa.ipc.new_file(str(file), content.schema) as writer:
            writer.write_table(content)

    def read(self, number: int) -> pa.Table:
        """Map a part: columns row, lon, lat, features, and those of id, time and `label:NAME` that the source has."""
        with pa.memory_map(str(self.part_file(number))) as file:
            return pa.ipc.open_file(file).read_all()

    def tally(self, number: int) -> tuple[int, list[Rejected]]:
        """Read the number of rows of a part that are used, and those that were rejected."""
        with pa.memory_map(str(self.part_file(number))) as file:
            note = json.loads((pa.ipc.open_file(file).schema.metadata or {})[b"part"])
        return note["used"], [Rejected(row, reason, name) for row, name, reason in note["rejected"]]

    def rejected(self) -> list[Rejected]:
        """List the rejected rows of the complete parts, in order."""
        return [row for number in self.complete for row in self.tally(number)[1]]

    def gather(self, name: str) -> tuple[Table, int]:
        """Assemble the parts, in order.

        Returns:
            The table, without split and origin, with its features mapped from a file in the job's folder; and the
            number of ids that were changed to be unique.
        """
        matrix = self.folder / "features.npy"
        parts = [pa.table({"row": pa.array([], pa.int64())})]
        # Written in order rather than through a map, so that a full disk is an error and does not kill the process.
        with replacing_file(matrix) as unfinished, unfinished.open("wb") as out:
            for part in map(self.read, range(self.part_count)):
                if part.num_rows:
                    features = part["features"].combine_chunks().flatten().to_numpy()
                    out.write(features.astype("<f4", copy=False).tobytes())
                    parts.append(part.drop_columns("features").replace_schema_metadata())
        rows = pa.concat_tables(parts, promote_options="permissive")
        if len(rows) < 2:
            raise ValueError(f"{'Only one' if len(rows) else 'No'} row is left; contrast needs at least two places.")
        ids, changed = unique_ids(rows["row"].to_pylist(), rows["id"].to_pylist() if "id" in rows.column_names else [])
        labels = [column for column in rows.column_names if column.startswith(TARGET_PREFIX)]
        table = Table.single(
            name,
            np.stack([rows["lon"].to_numpy(), rows["lat"].to_numpy()], axis=1),
            np.memmap(matrix, "<f4", "r", shape=(len(rows), len(self.transform.names))),
            id=ids,
            time=rows["time"].to_numpy() if "time" in rows.column_names else None,
            targets={column.removeprefix(TARGET_PREFIX): target_column(rows[column]) for column in labels},
        )
        return table, changed


def unique_ids(rows: list[int], ids: list[str | None]) -> tuple[np.ndarray, int]:
    """Give every row a unique id.

    Args:
        rows: Number of each row in the source.
        ids: Its own id, which may be missing; or nothing where rows have no ids.

    Returns:
        The row's own id; its number where it has none; its own with "#" and the number where an earlier row has the
        same. And the number of changed ids.

    Example:
        >>> unique_ids([4, 7, 9], ["wren", "", "wren"])[0].tolist()
        ['wren', '7', 'wren#9']
    """
    if not ids:
        return text_array(rows), 0
    seen: set[str] = set()
    changed = 0
    found = np.empty(len(rows), dtype=object)
    for at, row in enumerate(rows):
        own = ids[at] or ""
        name = own or str(row)
        while name in seen:
            name += f"#{row}"
        changed += name != own
        seen.add(name)
        found[at] = name
    return found, changed


def count_duplicates(lonlat: Float64[np.ndarray, "n 2"]) -> dict[str, int]:
    """Count the `rows` that share a place, and such `places`, to a millionth of a degree (11 cm).

    Example:
        >>> count_duplicates(np.array([[5.66, 51.97], [0.0, 0.0], [5.66, 51.97]]))
        {'rows': 2, 'places': 1}
    """
    rounded = np.round(lonlat / _PLACE_DEGREES).astype(np.int64)
    _, counts = np.unique(rounded[:, 0] * 2**32 + rounded[:, 1], return_counts=True)
    return {"rows": int(counts[counts > 1].sum()), "places": int((counts > 1).sum())}


def write_rejected(rejected: Iterable[Rejected], path: Path) -> None:
    """Write the rejected rows: columns row, id and reason. The file exists even if there are none."""
    rows = [{"row": one.row, "id": one.id, "reason": one.reason} for one in rejected]
    kinds = pa.schema({"row": pa.int64(), "id": pa.string(), "reason": pa.string()})
    write_parquet(pa.Table.from_pylist(rows, kinds), path)


def _columns(found: Observations, features: np.ndarray) -> pa.Table:
    columns = {
        "row": pa.array(np.asarray(found.row, dtype=np.int64)),
        "lon": pa.array(np.ascontiguousarray(found.lonlat[:, 0], dtype=np.float64)),
        "lat": pa.array(np.ascontiguousarray(found.lonlat[:, 1], dtype=np.float64)),
    }
    if len(found.id):
        columns["id"] = pa.array([str(one) for one in found.id.tolist()], pa.string())
    if found.time is not None:
        columns["time"] = pa.array(found.time.astype("datetime64[ms]"))
    columns |= {TARGET_PREFIX + name: pa.array(values) for name, values in found.labels.items()}
    return pa.table(columns | {"features": list_column(features)})
