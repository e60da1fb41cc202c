"""What is a modality worth? One study: train every variant, judge them, say what each modality adds to each task."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from geotether.benchmark.baselines import baseline_encoders
from geotether.benchmark.fingerprint import code_hash as judging_hash
from geotether.benchmark.fingerprint import task_hash
from geotether.benchmark.outcome import Row
from geotether.benchmark.plan import check_names, plan_tasks
from geotether.benchmark.probing import PROBES
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import OutcomeStore
from geotether.code import code_hash
from geotether.encoder import Encoder
from geotether.files.disk import replacing_file
from geotether.loading import EncoderFunction, load_encoder
from geotether.maps.figure import save_figure
from geotether.maps.scores import contribution_matrix
from geotether.studies.effects import (
    ADDED,
    ALONE,
    UNTRAINED,
    Effect,
    Judged,
    contribution_effects,
    effect_table,
    judge_variants,
)
from geotether.studies.pretraining import TrainedRun, data_hash, pretrain_variant, steps_of, variant_config
from geotether.studies.standings import write_rows
from geotether.studies.variants import Variant, variants
from geotether.tables.table import Table
from geotether.tasks.task import Task
from geotether.training.config import RunConfig

logger = logging.getLogger(__name__)

RUNS, OUTCOMES, SCORES, EFFECTS, PAGE = "runs", "outcomes.sqlite", "scores.csv", "contribution.csv", "contribution.md"
FIGURES = {ADDED: "added.png", ALONE: "alone.png"}


@dataclass(frozen=True)
class Contribution:
    """The outcome of a study.

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
    """Pre-train all modalities, all but each and each alone; judge them; write what each modality adds.

    Runs that are finished are not repeated, an interrupted one goes on; see `pretrain_variant` for what keeps results
    of other code, data or settings apart.

    Args:
        config: Of the full set; its seed is not used.
        tables: The full set, two modalities or more.
        tasks: What to judge on.
        out: Folder; gets `runs/`, `outcomes.sqlite`, `scores.csv`, `contribution.csv`, `contribution.md`, two figures.
        seeds: Pre-training seeds, one model of every variant each.
        budget: Steps of all runs together; None takes the configuration's length for each.
        equal: "rows" or "batch"; see `variant_config`.
        modalities: Those whose worth is asked for; None asks for all.
        labels: Labelled rows of a probe.
        draws: Draws of labels.
        probe: Name of the probe.
        split: What is held out; see `geotether.benchmark.splitting.part_rows`.

    Returns:
        The effects, and where they are written.

    Raises:
        ValueError: If there are fewer than two modalities, a name is unknown, there is no seed or draw, or the budget
            is too small; all before anything is trained.
        RunInterrupted: After Ctrl-C, once the state is saved.
        OSError: If the folder cannot be written to.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"A study needs one pre-training seed or more, all different; got {list(seeds)}.")
    if draws < 1 or labels < 1:
        raise ValueError(f"draws and labels must be 1 or more, got {draws} and {labels}.")
    check_names("probe", [probe], list(PROBES))
    plans = plan_tasks(tasks, (split,), (labels,), range(draws), "test", BUFFER_KM)
    chosen = variants(list(tables), modalities)
    steps = steps_of(config, tables, len(chosen) * len(seeds), budget)
    configs = {v.name: variant_config(config, tables, v.modalities, steps, equal) for v in chosen}
    logger.info("%d variants x %d seeds, %d steps each", len(chosen), len(seeds), steps)

    runs: dict[tuple[str, int], TrainedRun] = {}
    for seed in seeds:
        for variant in chosen:
            done = pretrain_variant(configs[variant.name], tables, variant.modalities, seed, out / RUNS)
            runs[variant.name, seed] = done
            logger.info("seed %d, %s: %s", seed, variant.name, done.folder.name)

    with OutcomeStore(out / OUTCOMES) as store:
        judged = judge_variants(encoders_of(runs, chosen, seeds), plans, probe, store)
    effects = contribution_effects(judged, chosen)
    whole = runs[chosen[0].name, seeds[0]]
    facts: Row = {
        "probe": probe, "split": split, "labels": labels, "draws": draws, "steps": steps, "equal": equal,
        "recipe": config.recipe or "", "data_hash": data_hash(tables), "code_hash": whole.code_hash,
        "judging_hash": judging_hash(),
    }  # fmt: skip
    hashes = {task.name: task_hash(task) for task in tasks}
    write_rows(score_rows(judged, runs, hashes), out / SCORES)
    write_rows([{**asdict(effect), "task_hash": hashes[effect.task], **facts} for effect in effects], out / EFFECTS)
    return Contribution(effects, write_page(effects, facts, out), steps, len(runs))


def score_rows(judged: Judged, runs: Mapping[tuple[str, int], TrainedRun], hashes: Mapping[str, str]) -> list[Row]:
    """Tidy rows with what made each number, so that results of other code or data can be told apart anywhere.

    Args:
        judged: From `judge_variants`.
        runs: (variant, seed) to run; the untrained network has none.
        hashes: Task to its hash.
    """
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


def write_page(effects: Sequence[Effect], facts: Mapping[str, str | int | float], out: Path) -> Path:
    """Write both tables with their figures as one Markdown page."""
    said = {
        ADDED: "Score of all modalities minus score without the one named",
        ALONE: "Score of the one named alone minus score of the same network untrained",
    }
    lines = [
        "# What each modality is worth",
        "",
        f"Differences in points (hundredths of the score) with 95 % intervals by bootstrap over "
        f"{max(e.blocks for e in effects)} spatial blocks, {facts['draws']} draws of {facts['labels']:,} labels and "
        f"{effects[0].seeds} pre-training seeds, paired; probe {facts['probe']}, split {facts['split']}. Every model "
        f"took {facts['steps']:,} steps; equal besides: {facts['equal']}. Bold: the interval leaves zero out.",
    ]
    for kind, file in FIGURES.items():
        if not any(effect.kind == kind for effect in effects):
            continue
        drawn = {(f"{e.task}, {e.metric}", e.modality): (e.mean, e.low, e.high) for e in effects if e.kind == kind}
        save_figure(contribution_matrix(drawn, f"What each modality is worth: {kind}"), out / "figures" / file)
        lines += ["", f"## {kind.capitalize()}", "", f"{said[kind]}.", "", effect_table(effects, kind), ""]
        lines += [f"![{said[kind]}](figures/{file})"]
    lines += ["", "## How it was made", ""]
    lines += [f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items()]
    with replacing_file(out / PAGE) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out / PAGE
