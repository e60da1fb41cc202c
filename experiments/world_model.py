"""Evaluate the world model of recipes/world.yaml on its four tasks, and measure what each of its modalities is worth.

    geotether pretrain recipes/world.yaml --set data=DATA --out runs/world
    python experiments/world_model.py judge --data DATA --out OUT world=runs/world/model NAME=MODEL ...
    python experiments/world_model.py places --data DATA
    python experiments/world_model.py worth --data DATA --out OUT [--without climate] [--only satellite]

`judge` scores models and the baselines of the first one, among them its context alone and the untrained network with
the same context (ridge, 2,700 labels, 10-degree blocks; every place is tested once in five seeds), and compares the
first with all others in pairs. `places`
measures what the features of each modality reveal about their place. `worth` trains the world model with all
modalities and without each in turn, all else equal, and compares them in pairs. Interrupted, `judge` and `worth`
continue.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from paper_questions import world_tasks

from geotether.benchmark.baselines import baseline_encoders
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.plan import plan_tasks
from geotether.benchmark.run import evaluate_plans
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import ResultStore
from geotether.benchmark.verdict import difference, mean_difference
from geotether.encoder import Encoder
from geotether.geodesy.coordinates import unit_vectors
from geotether.loading import load_encoder
from geotether.tables.splits import block_parts
from geotether.training.config import load_config
from geotether.training.pretraining import open_tables, pretrain
from geotether.training.state import is_unfinished

WORLD = Path(__file__).parents[1] / "recipes" / "world.yaml"
BESIDE = ("untrained", "context alone", "inverse distance", "nearest in space", "raw Fourier features", "raw harmonics")
ALL = "all"


def score(encoders: Mapping[str, object], data: Path, out: Path) -> dict[str, dict[str, list[Outcome]]]:
    """Return encoder to task to outcomes."""
    plans = plan_tasks(world_tasks(data), ("blocks-10",), (2700,), range(5), "test", BUFFER_KM)
    with ResultStore(out / "outcomes.sqlite") as store:
        found = evaluate_plans(encoders, plans, ("ridge",), f"test {BUFFER_KM:g}", store=store)
    by_encoder: dict[str, dict[str, list[Outcome]]] = {}
    for one in found:
        by_encoder.setdefault(one.encoder, {}).setdefault(one.task, []).append(one)
    return by_encoder


def score_lines(scores: Mapping[str, Mapping[str, Sequence[Outcome]]]) -> list[str]:
    """Return mean scores over five folds, and the mean of the tasks."""
    tasks = list(next(iter(scores.values())))
    lines = ["| encoder | " + " | ".join(tasks) + " | mean |", "|---" + "|---:" * (len(tasks) + 1) + "|"]
    for name, by_task in scores.items():
        means = [float(np.mean([one.value for one in by_task[task]])) for task in tasks]
        lines.append(f"| {name} | " + " | ".join(f"{m:.3f}" for m in [*means, float(np.mean(means))]) + " |")
    return lines


def difference_lines(
    scores: Mapping[str, Mapping[str, Sequence[Outcome]]], first: str, others: Sequence[str], said: str
) -> list[str]:
    """Return the first minus each other, in points with 95 % intervals over blocks; bold where they exclude zero."""
    tasks = list(scores[first])
    lines = [f"| {said} | " + " | ".join(tasks) + " | mean |", "|---" + "|---:" * (len(tasks) + 1) + "|"]
    for other in others:
        pairs = [(scores[first][task], scores[other][task]) for task in tasks]
        cells = []
        for one in [*(difference(ours, theirs) for ours, theirs in pairs), mean_difference(pairs)]:
            cell = one.points
            cells.append(f"**{cell}**" if one.clear else cell)
        lines.append(f"| {other} | " + " | ".join(cells) + " |")
    return lines


def judge(models: Sequence[str], data: Path, out: Path) -> list[str]:
    """Score models and the baselines of the first."""
    paths = dict(model.partition("=")[::2] for model in models)
    opened = {name: Encoder.load(path) for name, path in paths.items()}
    baselines = baseline_encoders(next(iter(opened.values())).module)
    encoders = {name: load_encoder(model) for name, model in opened.items()} | {
        b: baselines[b] for b in BESIDE if b in baselines
    }
    scores = score(encoders, data, out)
    first = next(iter(paths))
    others = [name for name in scores if name != first]
    return [*score_lines(scores), "", *difference_lines(scores, first, others, f"{first} minus")]


def places(data: Path, overrides: Sequence[str]) -> list[str]:
    """Return R2 of the unit vector of an observation's place, predicted by ridge in held-out 500 km blocks."""
    from sklearn.linear_model import RidgeCV

    lines = ["| modality | rows | features | R2 of its place |", "|---|---:|---:|---:|"]
    for name, table in open_tables(load_config(WORLD, [f"data={data}", *overrides])).items():
        part = block_parts(table.lonlat, 500.0, {"train": 0.7, "test": 0.3}, seed=1)
        spread = table.features[part == "train"].std(axis=0)
        features = (table.features - table.features[part == "train"].mean(axis=0)) / np.where(spread > 0, spread, 1)
        where = unit_vectors(table.lonlat)
        ridge = RidgeCV(np.logspace(0, 5, 11)).fit(features[part == "train"], where[part == "train"])
        error = np.square(where[part == "test"] - ridge.predict(features[part == "test"])).sum()
        total = np.square(where[part == "test"] - where[part == "test"].mean(axis=0)).sum()
        lines.append(f"| {name} | {len(table):,} | {table.dim} | {1 - error / total:.3f} |")
    return lines


def worth(
    data: Path, out: Path, steps: int, excluded: Sequence[str], only: Sequence[str], overrides: Sequence[str]
) -> list[str]:
    """Train with all modalities and without each in turn, all else equal, and compare them in pairs."""
    settings = [f"data={data}", f"steps={steps}", "validate_every=null", *(f"tables.{n}=null" for n in excluded)]
    config = load_config(WORLD, [*settings, *overrides])
    tables = open_tables(config)
    share = config.batch_size // len(tables)
    encoders = {}
    for left_out in ("", *(only or tables)):
        name = f"without {left_out}" if left_out else ALL
        kept = {modality: table for modality, table in tables.items() if modality != left_out}
        folder = out / name.replace(" ", "_")
        if not (folder / "model").is_dir():
            logging.info("training %s", name)
            # The same number of rows of each modality per step as with all of them.
            equal = config.model_copy(update={"batch_size": share * len(kept)})
            pretrain(kept, config=equal, out=folder, resume=is_unfinished(folder), progress="none")
        encoders[name] = load_encoder(Encoder.load(folder / "model"))
    scores = score(encoders, data, out)
    lacking = [name for name in scores if name != ALL]
    return [*score_lines(scores), "", *difference_lines(scores, ALL, lacking, "all minus")]


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["judge", "places", "worth"])
    parser.add_argument(
        "models",
        nargs="*",
        metavar="NAME=MODEL",
        help="for judge: model folders, the first is compared with the others",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with pretrain/ and downstream/")
    parser.add_argument("--out", type=Path, help="folder for models and outcomes")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--without", nargs="*", default=[], metavar="NAME", help="modalities left out of all models")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="modalities to measure")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    arguments = parser.parse_intermixed_args(given)
    if arguments.what != "places" and arguments.out is None:
        parser.error("--out names the folder for models and outcomes")
    if arguments.what == "judge" and not (arguments.models and all("=" in model for model in arguments.models)):
        parser.error("judge wants NAME=MODEL, such as world=runs/world/model")
    return arguments


def main() -> None:
    arguments = parsed()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.what == "judge":
        lines = judge(arguments.models, arguments.data, arguments.out)
    elif arguments.what == "places":
        lines = places(arguments.data, arguments.overrides)
    else:
        lines = worth(
            arguments.data, arguments.out, arguments.steps, arguments.without, arguments.only, arguments.overrides
        )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
