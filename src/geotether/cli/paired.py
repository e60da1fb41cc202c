"""`geotether paired`: train on samples of several sensors, and compare methods."""

from pathlib import Path
from typing import Annotated

import typer

from geotether.cli.predict import open_samples
from geotether.cli.pretrain import pretrain

paired_app = typer.Typer(help="Train on samples of several sensors, and compare methods.", no_args_is_help=True)

Config = Annotated[Path, typer.Argument(help="YAML: `paired:` (where the samples are), `target`, and what differs.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Such as data=FOLDER or colearning.contrast=0; repeat."),
]

# Written out, because importing the names would make `--help` slow; a test compares them.
METHODS_HELP = (
    "One of: linear; single; distilled; shared; mdico; fused; mosaic; simclr; clip; labels alone; "
    "mdico without auxiliary; mdico without contrast; mdico without discrimination; mdico without unused part; "
    "mdico wired as released; mdico with learned weights; mosaic with location; mosaic without view; "
    "mosaic without sample; mosaic without label. Repeat for several; by default those of the recipe."
)


paired_app.command("train")(pretrain)


@paired_app.command("compare")
def compare(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for outcomes, models and report; run again to continue.")],
    method: Annotated[
        list[str] | None,
        typer.Option(help=METHODS_HELP),
    ] = None,
    overrides: Overrides = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Cross-validate over this number of folds of whole groups.", min=3),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Trainings: on the table's own split 5, of each of --folds 1.", min=1),
    ] = None,
    labels: Annotated[
        list[float] | None, typer.Option(help="Percent of the training labels to use; repeat. Default: 100.")
    ] = None,
    fine_tune: Annotated[bool, typer.Option(help="Evaluate embeddings by fine-tuning too.")] = True,
    without_test: Annotated[
        bool,
        typer.Option(
            "--without-test", help="Exclude test rows and evaluate on --folds of the rest (to choose settings)."
        ),
    ] = False,
) -> str:
    """Train and evaluate methods on the same rows, with baselines, intervals and paired differences."""
    from geotether.studies.paired import (
        COLEARNING_STUDY,
        CONTRASTIVE,
        LINEAR,
        TIES_STUDY,
        compare_paired,
        paired_variants,
    )
    from geotether.studies.paired_judge import fold_repeats, seed_repeats, without_test_rows
    from geotether.studies.paired_report import write_paired_report
    from geotether.training.config import load_config, own_layer

    shares = labels or [100.0]
    wrong = [share for share in shares if not 0 < share <= 100]
    if wrong:
        raise ValueError(f"--labels are percent of the training labels, above 0 up to 100, got {wrong[0]:g}.")
    settings = load_config(config, overrides or ())
    if settings.target is None:
        raise ValueError("A comparison judges by a target; give target=NAME.")
    if without_test and folds is None:
        raise ValueError("--without-test leaves the table's own test rows out and judges by folds; give --folds 5 too.")
    names = method or (TIES_STUDY if settings.method == "ties" else COLEARNING_STUDY)
    table = open_samples(config, overrides or [])
    table = without_test_rows(table) if without_test else table
    variants = paired_variants(names, table, settings.modalities or list(table.modalities))
    if folds is None:
        repeats, shared = seed_repeats(table, 5 if seeds is None else seeds), 0.0
    else:
        # One fold tests, one validates, the others are trained on.
        repeats, shared = fold_repeats(table, folds, times=1 if seeds is None else seeds), 1 / (folds - 2)
    given = own_layer(config, overrides or [])
    outcomes = compare_paired(given, variants, repeats, out, [share / 100 for share in shares], fine_tune)
    ours = next((name for name in ("mdico", "mosaic") if name in names), names[-1])
    if ours == LINEAR:
        ours = next(iter(CONTRASTIVE))
    return f"{write_paired_report(outcomes, ours, out, shared)}\nThe report is {out / 'report.md'}"
