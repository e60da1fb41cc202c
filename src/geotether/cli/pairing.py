"""What `geotether paired compare` does: a configuration in, a report out."""

from collections.abc import Sequence
from pathlib import Path

from geotether.cli.cotraining import samples
from geotether.studies.paired_repeats import fold_repeats, seed_repeats, without_test_rows
from geotether.studies.paired_report import write_paired_report
from geotether.studies.paired_variants import COLEARNING_STUDY, CONTRASTIVE, LINEAR, TIES_STUDY, paired_variants
from geotether.studies.pairing import compare_paired
from geotether.training.paired_config import load_paired_config, own_layer


def compare_methods(
    config: Path,
    out: Path,
    methods: Sequence[str] | None,
    overrides: Sequence[str],
    folds: int | None,
    seeds: int | None,
    labels: Sequence[float],
    fine_tune: bool,
    without_test: bool = False,
) -> str:
    """Run a comparison.

    Args:
        config: YAML as for `geotether paired train`; its recipe says which methods are compared if none is named.
        out: Folder.
        methods: Names; None takes those of the recipe's family.
        overrides: Such as `["data=FOLDER"]`.
        folds: So many folds of whole groups; None repeats on the table's own split.
        seeds: So many repeats on that split, None 5; with folds so many of each fold, None 1.
        labels: Percent of the training labels.
        fine_tune: Whether embeddings are also fine-tuned.
        without_test: Leave the table's test rows out and judge on folds of the rest.

    Returns:
        The report and where it is.

    Raises:
        ValueError: If anything is unknown or out of range.
    """
    wrong = [share for share in labels if not 0 < share <= 100]
    if wrong:
        raise ValueError(f"--labels are percent of the training labels, above 0 up to 100, got {wrong[0]:g}.")
    settings = load_paired_config(config, overrides)
    if settings.target is None:
        raise ValueError("A comparison judges by a target; give target=NAME.")
    if without_test and folds is None:
        raise ValueError("--without-test leaves the table's own test rows out and judges by folds; give --folds 5 too.")
    names = methods or (TIES_STUDY if settings.method == "ties" else COLEARNING_STUDY)
    table = samples(config, settings)
    table = without_test_rows(table) if without_test else table
    variants = paired_variants(names, table, settings.modalities or list(table.sensors))
    if folds is None:
        repeats, shared = seed_repeats(table, 5 if seeds is None else seeds), 0.0
    else:
        # One fold tests, one validates, the others are trained on.
        repeats, shared = fold_repeats(table, folds, times=1 if seeds is None else seeds), 1 / (folds - 2)
    given = own_layer(config, overrides)
    outcomes = compare_paired(given, variants, repeats, out, [share / 100 for share in labels], fine_tune)
    ours = next((name for name in ("mdico", "mosaic") if name in names), names[-1])
    if ours == LINEAR:
        ours = next(iter(CONTRASTIVE))
    return f"{write_paired_report(outcomes, ours, out, shared)}\nThe report is {out / 'report.md'}"
