"""One part of the work: a run of rows, from the source to a file of features."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from geotether.features.featurizer import Featurizer
from geotether.featurizing.rows import read_runs, take, take_content
from geotether.featurizing.threads import OneThread
from geotether.featurizing.times import time_features
from geotether.files.disk import replacing_file
from geotether.files.writers import list_column
from geotether.sources.source import Observations, Rejected, Source, usable

LABEL = "label:"
# Rows of a part: so few that little is lost when the job is killed, so many that files stay few.
PART_ROWS = {"columns": 8192, "texts": 1024, "images": 128, "vectors": 8192}

_FIRST = np.array([0])


@dataclass(frozen=True)
class Work:
    """All that a process needs to do any part; it travels to the workers.

    Attributes:
        source: Prepared.
        featurizer: Fitted.
        names: Names of the featurizer's features.
        encode_time: See `geotether.featurizing.times.time_features`.
        folder: Where the parts go.
        count: Rows of the source.
        at_once: Rows that are in memory together.
        chosen: Numbers of the rows wanted, in order; None: all.
    """

    source: Source
    featurizer: Featurizer
    names: list[str]
    encode_time: tuple[str, ...]
    folder: Path
    count: int
    at_once: int
    chosen: np.ndarray | None = None

    def part_file(self, number: int) -> Path:
        """Say where a part is once it is complete."""
        return self.folder / f"{number:07d}.arrow"

    @property
    def part_count(self) -> int:
        """Number of parts; their borders depend on row numbers alone."""
        return -(-self.count // PART_ROWS[self.source.kind])

    @property
    def row_count(self) -> int:
        """Number of rows to read."""
        return self.count if self.chosen is None else len(self.chosen)


@dataclass(frozen=True)
class Tally:
    """How the rows of a part fared.

    Attributes:
        used: Rows with features.
        reasons: Why rows were rejected, to how many.
    """

    used: int
    reasons: Counter[str]

    @property
    def rejected(self) -> int:
        """Number of rows rejected."""
        return self.reasons.total()


def make_part(work: Work, number: int, one: OneThread) -> Tally:
    """Compute a part and write it.

    Args:
        work: What to do.
        number: Of the part, from 0.
        one: Holds this process at one thread.

    Raises:
        ValueError: If the source cannot be read or the features fail; the rows are named.
    """
    rows = PART_ROWS[work.source.kind]
    start, stop = number * rows, min((number + 1) * rows, work.count)
    runs = []
    for run in read_runs(work.source, start, stop, work.at_once, work.chosen):
        first = partial(_featurize, work, take(run, _FIRST)) if len(run) else None
        runs.append(_without_content(*one.run(partial(_featurize, work, run), first)))
    rejected = sorted((row for run, _ in runs for row in run.rejected), key=lambda row: row.row)
    batches = [_columns(run, features) for run, features in runs if len(run)]
    used = sum(len(run) for run, _ in runs)
    note = {"used": used, "rejected": [[r.row, r.id, r.reason] for r in rejected]}
    content = pa.concat_tables(batches, promote_options="permissive") if batches else pa.table({})
    content = content.replace_schema_metadata({"part": json.dumps(note)})
    with replacing_file(work.part_file(number)) as file, pa.ipc.new_file(str(file), content.schema) as writer:
        writer.write_table(content)
    return Tally(used, Counter(row.reason for row in rejected))


def read_tally(path: Path) -> Tally:
    """Read how the rows of a complete part fared, without its features."""
    used, rejected = _note(path)
    return Tally(used, Counter(row.reason for row in rejected))


def read_rejected(path: Path) -> list[Rejected]:
    """Read which rows of a part were rejected, and why."""
    return _note(path)[1]


def read_part(path: Path) -> pa.Table:
    """Map a part: columns row, lon, lat, features, and those of id, time and `label:<name>` that there are."""
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def _note(path: Path) -> tuple[int, list[Rejected]]:
    with pa.memory_map(str(path)) as file:
        note = json.loads((pa.ipc.open_file(file).schema.metadata or {})[b"part"])
    return note["used"], [Rejected(row, reason, name) for row, name, reason in note["rejected"]]


def refuse_rows(featurizer: Featurizer, found: Observations) -> Observations:
    """Move the rows that the features cannot take to the rejected ones."""
    return _reject(found, featurizer.refuse(found.content) if len(found) else {})


def check_times(found: Observations, encode_time: tuple[str, ...]) -> None:
    """Raise ValueError if times shall be encoded and there are none."""
    if encode_time and found.time is None:
        raise ValueError(
            f"encode_time asks for {', '.join(encode_time)}, but the source gives no times; name its column of times, "
            "or leave encode_time out."
        )


def _reject(found: Observations, reasons: dict[int, str]) -> Observations:
    if not reasons:
        return found
    return usable(found, reasons, lambda good: take_content(found.content, good))


def _featurize(work: Work, found: Observations) -> tuple[Observations, np.ndarray]:
    found = refuse_rows(work.featurizer, found)
    width = len(work.names)
    if not len(found):
        return found, np.empty((0, width), dtype=np.float32)
    where = f"rows {found.row[0]} to {found.row[-1]}"
    try:
        features = np.asarray(work.featurizer.transform(found.content))
    except ValueError as error:
        raise ValueError(f"Could not make features of {where}: {error}") from error
    if features.shape != (len(found), width):
        raise ValueError(
            f"{type(work.featurizer).__name__} gave features of shape {features.shape} for {where}; its names ask for "
            f"{(len(found), width)}."
        )
    if work.encode_time:
        check_times(found, work.encode_time)
        assert found.time is not None
        features = np.concatenate([features, time_features(found.time, work.encode_time)], axis=1)
    with np.errstate(over="ignore"):
        features = features.astype(np.float32, copy=False)
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        found = _reject(found, {int(at): "features are not finite" for at in np.flatnonzero(~finite)})
    return found, features[finite]


def _without_content(found: Observations, features: np.ndarray) -> tuple[Observations, np.ndarray]:
    """Let go of what was seen, so that only one run of it is in memory."""
    return replace(found, content=None), features


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
