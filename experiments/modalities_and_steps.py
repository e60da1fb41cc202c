"""Ask the paper's question again: do more modalities help, with which encoder, and after how many steps?

    python experiments/modalities_and_steps.py --data DATA --out OUT [--processes 2] [--steps 1000 3000] [--seeds 3]
        [--sets 1 9] [--encoders default "with context"]

For 1, 2, 3, 5 and all modalities of recipes/world.yaml it trains the published encoder (recipe `paper`, one learning
rate throughout), the recipe `default` without rasters, and the world model's encoder, which reads rasters around a
place; and it adds the last one untrained. Every model gives 256 numbers. They are judged on the four tasks of
experiments/world_model.py (ridge, 2,700 labels, 10-degree blocks). Batches have the same number of rows, whatever the
number of modalities. Interrupted, it continues. With `--context FILE` (a saved `LocalContext`) the rasters themselves
are not needed, and with `--tables FOLDER` (one Parquet file per modality) nor are the raw files.
"""

import argparse
import json
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from paper_questions import world_tasks

from geotether.benchmark.outcome import Outcome
from geotether.benchmark.plan import plan_tasks
from geotether.benchmark.run import evaluate_plans
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import ResultStore
from geotether.benchmark.verdict import mean_difference
from geotether.context.build import build_context
from geotether.loading import load_encoder
from geotether.tables.store import read_table
from geotether.training.config import load_config
from geotether.training.pretraining import open_tables, pretrain

WORLD = Path(__file__).parents[1] / "recipes" / "world.yaml"
# One order, from pictures to the rarest: sets of 1, 2, 3, 5 and all are its beginnings.
ORDER = ("satellite", "text", "climate", "birds", "night_lights", "places", "languages", "mammals", "fossils")
SETS = (1, 2, 3, 5, len(ORDER))
ENCODERS = ("published", "default", "with context")
UNTRAINED = "with context, untrained"


class Job(NamedTuple):
    """One model to train and judge."""

    encoder: str
    modalities: int
    steps: int
    seed: int

    @property
    def name(self) -> str:
        """Name of the model in results."""
        return f"{self.encoder} {self.modalities} modalities {self.steps} steps seed {self.seed}"


def jobs(steps: Sequence[int], seeds: int, sets: Sequence[int], encoders: Sequence[str] = ENCODERS) -> list[Job]:
    """List all models: seed by seed, so that an interrupted study has whole tables."""
    listed = []
    for seed in range(seeds):
        listed.append(Job(UNTRAINED, len(ORDER), 1, seed))
        listed += [Job(e, m, s, seed) for s in steps for e in encoders for m in sorted(sets, key=lambda m: m != 1)]
    return listed


def settings(job: Job, device: str) -> Any:
    """Return the configuration of a model, without its tables and rasters."""
    common: dict[str, Any] = {"steps": job.steps, "seed": job.seed, "validate_every": None, "device": device}
    if job.encoder == "published":
        return load_config(overrides=[common], recipe="paper")
    if job.encoder == "default":
        return load_config(overrides=[common], recipe="default")
    config = load_config(WORLD, [common])
    context = config.context.model_copy(update={"rasters": {}, "land": None})
    # One step at a rate of nearly 0: the readout of a network as it was drawn.
    rate = {"learning_rate": 1e-12} if job.encoder == UNTRAINED else {}
    return config.model_copy(update={"context": context, "tables": {}, **rate})


def train_and_score(job: Job, given: dict[str, Any]) -> tuple[str, float]:
    """Train a model, judge it, and keep its outcomes in a store of its own."""
    started, store = time.perf_counter(), given["out"] / "outcomes" / f"{job.name}.sqlite"
    if store.is_file():
        return job.name, 0.0
    torch.set_num_threads(given["threads"])
    tables = {name: read_table(given["tables"] / f"{name}.parquet") for name in ORDER[: job.modalities]}
    context = torch.load(given["context"], weights_only=False) if job.encoder.startswith("with") else None
    config = settings(job, given["device"])
    model = pretrain(tables, config=config, raster_context=context, progress="none")
    plans = plan_tasks(world_tasks(given["data"]), ("blocks-10",), (2700,), range(5), "test", BUFFER_KM)
    store.parent.mkdir(parents=True, exist_ok=True)
    part = store.with_suffix(".part")
    with ResultStore(part) as results:
        evaluate_plans({job.name: load_encoder(model)}, plans, ("ridge",), f"test {BUFFER_KM:g}", store=results)
    part.rename(store)
    return job.name, time.perf_counter() - started


def outcomes_of(job: Job, out: Path) -> list[Outcome]:
    """Read the outcomes of a model; none if it is not finished."""
    store = out / "outcomes" / f"{job.name}.sqlite"
    if not store.is_file():
        return []
    with ResultStore(store) as results:
        keys = [key for (key,) in results.connection.execute("SELECT key FROM outcomes ORDER BY rowid").fetchall()]
        return [one for key in keys if (one := results.get(key)) is not None]


def by_task(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Group the outcomes of one model by task."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        found[one.task].append(one)
    return found


def report(found: dict[Job, list[Outcome]]) -> list[str]:
    """Return mean scores of four tasks, and what the last modality set gains over one modality, with intervals."""
    means = {job: float(np.mean([np.mean([o.value for o in part]) for part in by_task(given).values()]))
             for job, given in found.items()}  # fmt: skip
    lines = ["| encoder | steps | " + " | ".join(f"{m}" for m in SETS) + " | all minus one, points |"]
    lines.append("|---|---:" + "|---:" * (len(SETS) + 1) + "|")
    for encoder in (*ENCODERS, UNTRAINED):
        for steps in sorted({job.steps for job in found if job.encoder == encoder}):
            cells = []
            for count in SETS:
                seeds = [means[job] for job in found if job[:3] == (encoder, count, steps)]
                spread = f" ± {np.std(seeds):.3f}" if len(seeds) > 1 else ""
                cells.append(f"{np.mean(seeds):.3f}{spread}" if seeds else "")
            pairs = [
                (ours, theirs)
                for job, given in found.items()
                if job[:3] == (encoder, SETS[-1], steps) and (one := job._replace(modalities=SETS[0])) in found
                for task, ours in by_task(given).items()
                for theirs in (by_task(found[one])[task],)
            ]
            gain = mean_difference(pairs) if pairs else None
            cells.append("" if gain is None else f"**{gain.points}**" if gain.clear else gain.points)
            lines.append(f"| {encoder} | {steps:,} | " + " | ".join(cells) + " |")
    return lines


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with pretrain/ and downstream/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", type=Path, help="folder of ready tables; otherwise built from DATA")
    parser.add_argument("--context", type=Path, help="a saved LocalContext; otherwise built from DATA")
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 3000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", type=int, nargs="+", default=list(SETS), help="numbers of modalities")
    parser.add_argument("--encoders", nargs="+", default=list(ENCODERS), choices=ENCODERS)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop starting models after this time")
    return parser.parse_args(given)


def main() -> None:
    given = vars(parsed())
    given["out"].mkdir(parents=True, exist_ok=True)
    if given["tables"] is None or given["context"] is None:
        prepare(given)

    started, listed = time.perf_counter(), jobs(given["steps"], given["seeds"], given["sets"], given["encoders"])
    with multiprocessing.get_context("spawn").Pool(given["processes"], maxtasksperchild=8) as pool:
        waiting, running = list(listed), []
        while waiting or running:
            while waiting and len(running) < given["processes"] and time.perf_counter() - started < given["seconds"]:
                running.append(pool.apply_async(train_and_score, (waiting.pop(0), given)))
            if not running:
                break
            for done in [one for one in running if one.ready()]:
                running.remove(done)
                name, seconds = done.get()
                print(f"{time.perf_counter() - started:5.0f} s  {name}: {seconds:.0f} s", flush=True)
            time.sleep(0.05)
    found = {job: outcomes for job in listed if (outcomes := outcomes_of(job, given["out"]))}
    print("\n".join(report(found)))
    scores = {job.name: {t: [o.value for o in part] for t, part in by_task(o).items()} for job, o in found.items()}
    (given["out"] / "scores.json").write_text(json.dumps(scores, indent=1))


def prepare(given: dict[str, Any]) -> None:
    """Build tables and raster context from the raw files, once."""
    config = load_config(WORLD, [f"data={given['data']}"])
    if given["tables"] is None:
        from geotether.tables.store import write_table

        given["tables"] = given["out"] / "tables"
        if not given["tables"].is_dir():
            built = open_tables(config)
            given["tables"].mkdir()
            for name, table in built.items():
                write_table(table, given["tables"] / f"{name}.parquet")
    if given["context"] is None:
        given["context"] = given["out"] / "context.pt"
        if not given["context"].is_file():
            torch.save(build_context(config.context, open_tables(config), config.data, config.seed), given["context"])


if __name__ == "__main__":
    main()
