"""Writing to disk so that a file is either complete or unchanged, and fingerprints of files."""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOCKED = {errno.EROFS, errno.EACCES, errno.EPERM}
# Files up to this size are hashed whole (about a quarter of a second).
WHOLE_BYTES = 2**28
_END_BYTES = 2**20


def _explained(error: OSError, path: Path) -> OSError:
    """Return the same error with advice, in the subclass of its number."""
    number = error.errno or errno.EIO
    if number in _FULL:
        advice = "the disk is full or a size limit was reached. Free some space or write to another folder"
    elif number in _LOCKED:
        advice = "the folder cannot be written to. Choose another folder or change its permissions"
    elif number in {errno.ENOTDIR, errno.EEXIST}:
        advice = "a part of this path is a file, not a folder. Choose another folder"
    elif number == errno.EISDIR:
        advice = "this is a folder. Give the name of a file in it"
    else:
        advice = f"{error.strerror or error}"
    return OSError(number, f"Could not write {path}: {advice}. What was there before is unchanged.")


def _make_parents(path: Path) -> list[Path]:
    """Create the missing folders above `path` and return them, deepest first."""
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.{suffix}")


def _sync(path: Path) -> None:
    """Flush a file to disk: some file systems report a full disk only now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Delete a file or folder if it exists; errors are ignored, so as not to hide the one that led here."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _into(target: Path, working: Path, made: list[Path]) -> Iterator[None]:
    """Undo everything if the body fails, and explain errors of the operating system."""
    try:
        yield
    except BaseException as error:  # an interrupt must not leave half a file either
        _remove(working)
        for folder in made:
            with suppress(OSError):  # another process may have written to it
                folder.rmdir()
        if isinstance(error, OSError):
            raise _explained(error, target) from error
        raise


@contextmanager
def replacing_file(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; when the block succeeds, the file replaces `path` in one step.

    Missing parent folders are created. If the block raises, or the disk is full, an existing file at
    `path` is unchanged and nothing else is left behind. A path that is not a regular file, such as a
    pipe, is written to directly.

    Args:
        path: The file to write.

    Yields:
        A path in the same folder that does not exist yet.

    Raises:
        OSError: With the reason and what to do, if the disk is full, the folder is read-only, or the
            path leads through a file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing_file(f"{folder}/note.txt") as part:
        ...         _ = part.write_text("complete")
        ...     Path(f"{folder}/note.txt").read_text()
        'complete'
    """
    target = Path(os.path.realpath(path))  # a link stays a link; the file it names is replaced
    if target.exists() and not target.is_file() and not target.is_dir():
        try:
            yield target
        except OSError as error:
            raise _explained(error, target) from error
        return
    if target.is_dir():
        raise _explained(IsADirectoryError(errno.EISDIR, "is a folder"), target)
    try:
        made = _make_parents(target)
    except OSError as error:
        raise _explained(error, target) from error
    part = _beside(target, "part")
    with _into(target, part, made):
        yield part
        _sync(part)
        os.replace(part, target)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Yield a new empty folder to fill; when the block succeeds, it replaces `path`.

    Files that are only in the existing folder are kept, so nothing of the user's is lost. The exchange itself is two
    renames: only a crash exactly between them leaves the old folder under a hidden name beside.

    Args:
        path: The folder to write. Missing parents are created.

    Yields:
        An empty folder beside `path`.

    Raises:
        OSError: As for `replacing_file`.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_dir():
        raise _explained(NotADirectoryError(errno.ENOTDIR, "is a file"), target)
    part, old = _beside(target, "part"), _beside(target, "old")
    try:
        made = _make_parents(target)
    except OSError as error:
        raise _explained(error, target) from error
    with _into(target, part, made):
        part.mkdir()
        yield part
        if target.exists():
            for kept in target.iterdir():
                if not (part / kept.name).exists():
                    (shutil.copytree if kept.is_dir() else shutil.copy2)(kept, part / kept.name)
        for file in part.rglob("*"):
            if file.is_file():
                _sync(file)
        if not target.exists():
            part.rename(target)
            return
        target.rename(old)
        try:
            part.rename(target)
        except BaseException:
            old.rename(target)
            raise
        _remove(old)


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold an existing file or folder against other processes (not on Windows).

    The system releases the lock when this process ends, however it ends.

    Raises:
        FileExistsError: If another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise FileExistsError(f"Another process is working on {path}; wait for it, or end it.") from error
    finally:
        os.close(descriptor)


def size_in_words(size: int | None) -> str:
    """Format a number of bytes.

    Example:
        >>> size_in_words(149_248_653)
        '149 MB'
    """
    if size is None:
        return "unknown"
    for unit, limit in (("kB", 1e6), ("MB", 1e9)):
        if size < limit:
            return f"{size / limit * 1000:,.{0 if size >= limit / 100 else 1}f} {unit}"
    return f"{size / 1e9:,.1f} GB"


def file_fingerprint(path: str | Path) -> str:
    """Identify the content of a file without reading gigabytes.

    Args:
        path: The file. Up to 256 MiB its whole content is hashed; of a larger file its size, its time of change, its
            first and its last mebibyte.

    Returns:
        Hexadecimal SHA-256.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}." if not path.exists() else f"{path} is not a file.")
    with path.open("rb") as file:
        facts = path.stat()
        if facts.st_size <= WHOLE_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256(f"{facts.st_size} {facts.st_mtime_ns}".encode())
        digest.update(file.read(_END_BYTES))
        file.seek(-_END_BYTES, 2)
        digest.update(file.read(_END_BYTES))
        return digest.hexdigest()


def files_fingerprint(folder: str | Path, files: Iterable[str | Path]) -> str:
    """Identify the content of many files by their paths, sizes and times of change, without opening them.

    Args:
        folder: Paths count relative to it, so that a folder that moves keeps its fingerprint.
        files: Paths below `folder`, in a fixed order.

    Returns:
        Hexadecimal SHA-256.
    """
    digest = hashlib.sha256()
    for path in files:
        facts = Path(path).stat()
        digest.update(f"{Path(path).relative_to(folder)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()
