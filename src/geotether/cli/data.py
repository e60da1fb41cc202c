"""`geotether data`: list, describe and fetch public data sets."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

data_app = typer.Typer(help="Public data sets: list them, fetch them when asked.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A name from `geotether data list`.")]
Folder = Annotated[Path | None, typer.Option(help="Folder for all data sets; also GEOTETHER_DATA.")]
Registry = Annotated[Path | None, typer.Option(help="YAML of further data sets; also GEOTETHER_REGISTRY.")]


@data_app.command("list")
def list_data(registry: Registry = None) -> str:
    """List the data sets, their sizes and licences. Nothing is fetched."""
    from geotether.files.disk import size_in_words

    datasets, lines = known_datasets(registry), []
    width = max(map(len, datasets))
    for name, dataset in datasets.items():
        size = "by hand" if dataset.by_hand else size_in_words(dataset.bytes)
        lines += [f"{name:<{width}}  {size:>8}  {dataset.title}", f"{'':<{width}}  {'':>8}  {dataset.licence}"]
    return "\n".join(lines)


@data_app.command("info")
def info(
    name: Name, registry: Registry = None, to: Annotated[Path | None, typer.Option(help="As for get.")] = None
) -> str:
    """Describe a data set: what it is, where it comes from, and what reads it."""
    from geotether.datasets import data_folder, find_dataset
    from geotether.files.disk import size_in_words

    dataset = find_dataset(known_datasets(registry), name)
    home = data_folder(to) / name
    lines = [dataset.title, f"  homepage  {dataset.homepage}", f"  licence   {dataset.licence}"]
    lines += [f"  citation  {dataset.citation}"]
    lines += [f"  note      {dataset.note}"] if dataset.note else []
    lines += [f"  by hand   {dataset.how_to}"] if dataset.how_to else []
    for file in dataset.files:
        there = "present" if (home / file.name).exists() else "not present"
        lines.append(f"  file      {file.name} ({size_in_words(file.bytes)}; {there})")
        lines += [f"              {address}" for address in file.address]
        known = "recorded by several public projects" if file.checked else "not checked"
        lines.append(
            f"              SHA-256 {file.sha256} ({known})" if file.sha256 else "              SHA-256 not known"
        )
        lines += [f"              {file.seen}"] if file.seen else []
    lines += [f"  folder    {home}", f"  next      {next_step(dataset, home / dataset.data)}"]
    return "\n".join(lines)


@data_app.command("get")
def get(
    name: Name,
    to: Folder = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before more than 1 GB or an unknown size.")] = False,
    renew: Annotated[bool, typer.Option("--renew", help="Fetch again, and trust today's files.")] = False,
    registry: Registry = None,
) -> str:
    """Fetch a data set and verify it. Proxies come from the environment."""
    from geotether.datasets import find_dataset, get_dataset

    dataset = find_dataset(known_datasets(registry), name)

    def agree(question: str) -> bool:
        return yes or (sys.stdin.isatty() and typer.confirm(f"{question} Fetch it?", err=True))

    with progress_bar() as report:
        path = get_dataset(name, to, registry, agree, renew=renew, report=report)
    return f"{path}\nLicence: {dataset.licence}\nCite: {dataset.citation}\nNext: {next_step(dataset, path)}"


def known_datasets(registry: Path | None) -> dict[str, Any]:
    """Read the registry and check the tasks it names.

    Raises:
        ValueError: If a data set names an unknown task.
    """
    from geotether.datasets import read_registry
    from geotether.tasks.specification import BUILDERS

    datasets = read_registry(registry)
    for dataset in datasets.values():
        task = dataset.builder.task
        if task is not None and task not in BUILDERS:
            raise ValueError(f"data set {dataset.name}: there is no task {task!r}; known: {', '.join(BUILDERS)}.")
    return datasets


def next_step(dataset: Any, path: Path) -> str:
    """Return the command that uses the data."""
    if dataset.builder.task is not None:
        return f"geotether tasks build tasks.yaml --out tasks, with {{builder: {dataset.builder.task}, file: {path}}}"
    words = ["geotether", "table", "build", str(path), "--source", dataset.builder.source]
    words += ["--out", f"{dataset.name}.parquet", *shlex.split(dataset.arguments)]
    return shlex.join([*words, "--licence", dataset.licence, "--citation", dataset.citation])


@contextmanager
def progress_bar() -> Iterator[Any]:
    """Yield a function that draws a bar for each file on a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=None)

        def report(name: str, done: int, total: int | None) -> None:
            progress.update(bar, description=name, completed=done, total=total)

        yield report
