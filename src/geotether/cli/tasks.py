"""`geotether tasks`: build the tasks of a specification, and list what can be built in."""

import inspect
from pathlib import Path

from geotether.tasks.specification import BUILDERS, read_tasks
from geotether.tasks.store import write_tasks


def build_tasks(spec: Path, out: Path) -> str:
    """Build every task of a specification and write it to a folder, so that slow builders run once.

    Args:
        spec: YAML as for `geotether.tasks.specification.read_tasks`.
        out: Folder for a GeoParquet table each and `tasks.yaml`.

    Returns:
        A line for each task, and where they are.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the specification or a file is wrong.
    """
    tasks = read_tasks(spec)
    written = write_tasks(tasks, out)
    lines = []
    for task in tasks:
        known = f"{len(task.lonlat) - task.num_missing:,} of {len(task.lonlat):,} rows labelled"
        parts = {"split": task.split, "time": task.time, "continent": task.continent}
        has = [name for name, values in parts.items() if values is not None]
        lines.append(f"{task.label}: {task.kind}, {known}{', with ' + ', '.join(has) if has else ''}")
    return "\n".join([*lines, f"The tasks are in {out}; use {written}"])


def list_builders() -> str:
    """Say which tasks can be built in, what each asks, and the options it takes."""
    lines = []
    for name, builder in BUILDERS.items():
        asks = (inspect.getdoc(builder) or "").splitlines()[0]
        options = [
            key if given.default is inspect.Parameter.empty else f"[{key}]"
            for key, given in inspect.signature(builder).parameters.items()
        ]
        lines.append(f"{name}\n    {asks}\n    {' '.join(options)}")
    return "\n".join(lines)
