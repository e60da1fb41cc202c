"""`geotether tasks`: build the tasks of a specification, and list the built-in ones."""

import inspect
from pathlib import Path
from typing import Annotated

import typer

tasks_app = typer.Typer(help="Tasks from your tables and from published files.", no_args_is_help=True)


@tasks_app.command("build")
def build_tasks(
    spec: Annotated[Path, typer.Argument(help="YAML of tasks.")],
    out: Annotated[Path, typer.Option(help="Folder for one table per task and tasks.yaml.")],
) -> str:
    """Read or build tasks once and write them as tables, so that slow builders run once."""
    from geotether.tasks.specification import read_tasks, write_tasks

    try:
        tasks = read_tasks(spec)
    except ValueError as error:
        raise ValueError(str(error) if str(spec) in str(error) else f"{spec}: {error}") from error
    written = write_tasks(tasks, out)
    lines = []
    for task in tasks:
        known = f"{len(task.lonlat) - task.num_missing:,} of {len(task.lonlat):,} rows labelled"
        parts = {"split": task.split, "time": task.time, "continent": task.continent}
        has = [name for name, values in parts.items() if values is not None]
        lines.append(f"{task.label}: {task.kind}, {known}{', with ' + ', '.join(has) if has else ''}")
    return "\n".join([*lines, f"The tasks are in {out}; use {written}"])


@tasks_app.command("list")
def list_tasks() -> str:
    """List the built-in tasks, what each asks for, and its options."""
    from geotether.tasks.specification import BUILDERS

    lines = []
    for name, builder in BUILDERS.items():
        asks = (inspect.getdoc(builder) or "").splitlines()[0]
        options = [
            key if given.default is inspect.Parameter.empty else f"[{key}]"
            for key, given in inspect.signature(builder).parameters.items()
        ]
        lines.append(f"{name}\n    {asks}\n    {' '.join(options)}")
    return "\n".join(lines)
