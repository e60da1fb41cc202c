"""Results on disk, each under the hash of everything that decides it, so that an interrupted study can continue."""

import hashlib
import importlib.metadata
import json
import platform
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Shaped

from geotether.benchmark.outcome import COLUMNS, Outcome
from geotether.code import code_hash
from geotether.tasks.task import Task

SCHEMA = """
CREATE TABLE IF NOT EXISTS outcomes (
    key TEXT PRIMARY KEY, encoder_hash TEXT NOT NULL, task_hash TEXT NOT NULL, code_hash TEXT NOT NULL,
    row TEXT NOT NULL, blocks BLOB NOT NULL, sums BLOB NOT NULL
)
"""
# Hash of the code and libraries of an earlier version that gives the same scores: what it stored counts. Empty this
# when a change of the judging code is meant to change scores.
SAME_SCORES = "13831d82d5a13273"
# What decides a score once features and tasks are there; both are hashed by content.
JUDGING, JUDGING_ROOMS = "benchmark.bench", ("geodesy", "moments", "probes", "tasks", "benchmark")
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


@dataclass(frozen=True)
class Origin:
    """What decides a result: hashes of the model or features, of the data and of the code.

    Args:
        encoder_hash: Of the features at the task's places, or of a model's configuration.
        task_hash: Of places, labels and split.
        code_hash: Of the code that judges.
        settings: Everything else that decides, such as buffer, folds and versions of libraries.
    """

    encoder_hash: str
    task_hash: str
    code_hash: str
    settings: str

    def key(self, *names: str | int | float) -> str:
        """Return the key of one result, whose names tell it apart from others of the same origin."""
        parts = [self.encoder_hash, self.task_hash, self.code_hash, self.settings]
        return hashlib.sha256(json.dumps([*parts, *names]).encode()).hexdigest()

    def earlier_key(self, *names: str | int | float) -> str:
        """Return the key that the version of `SAME_SCORES` gave the result; its code hash covered the libraries."""
        settings = self.settings.removesuffix(f" {library_versions()}")
        return replace(self, code_hash=SAME_SCORES, settings=settings).key(*names)


class ResultStore:
    """A SQLite file of results.

    Every call of `put` or `put_rows` is one transaction, so a process killed at any point leaves complete results only.

    Args:
        path: The file; created if missing, with its folder.

    Raises:
        ValueError: If the file exists and is something else.
        OSError: If it cannot be written to.

    Example:
        >>> import tempfile
        >>> with ResultStore(Path(tempfile.mkdtemp()) / "outcomes.sqlite") as store:
        ...     len(store)
        0
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._named_errors():
            self.connection = sqlite3.connect(self.path)
            self.connection.execute(SCHEMA)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Raise what SQLite and damaged rows cause as errors that name the file."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.InternalError) as error:
            if not re.search("no such (table|column)|malformed", str(error)):
                what = "the disk is full" if "full" in str(error) else str(error)
                raise OSError(f"Cannot write outcomes to {self.path}: {what}; what is stored is kept.") from error
            raise self._damaged(error) from error
        except (sqlite3.DatabaseError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ValueError:
        return ValueError(f"{self.path} is not a store of outcomes, or damaged ({error}); delete it or move it away.")

    def __enter__(self) -> "ResultStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        with self._named_errors():
            return int(self.connection.execute("SELECT count(*) FROM outcomes").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def get(self, key: str) -> Outcome | None:
        """Return the outcome under a key, or None."""
        with self._named_errors():
            if (found := self._find(key)) is None:
                return None
            row, blocks = json.loads(found[0]), np.frombuffer(found[1], dtype=np.int64)
            row["value"] = float("nan") if row["value"] is None else row["value"]
            return Outcome(**row, blocks=blocks, sums=np.frombuffer(found[2]).reshape(len(blocks), -1))

    def put(self, outcomes: Iterable[tuple[str, Origin, Outcome]]) -> None:
        """Write outcomes under their keys, all or none."""
        outcomes = list(outcomes)
        with self._named_errors(), self.connection:
            for key, origin, outcome in outcomes:
                row = {name: getattr(outcome, name) for name in COLUMNS}
                row["value"] = None if np.isnan(outcome.value) else outcome.value
                self._insert(key, origin, row, outcome.blocks.tobytes(), outcome.sums.astype(np.float64).tobytes())

    def get_rows(self, key: str) -> list[dict[str, Any]] | None:
        """Return the plain rows under a key, or None; for results that have no sums over blocks."""
        with self._named_errors():
            found = self._find(key)
            return None if found is None else json.loads(found[0])

    def put_rows(self, key: str, origin: Origin, rows: list[dict[str, Any]]) -> None:
        """Write plain rows under one key."""
        with self._named_errors(), self.connection:
            self._insert(key, origin, rows, b"", b"")

    def _find(self, key: str) -> tuple[Any, Any, Any] | None:  # a damaged file may hold other types
        return self.connection.execute("SELECT row, blocks, sums FROM outcomes WHERE key = ?", (key,)).fetchone()

    def _insert(self, key: str, origin: Origin, row: object, blocks: bytes, sums: bytes) -> None:
        values = (key, origin.encoder_hash, origin.task_hash, origin.code_hash, json.dumps(row), blocks, sums)
        self.connection.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def judging_hash() -> str:
    """Hash the code that turns features and a task into a score; see `geotether.code.code_hash`."""
    return code_hash(JUDGING, JUDGING_ROOMS)


@cache
def library_versions() -> str:
    """Name the versions of Python and of the libraries that compute scores."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    return ", ".join([f"Python {platform.python_version_tuple()[0]}", *versions])


def array_hash(*arrays: Shaped[np.ndarray, "..."] | None) -> str:
    """Hash the content, shape and type of arrays; texts by their characters.

    Example:
        >>> array_hash(np.array([1.0])) == array_hash(np.array([1.0]))
        True
    """
    digest = hashlib.sha256()
    for array in arrays:
        if array is None:
            digest.update(b"none;")
            continue
        if array.dtype.kind in "OUS":
            content = "\0".join("" if v is None else str(v) for v in array.ravel().tolist())
            digest.update(f"text {array.shape};{content}".encode())
        else:
            digest.update(f"{array.dtype} {array.shape};".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def task_hash(task: Task) -> str:
    """Hash everything in a task that can change a score."""
    own = f"{task.name}|{task.kind}|{task.transform}"
    return array_hash(np.array([own]), task.lonlat, task.values, task.valid, task.split, task.continent)
