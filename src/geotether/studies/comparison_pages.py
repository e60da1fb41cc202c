"""The report of a comparison: ranks, verdicts, what position adds, scores and figures."""

from collections.abc import Sequence
from pathlib import Path

from geotether.benchmark.baselines import is_joined
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import collect
from geotether.benchmark.verdict import Difference, difference, mean_difference
from geotether.maps.figure import save_figure
from geotether.maps.scores import accuracy_against_labels, score_intervals
from geotether.report.evaluation import write_report
from geotether.report.page import Cell, PageRow, PageTable
from geotether.report.summary import split_in_words
from geotether.studies.findings import Comparison, tables_of
from geotether.studies.standings import MEAN, Verdict, mean_ranks, verdicts

# Baselines drawn beside the encoders in the charts over labels; tables hold all of them.
DRAWN = ("raw Fourier features", "inverse distance", "untrained")
INTRODUCTION = (
    "Every encoder below was asked the same questions about the same places by the same probes, beside what needs no "
    "pre-training at all. Nothing was chosen on judged places.",
)


def write_comparison_report(found: Comparison, out: Path) -> None:
    """Write figures and `report.html`.

    Args:
        found: The comparison.
        out: Its folder.
    """
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
        introduction=INTRODUCTION,
        labels=found.labels,
        baselines=found.baselines,
        sections=sections,
    )


def draw_figures(found: Comparison, out: Path) -> dict[str, Path]:
    """Draw intervals and charts over labels for every probe and split.

    Returns:
        Caption to file.
    """
    figures: dict[str, Path] = {}
    plain = [name for name in found.baselines if not is_joined(name)]
    kept = [one for one in found.outcomes if one.encoder in found.names or one.encoder in plain]
    few = [one for one in found.outcomes if one.encoder in found.names or one.encoder in DRAWN]
    for probe, split in tables_of(found):
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
    """Make a table of mean ranks over tasks: one column for every probe and split, in the order of the first."""
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
    """Make tables of the verdicts of the encoders on one another and on the baselines, in the mean of tasks."""
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


def difference_cell(found: Difference | None) -> Cell:
    """Show a difference in points, bold where it is clear."""
    if found is None:
        return Cell("")
    return Cell(f"{100 * found.mean:+.1f}", ends(100 * found.low, 100 * found.high), bold=found.clear)


def ends(low: float, high: float) -> str:
    """Write an interval to one decimal."""
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


FEW = 3
JOINED_NOTE = (
    "Each encoder together with raw Fourier features, compared with raw Fourier features alone (what pre-training "
    "adds to position) and with the encoder alone (what the encoder misses of position). Mean of tasks, in points."
)


def joined_table(found: Comparison, probe: str, split: str) -> PageTable | None:
    """Compare joined encoders with their two parts; None for probes that no encoder was joined for."""
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
