"""The folder of an unfinished job: what it makes, the lock on it, and its end."""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geotether.files.disk import locked, replacing_file

_FACTS = {
    "specification": "the specification has changed",
    "fingerprint": "the data have changed",
    "transform": "the transform has changed",
    "code": "the code that makes the features has changed",
}
_LOCK, _NOTE = "lock", "job.json"
_REPLACING = "replacing"  # exists while files of the job replace those of an earlier table
_log = logging.getLogger(__name__)


def job_folder(out: Path) -> Path:
    """Return the folder in which a job keeps its parts, beside the table that it makes."""
    return out.with_name(f".{out.stem}.job")


@contextmanager
def open_job(out: Path, facts: Mapping[str, Any], resume: bool = True) -> Iterator[Path]:
    """Continue a job or start it; yield its folder, locked against other processes, which stays until `remove_job`.

    Args:
        out: The table.
        facts: What decides the features, by the names in `_FACTS`, as plain values. A folder with other facts is
            emptied, and the difference is logged.
        resume: Whether to continue from existing parts.
    """
    folder = job_folder(out)
    if folder.exists() and any(folder.iterdir()) and not (folder / _LOCK).exists():
        raise ValueError(f"{folder} is in the way: it is not a job of geotether. Move or remove it.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"Could not write {folder}: {error.strerror}. Choose another folder.") from error
    (folder / _LOCK).touch()
    with locked(folder / _LOCK):
        wanted = json.loads(json.dumps(dict(facts)))  # as it will be read back
        found = _facts(folder)
        if found != wanted or not resume:
            if found is not None and resume:
                _log.warning("The unfinished job in %s starts again: %s.", folder, _difference(found, wanted))
            (folder / _NOTE).unlink(missing_ok=True)  # without it, nothing in the folder counts after a kill
            for file in folder.iterdir():
                if file.is_dir():
                    shutil.rmtree(file)
                elif file.name not in {_LOCK, _REPLACING}:
                    file.unlink()
            with replacing_file(folder / _NOTE) as part:
                part.write_text(json.dumps({"job": 1, "facts": wanted}, indent=1, ensure_ascii=False), "utf-8")
        yield folder


def mark_replacing(folder: Path) -> None:
    """Note that files of the job are about to replace those of an earlier table, so that a kill leaves a mixture."""
    (folder / _REPLACING).touch()


def leaves_table(out: Path, facts: Mapping[str, Any]) -> bool:
    """Return whether no job for the same facts is unfinished, and none was killed while it replaced files."""
    folder = job_folder(out)
    return not (folder / _REPLACING).exists() and _facts(folder) != json.loads(json.dumps(dict(facts)))


def remove_job(folder: Path) -> None:
    """Remove the folder of a finished job; it is first renamed, so that a kill never leaves half a job."""
    folder.rename(_done(folder))
    shutil.rmtree(_done(folder), ignore_errors=True)


def sweep(out: Path) -> None:
    """Remove what is left of a finished job that was killed while it removed its folder."""
    shutil.rmtree(_done(job_folder(out)), ignore_errors=True)


def _done(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.done")


def _facts(folder: Path) -> Any:
    try:
        return json.loads((folder / _NOTE).read_text("utf-8"))["facts"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _difference(found: Any, wanted: Mapping[str, Any]) -> str:
    found = found if isinstance(found, dict) else {}
    differs = [name for name in _FACTS if found.get(name) != wanted.get(name)]
    if "specification" in differs:  # other options often mean other data and code, which the user knows
        differs = ["specification"]
    return " and ".join(_FACTS[name] for name in differs) or "it differs"
