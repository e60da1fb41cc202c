"""Outcomes on disk, each under the hash of all that made it: an interrupted comparison goes on where it stopped."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import numpy as np

from geotether.benchmark.outcome import COLUMNS, Outcome

SCHEMA = """
CREATE TABLE IF NOT EXISTS outcomes (
    key TEXT PRIMARY KEY, encoder_hash TEXT NOT NULL, task_hash TEXT NOT NULL, code_hash TEXT NOT NULL,
    row TEXT NOT NULL, blocks BLOB NOT NULL, sums BLOB NOT NULL
)
"""


class OutcomeStore:
    """A SQLite file of outcomes.

    Every outcome is written in one transaction, so that a process killed at any point leaves whole outcomes only.

    Args:
        path: The file; made if missing, with its folder.

    Raises:
        ValueError: If the file is there and is something else.
        OSError: If it cannot be written to.

    Example:
        >>> import tempfile
        >>> with OutcomeStore(Path(tempfile.mkdtemp()) / "outcomes.sqlite") as store:
        ...     len(store)
        0
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.connection = sqlite3.connect(self.path)
            self.connection.execute(SCHEMA)
        except sqlite3.OperationalError as error:
            raise OSError(f"cannot write outcomes to {self.path}: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{self.path} is not a store of outcomes: {error}; move it away.") from error

    def __enter__(self) -> "OutcomeStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM outcomes").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def get(self, key: str) -> Outcome | None:
        """The outcome under a key, or None."""
        found = self.connection.execute("SELECT row, blocks, sums FROM outcomes WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        row, blocks = json.loads(found[0]), np.frombuffer(found[1], dtype=np.int64)
        row["value"] = float("nan") if row["value"] is None else row["value"]
        return Outcome(**row, blocks=blocks, sums=np.frombuffer(found[2]).reshape(len(blocks), -1))

    def put(self, outcomes: Iterable[tuple[str, "Origin", Outcome]]) -> None:
        """Write outcomes under their keys, all or none."""
        with self.connection:
            for key, origin, outcome in outcomes:
                row = {name: getattr(outcome, name) for name in COLUMNS}
                row["value"] = None if np.isnan(outcome.value) else outcome.value
                self.connection.execute(
                    "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        key, origin.encoder_hash, origin.task_hash, origin.code_hash,
                        json.dumps(row), outcome.blocks.tobytes(), outcome.sums.astype(np.float64).tobytes(),
                    ),
                )  # fmt: skip


class Origin:
    """What an outcome was made of: hashes of the features, the task and the code.

    Args:
        encoder_hash: Of the features at the task's places.
        task_hash: Of places, labels and split.
        code_hash: Of the judging code and its libraries.
        settings: Whatever else decides: where it was judged on, buffer, folds.
    """

    def __init__(self, encoder_hash: str, task_hash: str, code_hash: str, settings: str) -> None:
        self.encoder_hash = encoder_hash
        self.task_hash = task_hash
        self.code_hash = code_hash
        self.settings = settings

    def key(self, encoder: str, probe: str, split: str, labels: int, seed: int, fold: str) -> str:
        """The key of one outcome."""
        parts = [self.encoder_hash, self.task_hash, self.code_hash, self.settings]
        text = json.dumps([*parts, encoder, probe, split, labels, seed, fold])
        return hashlib.sha256(text.encode()).hexdigest()
