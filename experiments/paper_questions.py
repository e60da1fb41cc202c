"""The questions of the paper on location tying, answered on real data with equal steps for all models.

    python experiments/world_tables.py --data DATA --out TABLES
    python experiments/paper_questions.py --data DATA --tables TABLES --out RUNS [--question 1 ...] [--seeds 3]

1. MELT and SALT against the pairwise baseline.   2. Loss spikes at SALT's switches, against MELT at the same steps.
3. Growth with the number of modalities, under `paper` and under `default`.   4. The readings of MELT's loss.

`paper` is the recipe of that name with degree 9 (SatCLIP's L = 10) in place of 39 and with fewer steps, so that all
of it takes about an hour of one core; batch, rate and the rest are the recipe's. Every model sees equally many steps
and batches of one size, as in the paper. Interrupted or run again, it goes on where it stopped. Judged on
`downstream/downstream_points_30k.parquet`: ridge, whole 10-degree blocks held out. Prints Markdown.

Source: Hecht et al. (2026), arXiv:2606.20167, whose abstract and captions were read; what is asked here is ours.
"""

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from geotether.studies.pretraining import TrainedRun, pretrain_variant, variant_config
from geotether.tables.store import read_table
from geotether.tables.table import FeatureTable
from geotether.tasks.task import Task
from geotether.training.config import load_config

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
    "default S": Model("default", (S,)),
    "default S+T": Model("default", (S, T)),
    "default S+T+N": Model("default", STN),
    "default S+T+N+C": Model("default", (*STN, C)),
    "default S+T+N+C+L": Model("default", (*STN, C, L)),
}
QUESTIONS = {
    1: ["MELT S+T+N", "SALT S+T+N", "S, symmetric (SatCLIP)", "S", "T", "N"],
    2: ["MELT S+T+N", "SALT S+T+N"],
    3: [
        "S", "MELT S+T", "MELT S+T+N", "MELT S+T+N+C", "MELT S+T+N+C+L",
        "default S", "default S+T", "default S+T+N", "default S+T+N+C", "default S+T+N+C+L",
    ],
    4: ["MELT S+T+N", "MELT, location to modality", "MELT, all pairs", "MELT, within modality (ours)"],
}  # fmt: skip


def train(model: Model, tables: dict[str, FeatureTable], seed: int, steps: int, out: Path) -> TrainedRun:
    """Train one model or find it trained; `default` keeps its own 300 steps."""
    overrides = [*(PAPER if model.recipe == "paper" else ALWAYS), *model.overrides]
    chosen = {name: tables[name] for name in model.names}
    config = load_config(overrides=overrides, recipe=model.recipe)
    steps = steps if model.recipe == "paper" else config.steps or steps
    return pretrain_variant(variant_config(config, chosen, model.names, steps, "batch"), chosen, model.names, seed, out)


def world_tasks(data: Path) -> list[Task]:
    """The four tasks of the paper at 30,000 land points; whole 10-degree blocks are held out."""
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
    """Names of all models that the questions need, in the order of `MODELS`."""
    needed = {name for question in questions for name in QUESTIONS[question]}
    return [name for name in MODELS if name in needed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds downstream/")
    parser.add_argument("--tables", type=Path, required=True, help="from world_tables.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    parser.add_argument("--question", type=int, nargs="*", choices=list(QUESTIONS), default=list(QUESTIONS))
    parser.add_argument("--steps", type=int, default=400, help="of every model under `paper`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train-only", action="store_true")
    arguments = parser.parse_args()
    names = models_of(arguments.question)
    needed = dict.fromkeys(table for name in names for table in MODELS[name].names)
    tables = {name: read_table(arguments.tables / f"{name}.parquet", name=name) for name in needed}
    runs: dict[str, dict[int, TrainedRun]] = {name: {} for name in names}
    for seed in range(arguments.seeds):
        for name in names:
            started = time.perf_counter()
            runs[name][seed] = train(MODELS[name], tables, seed, arguments.steps, arguments.out)
            print(f"seed {seed}, {name}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
