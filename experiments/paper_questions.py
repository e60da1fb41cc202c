"""Answer the questions of the paper on location tying on real data, with equal steps for all models.

    python experiments/world_tables.py --data DATA --out TABLES
    python experiments/paper_questions.py --data DATA --tables TABLES --out RUNS [--question 1 ...] [--seeds 3]

1. MELT and SALT compared with the pairwise baseline.   2. Loss spikes at SALT's switches, and MELT at the same steps.
3. Scores by number of modalities, under `paper` and under `default`.   4. The possible negatives of MELT's loss.

`paper` is the recipe of that name with degree 9 (SatCLIP's L = 10) instead of 39 and with fewer steps, so that
everything takes about half an hour on one core per seed; batch, rate and the rest are the recipe's. All models get the
same number of steps and batches of the same size, as in the paper. An interrupted or repeated run continues. Models
are evaluated on `downstream/downstream_points_30k.parquet`: ridge, whole 10-degree blocks held out. Prints Markdown.

Source: Hecht et al. (2026), arXiv:2606.20167, of which the abstract and captions were read; the questions are ours.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from loss_spikes import loss_spikes, rests

from geotether.benchmark.baselines import baseline_encoders
from geotether.benchmark.plan import plan_tasks
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import ResultStore
from geotether.encoder import Encoder
from geotether.loading import EncoderFunction, load_encoder
from geotether.studies.contribution import Judged, judge_variants, of_task, paired_effect, tasks_in
from geotether.studies.pretraining import TrainedRun, pretrain_variant, variant_config
from geotether.tables.store import read_table
from geotether.tables.table import Table
from geotether.tasks.task import Task
from geotether.training.config import RunConfig, load_config
from geotether.training.metrics import read_metrics

S, T, N, C, L = "satellite", "text", "night_lights", "climate", "languages"
STN = (S, T, N)
# The validation loss is watched on the same steps for all; degree 9 is SatCLIP's other release.
ALWAYS = ["validate_every=20", "validation_rows=1024", "save_every=100"]
PAPER = ["encoder.positional.l_max=9", *ALWAYS]


@dataclass(frozen=True)
class Model:
    """One model of the experiments: recipe, modalities, and what differs from the recipe."""

    recipe: str
    names: tuple[str, ...]
    overrides: tuple[str, ...] = ()


MODELS = {
    "SALT S+T+N": Model("paper", STN, ("schedule={name: salt}",)),
    "MELT S+T+N": Model("paper", STN),
    "S": Model("paper", (S,)),
    "S, symmetric (SatCLIP)": Model("paper", (S,), ("objective.reading=within_modality",)),
    "T": Model("paper", (T,)),
    "N": Model("paper", (N,)),
    "MELT S+T": Model("paper", (S, T)),
    "MELT S+T+N+C": Model("paper", (*STN, C)),
    "MELT S+T+N+C+L": Model("paper", (*STN, C, L)),
    "MELT, location to modality": Model("paper", STN, ("objective.reading=location_to_modality",)),
    "MELT, all pairs": Model("paper", STN, ("objective.reading=all_pairs",)),
    "MELT, within modality (ours)": Model("paper", STN, ("objective.reading=within_modality",)),
    "SALT S+T+N, turns of 65 steps": Model("paper", STN, ("schedule={name: salt, steps_per_epoch: 65}",)),
    "default S": Model("default", (S,)),
    "default S+T": Model("default", (S, T)),
    "default S+T+N": Model("default", STN),
    "default S+T+N+C": Model("default", (*STN, C)),
    "default S+T+N+C+L": Model("default", (*STN, C, L)),
}
QUESTIONS = {
    1: ["MELT S+T+N", "SALT S+T+N", "S, symmetric (SatCLIP)", "S", "T", "N"],
    2: ["MELT S+T+N", "SALT S+T+N", "SALT S+T+N, turns of 65 steps"],
    3: [
        "S", "MELT S+T", "MELT S+T+N", "MELT S+T+N+C", "MELT S+T+N+C+L",
        "default S", "default S+T", "default S+T+N", "default S+T+N+C", "default S+T+N+C+L",
    ],
    4: ["MELT S+T+N", "MELT, location to modality", "MELT, all pairs", "MELT, within modality (ours)"],
}  # fmt: skip

BASELINES = ("untrained", "raw encoding")
Runs = dict[str, dict[int, TrainedRun]]


def settings(model: Model) -> RunConfig:
    """Return the configuration of a model, without its length."""
    overrides = [*(PAPER if model.recipe == "paper" else ALWAYS), *model.overrides]
    return load_config(overrides=overrides, recipe=model.recipe)


def train(
    model: Model, tables: dict[str, Table], seed: int, steps: int, out: Path, code: str | None = None
) -> TrainedRun:
    """Train one model or find the trained one; `default` keeps its own 300 steps."""
    config, chosen = settings(model), {name: tables[name] for name in model.names}
    steps = steps if model.recipe == "paper" else config.steps or steps
    config = variant_config(config, chosen, model.names, steps, "batch")
    return pretrain_variant(config, chosen, model.names, seed, out, trained_by=code)


def world_tasks(data: Path) -> list[Task]:
    """Return the four tasks of the paper at 30,000 land points; whole 10-degree blocks are held out."""
    frame = pd.read_parquet(data / "downstream" / "downstream_points_30k.parquet")
    lonlat = frame[["lon", "lat"]].to_numpy(np.float64)
    split = frame["split_block10"].replace({"val": "validation"}).to_numpy(str)
    labels = {
        "country": frame["country"].to_numpy(str),
        "population_density": frame["population_density"].to_numpy(np.float64),
        "elevation": frame["elevation_m"].to_numpy(np.float64),
        "biome": frame["biome_num"].to_numpy(str),
    }
    kinds = {"country": ("classification", "", None), "population_density": ("regression", "people per km²", "log1p"),
             "elevation": ("regression", "m", None), "biome": ("classification", "", None)}  # fmt: skip
    return [Task(name, kind, lonlat, labels[name], split, unit, how) for name, (kind, unit, how) in kinds.items()]


def models_of(questions: Iterable[int]) -> list[str]:
    """Return the names of all models that the questions need, in the order of `MODELS`."""
    needed = {name for question in questions for name in QUESTIONS[question]}
    return [name for name in MODELS if name in needed]


def judge(runs: Runs, data: Path, out: Path, split: str) -> Judged:
    """Evaluate all models and, for each architecture, its untrained baselines."""
    encoders: dict[str, dict[int, EncoderFunction]] = {}
    for name, by_seed in runs.items():
        encoders[name] = {seed: load_encoder(Encoder.load(run.model)) for seed, run in by_seed.items()}
        recipe = MODELS[name].recipe
        for seed, run in by_seed.items():
            baselines = baseline_encoders(Encoder.load(run.model).module, seed)
            for baseline in BASELINES:
                encoders.setdefault(f"{recipe}, {baseline}", {}).setdefault(seed, baselines[baseline])
    plans = plan_tasks(world_tasks(data), (split,), (2700,), range(5), "test", BUFFER_KM)
    with ResultStore(out / "outcomes.sqlite") as store:
        return judge_variants(encoders, plans, store=store)


def score_lines(judged: Judged, names: list[str]) -> list[str]:
    """Return mean scores over seeds and draws, without intervals: those of the differences are more precise."""
    tasks = tasks_in(next(iter(judged.values())))
    lines = ["| model | " + " | ".join(tasks) + " |", "|---" + "|---:" * len(tasks) + "|"]
    for name in names:
        means = [np.mean([o.value for some in of_task(judged[name], t).values() for o in some]) for t in tasks]
        lines.append(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    return lines


def difference_lines(judged: Judged, pairs: list[tuple[str, str]]) -> list[str]:
    """Return paired differences in points with intervals over blocks, labels and seeds; bold if they exclude zero."""
    tasks = tasks_in(next(iter(judged.values())))
    lines = ["| difference | " + " | ".join(tasks) + " |", "|---" + "|---:" * len(tasks) + "|"]
    for ours, theirs in pairs:
        cells = []
        for task in tasks:
            found = paired_effect(of_task(judged[ours], task), of_task(judged[theirs], task))
            cell = found.points
            cells.append(f"**{cell}**" if found.clear else cell)
        lines.append(f"| {ours} - {theirs} | " + " | ".join(cells) + " |")
    return lines


def spike_lines(runs: Runs) -> list[str]:
    """Return the loss over the pauses of SALT, and MELT in the same windows."""
    lines = [
        "| run | modality | returns | jump of its own loss | in noise | above 2 noise | jump of the combined loss | "
        "of it in noise | largest rise of validation loss |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    melt, turns = runs["MELT S+T+N"], runs["SALT S+T+N"]
    windows = {seed: rests(read_metrics(run.folder)) for seed, run in turns.items()}
    for name in QUESTIONS[2]:
        at = windows if runs[name] is melt else dict.fromkeys(melt)
        metrics = {seed: read_metrics(run.folder) for seed, run in runs[name].items()}
        spikes = [spike for seed, found in metrics.items() for spike in loss_spikes(found, at[seed])]
        for modality in STN:
            own = [spike for spike in spikes if spike.rest.modality == modality]
            rises = [r for found in metrics.values() for r in np.diff(validation_losses(found, modality))]
            noisy = np.array([spike.in_noise for spike in own])
            combined = np.array([abs(spike.combined) for spike in own])
            noise = np.mean([spike.noise for spike in own])
            lines.append(
                f"| {name} | {modality} | {len(own)} | {spread([spike.jump for spike in own])} | {noisy.mean():+.1f} | "
                f"{(noisy > 2).sum()} | {spread(combined)} | {combined.mean() / noise:.0f} | {max(rises):+.3f} |"
            )
    return lines


def spread(values: Iterable[float]) -> str:
    """Return the mean and the middle 95 % of values."""
    low, high = np.percentile(list(values), [2.5, 97.5])
    return f"{np.mean(list(values)):+.3f} ({low:+.3f} to {high:+.3f})"


def validation_losses(lines: list[dict], modality: str) -> list[float]:
    """Return validation losses of a modality after the first quarter of a run, in which all losses fall."""
    found = [line for line in lines if "validation/loss" in line]
    return [line[f"validation/loss/{modality}"] for line in found[len(found) // 4 :]]


def answer(question: int, runs: Runs, judged: Judged) -> list[str]:
    """Return the tables of one question."""
    names = QUESTIONS[question]
    if question == 2:
        return spike_lines(runs)
    if question == 1:
        pairs = [(ours, "S, symmetric (SatCLIP)") for ours in names if ours != "S, symmetric (SatCLIP)"]
        pairs += [("SALT S+T+N", "MELT S+T+N"), ("MELT S+T+N", "paper, untrained")]
        pairs += [("S, symmetric (SatCLIP)", "paper, untrained")]
    elif question == 3:
        paper, default = names[:5], names[5:]
        pairs = [*zip(paper[1:], paper, strict=False), (paper[-1], paper[0])]
        pairs += [*zip(default[1:], default, strict=False), (default[-1], default[0])]
        pairs += [("default S+T+N", "MELT S+T+N"), ("default S+T+N", "default, untrained")]
    else:
        pairs = [(ours, names[0]) for ours in names[1:]]
    shown = [*names, *(name for name in judged if name not in MODELS and (question != 4 or name.startswith("paper")))]
    return [*score_lines(judged, shown), "", *difference_lines(judged, pairs)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with downstream/")
    parser.add_argument("--tables", type=Path, required=True, help="from world_tables.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    parser.add_argument("--question", type=int, nargs="*", choices=list(QUESTIONS), default=list(QUESTIONS))
    parser.add_argument("--steps", type=int, default=400, help="of every model under `paper`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", nargs="*", default=["own"], help="own (its 10-degree blocks), blocks-10, ...")
    parser.add_argument(
        "--trained-by", metavar="HASH", help="evaluate models trained by code of this hash; trains nothing"
    )
    parser.add_argument("--train-only", action="store_true")
    arguments = parser.parse_args()
    names = models_of(arguments.question)
    needed = dict.fromkeys(table for name in names for table in MODELS[name].names)
    tables = {name: read_table(arguments.tables / f"{name}.parquet", name=name) for name in needed}
    runs: Runs = {name: {} for name in names}
    for seed in range(arguments.seeds):
        for name in names:
            started = time.perf_counter()
            runs[name][seed] = train(MODELS[name], tables, seed, arguments.steps, arguments.out, arguments.trained_by)
            print(f"seed {seed}, {name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    if arguments.train_only:
        return
    for split in arguments.split:
        judged = judge(runs, arguments.data, arguments.out, split) if set(arguments.question) - {2} else {}
        for question in arguments.question:
            if question != 2 or split == arguments.split[0]:  # losses have no split
                heading = f"\n## Question {question}" + (f", split {split}\n" if question != 2 else "\n")
                print("\n".join([heading, *answer(question, runs, judged)]))


if __name__ == "__main__":
    main()
