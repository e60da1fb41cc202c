"""What a modality adds: paired differences between variants, with intervals over regions and seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geotether.benchmark.bootstrap import REPEATS, count_blocks, interval
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.plan import Plan
from geotether.benchmark.run import evaluate_plans
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import OutcomeStore
from geotether.benchmark.verdict import paired
from geotether.loading import EncoderFunction
from geotether.studies.variants import ALL, Variant, without

UNTRAINED = "untrained"
ADDED, ALONE = "added to the others", "alone, above untrained"
Judged = dict[str, dict[int, list[Outcome]]]


@dataclass(frozen=True)
class Effect:
    """What one modality does for one task.

    Attributes:
        task: Name of the task.
        metric: "R2", "accuracy" or "micro F1"; the effect is a difference of it.
        modality: Name of the modality.
        kind: "added to the others" (score of all modalities minus score without this one) or "alone, above
            untrained" (score of this one alone minus score of the untrained network).
        mean: The difference.
        low: Lower end of its 95 % interval.
        high: Upper end.
        seeds: Number of pre-training seeds.
        blocks: Number of spatial blocks that were judged.
    """

    task: str
    metric: str
    modality: str
    kind: str
    mean: float
    low: float
    high: float
    seeds: int
    blocks: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def judge_variants(
    encoders: Mapping[str, Mapping[int, EncoderFunction]],
    plans: Sequence[Plan],
    probe: str = "ridge",
    store: OutcomeStore | None = None,
    on: str = "test",
) -> Judged:
    """Score every variant of every pre-training seed; all see the same draws of labels.

    Args:
        encoders: Variant to pre-training seed to encoder.
        plans: From `plan_tasks`, with the buffer `BUFFER_KM`.
        probe: A name in `geotether.benchmark.probing.PROBES`.
        store: Where finished outcomes are kept.
        on: What was planned: "test" or "validation".

    Returns:
        Variant to pre-training seed to outcomes.

    Raises:
        ValueError: As for `evaluate`.
    """
    settings = f"{on} {BUFFER_KM:g}"
    return {
        name: {
            seed: evaluate_plans({name: encoder}, plans, (probe,), settings, store=store)
            for seed, encoder in by_seed.items()
        }
        for name, by_seed in encoders.items()
    }


def contribution_effects(judged: Judged, chosen: Sequence[Variant]) -> list[Effect]:
    """Read off what each modality does for each task.

    Args:
        judged: From `judge_variants`, of the variants and of "untrained".
        chosen: From `variants`.

    Returns:
        For each modality whose variants are there, both kinds for every task.
    """
    names = chosen[0].modalities
    there, seeds = {variant.name for variant in chosen}, list(judged[ALL])
    effects: list[Effect] = []
    for task in tasks_in(judged[ALL]):
        for modality in names:
            lacking, only = without(names, modality).name, f"only {modality}"
            for kind, ours, theirs in ((ADDED, ALL, lacking), (ALONE, only, UNTRAINED)):
                if {ours, theirs} - {UNTRAINED} <= there:
                    found = paired_effect(of_task(judged[ours], task), of_task(judged[theirs], task))
                    metric = next(one.metric for one in judged[ours][seeds[0]] if one.task == task)
                    effects.append(Effect(task, metric, modality, kind, *found))
    return effects


def paired_effect(
    ours: Mapping[int, Sequence[Outcome]], theirs: Mapping[int, Sequence[Outcome]]
) -> tuple[float, float, float, int, int]:
    """Mean difference of scores on one task with its 95 % interval by bootstrap.

    Spatial blocks and draws of labels are drawn anew as `difference` does for one pair of encoders, the same for all
    pre-training seeds; then pre-training seeds are drawn with replacement. Of two or three seeds that understates how
    much seeds differ: more seeds are worth more than more draws of labels.

    Args:
        ours: Pre-training seed to outcomes, all of one task.
        theirs: The same seeds of the variant that is compared with.

    Returns:
        Mean, lower end, upper end, number of seeds, number of blocks.

    Raises:
        ValueError: If seeds are not the same, or outcomes are not of the same judged rows.

    Source:
        Davison & Hinkley (1997), Bootstrap Methods and their Application, section 3.8 (resampling at two levels).
    """
    if ours.keys() != theirs.keys() or not ours:
        raise ValueError(f"Only variants of the same seeds can be compared, got {sorted(ours)} and {sorted(theirs)}.")
    one_by_one = [paired(ours[seed], theirs[seed]) for seed in ours]
    drawn = np.stack([replicated for _, replicated in one_by_one])
    count = len(ours)
    weights = np.random.default_rng(2).multinomial(count, np.full(count, 1 / count), size=REPEATS) / count
    mean = float(np.mean([one for one, _ in one_by_one]))
    return mean, *interval((drawn.T * weights).sum(axis=1), mean), count, count_blocks(next(iter(ours.values())))


def tasks_in(by_seed: Mapping[int, Sequence[Outcome]]) -> list[str]:
    """Names of the judged tasks, in order."""
    return list(dict.fromkeys(one.task for outcomes in by_seed.values() for one in outcomes))


def of_task(by_seed: Mapping[int, Sequence[Outcome]], task: str) -> dict[int, list[Outcome]]:
    """The outcomes of one task."""
    return {seed: [one for one in outcomes if one.task == task] for seed, outcomes in by_seed.items()}


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
