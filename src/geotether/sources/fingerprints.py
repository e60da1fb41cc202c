"""Has a file changed? Answered without reading gigabytes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

# Files up to this size are hashed whole (about a quarter of a second).
WHOLE_BYTES = 2**28
_END_BYTES = 2**20


def file_fingerprint(path: str | Path) -> str:
    """Name the content of a file.

    Args:
        path: Of the file. Up to 256 MiB it is its SHA-256; of a larger one that of its size, its time of
            change, its first and its last mebibyte.

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
    """Name the content of many files by their paths, sizes and times of change, without opening them.

    Args:
        folder: What the paths are seen from, so that a folder that moves keeps its fingerprint.
        files: Paths below `folder`, in an order of their own.

    Returns:
        Hexadecimal SHA-256.
    """
    digest = hashlib.sha256()
    for path in files:
        facts = Path(path).stat()
        digest.update(f"{Path(path).relative_to(folder)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()
