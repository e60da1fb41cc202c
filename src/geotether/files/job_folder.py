"""The folder beside an output in which the finished parts of an unfinished job are kept."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from geotether.files.disk import replacing_file, sweep

_NOTE = "job.json"
_log = logging.getLogger(__name__)


def job_folder(out: Path) -> Path:
    """Return the path of the folder of a job that writes a file.

    Example:
        >>> job_folder(Path("maps/africa.tif")).as_posix()
        'maps/.africa.tif.job'
    """
    return out.with_name(f".{out.name}.job")


def open_job_folder(
    folder: Path,
    facts: Mapping[str, Any],
    resume: bool = True,
    difference: Callable[[Any, Mapping[str, Any]], str] = lambda found, wanted: "it differs",
) -> None:
    """Continue in the folder, or empty it if it is of a job with other facts; the difference is logged.

    Args:
        folder: It is made if it is missing.
        facts: What decides the results, as plain values of JSON.
        resume: Whether to continue; else the folder is emptied.
        difference: Says in words how the facts found, None if they cannot be read, differ from those wanted.

    Raises:
        ValueError: If the folder contains something else.
        OSError: If it cannot be written.
    """
    note = folder / _NOTE
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"Could not write {folder}: {error.strerror}. Choose another folder.") from error
    sweep(folder)
    if not note.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is in the way: it is not a job of geotether. Move or remove it.")
    try:
        found = json.loads(note.read_text("utf-8"))["facts"]
    except (OSError, ValueError, LookupError, TypeError):
        found = None
    if found == facts and resume:
        return
    if note.exists():
        if resume:
            _log.warning("The unfinished job in %s starts again: %s.", folder, difference(found, facts))
        remove_job_folder(folder)
        folder.mkdir()
    with replacing_file(note) as part:
        part.write_text(json.dumps({"job": 1, "facts": facts}, indent=1, ensure_ascii=False), "utf-8")


def remove_job_folder(folder: Path) -> None:
    """Remove the folder; it is first renamed, so that a kill never leaves half a job."""
    if (folder / _NOTE).exists():
        folder.rename(_done(folder))
    remove_done(folder)


def remove_done(folder: Path) -> None:
    """Remove what a process that was killed in `remove_job_folder` left."""
    shutil.rmtree(_done(folder), ignore_errors=True)


def _done(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.done")
