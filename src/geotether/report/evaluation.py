"""The report of an evaluation: summary, scores, figures, glossary, and how it was made."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from geotether.benchmark.baselines import BASELINES, is_joined
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.probing import OWN_PROBES
from geotether.benchmark.score_table import marked, outcome_grid, score_grid
from geotether.probes.scores import Score
from geotether.report.page import Cell, PageRow, PageTable, write_page
from geotether.report.summary import plain_words, split_in_words, words_used

REPORT = "report.html"


def write_report(
    folder: Path | str,
    title: str,
    scores: Sequence[Outcome],
    figures: Mapping[str, Path | str],
    provenance: Mapping[str, object],
    subtitle: str = "",
    introduction: Sequence[str] = (),
    labels: int | None = None,
    baselines: Sequence[str] = BASELINES,
    sections: Mapping[str, Sequence[PageTable | str]] | None = None,
    own_split: str = "",
) -> Path:
    """Write the report of an evaluation as one file that needs no network and prints well.

    Args:
        folder: Folder to write to; must exist.
        title: Title of the page.
        scores: Outcomes of `evaluate`; one table is made for every probe and split in them.
        figures: Caption to PNG file, in order; the images are embedded in the page.
        provenance: How it was made: any values that JSON can hold; nested ones are printed as JSON.
        subtitle: A line below the title.
        introduction: Paragraphs before the summary.
        labels: Number of labelled rows of the tables. None: 2,700 if present, else the largest.
        baselines: Names of encoders that are baselines.
        sections: Further chapters between scores and figures: heading to tables and notes.
        own_split: How the tasks' own split was made, for the glossary.

    Returns:
        Path of the page.

    Raises:
        FileNotFoundError: If the folder or a figure does not exist.
        ValueError: If there are no scores, or a figure is not a PNG file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"cannot write {REPORT}: the folder {folder} does not exist; make it first.")
    if not scores:
        raise ValueError("a report needs scores, got none; run evaluate first.")
    joined = {one.encoder for one in scores if is_joined(one.encoder)}
    baselines = (*baselines, *sorted(joined - set(baselines)))
    counts = sorted({one.labels for one in scores})
    labels = labels if labels is not None else 2700 if 2700 in counts else counts[-1]
    pairs = probes_and_splits(scores, labels)
    # An encoder joined with Fourier features is not a baseline for itself.
    plain = [one for one in scores if not is_joined(one.encoder)]
    named = {str(getattr(one, field)) for one in scores for field in ("encoder", "probe", "split", "metric")}
    return write_page(
        folder / REPORT,
        "evaluation.html",
        title=title,
        subtitle=subtitle,
        figures=figures,
        provenance=provenance,
        introduction=introduction,
        summary=plain_words(outcome_grid(plain, *pairs[0], labels), baselines, pairs[0][1], labels),
        tables=[score_table(scores, probe, split, labels, baselines) for probe, split in pairs],
        sections=sections or {},
        words=words_used(named, own_split),
    )


def probes_and_splits(scores: Sequence[Outcome], labels: int) -> list[tuple[str, str]]:
    """List the probes and splits that get a table: random splits last, probes of baselines only where alone.

    Raises:
        ValueError: If no score has this number of labels.
    """
    pairs = dict.fromkeys((one.probe, one.split) for one in scores if one.labels == labels)
    pairs = dict.fromkeys(pair for pair in pairs if pair[0] not in OWN_PROBES) or pairs
    if not pairs:
        raise ValueError(f"no scores with {labels} labels; there are {sorted({one.labels for one in scores})}.")
    return sorted(pairs, key=lambda pair: pair[1] == "random")


def score_table(
    outcomes: Sequence[Outcome], probe: str, split: str, labels: int, baselines: Sequence[str]
) -> PageTable:
    """Make a table of encoders by tasks: means with 95 % intervals, baselines last, the best of each task marked."""
    encoders, tasks, grid = score_grid(outcomes, probe, split, labels)
    encoders = [e for e in encoders if e not in baselines] + [e for e in encoders if e in baselines]
    best = {task: marked(grid, encoders, task) for task in tasks}
    rows = []
    for encoder in encoders:
        cells = [score_cell(grid.get((encoder, task)), best[task] == encoder) for task in tasks]
        rows.append(PageRow(encoder, cells, faint=encoder in baselines))
    seeds, blocks = (max(getattr(score, what) for score in grid.values()) for what in ("seeds", "blocks"))
    caption = (
        f"Probe {probe}, {split_in_words(split)}, {labels:,} labels, mean of {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'}, {blocks} test blocks. Bold: the highest mean of the column."
    )
    return PageTable(rows, ("encoder", *("\n".join(task.rsplit(", ", 1)) for task in tasks)), caption)


def score_cell(score: Score | None, best: bool = False) -> Cell:
    """Show a mean and, where it is known, its interval."""
    if score is None:
        return Cell("")
    ends = "" if math.isnan(score.low) else f"[{score.low:.3f}, {score.high:.3f}]"
    return Cell(f"{score.mean:.3f}", ends, style="best" if best else "")
