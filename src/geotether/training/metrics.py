"""Metrics of a run, in memory and on disk: one JSON object per line."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from geotether.files.disk import replacing_file

FILE_NAME = "metrics.jsonl"


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Read the lines of a metrics file; a last line cut off by a crash is omitted.

    Args:
        path: The file, or the run's folder.

    Returns:
        One dict per line. Training lines contain `loss`; validation lines `validation/loss`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line other than the last is not JSON.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"There is no metrics file {path}.")
    lines = path.read_text(encoding="utf-8").split("\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise ValueError(f"Line {number} of {path} is not JSON: {line[:80]!r}.") from None
    return records


class MetricsFile:
    """Keeps metrics in `lines` and, with a folder, appends them to its `metrics.jsonl`.

    Args:
        folder: The run's folder, or None.
        first_step: The step that the run starts with. Lines of this step and later are dropped first: that work is
            done again.

    Example:
        >>> with MetricsFile(None, first_step=0) as metrics:
        ...     metrics.write({"step": 0, "loss": 6.2})
    """

    def __init__(self, folder: Path | None, first_step: int) -> None:
        self._file = None
        self.lines: list[dict[str, Any]] = []
        if folder is None:
            return
        path = folder / FILE_NAME
        kept = [line for line in read_metrics(path) if line["step"] < first_step] if path.is_file() else []
        self.lines += kept
        with replacing_file(path) as shortened:
            shortened.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line and flush it, so that a killed run keeps it."""
        self.lines.append(dict(line))
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
