"""Parts of the work: runs of rows that any process can turn into a file of features."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from geotether.featurizing.rows import PART_ROWS, read_runs
from geotether.featurizing.transform import Transform
from geotether.files.disk import replacing_file
from geotether.files.writers import list_column
from geotether.sources.source import Observations, Rejected, Source

LABEL = "label:"


@dataclass(frozen=True)
class Work:
    """Everything that a process needs to make any part.

    Attributes:
        source: The prepared source.
        transform: The fitted features.
        folder: The folder of the parts.
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

    def part_file(self, number: int) -> Path:
        """Return the path of a part, which exists once the part is complete."""
        return self.folder / f"{number:07d}.arrow"

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


@dataclass(frozen=True)
class Tally:
    """What became of the rows of a part: the number used, and those rejected."""

    used: int
    rejected: list[Rejected]

    @property
    def reasons(self) -> Counter[str]:
        """Count the reasons for which rows were rejected."""
        return Counter(row.reason for row in self.rejected)


def make_part(work: Work, number: int) -> None:
    """Compute a part and write its file."""
    rows = PART_ROWS[work.source.kind]
    start, stop = number * rows, min((number + 1) * rows, work.count)
    runs = []
    for run in read_runs(work.source, start, stop, work.at_once, work.chosen):
        found, features = work.transform.apply(run)
        runs.append((replace(found, content=None), features))  # only one run's content is in memory
    rejected = sorted((row for run, _ in runs for row in run.rejected), key=lambda row: row.row)
    tables = [_columns(run, features) for run, features in runs if len(run)]
    note = {"used": sum(len(run) for run, _ in runs), "rejected": [[r.row, r.id, r.reason] for r in rejected]}
    content = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
    content = content.replace_schema_metadata({"part": json.dumps(note)})
    with replacing_file(work.part_file(number)) as file, pa.ipc.new_file(str(file), content.schema) as writer:
        writer.write_table(content)


def read_part(path: Path) -> pa.Table:
    """Map a part: columns row, lon, lat, features, and those of id, time and `label:NAME` that the source has."""
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def read_tally(path: Path) -> Tally:
    """Read what became of the rows of a part, without its features."""
    with pa.memory_map(str(path)) as file:
        note = json.loads((pa.ipc.open_file(file).schema.metadata or {})[b"part"])
    return Tally(note["used"], [Rejected(row, reason, name) for row, name, reason in note["rejected"]])


def _columns(found: Observations, features: np.ndarray) -> pa.Table:
    columns = {
        "row": pa.array(np.asarray(found.row, dtype=np.int64)),
        "lon": pa.array(np.ascontiguousarray(found.lonlat[:, 0], dtype=np.float64)),
        "lat": pa.array(np.ascontiguousarray(found.lonlat[:, 1], dtype=np.float64)),
    }
    if len(found.id):
        columns["id"] = pa.array(np.asarray(found.id, dtype=str), pa.string())
    if found.time is not None:
        columns["time"] = pa.array(found.time.astype("datetime64[ms]"))
    columns |= {LABEL + name: pa.array(values) for name, values in found.labels.items()}
    return pa.table(columns | {"features": list_column(features)})
