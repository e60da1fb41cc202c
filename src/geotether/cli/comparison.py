"""`geotether compare`: encoders and tasks from the command line."""

import logging
from collections.abc import Sequence
from pathlib import Path

from geotether.benchmark.baselines import is_joined
from geotether.benchmark.opening import open_encoder
from geotether.benchmark.planet import planet_tasks
from geotether.benchmark.score_table import markdown_table
from geotether.studies.comparison import compare
from geotether.studies.findings import tables_of
from geotether.studies.standings import verdicts
from geotether.tasks import paper_tasks, read_tasks
from geotether.tasks.task import Task

logger = logging.getLogger(__name__)


def compare_encoders(
    specs: Sequence[str],
    tasks: Sequence[str],
    out: Path,
    probes: Sequence[str],
    splits: Sequence[str],
    labels: Sequence[int],
    seeds: int,
    buffer_km: float,
) -> str:
    """Compare encoders and say what came out.

    Args:
        specs: `[NAME=]PATH` or `[NAME=]module:function`, see `open_encoder`.
        tasks: Each "planet", a YAML file of tasks, or a folder of published files for the paper's four.
        out: Folder to write to.
        probes: Names of probes.
        splits: Names of splits.
        labels: Numbers of labels.
        seeds: Number of repeats.
        buffer_km: Least distance between training and judged rows.

    Returns:
        A table of scores and the verdicts among the encoders, for the first probe and split.

    Raises:
        ValueError: If two encoders have one name, or as in `compare`.
        FileNotFoundError: If there is no such file.
    """
    opened = [open_encoder(spec) for spec in specs]
    names = [name for name, _ in opened]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two encoders are called {twice[0]!r}; name them: NAME={specs[names.index(twice[0])]}.")
    asked = [task for where in tasks for task in tasks_named(where)]
    found = compare(dict(opened), asked, out, probes, splits, labels, range(seeds), buffer_km)
    probe, split = tables_of(found)[0]
    plain = [one for one in found.outcomes if not is_joined(one.encoder)]
    said = [
        one.words + f" ({one.task})"
        for one in verdicts(plain, probe, split, found.labels, found.names)
        if one.name in found.names and one.other in found.names
    ]
    head = f"{probe} probe, split {split}, {found.labels:,} labels, mean of {seeds} seeds [95 % interval over blocks]"
    verdict = "\n".join(f"* {one}" for one in said)
    return "\n\n".join(
        part
        for part in (head, markdown_table(plain, probe, split, found.labels), verdict, f"The report is {found.report}")
        if part
    )


def tasks_named(where: str) -> list[Task]:
    """The tasks of a YAML file, of a folder of published files, or of the demo planet.

    Raises:
        FileNotFoundError: If it is none of these.
    """
    if where == "planet":
        return planet_tasks()
    path = Path(where)
    if path.is_dir():
        return paper_tasks(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {where}; --tasks is a YAML file of tasks, a folder of published files, or 'planet'."
        )
    return read_tasks(path)
