"""`geotether compare`: any encoders on any tasks, with all baselines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from geotether.tasks.task import Task


def compare(
    encoders: Annotated[
        list[str],
        typer.Argument(
            metavar="ENCODER...",
            help="[NAME=]PATH of a model folder, checkpoint or Parquet of embeddings; a model's name; module:function.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for scores, verdicts, figures and report; run again to continue.")],
    tasks: Annotated[
        list[str] | None,
        typer.Option(help="YAML of tasks, or a folder of published files for the paper's four; repeat. Or: planet."),
    ] = None,
    probe: Annotated[list[str] | None, typer.Option(help="ridge, neighbors, logistic or mlp; repeat.")] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="blocks-2, -10, -20, -40, blocks-50km, continents, own or random; repeat.")
    ] = None,
    labels: Annotated[
        list[int] | None, typer.Option(help="Numbers of labels instead of 243, 810, ...; repeat.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Repeats, each with its own draw of labels.", min=1)] = 5,
    buffer_km: Annotated[
        float, typer.Option(help="Minimum distance of training places to test places, in km.", min=0)
    ] = 50.0,
) -> str:
    """Compare encoders with each other and with baselines: ranks, intervals, verdicts, figures, a report."""
    from geotether.benchmark.baselines import is_joined
    from geotether.benchmark.plan import LADDER
    from geotether.benchmark.score_table import markdown_table, outcome_grid
    from geotether.benchmark.verdict import verdicts
    from geotether.loading import named_encoder
    from geotether.report.summary import plain_words
    from geotether.studies.comparison import PROBES_USED, SPLITS_USED, compare, tables_of

    opened = [named_encoder(spec) for spec in encoders]
    names = [name for name, _ in opened]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two encoders are called {twice[0]!r}; name them: NAME={encoders[names.index(twice[0])]}.")
    asked = [task for where in tasks or ["planet"] for task in named_tasks(where)]
    found = compare(
        dict(opened), asked, out, probe or PROBES_USED, split or SPLITS_USED, labels or LADDER, range(seeds), buffer_km
    )
    first_probe, first_split = tables_of(found)[0]
    plain = [one for one in found.outcomes if not is_joined(one.encoder)]
    among = [
        f"* {one.words} ({one.task})"
        for one in verdicts(plain, first_probe, first_split, found.labels, found.names)
        if one.name in found.names and one.other in found.names
    ]
    grid = outcome_grid(plain, first_probe, first_split, found.labels)
    parts = (
        *found.notes,
        f"{first_probe} probe, split {first_split}, {found.labels:,} labels, mean of {seeds} seeds "
        "[95 % interval over blocks]",
        markdown_table(plain, first_probe, first_split, found.labels),
        plain_words(grid, found.baselines, first_split, found.labels)[0],
        "\n".join(among),
        f"The report is {found.report}",
    )
    return "\n\n".join(part for part in parts if part)


def named_tasks(where: str) -> "list[Task]":
    """Read the tasks of a YAML file or of a folder of published files, or take the demo planet's.

    Raises:
        FileNotFoundError: If it is none of these.
    """
    from geotether.benchmark.planet import planet_tasks
    from geotether.tasks import paper_tasks, read_tasks

    if where == "planet":
        return planet_tasks()
    path = Path(where)
    if path.is_dir():
        return paper_tasks(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"The file {where} does not exist; --tasks takes a YAML file, a folder of published files, or 'planet'."
        )
    return read_tasks(path)
