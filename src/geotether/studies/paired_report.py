"""Means and paired differences of methods on paired sensors by Student's t over folds or seeds, and their report."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from geotether.benchmark.score_table import markdown_rows, write_rows
from geotether.files.disk import replacing_file
from geotether.maps.figure import save_figure
from geotether.maps.scores import draw_ladders
from geotether.probes.scores import Score
from geotether.studies.paired_judge import PairedOutcome

FIRST_MEASURES = ("accuracy", "macro mAP", "R2")
# Ranges of measures other than 0 to 1.
RANGES = {
    **dict.fromkeys(("kappa", "silhouette", "AMI"), (-1.0, 1.0)),
    **dict.fromkeys(("RMSE", "MAE"), (0.0, math.inf)),
    "R2": (-math.inf, 1.0),
}


def t_interval(values: Sequence[float], shared: float = 0.0) -> Score:
    """Return the mean over units with its 95 % interval by Student's t.

    Args:
        values: One per unit; NaN are left out.
        shared: Number of test rows over number of training rows of a unit, where units share training rows as folds do:
            the variance of the mean is then (1/J + shared) s^2 instead of s^2/J.

    Returns:
        The mean; its seeds are the units, and one unit has no interval.

    Raises:
        ValueError: If there is no finite value.

    Source:
        Student (1908), Biometrika 6:1; `shared`: Nadeau & Bengio (2003), Machine Learning 52:239, section 4. Without
        it, intervals over folds are too narrow by an unknown amount (Bengio & Grandvalet 2004, JMLR 5:1089).

    Example:
        >>> str(t_interval([0.4, 0.5, 0.6]))
        '0.500 [0.252, 0.748]'
    """
    from scipy.stats import t

    kept = np.array([value for value in values if np.isfinite(value)])
    if not len(kept):
        raise ValueError("There is no finite score to average.")
    if len(kept) == 1:
        return Score(float(kept[0]), float("nan"), float("nan"))
    half = float(t.ppf(0.975, len(kept) - 1) * kept.std(ddof=1) * (1 / len(kept) + shared) ** 0.5)
    return Score(float(kept.mean()), float(kept.mean() - half), float(kept.mean() + half), len(kept))


def mean_score(outcomes: Iterable[PairedOutcome], **which: object) -> Score | None:
    """Average the outcomes with these fields, first within each unit; None if there are none.

    The interval stays within the range of the measure.
    """
    values = {one: one.value for one in outcomes if _has(one, which)}
    if not values:
        return None
    found, (least, most) = t_interval(unit_means(values)), RANGES.get(next(iter(values)).measure, (0.0, 1.0))
    return replace(found, low=_within(found.low, least, most), high=_within(found.high, least, most))


def paired_difference(
    outcomes: Iterable[PairedOutcome],
    ours: Mapping[str, object],
    theirs: Mapping[str, object],
    shared: float = 0.0,
    **both: object,
) -> Score | None:
    """Average ours minus theirs over the repeats of both, first within each unit; None without a common repeat.

    `ours` and `theirs` are fields of the two sets of outcomes, such as method and source; `both` are fields of both.
    The interval never exceeds what the ranges of both scores allow.
    """
    outcomes = list(outcomes)
    mine = {one.repeat: one for one in outcomes if _has(one, {**both, **ours})}
    other = {one.repeat: one for one in outcomes if _has(one, {**both, **theirs})}
    repeats = sorted(mine.keys() & other.keys())
    if not repeats:
        return None
    found = t_interval(unit_means({mine[at]: mine[at].value - other[at].value for at in repeats}), shared)
    left, right = (mean_score([one[at] for at in repeats]) for one in (mine, other))
    if left is None or right is None or math.isnan(found.low):
        return found
    least, most = min(found.mean, left.low - right.high), max(found.mean, left.high - right.low)
    return replace(found, low=_within(found.low, least, most), high=_within(found.high, least, most))


def _within(value: float, least: float, most: float) -> float:
    return value if math.isnan(value) else min(max(value, least), most)


def unit_means(values: Mapping[PairedOutcome, float]) -> list[float]:
    """Average repeats of the same unit; NaN are left out, and a unit without a finite value is NaN."""
    by_unit: dict[tuple[str, int], list[float]] = {}
    for one, value in values.items():
        unit = ("repeat", one.repeat) if one.unit is None else ("unit", one.unit)
        by_unit.setdefault(unit, []).append(value)
    finite = [[value for value in part if np.isfinite(value)] for part in by_unit.values()]
    return [float(np.mean(part)) if part else float("nan") for part in finite]


def _has(outcome: PairedOutcome, fields: Mapping[str, object]) -> bool:
    return all(getattr(outcome, key) == value for key, value in fields.items())


def main_measure(outcomes: Sequence[PairedOutcome]) -> str:
    """Return the measure that tables show first: accuracy, macro mAP or R2."""
    available = {one.measure for one in outcomes}
    return next(measure for measure in FIRST_MEASURES if measure in available)


def score_lines(outcomes: Sequence[PairedOutcome], measure: str, labels: float, rows: str = "all") -> str:
    """Return means with 95 % intervals as Markdown: one row per method and way of judging, one column per sensor."""
    chosen = [one for one in outcomes if (one.measure, one.labels, one.rows) == (measure, labels, rows)]
    sources = list(dict.fromkeys(one.source for one in chosen))
    lines = []
    for method, how in dict.fromkeys((one.method, one.how) for one in chosen):
        cells = [mean_score(chosen, method=method, how=how, source=source) for source in sources]
        lines.append([method, how, *("" if cell is None else str(cell) for cell in cells)])
    return markdown_rows(["method", "judged by"], sources, lines)


def difference_lines(
    outcomes: Sequence[PairedOutcome],
    ours: str,
    how: str,
    measure: str,
    labels: float,
    rows: str = "all",
    shared: float = 0.0,
) -> str:
    """Return differences of one method to each other, paired by repeat, per sensor, in points of 0.01, as Markdown.

    Bold where the interval excludes zero; with a dagger where the interval widened for shared training rows does too,
    see `t_interval`. Empty if there is no other method.
    """
    chosen = [one for one in outcomes if (one.measure, one.labels, one.rows) == (measure, labels, rows)]
    sources = list(dict.fromkeys(one.source for one in chosen if (one.method, one.how) == (ours, how)))
    mine = {"method": ours, "how": how}
    lines = []
    for method, judged in dict.fromkeys((one.method, one.how) for one in chosen):
        theirs = {"method": method, "how": judged}
        cells = []
        for source in sources if theirs != mine else ():
            found = paired_difference(chosen, mine, theirs, source=source)
            wider = paired_difference(chosen, mine, theirs, shared, source=source) if shared else None
            dagger = " †" if wider is not None and wider.clear else ""
            cells.append("" if found is None else f"**{found.points}**{dagger}" if found.clear else found.points)
        if any(cells):
            lines.append([method, judged, *cells])
    return markdown_rows([f"{ours} ({how}) minus", "judged by"], sources, lines) if lines else ""


def verdict_lines(
    outcomes: Sequence[PairedOutcome], ours: str, measure: str, labels: float, shared: float = 0.0
) -> list[str]:
    """Say which methods one method can be told from, as far as the (widened) intervals of the differences allow."""
    chosen = [one for one in outcomes if (one.measure, one.labels, one.rows) == (measure, labels, "all")]
    own = list(dict.fromkeys((one.how, one.source) for one in chosen if one.method == ours))
    found: dict[str, list[str]] = {"better than": [], "worse than": [], "not to be told apart from": []}
    for method, judged in dict.fromkeys((one.method, one.how) for one in chosen if one.method != ours):
        for how, source in own:
            theirs = {"method": method, "how": judged}
            one = paired_difference(chosen, {"method": ours, "how": how}, theirs, shared, source=source)
            if one is not None:
                verdict = list(found)[2 if not one.clear else 0 if one.low > 0 else 1]
                found[verdict].append(f"{method} ({'' if how == judged else f'{how} against '}{judged}, {source})")
    told = [verdict for verdict, names in found.items() if names]
    if told == ["not to be told apart from"]:
        units = len({one.unit if one.unit is not None else one.repeat for one in chosen})
        why = "one repeat has no interval" if units < 2 else "no 95 % interval of a difference excludes zero"
        return [f"**By {measure}, {ours} cannot be told apart from any other method: {why}.**"]
    lines = "\n".join(f"* {verdict} {', '.join(found[verdict])}" for verdict in told)
    return [f"By {measure}, {ours} is", lines] if told else []


def write_paired_report(outcomes: Sequence[PairedOutcome], ours: str, out: Path, shared: float = 0.0) -> str:
    """Write `outcomes.csv`, `report.md` and, with several shares of labels, `labels.png`.

    The report says first which methods can be told apart.

    Args:
        outcomes: Of all methods.
        ours: The method whose differences to the others are shown.
        out: Folder.
        shared: As for `t_interval`, where repeats are folds.

    Returns:
        The report's text.
    """
    write_rows([asdict(one) for one in outcomes], out / "outcomes.csv")
    measure, shares = main_measure(outcomes), sorted({one.labels for one in outcomes})
    repeats, units = len({one.repeat for one in outcomes}), len({one.unit for one in outcomes})
    mean = f"{repeats} repeats"
    if None not in {one.unit for one in outcomes}:
        mean = f"{units} folds" + (f", each trained {repeats // units} times and averaged" if repeats > units else "")
    parts = verdict_lines(outcomes, ours, measure, shares[-1], shared)
    parts.append(f"Mean {measure} of {mean} [95 % interval, Student's t]; differences in points of 0.01.")
    if shared:
        parts[-1] += (
            "\nBold: the interval excludes zero; †: also after widening it for training rows that folds share (Nadeau "
            "& Bengio 2003)."
        )
    for share in shares:
        parts += [f"## {share:.0%} of the training labels"] if len(shares) > 1 else []
        parts.append(score_lines(outcomes, measure, share))
        for how in dict.fromkeys(one.how for one in outcomes if one.method == ours and one.measure == measure):
            parts.append(difference_lines(outcomes, ours, how, measure, share, shared=shared))
        if any(one.rows == "overlapping" for one in outcomes):
            parts += ["Rows whose label sets overlap most:", score_lines(outcomes, measure, share, "overlapping")]
        for coherence in dict.fromkeys(one.measure for one in outcomes if one.how == "embedding"):
            parts += [f"Embeddings, {coherence}:", score_lines(outcomes, coherence, share)]
            parts.append(difference_lines(outcomes, ours, "embedding", coherence, share, shared=shared))
    text = "\n\n".join(part for part in parts if part) + "\n"
    with replacing_file(out / "report.md") as part:
        part.write_text(text, encoding="utf-8")
    if len(shares) > 1:
        save_figure(label_shares(outcomes, measure), out / "labels.png")
    return text


def label_shares(outcomes: Sequence[PairedOutcome], measure: str) -> Figure:
    """Draw scores against the share of labels, one line per method, from all sensors together (else the first)."""
    sources = [one.source for one in outcomes]
    source = next((one for one in sources if "+" in one), sources[0])
    shown = [one for one in outcomes if (one.source, one.measure, one.rows) == (source, measure, "all")]
    charts: dict[tuple[str, str], dict[str, dict[float, Score]]] = {}
    for method, how, share in dict.fromkeys((one.method, one.how, one.labels) for one in shown):
        if found := mean_score(shown, method=method, how=how, labels=share):
            charts.setdefault((how, measure), {}).setdefault(method, {})[100 * share] = found
    return draw_ladders(charts, "% of the training labels", f"From {source}", floor=0.0, same_scale=True)
