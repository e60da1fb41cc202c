"""Files of a published data set: which rows have theirs, lists of names, JSON notes and HDF5 arrays."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_NAMED = 3


def present_rows(
    layout: str, files: Mapping[str, Sequence[Sequence[Path]]], tolerate_missing: bool
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Check which rows have all their files, before any file is read.

    Args:
        layout: Name of the layout, for the message.
        files: By modality, the files of each row; a row without files, or with a missing one, lacks the modality.
        tolerate_missing: Whether rows may lack a modality.

    Returns:
        By modality, which rows have it, shape (n,) each; and by modality, the number of rows without it (if above 0).
    """
    present: dict[str, np.ndarray] = {}
    lacking: dict[str, int] = {}
    absent: list[Path] = []
    total = 0
    for name, rows in files.items():
        there = np.zeros(len(rows), dtype=bool)
        for row, paths in enumerate(rows):
            gone = [path for path in paths if not path.is_file()]
            absent += gone
            total += len(paths)
            there[row] = bool(paths) and not gone
        present[name] = there
        if not there.all():
            lacking[name] = int((~there).sum())
    none = [name for name, there in present.items() if not there.any()]
    if none or (lacking and not tolerate_missing):
        rows_of = ", ".join(f"{name}: {count} of {len(present[name])} rows" for name, count in lacking.items())
        more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
        examples = f", such as {', '.join(map(str, absent[:_NAMED]))}{more}" if absent else ""
        advice = (
            f"No row has {' or '.join(none)}: leave it out of modalities=, or check the folder."
            if none
            else "Download them, or set tolerate_missing: true to keep rows that lack a modality."
        )
        raise FileNotFoundError(f"{layout}: {len(absent)} of {total} files are missing ({rows_of}){examples}. {advice}")
    return present, lacking


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark; ValueError with its name if it is not."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).") from error


def read_lines(folder: Path, names: Sequence[str]) -> list[str]:
    """Return the non-empty lines of the first existing file among `names`; empty if there is none."""
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    return [] if found is None else [line.strip() for line in read_text(found).splitlines() if line.strip()]


def read_object(path: Path, purpose: str = "this layout needs it") -> dict[str, Any]:
    """Parse a file of one JSON object; `purpose` says why it is needed, if it is missing."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {purpose}.")
    try:
        found = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, not a {type(found).__name__}.")
    return found


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open an HDF5 file; ValueError if it cannot be opened or read, ImportError if h5py is not installed."""
    try:
        import h5py
    except ImportError:
        raise ImportError("HDF5 files are read with h5py: pip install 'geotether[geo]'.") from None
    try:
        with h5py.File(path, "r") as opened:
            yield opened
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path} is not a readable HDF5 file: {error}") from error


def dataset_in(opened: Any, name: str) -> Any:
    """Return a data set of an open HDF5 file; ValueError if it has none of this name."""
    found = opened.get(name)
    if not hasattr(found, "dtype"):
        raise ValueError(f"{opened.filename} has no data set {name!r}; it has {', '.join(opened)}.")
    return found


def read_classes(name: str) -> Any:
    """Return an entry of `classes.yaml`, the class lists of published data sets."""
    from geotether.settings import read_layer

    return read_layer(Path(__file__).parent / "classes.yaml")[name]
