"""Files that a published data set should have and that are not there."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_NAMED = 3


def present_rows(
    layout: str, files: Mapping[str, Sequence[Sequence[Path]]], tolerate_missing: bool
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Look for the files of every row, before any of them is read.

    Args:
        layout: Name of the layout, for the message.
        files: By modality, the files of every row; a row lacks the modality if one of them is not there, or if it
            names none.
        tolerate_missing: Whether rows may lack a modality.

    Returns:
        By modality, where rows have it, shape (n,) each; and by modality, how many rows lack it (only those above 0).

    Raises:
        FileNotFoundError: If files are missing and that is not tolerated, or if no row has a modality.
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
        first = ", ".join(str(path) for path in absent[:_NAMED])
        more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
        advice = (
            f"No row has {' or '.join(none)}: leave it out by modalities=, or check the folder."
            if none
            else "Fetch them, or set tolerate_missing: true; rows then go without that modality."
        )
        raise FileNotFoundError(
            f"{layout}: {len(absent)} of {total} files are missing ({rows_of})"
            + (f", such as {first}{more}. {advice}" if first else f". {advice}")
        )
    return present, lacking
