"""Writing to disk: checks and locks of outputs, files that are either complete or unchanged, fingerprints."""

import errno
import hashlib
import logging
import os
import platform
import re
import secrets
import shutil
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from zipfile import BadZipFile

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOCKED = {errno.EROFS, errno.EACCES, errno.EPERM}
# Files up to this size are hashed whole (about a quarter of a second).
WHOLE_BYTES = 2**28
_END_BYTES = 2**20
_UNFINISHED = re.compile(r"\.(?P<name>.+)\.\d+-[0-9a-f]{8}\.(part|old)", re.DOTALL)
# What libraries raise on damaged files.
_OF_CONTENT = (ValueError, LookupError, ArithmeticError, RuntimeError, EOFError, zlib.error, struct.error, BadZipFile)
_OWNER = b"process "
_log = logging.getLogger(__name__)


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


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


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


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # another process may have written to it
            folder.rmdir()


@contextmanager
def _into(target: Path, working: Path, made: list[Path]) -> Iterator[None]:
    """Undo everything if the body fails, and explain errors of the operating system."""
    try:
        yield
    except BaseException as error:  # an interrupt must not leave half a file either
        _remove(working)
        _remove_empty(made)
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
    part = _beside(target)
    with _into(target, part, made):
        yield part
        _sync(part)
        os.replace(part, target)


@contextmanager
def replacing_folder(path: str | Path, keep: bool = True) -> Iterator[Path]:
    """Yield a new empty folder to fill; when the block succeeds, it replaces `path`.

    Files that are only in the existing folder are kept, so nothing of the user's is lost. The exchange itself is two
    renames; after a crash exactly between them, the next `writing` completes it.

    Args:
        path: The folder to write. Missing parents are created.
        keep: False: nothing of an existing folder or file is kept.

    Yields:
        An empty folder beside `path`.

    Raises:
        OSError: As for `replacing_file`.
    """
    target = Path(os.path.realpath(path))
    if keep and target.exists() and not target.is_dir():
        raise _explained(NotADirectoryError(errno.ENOTDIR, "is a file"), target)
    part = _beside(target)
    try:
        made = _make_parents(target)
    except OSError as error:
        raise _explained(error, target) from error
    with _into(target, part, made):
        part.mkdir()
        yield part
        if keep and target.exists():
            for kept in target.iterdir():
                if not (part / kept.name).exists():
                    (shutil.copytree if kept.is_dir() else shutil.copy2)(kept, part / kept.name)
        for file in part.rglob("*"):
            if file.is_file():
                _sync(file)
        replace_path(part, target)


def replace_path(new: Path, target: Path) -> None:
    """Move a file or folder to where another file or folder may be, which is removed.

    Folders need two renames; after a crash between them, the next `writing` restores the old one or takes the new.

    Args:
        new: What is moved; on the same disk.
        target: Its new path.
    """
    if not (new.is_dir() or target.is_dir()):
        os.replace(new, target)
        return
    if not target.exists():
        new.rename(target)
        return
    old = (new if _target_of(new.name) == target.name else _beside(target)).with_suffix(".old")
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        old.rename(target)
        raise
    _remove(old)


def path_bytes(path: Path) -> int:
    """Return the size of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


@contextmanager
def working_folder(path: str | Path) -> Iterator[Path]:
    """Yield a new empty folder beside an output for intermediate files; it is removed when the block ends.

    What a killed process leaves of it is removed by the next `writing` of the same output.

    Args:
        path: The output, whose folder exists.
    """
    folder = _beside(Path(os.path.realpath(path)))
    folder.mkdir()
    try:
        yield folder
    finally:
        _remove(folder)


def check_file(path: Path) -> None:
    """Raise FileNotFoundError unless there is such a file."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}." if not path.exists() else f"{path} is not a file.")


def check_output(out: str | Path, *, folder: bool = False, inputs: Iterable[str | Path] = ()) -> None:
    """Check that a command can write to `out` without destroying what it reads, before any work is done.

    Args:
        out: The file or folder to be written.
        folder: Whether it is to be a folder.
        inputs: Files and folders that the command reads; what does not exist is ignored.

    Raises:
        FileExistsError: If `out` is an input: the same file by device and inode, so also through links.
        NotADirectoryError: If `out` is a file where a folder is needed, or leads through a file.
        IsADirectoryError: If it is a folder where a file is needed.
    """
    target = Path(os.path.realpath(out))
    if folder and target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{out} is a file, but a folder is needed. Choose another name.")
    if not folder and target.is_dir():
        raise IsADirectoryError(f"{out} is a folder, but a file is needed. Give the name of a file in it.")
    above = next((parent for parent in target.parents if parent.exists()), target.parent)
    if above.exists() and not above.is_dir():
        raise NotADirectoryError(f"{out} leads through {above}, which is a file. Choose another folder.")
    for given in inputs:
        if _is_same(target, given):
            same = "" if os.path.abspath(out) == os.path.abspath(given) else f" (the same as {given})"
            raise FileExistsError(f"{out}{same} is an input of this command. Choose another name for the output.")


def _is_same(path: Path, other: str | Path) -> bool:
    try:
        return (path.is_file() or path.is_dir()) and os.path.samefile(path, other)
    except (OSError, ValueError):  # such as the address of a server
        return False


def check_space(out: str | Path, needed: int, what: str) -> None:
    """Raise if the disk of an output has less than `needed` bytes free.

    Args:
        out: The file to be written; it and its folders need not exist.
        needed: Bytes that it takes at most.
        what: What takes them, for the message, such as "a raster of 1,000 x 2,000 pixels with 5 bands".

    Raises:
        OSError: With both sizes.
    """
    target = Path(os.path.realpath(out))
    free = shutil.disk_usage(next(one for one in target.parents if one.exists())).free
    if needed > free:
        raise OSError(
            f"{out} does not fit on the disk: {what} takes up to {size_in_words(needed)}, and {size_in_words(free)} "
            "are free. Choose a coarser resolution, a smaller region or another disk."
        )


@contextmanager
def writing(
    out: str | Path, *, folder: bool = False, inputs: Iterable[str | Path] = (), wait: bool = False
) -> Iterator[None]:
    """Own an output while a command writes it: checked, locked, and swept of what killed commands left.

    The lock is the file `.NAME.lock` beside the output. The system releases it when this process ends, however it
    ends, so a file left by a killed process does not block; it is removed by the next owner.

    Args:
        out: The file or folder to be written; missing parents are created.
        folder: As for `check_output`.
        inputs: As for `check_output`, whose errors are raised too.
        wait: Wait for another process that writes it, rather than raise.

    Raises:
        BlockingIOError: If another process writes it; the message names that process.
        OSError: If nothing can be written there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, writing(f"{folder}/birds.csv"):
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['.birds.csv.lock']
    """
    check_output(out, folder=folder, inputs=inputs)
    target = Path(os.path.realpath(out))
    if target.exists() and not target.is_file() and not target.is_dir():  # such as a pipe
        yield
        return
    made: list[Path] = []
    with ExitStack() as stack:
        try:
            made = _make_parents(target)
            stack.enter_context(_locked(target, wait))
        except BlockingIOError:
            raise
        except OSError as error:
            raise _explained(error, target) from error
        sweep(target)
        try:
            yield
        except BaseException:
            stack.close()
            _remove_empty(made)
            raise


@contextmanager
def _locked(target: Path, wait: bool) -> Iterator[None]:
    path = target.with_name(f".{target.name}.lock")
    descriptor = _open_lock(path, target, wait)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, _OWNER + f"{os.getpid()} on {platform.node()} ({' '.join(sys.argv)[:500]})".encode())
        yield
    finally:
        _remove(path)
        os.close(descriptor)


def _open_lock(path: Path, target: Path, wait: bool) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _lock(descriptor):
            owner = os.read(descriptor, 2000).decode("utf-8", "replace") or "unknown"
            if not wait:
                os.close(descriptor)
                raise BlockingIOError(
                    f"Another process writes {target}: {owner}. Wait for it, end it, or choose another output."
                )
            _log.info("Waiting for another process that writes %s: %s.", target, owner)
            _lock(descriptor, wait=True)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)  # its owner removed the file after it was opened here


def _lock(descriptor: int, wait: bool = False) -> bool:
    """Lock an open file; return False if another process has locked it. Without such locks, all are free."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError) as error:  # Windows, or a file system that cannot lock
        _log.warning("Files cannot be locked here (%s): do not write to the same output twice at a time.", error)
    return True


def sweep(target: Path) -> None:
    """Remove what killed processes left of an output that this process has locked; `writing` calls it.

    These are unfinished files and folders beside the output, and in a folder at any depth. An exchange of folders that
    was interrupted is completed. What another process has locked within a folder is unchanged.
    """
    if target.parent.is_dir():
        _sweep_names(target.parent, [name for name in os.listdir(target.parent) if _target_of(name) == target.name])
    for place, folders, files in os.walk(target):
        locks = {match[1]: match[0] for name in files if (match := re.fullmatch(r"\.(.+)\.lock", name, re.DOTALL))}
        busy = {name for name, lock in locks.items() if not _remove_lock(Path(place, lock))}
        _sweep_names(Path(place), [name for name in folders + files if _target_of(name) not in busy])
        folders[:] = [name for name in folders if name not in busy]


def _target_of(name: str) -> str | None:
    found = _UNFINISHED.fullmatch(name)
    return found["name"] if found else None


def _sweep_names(place: Path, names: list[str]) -> None:
    for name in sorted(names):  # .old before .part of the same exchange
        path, target = place / name, place / (_target_of(name) or name)
        if target == path:
            continue
        if path.suffix == ".old" and not target.exists():
            part = path.with_suffix(".part")
            (part if part.exists() else path).rename(target)
        _remove(path)


def _remove_lock(path: Path) -> bool:
    """Remove the lock file of a process that has ended; return False if it has not."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR)
        try:
            if not _lock(descriptor):
                return False
            if os.read(descriptor, len(_OWNER)) in (b"", _OWNER):
                path.unlink()
        finally:
            os.close(descriptor)
    return True


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Begin errors that the content of a file causes with its name, and make those of libraries a ValueError."""
    try:
        yield
    except Exception as error:
        text = str(error) or type(error).__name__
        if type(error) is ValueError:
            if str(path) in text:
                raise
            raise ValueError(f"{path}: {text}") from error
        if isinstance(error, MemoryError):
            raise ValueError(f"{path} is too large for the memory: {text}") from error
        unnamed = type(error) is OSError and error.errno is None  # as pyarrow raises them
        if not (unnamed or isinstance(error, _OF_CONTENT) or type(error).__module__.startswith("pyarrow")):
            raise
        raise ValueError(f"{path} is damaged or cannot be read: {text.rstrip('.')}.") from error


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
    check_file(path)
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
