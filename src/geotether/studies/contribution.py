"""What each modality is worth: train models with and without it, judge them, and report paired differences."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from geotether.benchmark.baselines import baseline_encoders
from geotether.benchmark.bootstrap import REPEATS, block_interval, count_blocks
from geotether.benchmark.leaks import leak_notes
from geotether.benchmark.outcome import Outcome, Row
from geotether.benchmark.plan import Plan, check_names, plan_tasks
from geotether.benchmark.probing import PROBES
from geotether.benchmark.run import evaluate_plans, say
from geotether.benchmark.score_table import markdown_rows, write_rows
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import ResultStore, judging_hash, task_hash
from geotether.benchmark.verdict import paired
from geotether.code import code_hash
from geotether.encoder import Encoder
from geotether.encoders.build import known_names
from geotether.files.disk import replacing_file, writing
from geotether.loading import EncoderFunction, load_encoder
from geotether.maps.figure import save_figure
from geotether.maps.scores import contribution_matrix
from geotether.probes.scores import Score
from geotether.studies.pretraining import TrainedRun, data_hash, pretrain_variant, steps_of, variant_config
from geotether.tables.table import Table
from geotether.tasks.task import Task
from geotether.training.config import RunConfig

logger = logging.getLogger(__name__)

RUNS, OUTCOMES, SCORES, EFFECTS, PAGE = "runs", "outcomes.sqlite", "scores.csv", "contribution.csv", "contribution.md"
ALL, UNTRAINED = "all", "untrained"
ADDED, ALONE = "added to the others", "alone, above untrained"
FIGURES = {ADDED: "added.png", ALONE: "alone.png"}
Judged = dict[str, dict[int, list[Outcome]]]
"""Variant to pre-training seed to outcomes."""


@dataclass(frozen=True)
class Variant:
    """A model to pre-train: a name such as "without text", and modalities in the order of the full set."""

    name: str
    modalities: tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """What one modality does for one task, as a difference of its metric.

    The kind is "added to the others" (score of all modalities minus score without this one) or "alone, above untrained"
    (score of this one alone minus score of the untrained network); the seeds of `score` are pre-training seeds.
    """

    task: str
    metric: str
    modality: str
    kind: str
    score: Score

    def row(self) -> Row:
        """Return the tidy row of the effect."""
        own: Row = {"task": self.task, "metric": self.metric, "modality": self.modality, "kind": self.kind}
        return {**own, **asdict(self.score)}


@dataclass(frozen=True)
class Contribution:
    """The result of a study.

    Attributes:
        effects: What each modality does for each task.
        page: The written table with its figures.
        steps: Steps of every run.
        runs: Number of runs.
    """

    effects: list[Effect]
    page: Path
    steps: int
    runs: int


def variants(modalities: Sequence[str], wanted: Sequence[str] | None = None) -> list[Variant]:
    """List the models that a study needs: all modalities, all but each, and each alone; each choice once.

    Of two modalities, all without one is the other alone. `wanted` are the modalities to measure; None measures all.

    Raises:
        ValueError: If there are fewer than two modalities, or a name is repeated or unknown.

    Example:
        >>> [variant.name for variant in variants(["image", "text", "sound"])]
        ['all', 'without image', 'without text', 'without sound', 'only image', 'only text', 'only sound']
    """
    names = tuple(modalities)
    if len(names) < 2:
        raise ValueError(
            f"Measuring what a modality adds takes two or more, got {', '.join(names) or 'none'}: name more tables."
        )
    if len(set(names)) < len(names):
        raise ValueError(f"Each modality may be named once, got {', '.join(names)}.")
    for name in wanted or ():
        if name not in names:
            raise ValueError(f"Unknown modality {name!r}; {known_names(name, names)}")
    measured = names if wanted is None else tuple(name for name in names if name in wanted)
    chosen = [Variant(ALL, names)]
    chosen += [without(names, name) for name in measured]
    chosen += [Variant(f"only {name}", (name,)) for name in measured]
    return list({variant.modalities: variant for variant in chosen}.values())


def without(names: Sequence[str], name: str) -> Variant:
    """Return the variant without one modality; its name is "only ..." where a single one is left."""
    left = tuple(other for other in names if other != name)
    return Variant(f"only {left[0]}" if len(left) == 1 else f"without {name}", left)


def measure_contribution(
    config: RunConfig,
    tables: Mapping[str, Table],
    tasks: Sequence[Task],
    out: Path,
    seeds: Sequence[int] = (0, 1, 2),
    budget: int | None = None,
    equal: str = "rows",
    modalities: Sequence[str] | None = None,
    labels: int = 2700,
    draws: int = 5,
    probe: str = "ridge",
    split: str = "own",
) -> Contribution:
    """Pre-train on all modalities, on all but each and on each alone; judge the models; write what each modality adds.

    Finished runs are not repeated and interrupted ones continue; see `pretrain_variant` for how results of other code,
    data or settings are kept apart.

    Args:
        config: Of the full set; its seed is not used.
        tables: The full set, two modalities or more.
        tasks: What to judge on.
        out: Folder; gets `runs/`, `outcomes.sqlite`, `scores.csv`, `contribution.csv`, `contribution.md`, two figures.
        seeds: Pre-training seeds; each trains one model of every variant.
        budget: Steps of all runs together; None takes the configuration's length for each.
        equal: "rows" or "batch"; see `variant_config`.
        modalities: The modalities to measure; None measures all.
        labels: Labelled rows of a probe.
        draws: Draws of labels.
        probe: Name of the probe.
        split: What is held out; see `geotether.benchmark.splitting.part_rows`.

    Returns:
        The effects and where they are written.

    Raises:
        ValueError: If there are fewer than two modalities, a name is unknown, there is no seed or draw, or the budget
            is too small; all before anything is trained.
        RunInterrupted: After Ctrl-C, once the state is saved.
        BlockingIOError: If another process writes to the folder.
        OSError: If the folder cannot be written to.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"A study needs one pre-training seed or more, all different; got {list(seeds)}.")
    if draws < 1 or labels < 1:
        raise ValueError(f"draws and labels must be 1 or more, got {draws} and {labels}.")
    check_names("probe", [probe], list(PROBES))
    plans = plan_tasks(tasks, (split,), (labels,), range(draws), "test", BUFFER_KM)
    notes = say((), plans)
    chosen = variants(list(tables), modalities)
    steps = steps_of(config, tables, len(chosen) * len(seeds), budget)
    configs = {v.name: variant_config(config, tables, v.modalities, steps, equal) for v in chosen}
    logger.info("%d variants x %d seeds, %d steps each", len(chosen), len(seeds), steps)

    with writing(out, folder=True):
        runs: dict[tuple[str, int], TrainedRun] = {}
        for seed in seeds:
            for variant in chosen:
                done = pretrain_variant(configs[variant.name], tables, variant.modalities, seed, out / RUNS)
                runs[variant.name, seed] = done
                logger.info("seed %d, %s: %s", seed, variant.name, done.folder.name)

        encoders = encoders_of(runs, chosen, seeds)
        notes = [*say(leak_notes({ALL: encoders[ALL][seeds[0]]}, plans, lambda _: tables), ()), *notes]
        with ResultStore(out / OUTCOMES) as store:
            judged = judge_variants(encoders, plans, probe, store)
        effects = contribution_effects(judged, chosen)
        facts: Row = {
            "probe": probe, "split": split, "labels": labels, "draws": draws, "steps": steps, "equal": equal,
            "recipe": config.recipe or "", "data_hash": data_hash(tables),
            "code_hash": runs[ALL, seeds[0]].code_hash, "judging_hash": judging_hash(),
        }  # fmt: skip
        hashes = {task.name: task_hash(task) for task in tasks}
        write_rows(score_rows(judged, runs, hashes), out / SCORES)
        write_rows([{**effect.row(), "task_hash": hashes[effect.task], **facts} for effect in effects], out / EFFECTS)
        return Contribution(effects, write_page(effects, facts, notes, out), steps, len(runs))


def encoders_of(
    runs: Mapping[tuple[str, int], TrainedRun], chosen: Sequence[Variant], seeds: Sequence[int]
) -> dict[str, dict[int, EncoderFunction]]:
    """Load the variants of every seed, and the untrained network that each seed started from."""
    loaded = {key: Encoder.load(run.model) for key, run in runs.items()}
    found: dict[str, dict[int, EncoderFunction]] = {
        variant.name: {seed: load_encoder(loaded[variant.name, seed]) for seed in seeds} for variant in chosen
    }
    location = loaded[chosen[0].name, seeds[0]].module
    return found | {UNTRAINED: {seed: baseline_encoders(location, seed)[UNTRAINED] for seed in seeds}}


def judge_variants(
    encoders: Mapping[str, Mapping[int, EncoderFunction]],
    plans: Sequence[Plan],
    probe: str = "ridge",
    store: ResultStore | None = None,
    on: str = "test",
) -> Judged:
    """Score every variant of every pre-training seed on the same draws of labels, as `evaluate_plans` does.

    The plans are those of `plan_tasks` with the buffer `BUFFER_KM`, on "test" or "validation".
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
    """Compute each kind of effect whose variants were judged, for every task and modality."""
    available = {variant.name for variant in chosen} | {UNTRAINED}
    effects: list[Effect] = []
    for task in tasks_in(judged[ALL]):
        for modality in chosen[0].modalities:
            lacking, only = without(chosen[0].modalities, modality).name, f"only {modality}"
            for kind, ours, theirs in ((ADDED, ALL, lacking), (ALONE, only, UNTRAINED)):
                if {ours, theirs} <= available:
                    mine = of_task(judged[ours], task)
                    found = paired_effect(mine, of_task(judged[theirs], task))
                    effects.append(Effect(task, next(iter(mine.values()))[0].metric, modality, kind, found))
    return effects


def paired_effect(ours: Mapping[int, Sequence[Outcome]], theirs: Mapping[int, Sequence[Outcome]]) -> Score:
    """Return the mean difference of scores on one task with its 95 % interval by bootstrap.

    Spatial blocks and draws of labels are drawn as `difference` does for one pair of encoders, the same for all
    pre-training seeds; then pre-training seeds are drawn with replacement. Two or three seeds understate how much
    seeds differ: more seeds are worth more than more draws of labels.

    Args:
        ours: Pre-training seed to outcomes, of one task.
        theirs: The same seeds of the variant to compare with.

    Raises:
        ValueError: If the seeds or the judged rows are not the same.

    Source:
        Davison & Hinkley (1997), Bootstrap Methods and their Application, section 3.8 (resampling at two levels).
    """
    if ours.keys() != theirs.keys() or not ours:
        raise ValueError(f"Only variants of the same seeds can be compared, got {sorted(ours)} and {sorted(theirs)}.")
    by_seed = [paired(ours[seed], theirs[seed]) for seed in ours]
    drawn = np.stack([one for _, one, _ in by_seed])
    count = len(ours)
    weights = np.random.default_rng(2).multinomial(count, np.full(count, 1 / count), size=REPEATS) / count
    mean = float(np.mean([one for one, *_ in by_seed]))
    blocks = count_blocks(next(iter(ours.values())))
    return Score(mean, *block_interval((drawn.T * weights).sum(axis=1), mean, blocks), count, blocks)


def tasks_in(by_seed: Mapping[int, Sequence[Outcome]]) -> list[str]:
    """Return the names of the judged tasks, in order."""
    return list(dict.fromkeys(one.task for outcomes in by_seed.values() for one in outcomes))


def of_task(by_seed: Mapping[int, Sequence[Outcome]], task: str) -> dict[int, list[Outcome]]:
    """Return the outcomes of one task."""
    return {seed: [one for one in outcomes if one.task == task] for seed, outcomes in by_seed.items()}


def score_rows(judged: Judged, runs: Mapping[tuple[str, int], TrainedRun], hashes: Mapping[str, str]) -> list[Row]:
    """Return tidy rows with the hashes of what produced each score; the untrained network has no run."""
    rows: list[Row] = []
    for name, by_seed in judged.items():
        for seed, outcomes in by_seed.items():
            run = runs.get((name, seed))
            made: Row = {
                "pretraining_seed": seed,
                "config_hash": run.config_hash if run else "",
                "data_hash": run.data_hash if run else "",
                "code_hash": run.code_hash if run else code_hash(),
                "judging_hash": judging_hash(),
            }
            rows += [{**one.row(), **made, "task_hash": hashes[one.task]} for one in outcomes]
    return rows


def effect_table(effects: Sequence[Effect], kind: str) -> str:
    """Return the effects of one kind as Markdown: tasks by modalities, in points, clear ones bold."""
    cells = {(f"{e.task}, {e.metric}", e.modality): e.score for e in effects if e.kind == kind}
    if not cells:
        raise ValueError(f"There is no effect of the kind {kind!r}; there are {sorted({e.kind for e in effects})}.")
    modalities = list(dict.fromkeys(modality for _, modality in cells))
    rows = []
    for task in dict.fromkeys(task for task, _ in cells):
        scores = [cells[task, modality] for modality in modalities]
        rows.append([task, *(f"**{one.points}**" if one.clear else one.points for one in scores)])
    return markdown_rows(["task"], modalities, rows)


def write_page(
    effects: Sequence[Effect], facts: Mapping[str, str | int | float], notes: Sequence[str], out: Path
) -> Path:
    """Write what makes scores misleading, and both tables with their figures, as one Markdown page."""
    said = {
        ADDED: "Score of all modalities minus score without the named one",
        ALONE: "Score of the named modality alone minus score of the same network untrained",
    }
    lines = [
        "# What each modality is worth",
        "",
        *(f"**{note}**\n" for note in notes),
        f"Differences in points (hundredths of the score) with 95 % intervals by bootstrap over "
        f"{max(e.score.blocks for e in effects)} spatial blocks, {facts['draws']} draws of {facts['labels']:,} labels "
        f"and {effects[0].score.seeds} pre-training seeds, paired; probe {facts['probe']}, split {facts['split']}. "
        f"Every model took {facts['steps']:,} steps with equal {facts['equal']}. Bold: the interval excludes zero.",
    ]
    for kind, file in FIGURES.items():
        shown = [effect for effect in effects if effect.kind == kind]
        if not shown:
            continue
        drawn = {(f"{e.task}, {e.metric}", e.modality): (e.score.mean, e.score.low, e.score.high) for e in shown}
        save_figure(contribution_matrix(drawn, f"What each modality is worth: {kind}"), out / "figures" / file)
        lines += ["", f"## {kind.capitalize()}", "", f"{said[kind]}.", "", effect_table(effects, kind), ""]
        lines += [f"![{said[kind]}](figures/{file})"]
    lines += ["", "## How it was made", ""]
    lines += [f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items()]
    with replacing_file(out / PAGE) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out / PAGE
