"""`geotether contribution`: what each modality of a configuration is worth."""

from pathlib import Path
from typing import Annotated

import typer

from geotether.cli.compare import named_tasks
from geotether.cli.evaluate import labelled_tasks


def contribution(
    config: Annotated[Path, typer.Argument(help="YAML as for pretrain, with two tables or more.")],
    out: Annotated[Path, typer.Option(help="Folder of the study; run again to continue.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as schedule.name=salt; repeat.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe to start from: default or paper.")] = None,
    seeds: Annotated[int, typer.Option(help="Pre-training seeds, one model of every variant each.", min=1)] = 3,
    budget: Annotated[int | None, typer.Option(help="Steps of all runs together.", min=1)] = None,
    equal: Annotated[str, typer.Option(help="What else is equal: rows (of a modality) or batch.")] = "rows",
    modality: Annotated[list[str] | None, typer.Option(help="Measure only this modality; repeat.")] = None,
    tasks: Annotated[list[str] | None, typer.Option(help="YAML of tasks, instead of the demo planet's four.")] = None,
    points: Annotated[Path | None, typer.Option(help="Labelled points, instead of --tasks.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Label column of --points; repeat.")] = None,
    split_column: Annotated[str, typer.Option(help="Column of --points with train, validation, test.")] = "split",
    labels: Annotated[int, typer.Option(help="Labelled rows of a probe.", min=1)] = 2700,
    draws: Annotated[int, typer.Option(help="Draws of labels.", min=1)] = 5,
    probe: Annotated[str, typer.Option(help="ridge, neighbors, logistic or mlp.")] = "ridge",
    split: Annotated[str, typer.Option(help="own, blocks-10, continents or random.")] = "own",
) -> str:
    """Measure what each modality adds to every task: all modalities, without it, it alone."""
    from geotether.studies.contribution import ADDED, ALONE, effect_table, measure_contribution
    from geotether.training.config import load_config
    from geotether.training.pretraining import open_tables

    if tasks and points is not None:
        raise ValueError("give --points with --label, or --tasks, not both.")
    if seeds < 1:
        raise ValueError(f"--seeds must be 1 or more, got {seeds}.")
    asked = labelled_tasks(points, label or [], split_column)[0] if points is not None or label else []
    settings = load_config(config, overrides or (), recipe)
    tables = open_tables(settings)
    asked = asked or [task for where in tasks or ["planet"] for task in named_tasks(where)]
    found = measure_contribution(
        settings, tables, asked, out, range(seeds), budget, equal, modality or None, labels, draws, probe, split
    )
    kinds = {ADDED: "Added to the others", ALONE: "Alone, above the untrained network"}
    parts = [f"{kinds[kind]} (points)\n\n{effect_table(found.effects, kind)}" for kind in kinds]
    parts.append(f"{found.runs} runs of {found.steps:,} steps; the page is {found.page}")
    return "\n\n".join(parts)
