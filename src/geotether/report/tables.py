"""Tables of a report as HTML, with everything escaped."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from geotether.benchmark.run import Row
from geotether.benchmark.score_table import best_of, score_grid
from geotether.probes.scores import Score


def score_table(rows: Sequence[Row], probe: str, split: str, labels: int, baselines: Sequence[str]) -> str:
    """Encoders by tasks, mean ± half of the 95 % interval, the best of each task marked.

    Args:
        rows: Tidy rows.
        probe: The probe.
        split: "block" or "random".
        labels: Number of labelled rows.
        baselines: Encoders written as baselines, below the others.

    Returns:
        A table element.

    Raises:
        ValueError: If no row fits.
    """
    encoders, tasks, grid = score_grid(rows, probe, split, labels)
    encoders = [e for e in encoders if e not in baselines] + [e for e in encoders if e in baselines]
    best = {task: best_of(grid, encoders, task) for task in tasks}
    what = {"block": "spatial blocks", "random": "random split"}.get(split, split)
    seeds = max(score.count for score in grid.values())
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
    caption = f"Probe {probe}, {what}, {labels:,} labels, mean of {seeds} {'seed' if seeds == 1 else 'seeds'}"
    return (
        f'<div class="wide"><table><caption>{escape(caption)}. Bold: the highest mean of the column.</caption>'
        f'<thead><tr><th scope="col">encoder</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def cell(score: Score) -> str:
    """A mean, and half of its interval in a lighter ink."""
    half = "" if math.isnan(score.half_width) else f' <span class="half">± {score.half_width:.3f}</span>'
    return f"{score.mean:.3f}{half}"


def definitions(entries: Mapping[str, object]) -> str:
    """A list of terms and what they are."""
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in entries.items()) + "</dl>"
