"""`geotether adapt`: a copy of a model, adapted to a region by the user's own tables and rasters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer


def adapt(
    model: Annotated[str, typer.Argument(help="The model to start from: its folder or its name, such as world.")],
    tables: Annotated[
        list[Path],
        typer.Argument(metavar="TABLES...", help="Feature tables (TABLE.parquet or NAME=TABLE.parquet), or one YAML."),
    ],
    region: Annotated[str, typer.Option(help="A country or continent, W S E N in degrees, or a file of polygons.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    raster: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="A raster that the model should read in the region; repeat."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labelled points in the region, to compare both models on.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Label column of --labels; repeat.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as steps=1000; repeat.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the unfinished run in --out.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again, whatever is in --out.")] = False,
) -> str:
    """Adapt a model to a region by your own tables and rasters, and judge what was gained and lost."""
    from geotether.cli.evaluate import labelled_tasks
    from geotether.studies.adaptation import adapt, start_of
    from geotether.training.config import load_config

    path, named = named_tables(tables)
    layers: list[Any] = [
        start_of(model, region),
        *raster_layers(raster or []),
        *(overrides or []),
    ]
    if named:
        layers.append({"tables": named})
    settings = load_config(path, layers, "adapt")
    tasks = labelled_tasks(labels, label or [], "", own=False)[0] if labels is not None or label else []
    found = adapt(model, config=settings, labels=tasks, out=out, resume=resume, fresh=fresh)
    return f"{found}\n\nThe adapted model is in {out / 'model'}; the numbers above are in {out / 'adapt.json'}"


def named_tables(given: Sequence[Path | str]) -> tuple[Path | None, dict[str, Path]]:
    """Split the arguments into a configuration file and tables by name.

    Raises:
        ValueError: If there are several configuration files, one beside tables, or two tables of one name.
    """
    files = [Path(one) for one in given if Path(one).suffix.lower() in (".yaml", ".yml")]
    if files and len(given) > 1:
        raise ValueError(f"Give either one YAML file or tables, not {', '.join(map(str, given))}.")
    if files:
        return files[0], {}
    named: dict[str, Path] = {}
    for one in given:
        name, sign, path = str(one).partition("=")
        table = Path(path if sign else one)
        name = name if sign else table.stem
        if name in named:
            raise ValueError(f"Two tables are called {name!r}; give one another name, as NAME={table}.")
        named[name] = table
    return None, named


def raster_layers(given: Sequence[str]) -> list[dict[str, Any]]:
    """Return the settings of rasters, given as NAME=FILE.

    Raises:
        ValueError: If one has no name.
    """
    layers = []
    for one in given:
        name, sign, path = one.partition("=")
        if not sign or not name or not path:
            raise ValueError(f"--raster takes NAME=FILE, such as ndvi={one or 'ndvi.tif'}, got {one!r}.")
        layers.append({"context": {"rasters": {name: {"path": str(Path(path).expanduser().absolute())}}}})
    return layers
