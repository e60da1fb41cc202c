"""The report of a comparison: ranks, verdicts, what position adds, scores and figures."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from geotether.benchmark.baselines import is_joined
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import collect
from geotether.benchmark.verdict import difference, mean_difference
from geotether.maps.figure import save_figure
from geotether.maps.intervals import score_intervals
from geotether.maps.learning import accuracy_against_labels
from geotether.report.page import write_report
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
    sections = {"Ranks": "".join(ranks_table(found, *pair) for pair in tables_of(found))}
    for probe, split in tables_of(found):
        heading = f"Verdicts: {probe}, {split_in_words(split)}"
        sections[heading] = verdicts_section(found, probe, split)
    joined = {pair: joined_table(found, *pair) for pair in tables_of(found)}
    if any(joined.values()):
        sections["Does pre-training add anything to position?"] = JOINED_NOTE + "".join(joined.values())
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


def ranks_table(found: Comparison, probe: str, split: str) -> str:
    """Mean ranks over tasks as HTML."""
    plain = [one for one in found.outcomes if not is_joined(one.encoder)]
    rows = []
    for name, (rank, low, high) in mean_ranks(plain, probe, split, found.labels).items():
        kind = "" if name in found.names else ' class="baseline"'
        rows.append(
            f'<tr{kind}><th scope="row">{escape(name)}</th><td>{rank:.2f}</td>'
            f'<td><span class="ends">{low:.2f} to {high:.2f}</span></td></tr>'
        )
    caption = f"{probe}, {split_in_words(split)}, {found.labels:,} labels: mean rank over tasks, 1 is best."
    return table(caption, ("encoder", "mean rank", "95 % interval"), rows)


def verdicts_section(found: Comparison, probe: str, split: str) -> str:
    """Verdicts of the compared encoders on each other, and on the baselines in the mean of tasks."""
    plain = [one for one in found.outcomes if not is_joined(one.encoder)]
    said = verdicts(plain, probe, split, found.labels, found.names)
    main = MEAN if any(one.task == MEAN for one in said) else said[0].task
    among = [one for one in said if one.name in found.names and one.other in found.names]
    beside = [one for one in said if not (one.name in found.names and one.other in found.names)]
    parts = []
    if among:
        parts.append(verdict_table(among, "Encoders against each other."))
    parts.append(verdict_table([one for one in beside if one.task == main], f"Encoders against baselines, {main}."))
    return "".join(parts)


def verdict_table(said: Sequence[Verdict], caption: str) -> str:
    """Verdicts as HTML."""
    rows = [
        f'<tr{"" if one.found.clear else UNCLEAR}><td>{escape(one.task)}</td><td class="words">{escape(one.words)}</td>'
        f"<td>{100 * one.found.mean:+.1f}</td></tr>"
        for one in said
    ]
    return table(caption, ("task", "verdict", "points"), rows)


UNCLEAR = ' class="baseline"'
JOINED_NOTE = (
    '<p class="note">Each encoder beside raw Fourier features, against raw Fourier features alone (what pre-training '
    "adds to position) and against the encoder alone (what the encoder misses of position). Mean of tasks.</p>"
)


def joined_table(found: Comparison, probe: str, split: str) -> str:
    """What pre-training adds to position, and position to pre-training; empty for probes that were not joined."""
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
            cells.append(str(mean_difference(pairs) if len(pairs) > 1 else difference(*pairs[0])))
        rows.append(f'<tr><th scope="row">{escape(name)}</th><td>{cells[0]}</td><td>{cells[1]}</td></tr>')
    if not rows:
        return ""
    caption = f"{probe}, {split_in_words(split)}, {found.labels:,} labels."
    return table(caption, ("encoder", "adds to Fourier features", "Fourier features add to it"), rows)


def table(caption: str, head: Sequence[str], rows: Sequence[str]) -> str:
    """A table element of finished rows."""
    cells = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
