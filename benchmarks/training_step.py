"""Compare a training step with its matrix products alone and with published steps.

    python benchmarks/training_step.py [--recipe paper] [--batch-size 2048] [--rounds 20] [--published] [--threads 1]

The step is the real loop's: rows drawn, loss, gradient, update, metrics. A callback runs the other parts between two
steps, so that other load affects all alike; medians are compared, of processor time for one thread and of wall time for
several (which needs idle cores). "Products alone" runs every matrix
product of the step (forward, and both products of backward) on tensors of the same shapes and nothing else: no sine, no
softmax, no optimiser, no data. With `--published` it also times SatCLIP's and GeoCLIP's steps as their papers write
them (`published_way.py`; one modality with all rows of the batch), and compares the memory that three steps need, each
in its own process.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from encoding import random_context
from measuring import Factors, machine, multiply, raised_mb
from published_way import GeoCLIP, SatCLIP
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.location import LocationMethod
from geotether.training.loop import train

ROWS, WARM_UP = 20_000, 3
FEATURES = {"paper": [256] * 3, "default": [256] * 3, "world": [256, 128, 256, 48, 40, 60, 64, 30, 128]}
SETTINGS: dict[str, dict[str, Any]] = {
    "paper": {"epochs": None},
    "default": {"context": {"observations": {"components": 0}}},
    # The recipe of recipes/world.yaml, with random rasters.
    "world": {
        "context": {"observations": {"components": 0}},
        "encoder": {"positional": {"l_max": 40}, "network": {"hidden_dim": 1024}},
    },
}


class Enough(Exception):  # noqa: N818
    """The rounds are done."""


class Kernels(TorchDispatchMode):
    """Count operations that compute something, each a launch on a GPU; not views and empty tensors."""

    NONE = ("empty", "detach", "alias", "lift_fresh", "_record", "_reshape_alias", "_unsafe_view", "_local_scalar")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.removeprefix("aten::")
        self.count += not (function.is_view or name.startswith(self.NONE) or name.startswith("new_empty"))
        return function(*args, **(kwargs or {}))


class Watched(LocationMethod):
    """A method that keeps the model it builds."""

    def build(self, device: torch.device) -> nn.Module:
        """Build the model and keep it."""
        self.model = super().build(device)
        return self.model


class Alternating:
    """A callback that runs other parts after each step, and times them and the steps."""

    def __init__(self, rounds: int, parts: dict[str, Callable[[], Any]]) -> None:
        self.rounds, self.parts, self.ended = rounds, parts, 0.0
        self.clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        self.seconds: dict[str, list[float]] = {"step": [], **{name: [] for name in parts}}

    def on_step(self, step: int, values: Any) -> None:
        """Record the time of the step, and run and time the other parts."""
        if step >= WARM_UP:
            self.seconds["step"].append(self.clock() - self.ended)
        for name, part in self.parts.items():
            started = self.clock()
            part()
            if step >= WARM_UP:
                self.seconds[name].append(self.clock() - started)
        if step + 1 == self.rounds + WARM_UP:
            raise Enough
        self.ended = self.clock()


def make_method(
    recipe: str, batch_size: int | None, precision: str, device: str = "cpu", rows: int = ROWS, **further: Any
) -> Watched:
    """Return the recipe's method on random tables; `further` are settings."""
    rng, tables = np.random.default_rng(0), {}
    for number, width in enumerate(FEATURES[recipe]):
        lonlat = np.stack([rng.uniform(-180, 180, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))], -1)
        features = rng.standard_normal((rows, width), np.float32)
        tables[f"modality_{number}"] = Table.single(f"modality_{number}", lonlat, features)
    settings = {**SETTINGS[recipe], "steps": 10**6, "validate_every": None, "device": device, "precision": precision}
    settings |= further
    settings |= {} if batch_size is None else {"batch_size": batch_size}
    config = load_config(None, [settings], recipe="default" if recipe == "world" else recipe)
    return Watched(config, tables, raster_context=random_context() if recipe == "world" else None)


def products(model: Any, batch: int, objective: Any) -> Factors:
    """Return the factors of every matrix product of a step: forward, and gradients of both factors."""
    layers = [layer for layer in model.location.network.modules() if isinstance(layer, nn.Linear)]
    sizes = [(batch, layer.in_features, layer.out_features, layer is not layers[0]) for layer in layers]
    share = batch // len(model.heads)
    for name, head in model.heads.items():
        sizes.append((share, head.in_dim, head.embed_dim, False))
        if name in model.decoders:
            decoder = model.decoders[name]
            sizes.append((share, decoder.embed_dim, decoder.components, True))
    width = model.location.embed_dim
    within = objective.reading == "within_modality"
    sizes += [(share, width, share, True)] * len(model.heads) if within else [(batch, width, batch, True)]
    factors = []
    for m, k, n, of_input in sizes:
        left, right, gradient = torch.randn(m, k), torch.randn(k, n), torch.randn(m, n)
        factors += [(left, right), (left.T, gradient)]
        if of_input:
            factors.append((gradient, right.T))
    # The targets of the decoders have no gradient.
    factors += [(torch.randn(share, d.in_dim), torch.randn(d.in_dim, d.components)) for d in model.decoders.values()]
    return factors


def products_alone(method: Watched) -> Callable[[], None]:
    """Return a call that computes the matrix products of a step; the method must have built its model."""
    factors: Factors = []

    def run() -> None:
        config = method.config
        factors.extend([] if factors else products(method.model, config.batch_size, config.objective))
        multiply(factors)

    return run


def update(model: nn.Module, optimizer: Any, lonlat: torch.Tensor, features: torch.Tensor) -> None:
    """Run a step of a published model."""
    optimizer.zero_grad()
    model(lonlat, features).backward()
    optimizer.step()


def published(batch: int, l_max: int, width: int) -> dict[str, Callable[[], Any]]:
    """Return the published steps, and SatCLIP's harmonics alone."""
    rng = torch.Generator().manual_seed(0)
    lonlat = (torch.rand(batch, 2, generator=rng, dtype=torch.float64) - 0.5) * torch.tensor([360.0, 170.0])
    features = torch.randn(batch, width, generator=rng)
    parts: dict[str, Callable[[], Any]] = {}
    for name, model in {"SatCLIP": SatCLIP(l_max, width), "GeoCLIP": GeoCLIP(width)}.items():
        optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.01)
        parts[name] = lambda model=model, optimizer=optimizer: update(model, optimizer, lonlat, features)
    own = SatCLIP(l_max, width).harmonics
    parts["SatCLIP's harmonics"] = lambda: own(lonlat)
    return parts


def peak_mb(options: argparse.Namespace, of: str) -> float:
    """Return by how many MB three steps raise the peak memory of a process of their own."""
    given = ["--recipe", options.recipe, "--batch-size", str(options.batch_size or 2048), "--memory-of", of]
    done = subprocess.run([sys.executable, __file__, *given], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def memory_of(options: argparse.Namespace) -> float:
    """Return by how many MB three steps raise the peak of this process's memory."""
    method = make_method(options.recipe, options.batch_size, "float32")
    step = published(method.config.batch_size, method.config.encoder.positional["l_max"], 256).get(options.memory_of)

    def ours() -> None:
        with suppress(Enough):
            train(method, progress="none", callbacks=[Alternating(0, {})])

    return raised_mb(ours if step is None else lambda: [step() for _ in range(WARM_UP)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=FEATURES, default="paper")
    parser.add_argument("--batch-size", type=int, help="default: the recipe's")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--published", action="store_true", help="also time SatCLIP's and GeoCLIP's steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(memory_of(options))
        return
    method = make_method(options.recipe, options.batch_size, options.precision)
    batch = method.config.batch_size

    def harmonics() -> None:
        with torch.no_grad():
            method.model.location.features(places, of_network=True)

    places = torch.from_numpy(np.concatenate([table.lonlat for table in method.tables.values()])[:batch])
    parts: dict[str, Callable[[], Any]] = {"products alone": products_alone(method), "harmonics alone": harmonics}
    if options.published:
        parts |= published(batch, method.config.encoder.positional["l_max"], 256)
    timed = Alternating(options.rounds, parts)
    with suppress(Enough):
        train(method, progress="none", callbacks=[timed])
    count = launches(method)
    medians = {name: statistics.median(times) for name, times in timed.seconds.items()}
    print(machine())
    print(f"recipe {options.recipe}, batch {batch}, {len(method.tables)} modalities, {options.precision}")
    for name, median in medians.items():
        print(f"{name:24s}{1e3 * median:9.1f} ms")
    print(f"step / products alone   {medians['step'] / medians['products alone']:9.2f}   (bar: 1.4)")
    print(f"harmonics / step        {medians['harmonics alone'] / medians['step']:9.2f}")
    print(f"operations per step     {count:9d}   (launches on a GPU)")
    if options.published:
        print(f"SatCLIP / step          {medians['SatCLIP'] / medians['step']:9.2f}   (bar: 8)")
        print(f"GeoCLIP / step          {medians['GeoCLIP'] / medians['step']:9.2f}")
        ratio = medians["SatCLIP's harmonics"] / medians["harmonics alone"]
        print(f"SatCLIP's harmonics / ours {ratio:6.1f}   (bar: 25)")
        memory = {of: peak_mb(options, of) for of in ("ours", "SatCLIP", "GeoCLIP")}
        print("peak memory of three steps: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items()))


def launches(method: Watched) -> int:
    """Return the number of operations of a forward and backward pass."""
    with Kernels() as kernels:
        loss, _ = method.losses(method.model, 1)  # recall is measured every ten steps
        loss.backward()
    return kernels.count


if __name__ == "__main__":
    main()
