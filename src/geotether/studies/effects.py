"""What a modality adds: paired differences between variants, with intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geotether.benchmark.encoding import Encoder
from geotether.benchmark.run import Row, evaluate
from geotether.probes.scores import mean_interval
from geotether.studies.variants import ALL, Variant, without
from geotether.tasks.task import Task

UNTRAINED = "untrained"
ADDED, ALONE = "added to the others", "alone, above untrained"


@dataclass(frozen=True)
class Effect:
    """What one modality does for one task.

    Attributes:
        task: Name of the task.
        metric: "R2" or "accuracy"; the effect is a difference of it.
        modality: Name of the modality.
        kind: "added to the others" (score of all modalities minus score without this one) or "alone, above
            untrained" (score of this one alone minus score of the untrained network).
        mean: The difference.
        low: Lower end of its 95 % interval; NaN for a single pair, of which nothing can be said.
        high: Upper end.
        count: Number of pairs, each of one pre-training seed and one draw of labels.
    """

    task: str
    metric: str
    modality: str
    kind: str
    mean: float
    low: float
    high: float
    count: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def judge_variants(
    encoders: Mapping[str, Mapping[int, Encoder]],
    tasks: Sequence[Task],
    labels: int = 2700,
    draws: int = 5,
    probe: str = "ridge",
    on: str = "test",
) -> list[Row]:
    """Score every variant of every pre-training seed; all see the same draws of labels.

    Args:
        encoders: Variant to pre-training seed to encoder.
        tasks: The tasks, with different names.
        labels: Labelled rows; tasks with fewer for training take all that they have.
        draws: Draws of labels, one repeat each.
        probe: A name in `geotether.benchmark.probing.PROBES`.
        on: "test", or "validation" to choose by.

    Returns:
        Tidy rows of `evaluate` with one more column, `pretraining_seed`.

    Raises:
        ValueError: As for `evaluate`.
    """
    by_count: dict[int, list[Task]] = {}
    for task in tasks:
        by_count.setdefault(min(labels, len(task.rows("train"))), []).append(task)
    rows: list[Row] = []
    for name, by_seed in encoders.items():
        for seed, encoder in by_seed.items():
            for count, some in by_count.items():
                found = evaluate({name: encoder}, some, (probe,), ("block",), (count,), range(draws), on=on)
                rows += [{**row, "pretraining_seed": seed} for row in found]
    return rows


def contribution_effects(rows: Sequence[Row], chosen: Sequence[Variant]) -> list[Effect]:
    """Read off what each modality does for each task.

    Args:
        rows: From `judge_variants`, of the variants and of "untrained".
        chosen: From `variants`.

    Returns:
        For each modality whose variants are there, both kinds for every task.
    """
    scores: dict[tuple[str, str, str], dict[tuple[int, int], float]] = {}
    for row in rows:
        key = (str(row["task"]), str(row["metric"]), str(row["encoder"]))
        scores.setdefault(key, {})[int(row["pretraining_seed"]), int(row["seed"])] = float(row["value"])
    names = chosen[0].modalities
    judged = {variant.name for variant in chosen}
    effects: list[Effect] = []
    for task, metric in dict.fromkeys((task, metric) for task, metric, _ in scores):
        for modality in names:
            lacking, only = without(names, modality).name, f"only {modality}"
            for kind, ours, theirs in ((ADDED, ALL, lacking), (ALONE, only, UNTRAINED)):
                if {ours, theirs} - {UNTRAINED} <= judged:
                    found = paired_effect(scores[task, metric, ours], scores[task, metric, theirs])
                    effects.append(Effect(task, metric, modality, kind, *found))
    return effects


def paired_effect(
    ours: Mapping[tuple[int, int], float], theirs: Mapping[tuple[int, int], float]
) -> tuple[float, float, float, int]:
    """Mean difference of scores with its 95 % t-interval, pair by pair.

    Args:
        ours: (pre-training seed, draw of labels) to score.
        theirs: The same of the variant that is compared with.

    Returns:
        Mean, lower end, upper end, number of pairs. The ends are NaN for a single pair.

    Raises:
        ValueError: If seeds and draws are not the same.

    Example:
        >>> mean, low, high, count = paired_effect({(0, 0): 0.7, (1, 0): 0.8}, {(0, 0): 0.5, (1, 0): 0.6})
        >>> round(mean, 3), round(low, 3), round(high, 3), count
        (0.2, 0.2, 0.2, 2)
    """
    if ours.keys() != theirs.keys():
        raise ValueError("Only variants that were trained and judged with the same seeds and draws can be compared.")
    mean, half = mean_interval([ours[pair] - theirs[pair] for pair in ours])
    return mean, mean - half, mean + half, len(ours)


def effect_table(effects: Sequence[Effect], kind: str) -> str:
    """A Markdown table of tasks by modalities in points (hundredths of the score); what is clear stands in bold.

    Args:
        effects: From `contribution_effects`.
        kind: `ADDED` or `ALONE`.

    Returns:
        Markdown, ending without a newline.

    Raises:
        ValueError: If there is no effect of this kind.
    """
    cells = {(f"{e.task}, {e.metric}", e.modality): e for e in effects if e.kind == kind}
    if not cells:
        raise ValueError(f"There is no effect of the kind {kind!r}; there are {sorted({e.kind for e in effects})}.")
    modalities = list(dict.fromkeys(modality for _, modality in cells))
    lines = ["| task | " + " | ".join(modalities) + " |", "|---" + "|---:" * len(modalities) + "|"]
    for task in dict.fromkeys(task for task, _ in cells):
        found = [cells[task, modality] for modality in modalities]
        texts = [f"**{spoken(e)}**" if e.clear else spoken(e) for e in found]
        lines.append(f"| {task} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def spoken(effect: Effect) -> str:
    """An effect in points, such as "+1.2 [0.4, 2.0]"."""
    mean = f"{100 * effect.mean:+.1f}"
    return mean if math.isnan(effect.low) else f"{mean} [{100 * effect.low:.1f}, {100 * effect.high:.1f}]"
