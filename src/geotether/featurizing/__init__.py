"""Featurizing: from a source to a feature table, by a job that can be killed and resumed.

* `specification`: what a table is built from; `guess`: which source reads a file; `job`: what is made, and its folder.
* `build`: the job itself, and the same features for new rows.
* `rows`, `transform`: reading rows, and turning them into features.
* `parts`, `workers`, `threads`, `progress`: runs of rows in worker processes with one thread each.
"""

import importlib
from typing import Any

# Imported on first use: worker processes need none of them and start sooner.
_HOMES = {
    "TableSpec": "specification",
    "apply_transform": "build",
    "build_table": "build",
    "cached_table": "build",
    "guess_source": "guess",
    "read_spec": "specification",
}
__all__ = ["TableSpec", "apply_transform", "build_table", "cached_table", "guess_source", "read_spec"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
