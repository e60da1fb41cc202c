"""`geotether paired ...` and `geotether predict`: models of paired sensors."""

from pathlib import Path
from typing import Annotated

import typer

paired_app = typer.Typer(help="Train on samples that several sensors saw, and compare methods.", no_args_is_help=True)

Config = Annotated[Path, typer.Argument(help="YAML: `paired:` (where the samples are), `target`, and what differs.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Such as data=FOLDER or colearning.contrast=0; repeat."),
]

# Spelled out here, since reading the names where they are defined would make `--help` slow; a test compares them.
METHODS_HELP = (
    "One of: linear; single; distilled; shared; mdico; fused; mosaic; simclr; clip; labels alone; "
    "mdico without auxiliary; mdico without contrast; mdico without discrimination; mdico without unused part; "
    "mdico wired as released; mdico with learned weights; mosaic with location; mosaic without view; "
    "mosaic without sample; mosaic without label. Repeat for several; by default those of the recipe."
)


@paired_app.command("train")
def train(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder of the run; the model is in its `model` folder.")],
    overrides: Overrides = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="mdico, single, shared, fused, distilled, mosaic, simclr or clip."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run in --out.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever is in --out.")] = False,
) -> None:
    """Train one model on paired sensors."""
    from geotether.cli.cotraining import train_model

    typer.echo(train_model(config, out, overrides or (), recipe, resume=resume, fresh=fresh))


@paired_app.command("compare")
def compare(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for outcomes, models and report; run again to go on.")],
    method: Annotated[
        list[str] | None,
        typer.Option(help=METHODS_HELP),
    ] = None,
    overrides: Overrides = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Cross-validate over so many folds of whole groups.", min=3),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Trainings: on the table's own split 5, of each of --folds 1.", min=1),
    ] = None,
    labels: Annotated[
        list[float] | None, typer.Option(help="Percent of the training labels to use; repeat. Default: 100.")
    ] = None,
    fine_tune: Annotated[bool, typer.Option(help="Judge embeddings by fine-tuning too.")] = True,
    without_test: Annotated[
        bool,
        typer.Option("--without-test", help="Choose settings: set test rows aside, judge on --folds of the rest."),
    ] = False,
) -> None:
    """Train and judge methods on the same rows, with baselines, intervals and paired differences."""
    from geotether.cli.pairing import compare_methods

    shares = labels or [100.0]
    typer.echo(compare_methods(config, out, method, overrides or [], folds, seeds, shares, fine_tune, without_test))


def predict(
    model: Annotated[Path, typer.Argument(help="Model folder of `geotether paired train`.")],
    table: Annotated[Path, typer.Argument(help="Samples: a .npz of geotether, or a YAML with `paired:`.")],
    out: Annotated[Path, typer.Option(help="File to write: .parquet or .csv.")],
    modality: Annotated[
        str | None, typer.Option(help="Predict from this sensor alone; without it, from all together (fused models).")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only rows of this split: train, validation or test.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as data=FOLDER; repeat.")
    ] = None,
) -> None:
    """Predict from any one sensor of a model that was trained with all; scores are shown where labels are known."""
    from geotether.cli.prediction import predict_table

    typer.echo(predict_table(model, table, out, modality, split, overrides or []))
