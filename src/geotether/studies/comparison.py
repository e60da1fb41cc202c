"""Encoders compared: judged beside every baseline, with ranks, intervals, verdicts, figures and a report."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geotether.benchmark.baselines import Joined, baseline_encoders, joined_with_fourier, place_baselines
from geotether.benchmark.fingerprint import code_hash, task_hash
from geotether.benchmark.ladder import LADDER
from geotether.benchmark.plan import check_names, plan_tasks
from geotether.benchmark.probing import LINEAR_PROBES, PROBES
from geotether.benchmark.run import evaluate_plans
from geotether.benchmark.score_table import write_scores
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import OutcomeStore
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.location import LocationEncoder
from geotether.loading import EncoderFunction, load_encoders
from geotether.studies.comparison_pages import write_comparison_report
from geotether.studies.coordbench_rows import coordbench_rows
from geotether.studies.findings import Comparison, common_labels, tables_of
from geotether.studies.standings import summary_rows, verdict_rows, verdicts, write_rows
from geotether.tasks.task import Task
from geotether.training.config import load_config
from geotether.version import __version__

logger = logging.getLogger(__name__)

PROBES_USED = ("ridge", "neighbors")
SPLITS_USED = ("blocks-10", "random")
# The rung of tables and verdicts, where it is there.
USUAL_LABELS = 2700


def compare(
    encoders: Mapping[str, Any],
    tasks: Sequence[Task],
    out: str | Path,
    probes: Sequence[str] = PROBES_USED,
    splits: Sequence[str] = SPLITS_USED,
    labels: Sequence[int] = LADDER,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    buffer_km: float | int = BUFFER_KM,
) -> Comparison:
    """Compare encoders on tasks, beside every baseline, and write down all that came out.

    The folder gets `outcomes.sqlite` (everything, each under the hash of features, task and code: the same command
    again goes on where it stopped, and results of other code or data are never mixed in), `scores.csv` (tidy),
    `summary.csv` (means and intervals), `verdicts.csv` (every pair with a compared encoder in it), `coordbench.csv`
    (CoordBench's row shape), `figures/` and `report.html`.

    Args:
        encoders: Name to model (from `geotether.load`), function f(lon, lat) or function f(lonlat).
        tasks: The tasks, with different names.
        out: Folder; made if missing.
        probes: Names of probes.
        splits: Names of splits.
        labels: Numbers of labelled rows.
        seeds: One repeat each; five judge every place of a block split once.
        buffer_km: Least distance between training and judged rows of block and continent splits.

    Returns:
        The comparison.

    Raises:
        ValueError: If a name is a baseline's, something is unknown, or an encoder's answer is not fit.
        OSError: If the folder cannot be written to.
    """
    out, started = Path(out), time.perf_counter()
    check_names("probe", probes, list(PROBES))
    opened = load_encoders(encoders)
    plans = plan_tasks(tasks, splits, labels, seeds, "test", float(buffer_km))
    counts = common_labels(plans)
    rung = USUAL_LABELS if USUAL_LABELS in counts else counts[-1]
    beside = baselines_of(opened, probes, rung)
    taken = sorted(set(opened) & set(beside))
    if taken:
        raise ValueError(f"{taken[0]!r} is the name of a baseline; give the encoder another, such as mine={taken[0]}.")
    out.mkdir(parents=True, exist_ok=True)
    with OutcomeStore(out / "outcomes.sqlite") as store:
        outcomes = evaluate_plans(opened | beside, plans, probes, f"test {float(buffer_km):g}", store=store)
    provenance: dict[str, object] = {
        "geotether": __version__,
        "code": code_hash(),
        "tasks": {task.name: task_hash(task) for task in tasks},
        "rows": {task.name: int(task.valid.sum()) for task in tasks},
        "conflicting rows": {task.name: task.num_conflicting for task in tasks if task.num_conflicting},
        "splits": list(splits),
        "seeds": list(seeds),
        "buffer_km": float(buffer_km),
        "encoders": {name: origin_of(thing) for name, thing in encoders.items()},
    }
    found = Comparison(tuple(opened), tuple(beside), outcomes, rung, out / "report.html", provenance)
    write_tables(found, tasks, widths_of(opened | beside, tasks), out)
    write_comparison_report(found, out)
    logger.info("%6.0f s  tables, figures and report", time.perf_counter() - started)
    return found


def baselines_of(opened: Mapping[str, EncoderFunction], probes: Sequence[str], rung: int) -> dict[str, EncoderFunction]:
    """Every baseline: of places, of each architecture, and each encoder joined with Fourier features.

    The first architecture is judged untrained at all label counts. Raw encodings, further architectures and joined
    encoders are judged at the rung of the tables only: they answer one question each, and would triple the time.
    """
    beside = place_baselines()
    seen: set[str] = set()
    for name, encoder in opened.items():
        location = getattr(getattr(encoder, "model", None), "module", None)
        if isinstance(location, LocationEncoder):
            # The baselines have no memory, so architectures that differ only there share them.
            config = {key: value for key, value in location.config.items() if key != "memory"}
            architecture = json.dumps(config, sort_keys=True)
            if architecture not in seen:
                beside |= of_architecture(location, f" ({name})" if seen else "", probes, rung)
                seen.add(architecture)
    if not seen:
        usual = build_location_encoder(load_config().encoder.model_dump(), seed=0)
        beside |= of_architecture(usual, "", probes, rung)
    linear = [probe for probe in probes if probe in LINEAR_PROBES]
    return beside | (joined_with_fourier(opened, linear, (rung,)) if linear else {})


def of_architecture(
    location: LocationEncoder, suffix: str, probes: Sequence[str], rung: int
) -> dict[str, EncoderFunction]:
    """The raw encoding of an architecture and its untrained network; with a suffix, both at one rung only."""
    own = baseline_encoders(location)
    untrained: EncoderFunction = own["untrained"]
    return {
        f"raw encoding{suffix}": Joined([own["raw encoding"]], probes, (rung,)),
        f"untrained{suffix}": Joined([untrained], probes, (rung,)) if suffix else untrained,
    }


def origin_of(thing: Any) -> str:
    """Where an encoder comes from, in a few words."""
    if isinstance(thing, Encoder):
        return f"{thing!r} {thing.provenance.get('recipe', thing.provenance.get('layout', ''))}".strip()
    return getattr(thing, "__name__", type(thing).__name__)


def widths_of(encoders: Mapping[str, EncoderFunction], tasks: Sequence[Task]) -> dict[str, int]:
    """Number of columns of each encoder, asked at one place."""
    place = tasks[0].lonlat[:1]
    return {name: int(encoder(place).shape[1]) for name, encoder in encoders.items()}


def write_tables(found: Comparison, tasks: Sequence[Task], widths: Mapping[str, int], out: Path) -> None:
    """Write the CSV files."""
    write_scores(found.outcomes, out / "scores.csv")
    write_rows(summary_rows(found.outcomes), out / "summary.csv")
    rows = []
    for probe, split in tables_of(found):
        said = verdicts(found.outcomes, probe, split, found.labels, found.names)
        rows += verdict_rows(said, probe, split, found.labels)
    write_rows(rows, out / "verdicts.csv")
    write_rows(coordbench_rows(found.outcomes, tasks, widths), out / "coordbench.csv")
