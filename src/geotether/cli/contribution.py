"""`geotether contribution`: what each modality of a configuration is worth."""

from collections.abc import Sequence
from pathlib import Path

from geotether.cli.comparison import tasks_named
from geotether.cli.evaluation import tasks_of
from geotether.studies.contribution import measure_contribution
from geotether.studies.effects import ADDED, ALONE, effect_table
from geotether.training.config import load_config
from geotether.training.modalities import open_tables


def contribution_of(
    config: Path,
    out: Path,
    overrides: Sequence[str] = (),
    recipe: str | None = None,
    seeds: int = 3,
    budget: int | None = None,
    equal: str = "rows",
    modalities: Sequence[str] = (),
    points: Path | None = None,
    labels: Sequence[str] = (),
    split_column: str = "split",
    tasks: Sequence[str] = (),
    count: int = 2700,
    draws: int = 5,
    probe: str = "ridge",
    split: str = "own",
) -> str:
    """Run the study and say what came out.

    Args:
        config: YAML with `tables: {name: path}`, as for `geotether pretrain`.
        out: Folder of the study; the same command again goes on where an interrupted one stopped.
        overrides: `key=value`, as for `geotether pretrain`.
        recipe: Recipe to start from.
        seeds: Number of pre-training seeds.
        budget: Steps of all runs together; None takes the configuration's length for each.
        equal: "rows" or "batch".
        modalities: Those whose worth is asked for; none asks for all.
        points: File of labelled points, or None for the demo planet's tasks.
        labels: Label columns of `points`.
        split_column: Column with train, validation and test.
        tasks: YAML files of tasks, or folders of published files, instead of points.
        count: Labelled rows of a probe.
        draws: Draws of labels.
        probe: Name of the probe.
        split: "own" (the file's split column), "blocks-10", "continents" or "random".

    Returns:
        Both tables in Markdown, and where the files are.

    Raises:
        ValueError: If labels are named without points or the other way round, or as for `measure_contribution`.
    """
    if (points is None) != (not labels):
        raise ValueError("--points and --label belong together, such as --points sites.csv --label yield.")
    if tasks and points is not None:
        raise ValueError("give --points with --label, or --tasks, not both.")
    if seeds < 1:
        raise ValueError(f"--seeds must be 1 or more, got {seeds}.")
    settings = load_config(config, overrides, recipe)
    tables = open_tables(settings)
    asked = [task for where in tasks or ["planet"] for task in tasks_named(where)]
    if points is not None:
        asked = tasks_of(points, labels, split_column)
    found = measure_contribution(
        settings, tables, asked, out, range(seeds), budget, equal, list(modalities) or None, count, draws, probe, split
    )
    kinds = {ADDED: "Added to the others", ALONE: "Alone, above the untrained network"}
    parts = [f"{kinds[kind]} (points)\n\n{effect_table(found.effects, kind)}" for kind in kinds]
    parts.append(f"{found.runs} runs of {found.steps:,} steps; the page is {found.page}")
    return "\n\n".join(parts)
