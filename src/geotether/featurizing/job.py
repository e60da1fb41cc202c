"""The folder of an unfinished job: what it is for, who is at work in it, and how it ends."""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geotether.files.disk import replacing_file

_FACTS = {
    "specification": "the specification is another",
    "fingerprint": "the data have changed",
    "transform": "the transform is another",
    "code": "the code that makes the features has changed",
}
_REPLACING = "replacing"  # there from the first file that takes its place until the job is removed
_CLEARING = {"job": 1, "facts": None}
_log = logging.getLogger(__name__)


def job_folder(out: Path) -> Path:
    """Say where a job keeps its parts: beside what it makes.

    Example:
        >>> job_folder(Path("tables/birds.parquet")).name
        '.birds.job'
    """
    return out.with_name(f".{out.stem}.job")


@contextmanager
def open_job(out: Path, facts: Mapping[str, Any], resume: bool = True) -> Iterator[Path]:
    """Go on with a job or begin it.

    Args:
        out: The table it makes.
        facts: What decides the features, by the names in `_FACTS`, as plain values. A folder with other facts is
            emptied, and it is said what differs.
        resume: Whether to go on with what is there.

    Yields:
        The folder, held against other processes. It stays when the block ends: see `remove_job`.

    Raises:
        ValueError: If there is a folder of that name that is no job.
        OSError: If it cannot be written, or another process is at work in it.
    """
    folder = job_folder(out)
    note = folder / "job.json"
    facts = json.loads(json.dumps(dict(facts)))  # as they will be read back
    if not note.exists():
        if folder.exists() and any(not file.name.startswith(".job.json") for file in folder.iterdir()):
            raise ValueError(f"{folder} is in the way: it is no job of geotether. Move or remove it.")
        _write(note, {"job": 1, "facts": facts})
    with _held(folder):
        found = _read(note)
        if found != facts or not resume:
            if resume and isinstance(found, Mapping):
                _log.warning("The unfinished job in %s starts anew: %s.", folder, _difference(found, facts))
            _write(note, _CLEARING)  # from here on nothing in the folder counts, even if we are killed now
            for file in folder.iterdir():
                if file.is_dir():
                    shutil.rmtree(file)
                elif file.name not in {"job.json", "lock", _REPLACING}:
                    file.unlink()
            _write(note, {"job": 1, "facts": facts})
        yield folder


def mark_replacing(folder: Path) -> None:
    """Note that from now on files of this job take the places of older ones: until it is removed they may be mixed."""
    (folder / _REPLACING).touch()


def leaves_table(out: Path, facts: Mapping[str, Any]) -> bool:
    """Whether the files of a table are whole and nothing is to be gone on with, whatever job of others stopped there.

    Args:
        out: The table.
        facts: Of the job that would make it: see `open_job`.

    Raises:
        OSError: If another process is at work on the table.
    """
    folder = job_folder(out)
    if not folder.exists():
        return True
    if not (folder / "job.json").is_file():
        return False
    with _held(folder):
        found = _read(folder / "job.json")
        mixed = (folder / _REPLACING).exists()
    return not mixed and found is not None and found != json.loads(json.dumps(dict(facts)))


def sweep(out: Path) -> None:
    """Remove what a kill in the middle of removing a finished job has left."""
    shutil.rmtree(_done(job_folder(out)), ignore_errors=True)


def remove_job(folder: Path) -> None:
    """Remove the folder of a finished job; it is first renamed, so that a kill never leaves half a job."""
    done = _done(folder)
    folder.rename(done)
    shutil.rmtree(done, ignore_errors=True)


def _difference(found: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    differs = [name for name in _FACTS if found.get(name) != facts.get(name)]
    if "specification" in differs:  # other options often read other data by other code: no news to who set them
        differs = ["specification"]
    return " and ".join(_FACTS[name] for name in differs) or "it differs"


def _done(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.done")


def _write(note: Path, content: Mapping[str, Any]) -> None:
    with replacing_file(note) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def _read(note: Path) -> Any:
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content.get("facts") if isinstance(content, dict) else None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other processes out; the system lets go when this one ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(f"Another process is at work in {folder}; wait for it, or build another table.") from error
        yield
