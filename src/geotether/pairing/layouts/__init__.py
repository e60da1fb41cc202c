"""Published layouts of paired data, one file each."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from geotether.pairing.layouts.chosen_rows import unknown
from geotether.tables.table import Table

# Name in a specification to "module:function"; the module is imported on first use.
LAYOUTS: dict[str, str] = {
    "bigearthnet": "geotether.pairing.layouts.bigearthnet:read_bigearthnet",
    "cropharvest": "geotether.pairing.layouts.cropharvest:read_cropharvest",
    "geotiff_pairs": "geotether.pairing.layouts.geotiff_pairs:read_geotiff_pairs",
    "lfmc": "geotether.pairing.layouts.lfmc:read_lfmc",
    "sen12ms": "geotether.pairing.layouts.sen12ms:read_sen12ms",
    "torchgeo": "geotether.pairing.layouts.torchgeo_dataset:read_torchgeo",
    "treesatai": "geotether.pairing.layouts.treesatai:read_treesatai",
}


def read_layout(name: str, path: str | Path, options: Mapping[str, Any] | None = None) -> Table:
    """Read data in a published layout.

    Args:
        name: One of `LAYOUTS`.
        path: The file or folder, as published.
        options: Arguments of the layout's reader by name; see docs/paired-layouts.md.

    Raises:
        FileNotFoundError: If there is nothing at `path`.
        ValueError: If the layout or an option is unknown, or the reader raises it.
        ImportError: If an extra that the layout needs is not installed.
    """
    if name not in LAYOUTS:
        raise ValueError(unknown("layout", name, LAYOUTS))
    module, _, function = LAYOUTS[name].partition(":")
    read = getattr(import_module(module), function)
    known = [option for option in inspect.signature(read).parameters if option != "path"]
    for option in options or {}:
        if option not in known:
            raise ValueError(unknown(f"option of the layout {name}", option, known))
    if not Path(path).exists():
        raise FileNotFoundError(f"There is no file or folder {path}.")
    try:
        return read(path, **dict(options or {}))
    except FileNotFoundError as error:
        raise FileNotFoundError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        said = str(error) if isinstance(error, ValueError) else f"its content is unexpected ({error!r})."
        raise ValueError(f"{path}: {said}") from error
