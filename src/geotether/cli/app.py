"""The commands, and how they fail: in words, without a traceback, with a non-zero exit status."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from geotether.cli.data import data_app
from geotether.cli.paired import paired_app, predict
from geotether.cli.table import table_app
from geotether.version import __version__

# Faults that a user can mend; anything else is a defect of ours and keeps its traceback.
MENDABLE = (ValueError, TypeError, OSError, ImportError, FloatingPointError)

app = typer.Typer(
    name="geotether",
    help="Pre-train, judge and use location encoders (longitude, latitude -> vector).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich would triple the time to the first line
)

Model = Annotated[Path, typer.Argument(help="A model folder, such as the `model` folder of a run.")]
Out = Annotated[Path, typer.Option(help="Folder to write to.")]


def main() -> None:
    """Run the command line and exit: 0 if all went well, 1 for a fault, 2 for a misspelt command, 130 for Ctrl-C."""
    speak()
    try:
        app()
    except MENDABLE as error:
        if os.environ.get("GEOTETHER_TRACEBACK"):
            raise
        typer.echo(f"geotether: {error or type(error).__name__}", err=True)
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        _say_goodbye(interrupt)
    except SystemExit as stop:  # typer makes an exit status of Ctrl-C and drops what the run had to say
        behind: BaseException | None = stop
        while behind is not None:
            if isinstance(behind, KeyboardInterrupt):
                _say_goodbye(behind)
            behind = behind.__cause__ or behind.__context__
        raise


def _say_goodbye(interrupt: KeyboardInterrupt) -> NoReturn:
    """Let a run that was interrupted by Ctrl-C say how to continue."""
    typer.echo(f"geotether: {str(interrupt) or 'interrupted.'}", err=True)
    sys.exit(130)


def speak() -> None:
    """Let the library's progress and warnings be seen: plain lines on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("geotether")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _version(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"geotether {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = None,
) -> None:
    """Pre-train, judge and use location encoders (longitude, latitude -> vector).

    Set GEOTETHER_TRACEBACK=1 to see where an error arose.
    """


@app.command()
def demo(
    out: Out = Path("demo-out"),
    seed: Annotated[int, typer.Option(help="Decides weights, batches and which labels are drawn.", min=0)] = 0,
    quick: Annotated[bool, typer.Option(help="A few steps, to see that all is in place.")] = False,
) -> None:
    """Tie three unpaired sources to the Earth, probe the encoder on four tasks, write a report."""
    from geotether.demo.run import run_demo

    report = run_demo(out, seed=seed, quick=quick)
    typer.echo(f"\nThe report is {report}")


@app.command()
def pretrain(
    config: Annotated[Path, typer.Argument(help="YAML: `tables: {name: path}` and whatever differs from the recipe.")],
    out: Out,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Such as encoder.positional.l_max=19; repeat."),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe to start from: default or paper.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run in --out.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever is in --out.")] = False,
) -> None:
    """Pre-train a location encoder on your own feature tables."""
    from geotether.cli.pretraining import pretrain_model

    typer.echo(pretrain_model(config, out, overrides or (), recipe, resume=resume, fresh=fresh))


@app.command()
def encode(
    model: Model,
    points: Annotated[
        Path,
        typer.Argument(help="Points: .csv, .tsv, .txt, .parquet, .geojson, or by the extra geo .gpkg, .shp, .fgb."),
    ],
    out: Annotated[Path, typer.Option(help="File to write: .parquet, .csv, .tsv or .geojson.")],
    lon: Annotated[str | None, typer.Option(help="Column of longitudes; by default found.")] = None,
    lat: Annotated[str | None, typer.Option(help="Column of latitudes.")] = None,
) -> None:
    """Add the column `embedding` to a file of points."""
    from geotether.embed import load
    from geotether.sources.points import points_kind, read_points, write_columns

    points_kind(out)  # before the work, not after
    records = read_points(points, lon, lat)
    embedding = load(model).encode(records)
    write_columns(records, out, {"embedding": embedding})
    typer.echo(f"{len(records)} points with embeddings of {embedding.shape[1]} numbers are in {out}")


@app.command()
def evaluate(
    model: Model,
    points: Annotated[
        Path | None,
        typer.Option(help="Labelled points; without them, the demo planet's four tasks."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Label column of --points: text for classes, numbers for a regression."),
    ] = None,
    split_column: Annotated[str, typer.Option(help="Column of --points with train, validation, test.")] = "split",
    out: Annotated[Path | None, typer.Option(help="Folder for scores.csv, figures and report.html.")] = None,
    probe: Annotated[list[str] | None, typer.Option(help="ridge, logistic, mlp or neighbors; repeat.")] = None,
    seeds: Annotated[int, typer.Option(help="Repeats, each with its own draw of labels.", min=2)] = 5,
) -> None:
    """Probe a model on labelled places, beside baselines, on spatial blocks."""
    from geotether.cli.evaluation import evaluate_model

    typer.echo(evaluate_model(model, points, label or [], split_column, out, probe or ["ridge"], range(seeds)))


@app.command()
def compare(
    encoders: Annotated[
        list[str],
        typer.Argument(
            metavar="ENCODER...",
            help="[NAME=]PATH of a model folder, checkpoint or Parquet of embeddings, or [NAME=]module:function.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for scores, verdicts, figures and report; run again to go on.")],
    tasks: Annotated[
        list[str] | None,
        typer.Option(help="YAML of tasks, or a folder of published files for the paper's four; repeat. Or: planet."),
    ] = None,
    probe: Annotated[list[str] | None, typer.Option(help="ridge, neighbors, logistic or mlp; repeat.")] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="blocks-2, -10, -20, -40, continents, own or random; repeat.")
    ] = None,
    labels: Annotated[
        list[int] | None, typer.Option(help="Numbers of labels instead of 243, 810, ...; repeat.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Repeats, each with its own draw of labels.", min=1)] = 5,
    buffer_km: Annotated[float, typer.Option(help="Least distance of training to judged places.", min=0)] = 50.0,
) -> None:
    """Compare encoders beside every baseline: ranks, intervals, verdicts, figures, a report."""
    from geotether.benchmark.ladder import LADDER
    from geotether.cli.comparison import compare_encoders
    from geotether.studies.comparison import PROBES_USED, SPLITS_USED

    said = compare_encoders(
        encoders, tasks or ["planet"], out, probe or PROBES_USED, split or SPLITS_USED, labels or LADDER, seeds,
        buffer_km,
    )  # fmt: skip
    typer.echo(said)


tasks_app = typer.Typer(help="Tasks from your tables and from published files.", no_args_is_help=True)
app.add_typer(tasks_app, name="tasks")
app.add_typer(table_app, name="table")


@tasks_app.command("build")
def build_tasks(
    spec: Annotated[Path, typer.Argument(help="YAML of tasks.")],
    out: Annotated[Path, typer.Option(help="Folder for a table each and tasks.yaml.")],
) -> None:
    """Read or build tasks once and write them as tables."""
    from geotether.cli.tasks import build_tasks as build

    typer.echo(build(spec, out))


@tasks_app.command("list")
def list_tasks() -> None:
    """Say which tasks are built in, and what they ask for."""
    from geotether.cli.tasks import list_builders

    typer.echo(list_builders())


app.add_typer(data_app, name="data")
app.add_typer(paired_app, name="paired")
app.command("predict")(predict)


@app.command()
def contribution(
    config: Annotated[Path, typer.Argument(help="YAML as for pretrain, with two tables or more.")],
    out: Annotated[Path, typer.Option(help="Folder of the study; run again to go on.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as schedule.name=salt; repeat.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe to start from: default or paper.")] = None,
    seeds: Annotated[int, typer.Option(help="Pre-training seeds, one model of every variant each.", min=1)] = 3,
    budget: Annotated[int | None, typer.Option(help="Steps of all runs together.", min=1)] = None,
    equal: Annotated[str, typer.Option(help="What else is equal: rows (of a modality) or batch.")] = "rows",
    modality: Annotated[list[str] | None, typer.Option(help="Only this one's worth; repeat.")] = None,
    tasks: Annotated[list[str] | None, typer.Option(help="YAML of tasks, instead of the demo planet's four.")] = None,
    points: Annotated[Path | None, typer.Option(help="Labelled points, instead of --tasks.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Label column of --points; repeat.")] = None,
    split_column: Annotated[str, typer.Option(help="Column of --points with train, validation, test.")] = "split",
    labels: Annotated[int, typer.Option(help="Labelled rows of a probe.", min=1)] = 2700,
    draws: Annotated[int, typer.Option(help="Draws of labels.", min=1)] = 5,
    probe: Annotated[str, typer.Option(help="ridge, neighbors, logistic or mlp.")] = "ridge",
    split: Annotated[str, typer.Option(help="own, blocks-10, continents or random.")] = "own",
) -> None:
    """Say what each modality adds to every task: all of them, without it, it alone."""
    from geotether.cli.contribution import contribution_of

    said = contribution_of(
        config, out, overrides or (), recipe, seeds, budget, equal, modality or (), points, label or (), split_column,
        tasks or (), labels, draws, probe, split,
    )  # fmt: skip
    typer.echo(said)


@app.command()
def diagnose(
    model: Annotated[str, typer.Argument(metavar="ENCODER", help="As for compare: a path or module:function.")],
    out: Annotated[Path | None, typer.Option(help="Folder for diagnosis.json, figures and a page.")] = None,
    table: Annotated[list[Path] | None, typer.Option(help="Feature table of pre-training; repeat.")] = None,
    points: Annotated[Path | None, typer.Option(help="Labelled test places, for leakage and geo-bias.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Label column of --points; repeat.")] = None,
    tolerance: Annotated[float | None, typer.Option(help="Largest error of a number that counts as right.")] = None,
    split_column: Annotated[str, typer.Option(help="Column of --points that marks test places.")] = "split",
    seed: Annotated[int, typer.Option(help="Decides which places are looked at.", min=0)] = 0,
) -> None:
    """Say what an encoder is like: dimension, resolution, seams, coverage, leakage, geographic bias."""
    from geotether.cli.diagnosis import diagnose_model

    typer.echo(
        diagnose_model(
            model, out, table or (), points, label or (), tolerance=tolerance, split_column=split_column, seed=seed
        )
    )


@app.command()
def describe(
    thing: Annotated[Path, typer.Argument(metavar="MODEL|TABLE", help="A model folder or a .parquet table.")],
    out: Annotated[Path | None, typer.Option(help="Of a table: folder for figures, numbers and a page.")] = None,
    beside: Annotated[Path | None, typer.Option(help="Another table, to see how the two overlap.")] = None,
) -> None:
    """Say what a model or a feature table is."""
    from geotether.cli.description import describe_model, describe_table, is_table

    if is_table(thing):
        typer.echo(describe_table(thing, out, beside))
        return
    if thing.is_file():
        raise ValueError(
            f"{thing} is neither a model's folder nor a feature table (.parquet); `geotether table build` makes a "
            "table of a file of places."
        )
    if out is not None or beside is not None:
        raise ValueError(f"--out and --beside are for tables (.parquet), and {thing} is none; try geotether diagnose.")
    typer.echo(describe_model(thing))
