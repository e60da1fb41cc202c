"""The folders of the user that geotether writes to unless told otherwise."""

from pathlib import Path

import platformdirs


def user_cache() -> Path:
    """Return the user's cache folder for geotether, such as `~/.cache/geotether` on Linux.

    It may not exist yet. Its content can be deleted at any time.
    """
    return Path(platformdirs.user_cache_dir("geotether", appauthor=False))


def user_data() -> Path:
    """Return the user's data folder for geotether, such as `~/.local/share/geotether` on Linux."""
    return Path(platformdirs.user_data_dir("geotether", appauthor=False))
