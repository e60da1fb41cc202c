"""The folder of what can be made again."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Give the user's cache folder for geotether: `$XDG_CACHE_HOME/geotether`, or `~/.cache/geotether`.

    It may not exist yet. Whatever is in it can be deleted at any time.

    Source:
        XDG Base Directory Specification, version 0.8.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "geotether"
