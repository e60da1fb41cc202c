"""Measure what each choice of the recipe `default` is worth, on validation blocks of the demo planet.

    python benchmarks/recipe_ablation.py [--seeds 2] [--only NAME ...]

Each variant changes one thing, is pre-trained once per seed, and is probed by ridge with 2,700 labels of the training
blocks on the validation blocks (test blocks are never used), five draws of labels each. Prints a Markdown
table: mean over seeds and draws, and the 95 % interval by bootstrap over blocks and draws.
"""

import argparse
import time
from dataclasses import replace

from geotether.benchmark.baselines import baseline_encoders
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.planet import planet_tasks
from geotether.benchmark.run import evaluate
from geotether.benchmark.score_table import markdown_table
from geotether.loading import EncoderFunction, load_encoder
from geotether.tables.featurize import planet_tables
from geotether.training.config import load_config
from geotether.training.pretraining import pretrain

VARIANTS: dict[str, list[str]] = {
    "default": [],
    "no observations": ["context.observations.components=0"],
    "48 components": ["context.observations.components=48"],
    "no regression": ["objective.regression_weight=0"],
    "all degrees in the network": ["encoder.network_degree=null"],
    "degree 30": ["encoder.positional.l_max=30"],
    "dropout 0.1": ["encoder.network.dropout=0.1"],
    "output only": ["encoder.readout=output", "context.observations.components=0"],
    "joined, not projected": ["encoder.readout=positional_hidden_and_output", "context.observations.components=0"],
    "places moved by 100 km": ["jitter_m=100000"],
    "sine network": ["encoder.network={name: siren, dropout: 0.1}", "encoder.positional.scale=1"],
    "1000 steps": ["steps=1000"],
    "batch 2048": ["batch_size=2048"],
    "rate 5e-4": ["learning_rate=5e-4"],
    "merged, one direction": ["objective.reading=modality_to_location"],
    "SALT by step": ["schedule={name: salt, switch: step}"],
    "SALT by epoch": ["schedule={name: salt, switch: epoch}"],
    "satellite only": ["schedule={name: pairwise, modality: satellite}", "batch_size=341"],
    "night lights only": ["schedule={name: pairwise, modality: night_lights}", "batch_size=341"],
    "place texts only": ["schedule={name: pairwise, modality: place_texts}", "batch_size=341"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), metavar="NAME")
    arguments = parser.parse_args()
    tables, tasks, rows = planet_tables(), planet_tasks(), []

    def judge(name: str, encoder: EncoderFunction, seed: int) -> list[Outcome]:
        found = evaluate({name: encoder}, tasks, ("ridge",), ("own",), (2700,), range(5), on="validation")
        return [replace(one, seed=5 * seed + one.seed) for one in found]

    for seed in range(arguments.seeds):
        for name in arguments.only or VARIANTS:
            started = time.perf_counter()
            overrides = [*VARIANTS[name], f"seed={seed}", "validate_every=null"]
            tied = pretrain(tables, config=load_config(overrides=overrides), progress="none")
            rows += judge(name, load_encoder(tied), seed)
            print(f"seed {seed}, {name}: {time.perf_counter() - started:.0f} s", flush=True)
            if name == "default":
                for baseline, encoder in baseline_encoders(tied.module, seed=seed).items():
                    rows += judge(baseline, encoder, seed)
    print("\n" + markdown_table(rows, "ridge", "own", 2700))


if __name__ == "__main__":
    main()
