"""What a comparison of methods on paired sensors says: a table, a figure, a CSV."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from matplotlib.figure import Figure

from geotether.files.disk import replacing_file
from geotether.maps.figure import save_figure
from geotether.maps.scores import draw_ladders
from geotether.probes.scores import Score
from geotether.studies.paired_standings import PairedOutcome, paired_difference, standing

FIRST_MEASURES = ("accuracy", "macro mAP", "R2")


def main_measure(outcomes: Sequence[PairedOutcome]) -> str:
    """The measure that tables show first: accuracy, macro mAP or R2."""
    there = {one.measure for one in outcomes}
    return next(measure for measure in FIRST_MEASURES if measure in there)


def standings_table(outcomes: Sequence[PairedOutcome], measure: str, labels: float, rows: str = "all") -> str:
    """Means with 95 % intervals as Markdown: a row a method and way of judging, a column a sensor."""
    chosen = [one for one in outcomes if (one.measure, one.labels, one.rows) == (measure, labels, rows)]
    sources = list(dict.fromkeys(one.source for one in chosen))
    lines = [f"| method | judged by | {' | '.join(sources)} |", f"|---|---|{'---:|' * len(sources)}"]
    for method, how in dict.fromkeys((one.method, one.how) for one in chosen):
        cells = [standing(chosen, method=method, how=how, source=source) for source in sources]
        lines.append(f"| {method} | {how} | {' | '.join('' if cell is None else str(cell) for cell in cells)} |")
    return "\n".join(lines)


def differences_table(
    outcomes: Sequence[PairedOutcome],
    ours: str,
    how: str,
    measure: str,
    labels: float,
    rows: str = "all",
    shared: float = 0.0,
) -> str:
    """What one method has over each other, repeat by repeat, from the same sensor, in points of 0.01.

    Bold where the interval leaves out zero; with a dagger where it also does so once widened for shared training rows,
    see `geotether.studies.paired_standings.interval`.
    """
    chosen = [one for one in outcomes if (one.measure, one.labels, one.rows) == (measure, labels, rows)]
    sources = list(dict.fromkeys(one.source for one in chosen if (one.method, one.how) == (ours, how)))
    lines = [f"| {ours} ({how}) minus | judged by | {' | '.join(sources)} |", f"|---|---|{'---:|' * len(sources)}"]
    for method, judged in dict.fromkeys((one.method, one.how) for one in chosen):
        if (method, judged) == (ours, how):
            continue
        cells = []
        for source in sources:
            mine, theirs = {"method": ours, "how": how}, {"method": method, "how": judged}
            found = paired_difference(chosen, mine, theirs, source=source)
            if found is None:
                cells.append("")
                continue
            wider = paired_difference(chosen, mine, theirs, shared, source=source) if shared else None
            text = f"{100 * found.mean:+.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
            sure = wider is not None and wider.clear
            cells.append(f"**{text}**{' †' if sure else ''}" if found.clear else text)
        if any(cells):
            lines.append(f"| {method} | {judged} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_paired_report(outcomes: Sequence[PairedOutcome], ours: str, out: Path, shared: float = 0.0) -> str:
    """Write `outcomes.csv`, `report.md` and, with several shares of labels, `labels.png`.

    Args:
        outcomes: Of all methods.
        ours: The method whose differences to the others are shown.
        out: Folder.
        shared: Rows a repeat tests over rows it trains on, where repeats are folds.

    Returns:
        The report's text.
    """
    import csv

    with replacing_file(out / "outcomes.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(outcomes[0])))
        writer.writeheader()
        writer.writerows(asdict(one) for one in outcomes)
    measure, shares = main_measure(outcomes), sorted({one.labels for one in outcomes})
    repeats, units = len({one.repeat for one in outcomes}), len({one.unit for one in outcomes})
    mean = f"{repeats} repeats"
    if None not in {one.unit for one in outcomes}:
        mean = f"{units} folds" + (f", each trained {repeats // units} times and averaged" if repeats > units else "")
    lines = [f"Mean {measure} of {mean} [95 % interval, Student's t]; differences in points of 0.01."]
    if shared:
        lines.append(
            "Bold: zero is left out; †: also once the interval is widened for training rows that folds share (Nadeau & "
            "Bengio 2003)."
        )
    for share in shares:
        lines += ["", *([f"## {share:.0%} of the training labels", ""] if len(shares) > 1 else [])]
        lines += [standings_table(outcomes, measure, share), ""]
        for how in dict.fromkeys(one.how for one in outcomes if one.method == ours and one.measure == measure):
            lines += _section(differences_table(outcomes, ours, how, measure, share, shared=shared))
        if any(one.rows == "overlapping" for one in outcomes):
            lines += ["Rows whose label sets overlap most:", ""]
            lines += [standings_table(outcomes, measure, share, "overlapping"), ""]
        for coherence in dict.fromkeys(one.measure for one in outcomes if one.how == "embedding"):
            lines += [f"Embeddings, {coherence}:", "", standings_table(outcomes, coherence, share), ""]
            lines += _section(differences_table(outcomes, ours, "embedding", coherence, share, shared=shared))
    text = "\n".join(lines).rstrip() + "\n"
    with replacing_file(out / "report.md") as part:
        part.write_text(text, encoding="utf-8")
    if len(shares) > 1:
        save_figure(label_shares(outcomes, measure), out / "labels.png")
    return text


def _section(table: str) -> list[str]:
    """Lines of a table; none of one without rows, as one method alone differs from nothing."""
    return [table, ""] if table.count("\n") > 1 else []


def label_shares(outcomes: Sequence[PairedOutcome], measure: str) -> Figure:
    """Draw how scores grow with labels, from all sensors together (or the first, where none is), a line a method."""
    sources = [one.source for one in outcomes]
    source = next((one for one in sources if "+" in one), sources[0])
    shown = [one for one in outcomes if (one.source, one.measure, one.rows) == (source, measure, "all")]
    charts: dict[tuple[str, str], dict[str, dict[float, Score]]] = {}
    for method, how, share in dict.fromkeys((one.method, one.how, one.labels) for one in shown):
        if found := standing(shown, method=method, how=how, labels=share):
            score = Score(found.mean, found.low, found.high, found.count, blocks=0)
            charts.setdefault((how, measure), {}).setdefault(method, {})[100 * share] = score
    return draw_ladders(charts, "% of the training labels", f"From {source}", floor=0.0, same_scale=True)
