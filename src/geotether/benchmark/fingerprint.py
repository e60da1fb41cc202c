"""Hashes of code, tasks and features: results carry them, so that those of different origin are never mixed."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from geotether.tasks.task import Task

PACKAGE = Path(__file__).parents[1]
# What decides a score once features are there.
JUDGING_ROOMS = ("geodesy", "probes", "tasks", "benchmark")
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


@lru_cache(maxsize=8)
def code_hash(rooms: Sequence[str] = JUDGING_ROOMS) -> str:
    """Hash the source of some rooms of the package, and the versions of the libraries that compute.

    Args:
        rooms: Names of folders or files of the package; a tuple.

    Returns:
        16 hexadecimal digits.

    Raises:
        FileNotFoundError: If there is no such room.
    """
    digest = hashlib.sha256(platform.python_version_tuple()[0].encode())
    for library in LIBRARIES:
        digest.update(f"{library} {importlib.metadata.version(library)}\n".encode())
    for room in rooms:
        place = PACKAGE / room
        files = sorted(place.rglob("*.py")) if place.is_dir() else [PACKAGE / f"{room}.py"]
        for file in files:
            digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def array_hash(*arrays: Shaped[np.ndarray, "..."] | None) -> str:
    """Hash the content, shape and type of arrays; texts by their characters.

    Example:
        >>> array_hash(np.array([1.0])) == array_hash(np.array([1.0]))
        True
    """
    digest = hashlib.sha256()
    for array in arrays:
        if array is None:
            digest.update(b"none;")
            continue
        if array.dtype.kind in "OUS":
            array = np.array(["" if v is None else str(v) for v in array.ravel().tolist()]).reshape(array.shape)
            content = "\0".join(array.ravel().tolist()).encode()
            digest.update(f"text {array.shape};".encode() + content)
        else:
            digest.update(f"{array.dtype} {array.shape};".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def task_hash(task: Task) -> str:
    """Hash all of a task that can change a score."""
    own = f"{task.name}|{task.kind}|{task.transform}"
    return array_hash(np.array([own]), task.lonlat, task.values, task.valid, task.split, task.continent)
