"""Featurising: from a source to a feature table, by a job that can be killed and goes on.

* `specification`: what a table is built from; `guess`: which source reads a file.
* `build`: the job from front to back; `cache`: the table built earlier, if nothing changed.
* `transform_file`: what was fitted, stored beside the table; `apply`: the same features for new rows.
* `rows`, `parts`, `workers`, `threads`: reading, one part of the work, many processes, one thread in each.
* `job`, `assembly`, `times`, `progress`: the job's folder, parts into a table, time as features, a bar.
"""

import importlib
from typing import Any

# Looked up when asked for: a worker process needs none of them, and starts sooner.
_HOMES = {
    "TableSpec": "specification",
    "apply_transform": "apply",
    "build_table": "build",
    "cached_table": "cache",
    "guess_source": "guess",
    "read_spec": "specification",
}
__all__ = ["TableSpec", "apply_transform", "build_table", "cached_table", "guess_source", "read_spec"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
