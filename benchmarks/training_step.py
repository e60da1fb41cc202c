"""Compare the cost of a training step with its matrix multiplications, and measure the harmonics' share of it.

    python benchmarks/training_step.py [--batch-size 2048] [--l-max 29] [--modalities 3] [--width 512]

Everything alternates in one process, so that other load affects all parts alike; medians are compared.
 "Multiplications alone" runs every matrix product of the step (forward, and both products of
backward) on tensors of the same shapes and nothing else: no sine, no softmax, no optimiser, no data.
"""

import argparse
import platform
import statistics
import time

import numpy as np
import torch

from geotether.batches.batch import assemble, jitter_lonlat
from geotether.batches.schedule import build_schedule
from geotether.tables.table import Table
from geotether.training.config import make_config
from geotether.training.location import batch_loss, build_model
from geotether.training.optimizer import build_optimizer
from geotether.training.randomness import seed_step, step_generator

FEATURES = 256


def random_tables(count: int, rows: int) -> dict[str, Table]:
    rng = np.random.default_rng(0)
    tables = {}
    for k in range(count):
        lonlat = np.stack([rng.uniform(-180, 180, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))], -1)
        tables[f"modality_{k}"] = Table.single(
            f"modality_{k}", lonlat, rng.standard_normal((rows, FEATURES), np.float32)
        )
    return tables


def matrix_shapes(batch: int, inputs: int, width: int, embed: int, modalities: int) -> list[tuple[int, int, int]]:
    """(m, k, n) of every forward product: the network, the heads, the logits of each modality."""
    share = batch // modalities
    network = [(batch, inputs, width), (batch, width, width), (batch, width, embed)]
    return network + [(share, FEATURES, embed)] * modalities + [(share, embed, share)] * modalities


def multiplications(shapes: list[tuple[int, int, int]], batch: int) -> "list":
    """Forward, gradient of the left factor, gradient of the right; inputs of the first layer need no gradient."""
    products = []
    for place, (m, k, n) in enumerate(shapes):
        left, right, gradient = torch.randn(m, k), torch.randn(k, n), torch.randn(m, n)
        products += [(left, right), (left.T, gradient)]
        if place > 0 and not (k == FEATURES and m < batch and n != m):  # encodings and features are leaves
            products.append((gradient, right.T))
    return products


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--l-max", type=int, default=29)
    parser.add_argument("--modalities", type=int, default=3)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    config = make_config(
        {
            "encoder": {
                "positional": {"name": "spherical_harmonics", "l_max": arguments.l_max},
                "network": {"name": "siren", "hidden_dim": arguments.width, "num_layers": 2, "dropout": 0.1},
                "embed_dim": 256,
            },
            "batch_size": arguments.batch_size,
            "steps": 1,
            "jitter_m": 20_000.0,
            "clip_norm": 1.0,
        }
    )
    tables = random_tables(arguments.modalities, 10_000)
    sizes = {name: len(table) for name, table in tables.items()}
    schedule = build_schedule("melt", sizes, config.batch_size)
    model = build_model(config, tables).train()
    optimizer = build_optimizer(model, 1e-3, 0.01)
    inputs = (arguments.l_max + 1) ** 2
    products = multiplications(
        matrix_shapes(config.batch_size, inputs, arguments.width, 256, arguments.modalities), config.batch_size
    )

    def whole_step(step: int) -> None:
        seed_step(0, step)
        batch = assemble(tables, schedule, step, 0)
        lonlat = jitter_lonlat(batch.lonlat, config.jitter_m, step_generator(0, step, "jitter", torch.device("cpu")))
        location = model.location(lonlat)
        observed = torch.cat([model.encode_modality(name, rows) for name, rows in batch.features.items()])
        loss, _ = batch_loss(model, location, observed, batch.lonlat, batch.groups, config.objective)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    def multiply(step: int) -> None:
        for left, right in products:
            left @ right

    places = assemble(tables, schedule, 0, 0).lonlat

    def harmonics(step: int) -> None:
        with torch.no_grad():
            model.location.positional(places)

    parts = {"whole step": whole_step, "multiplications alone": multiply, "harmonics alone": harmonics}
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for step in range(arguments.rounds + 3):
        for name, part in parts.items():
            started = time.perf_counter()
            part(step)
            if step >= 3:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(
        f"batch {config.batch_size}, l_max {arguments.l_max}, {arguments.modalities} modalities, "
        f"width {arguments.width}"
    )
    for name, median in medians.items():
        print(f"{name:24s}{1e3 * median:8.1f} ms")
    print(f"step / multiplications  {medians['whole step'] / medians['multiplications alone']:8.2f}   (bar: 1.8)")
    print(f"harmonics / step        {medians['harmonics alone'] / medians['whole step']:8.2f}   (bar: 0.20)")


if __name__ == "__main__":
    main()
