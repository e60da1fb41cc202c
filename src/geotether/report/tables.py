"""Tables of a report as HTML, with everything escaped."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import best_of, score_grid
from geotether.probes.scores import Score
from geotether.report.summary import split_in_words


def score_table(outcomes: Sequence[Outcome], probe: str, split: str, labels: int, baselines: Sequence[str]) -> str:
    """Encoders by tasks, mean with 95 % interval, the best of each task marked.

    Args:
        outcomes: From `evaluate`.
        probe: The probe.
        split: Name of the split.
        labels: Number of labelled rows.
        baselines: Encoders written as baselines, below the others.

    Returns:
        A table element.

    Raises:
        ValueError: If no row fits.
    """
    encoders, tasks, grid = score_grid(outcomes, probe, split, labels)
    encoders = [e for e in encoders if e not in baselines] + [e for e in encoders if e in baselines]
    best = {task: best_of(grid, encoders, task) for task in tasks}
    what = split_in_words(split)
    seeds, blocks = (max(getattr(score, what) for score in grid.values()) for what in ("seeds", "blocks"))
    head = "".join(f'<th scope="col">{"<br>".join(escape(t) for t in task.rsplit(", ", 1))}</th>' for task in tasks)
    body = []
    for encoder in encoders:
        cells = "".join(
            f'<td class="best">{cell(grid[encoder, task])}</td>'
            if best[task] == encoder
            else f"<td>{cell(grid[encoder, task]) if (encoder, task) in grid else ''}</td>"
            for task in tasks
        )
        kind = ' class="baseline"' if encoder in baselines else ""
        body.append(f'<tr{kind}><th scope="row">{escape(encoder)}</th>{cells}</tr>')
    caption = (
        f"Probe {probe}, {what}, {labels:,} labels, mean of {seeds} {'seed' if seeds == 1 else 'seeds'}, "
        f"{blocks} blocks judged"
    )
    return (
        f'<div class="wide"><table><caption>{escape(caption)}. Bold: the highest mean of the column.</caption>'
        f'<thead><tr><th scope="col">encoder</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def cell(score: Score) -> str:
    """A mean, and its interval in a lighter ink."""
    ends = "" if math.isnan(score.low) else f' <span class="ends">[{score.low:.3f}, {score.high:.3f}]</span>'
    return f"{score.mean:.3f}{ends}"


def definitions(entries: Mapping[str, object]) -> str:
    """A list of terms and what they are."""
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in entries.items()) + "</dl>"
