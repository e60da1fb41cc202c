"""Ask the paper's question again: do more modalities help, with which encoder, and after how many steps?

    python experiments/modalities_and_steps.py --data DATA --out OUT [--processes 2] [--steps 1000 3000] [--seeds 3]
        [--sets 1 9] [--encoders default "with context"] [--device cuda] [--set batch_size=1843]

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


def settings(job: Job, device: str, changed: Sequence[str] = ()) -> Any:
    """Return the configuration of a model, without its tables and rasters."""
    common: dict[str, Any] = {"steps": job.steps, "seed": job.seed, "validate_every": None, "device": device}
    if job.encoder == "published":
        return load_config(overrides=[common, *changed], recipe="paper")
    if job.encoder == "default":
        return load_config(overrides=[common, *changed], recipe="default")
    config = load_config(WORLD, [common, *changed])
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
    config = settings(job, given["device"], given["set"])
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
    """Return mean scores of four tasks, and what all modalities gain over one, by task and in the mean.

    Scores are followed by their standard deviation over seeds, gains by their 95 % intervals over blocks and seeds.
    """
    means = {job: float(np.mean([np.mean([o.value for o in part]) for part in by_task(given).values()]))
             for job, given in found.items()}  # fmt: skip
    tasks = sorted({task for given in found.values() for task in by_task(given)})
    heads = ["encoder", "steps", *map(str, SETS), *(f"all minus one, {task}" for task in tasks), "mean"]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for encoder in (*ENCODERS, UNTRAINED):
        for steps in sorted({job.steps for job in found if job.encoder == encoder}):
            cells = []
            for count in SETS:
                seeds = [means[job] for job in found if job[:3] == (encoder, count, steps)]
                spread = f" ± {np.std(seeds, ddof=1):.3f}" if len(seeds) > 1 else ""
                cells.append(f"{np.mean(seeds):.3f}{spread}" if seeds else "")
            ours = [job for job in found if job[:3] == (encoder, SETS[-1], steps)]
            cells += [
                gain(found, ours, {"modalities": SETS[0]}, chosen) for chosen in (*([one] for one in tasks), tasks)
            ]
            lines.append(f"| {encoder} | {steps:,} | " + " | ".join(cells) + " |")
    return lines


def gain(found: dict[Job, list[Outcome]], ours: Sequence[Job], other: dict[str, Any], tasks: Sequence[str]) -> str:
    """Return by how many points jobs are better than the same with other settings, bold where it is clear."""
    pairs = [
        (by_task(found[job])[task], by_task(found[theirs])[task])
        for job in ours
        if (theirs := job._replace(**other)) in found and theirs != job
        for task in tasks
    ]
    if not pairs:
        return ""
    difference = mean_difference(pairs)
    return f"**{difference.points}**" if difference.clear else difference.points


def report_steps(found: dict[Job, list[Outcome]]) -> list[str]:
    """Return the gains of more steps, and of training the encoder with context."""
    tasks = sorted({task for given in found.values() for task in by_task(given)})
    fewest = min((job.steps for job in found if job.encoder != UNTRAINED), default=0)
    lines = [f"| encoder | steps | modalities | minus {fewest:,} steps | minus untrained context |"]
    lines.append("|---" + "|---:" * 4 + "|")
    for encoder, count, steps in sorted({job[:3] for job in found if job.encoder != UNTRAINED}):
        ours = [job for job in found if job[:3] == (encoder, count, steps)]
        cells = [gain(found, ours, {"steps": fewest}, tasks)]
        untrained = {"encoder": UNTRAINED, "modalities": len(ORDER), "steps": 1}
        cells.append(gain(found, ours, untrained, tasks) if encoder == "with context" else "")
        lines.append(f"| {encoder} | {steps:,} | {count} | " + " | ".join(cells) + " |")
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
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of all models; use a separate --out"
    )
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
    print("\n".join([*report(found), "", *report_steps(found)]))
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
