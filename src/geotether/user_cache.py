"""The cache folder of the user."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Return the user's cache folder for geotether: `$XDG_CACHE_HOME/geotether`, or `~/.cache/geotether`.

    It may not exist yet. Its content can be deleted at any time.

    Source:
        XDG Base Directory Specification, version 0.8.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "geotether"
