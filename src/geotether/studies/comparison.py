"""Encoders compared with each other and with baselines: scores, ranks, verdicts, figures and a report."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geotether.benchmark.baselines import (
    baseline_encoders,
    is_joined,
    joined_with_fourier,
    judged_only,
    place_baselines,
)
from geotether.benchmark.leaks import leak_notes
from geotether.benchmark.outcome import Outcome, with_scores
from geotether.benchmark.plan import LADDER, Plan, check_names, plan_tasks
from geotether.benchmark.probing import LINEAR_PROBES, PROBES
from geotether.benchmark.run import evaluate_plans, say
from geotether.benchmark.score_table import collect, coordbench_rows, write_rows, write_scores
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import ResultStore, judging_hash, library_versions, task_hash
from geotether.benchmark.verdict import (
    MEAN,
    Verdict,
    difference,
    mean_difference,
    mean_ranks,
    summary_rows,
    verdict_rows,
    verdicts,
)
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.location import LocationEncoder
from geotether.files.disk import writing
from geotether.loading import EncoderFunction, load_encoders
from geotether.maps.figure import save_figure
from geotether.maps.scores import accuracy_against_labels, score_intervals
from geotether.probes.scores import Score
from geotether.report.evaluation import write_report
from geotether.report.page import Cell, PageRow, PageTable
from geotether.report.summary import split_in_words
from geotether.tasks.task import Task
from geotether.training.config import load_config
from geotether.training.pretraining import trained_tables
from geotether.version import __version__

logger = logging.getLogger(__name__)

PROBES_USED = ("ridge", "neighbors")
SPLITS_USED = ("blocks-10", "random")
# The label count of tables and verdicts, where it was judged.
USUAL_LABELS = 2700
# Baselines drawn beside the encoders in the charts over labels; tables hold all of them.
DRAWN = ("raw Fourier features", "inverse distance", "untrained")
INTRODUCTION = (
    "Every encoder below was evaluated on the same tasks and places with the same probes, beside baselines without "
    "pre-training. Nothing was chosen on test places.",
)
FEW = 3
JOINED_NOTE = (
    "Each encoder together with raw Fourier features, compared with raw Fourier features alone (what pre-training "
    "adds to position) and with the encoder alone (what the encoder lacks of position). Mean of tasks, in points."
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of `compare`.

    Args:
        names: The compared encoders, in order.
        baselines: Everything else in the tables, in order.
        outcomes: All outcomes.
        labels: The label count of tables and verdicts: 2,700, else the largest that all tasks and splits have.
        report: The page.
        provenance: How it was made.
        notes: What must be said beside the scores: labels that an encoder was trained on, judged parts of one class,
            too few blocks for intervals.
    """

    names: tuple[str, ...]
    baselines: tuple[str, ...]
    outcomes: list[Outcome]
    labels: int
    report: Path
    provenance: dict[str, object]
    notes: tuple[str, ...] = ()


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
    """Compare encoders on tasks with each other and with baselines, and write all results.

    The folder gets `outcomes.sqlite` (every outcome under the hash of features, task and code, so that the same command
    continues where it stopped and never mixes in results of other code or data), `scores.csv` (tidy), `summary.csv`
    (means and intervals), `verdicts.csv` (every pair with a compared encoder in it), `coordbench.csv` (CoordBench's row
    format), `figures/` and `report.html`.

    Args:
        encoders: Name to model (from `geotether.load`), function f(lon, lat) or function f(lonlat).
        tasks: The tasks, with different names.
        out: Folder; created if missing.
        probes: Names of probes.
        splits: Names of splits.
        labels: Numbers of labelled rows.
        seeds: One repeat each; five seeds judge every place of a block split once.
        buffer_km: Least distance between training and judged rows of block and continent splits.

    Returns:
        The comparison.

    Raises:
        ValueError: If a name is a baseline's, a name is unknown, or an encoder returns wrong shapes or NaN.
        BlockingIOError: If another process writes to the folder.
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
        raise ValueError(
            f"{taken[0]!r} is the name of a baseline; give the encoder another name, such as mine={taken[0]}."
        )
    notes = say(leak_notes(opened, plans, trained_tables), plans)
    provenance: dict[str, object] = {
        "geotether": __version__,
        "code": judging_hash(),
        "libraries": library_versions(),
        "tasks": {task.name: task_hash(task) for task in tasks},
        "rows": {task.name: int(task.valid.sum()) for task in tasks},
        "conflicting rows": {task.name: task.num_conflicting for task in tasks if task.num_conflicting},
        "splits": list(splits),
        "seeds": list(seeds),
        "buffer_km": float(buffer_km),
        "encoders": {name: origin_of(thing) for name, thing in encoders.items()},
    }
    with writing(out, folder=True):
        with ResultStore(out / "outcomes.sqlite") as store:
            outcomes = evaluate_plans(opened | beside, plans, probes, f"test {float(buffer_km):g}", store=store)
        page = out / "report.html"
        found = Comparison(tuple(opened), tuple(beside), outcomes, rung, page, provenance, tuple(notes))
        write_tables(found, tasks, widths_of(opened | beside, tasks), out)
        write_comparison_report(found, out)
    logger.info("%6.0f s  tables, figures and report", time.perf_counter() - started)
    return found


def baselines_of(opened: Mapping[str, EncoderFunction], probes: Sequence[str], rung: int) -> dict[str, EncoderFunction]:
    """Return every baseline: of places, of each architecture, and each encoder joined with Fourier features.

    The first architecture is judged untrained at all label counts. Raw encodings, further architectures and joined
    encoders are judged at the label count of the tables only: each answers one question, and all would triple the time.
    """
    beside = place_baselines()
    seen: set[str] = set()
    for name, encoder in opened.items():
        location = getattr(getattr(encoder, "model", None), "module", None)
        if isinstance(location, LocationEncoder):
            architecture = json.dumps(location.config, sort_keys=True)
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
    """Return an architecture's raw encoding and untrained network; with a suffix, both at one label count only."""
    own = baseline_encoders(location)
    untrained: EncoderFunction = own["untrained"]
    return {
        f"raw encoding{suffix}": judged_only(own["raw encoding"], probes, (rung,)),
        f"untrained{suffix}": judged_only(untrained, probes, (rung,)) if suffix else untrained,
    }


def origin_of(thing: Any) -> str:
    """Describe where an encoder comes from."""
    if isinstance(thing, Encoder):
        return f"{thing!r} {thing.provenance.get('recipe', thing.provenance.get('layout', ''))}".strip()
    return getattr(thing, "__name__", type(thing).__name__)


def widths_of(encoders: Mapping[str, EncoderFunction], tasks: Sequence[Task]) -> dict[str, int]:
    """Return the number of columns of each encoder, found at one place."""
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


def common_labels(plans: Sequence[Plan]) -> list[int]:
    """Return the label counts that every task and split has, ascending; else those that any has."""
    rungs = [set(problem.labels) for plan in plans for problem in plan.problems]
    return sorted(set.intersection(*rungs) or set.union(*rungs))


def tables_of(found: Comparison) -> list[tuple[str, str]]:
    """Return the probes and splits with scores at the comparison's label count, random splits last."""
    pairs = dict.fromkeys(
        (one.probe, one.split) for one in found.outcomes if one.labels == found.labels and one.encoder in found.names
    )
    return sorted(pairs, key=lambda pair: pair[1] == "random")


def write_comparison_report(found: Comparison, out: Path) -> None:
    """Write figures and `report.html`."""
    sections: dict[str, list[PageTable | str]] = {"Ranks": [ranks_table(found)]}
    for probe, split in tables_of(found):
        heading = f"Verdicts: {probe}, {split_in_words(split)}"
        sections[heading] = verdicts_section(found, probe, split)
    joined = [table for pair in tables_of(found) if (table := joined_table(found, *pair))]
    if joined:
        sections["Does pre-training add anything to position?"] = [JOINED_NOTE, *joined]
    title = " against ".join(found.names) if len(found.names) <= 3 else f"{len(found.names)} encoders compared"
    write_report(
        out,
        title,
        found.outcomes,
        draw_figures(found, out),
        found.provenance,
        subtitle=f"{len({one.task for one in found.outcomes})} tasks, {len(found.baselines)} baselines",
        introduction=(*found.notes, *INTRODUCTION),
        labels=found.labels,
        baselines=found.baselines,
        sections=sections,
    )


def draw_figures(found: Comparison, out: Path) -> dict[str, Path]:
    """Draw intervals and charts over labels for every probe and split; return captions and files."""
    figures: dict[str, Path] = {}
    plain = [name for name in found.baselines if not is_joined(name)]
    kept = with_scores(one for one in found.outcomes if one.encoder in found.names or one.encoder in plain)
    few = [one for one in kept if one.encoder in found.names or one.encoder in DRAWN]
    for probe, split in tables_of(found):
        if not any((one.probe, one.split, one.labels) == (probe, split, found.labels) for one in kept):
            continue
        where = f"{probe}, {split_in_words(split)}"
        figure = score_intervals(kept, probe, split, found.labels, plain)
        caption = f"Scores with 95 % intervals ({where}, {found.labels:,} labels); baselines in grey."
        figures[caption] = save_figure(figure, out / "figures" / f"scores_{split}_{probe}.png")
        if len({one.labels for one in few if one.split == split}) > 1:
            figure = accuracy_against_labels(few, probe, split)
            caption = f"Scores against the number of labels ({where})."
            figures[caption] = save_figure(figure, out / "figures" / f"labels_{split}_{probe}.png")
    return figures


def ranks_table(found: Comparison) -> PageTable:
    """Make a table of mean ranks over tasks, one column per probe and split, in the order of the first."""
    plain = [one for one in found.outcomes if not is_joined(one.encoder)]
    pairs = tables_of(found)
    standings = [mean_ranks(plain, probe, split, found.labels) for probe, split in pairs]
    rows = []
    for name in dict.fromkeys(name for ranks in standings for name in ranks):
        cells = [Cell(f"{r[0]:.2f}", ends(r[1], r[2])) if (r := ranks.get(name)) else Cell("") for ranks in standings]
        rows.append(PageRow(name, cells, faint=name not in found.names))
    caption = f"Mean rank over tasks with its 95 % interval, {found.labels:,} labels; 1 is best."
    return PageTable(rows, ("encoder", *(f"{probe}, {split}" for probe, split in pairs)), caption)


def verdicts_section(found: Comparison, probe: str, split: str) -> list[PageTable | str]:
    """Make tables that compare the encoders with each other and with the baselines, in the mean of tasks."""
    plain = [one for one in found.outcomes if not is_joined(one.encoder)]
    said = verdicts(plain, probe, split, found.labels, found.names)
    main = MEAN if any(one.task == MEAN for one in said) else said[0].task
    among = [one for one in said if one.name in found.names and one.other in found.names]
    parts: list[PageTable | str] = []
    if among:
        # All tasks where that fits on a page; verdicts.csv has the rest.
        shown = among if len(found.names) <= FEW else [one for one in among if one.task == main]
        parts.append(verdict_table(shown, "Encoders against each other."))
    baselines = [name for name in dict.fromkeys(one.other for one in said) if name not in found.names]
    by_pair = {(one.name, one.other): one.found for one in said if one.task == main}
    rows = [
        PageRow(other, [difference_cell(by_pair.get((name, other))) for name in found.names], faint=True)
        for other in baselines
    ]
    caption = (
        f"Encoder (column) minus baseline (row), {main}, in points; bold: the 95 % interval excludes zero. "
        "Every task is in verdicts.csv."
    )
    return [*parts, PageTable(rows, ("baseline", *found.names), caption)]


def difference_cell(found: Score | None) -> Cell:
    """Format a difference in points, bold where its interval excludes zero."""
    if found is None:
        return Cell("")
    return Cell(f"{100 * found.mean:+.1f}", ends(100 * found.low, 100 * found.high), bold=found.clear)


def ends(low: float, high: float) -> str:
    """Format an interval with one decimal."""
    return f"[{low:.1f}, {high:.1f}]"


def verdict_table(said: Sequence[Verdict], caption: str) -> PageTable:
    """Make a table of verdicts in words and points."""
    rows = [
        PageRow(
            one.task,
            [Cell(one.words, style="words"), Cell(f"{100 * one.found.mean:+.1f}")],
            faint=not one.found.clear,
        )
        for one in said
    ]
    return PageTable(rows, ("task", "verdict", "points"), caption)


def joined_table(found: Comparison, probe: str, split: str) -> PageTable | None:
    """Compare joined encoders with their two parts; None for probes without joined encoders."""
    own = collect(one for one in found.outcomes if one.split == split and one.labels == found.labels)
    tasks = list(dict.fromkeys(task for task, *_ in own))

    def get(encoder: str) -> list[list[Outcome]]:
        found_ones = [own.get((task, encoder, probe, split, found.labels)) for task in tasks]
        return [one for one in found_ones if one is not None]

    rows = []
    for name in found.names:
        joined = get(f"{name} + Fourier features")
        if not joined:
            continue
        cells = []
        for other in ("raw Fourier features", name):
            pairs = list(zip(joined, get(other), strict=True))
            cells.append(difference_cell(mean_difference(pairs) if len(pairs) > 1 else difference(*pairs[0])))
        rows.append(PageRow(name, cells))
    if not rows:
        return None
    caption = f"{probe}, {split_in_words(split)}, {found.labels:,} labels."
    return PageTable(rows, ("encoder", "adds to Fourier features", "Fourier features add to it"), caption)
