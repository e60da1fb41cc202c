"""The folders of the user that geotether writes to unless told otherwise."""

import hashlib
import json
from pathlib import Path
from typing import Any

import platformdirs


def user_cache() -> Path:
    """Return the user's cache folder for geotether, such as `~/.cache/geotether` on Linux.

    It may not exist yet. Its content can be deleted at any time.
    """
    return Path(platformdirs.user_cache_dir("geotether", appauthor=False))


def user_data() -> Path:
    """Return the user's data folder for geotether, such as `~/.local/share/geotether` on Linux."""
    return Path(platformdirs.user_data_dir("geotether", appauthor=False))


def keyed_path(kind: str, name: str, decides: Any, cache: Path | None = None) -> Path:
    """Name the file or folder in which something built is kept.

    Its name has a hash of what it was built from, so that builds of the same name do not take each other's place.

    Args:
        kind: What is kept, a folder in the user's cache folder.
        name: What it was called.
        decides: Plain values that it was built from.
        cache: Keep it in this folder instead.
    """
    folder = user_cache() / kind if cache is None else cache
    return folder / f"{name}-{plain_hash(decides)[:12]}"


def plain_hash(values: Any) -> str:
    """Return the SHA-256 of plain values as JSON; the order of keys does not count."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
