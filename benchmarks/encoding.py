"""Compare the cost of encoding with the bare matrix products of the model.

    OMP_NUM_THREADS=1 python benchmarks/encoding.py [--places 1000000] [MODEL ...]

Places are encoded in parts, which alternate with the products; medians of processor time are compared, so that other
load on the machine matters little.

Without a model folder it uses new encoders of the recipes' shapes, and one with a context of 240 columns at four
scales: speed does not depend on the weights.
"""

import argparse
import resource
import statistics
import time

import numpy as np
import torch
from measuring import Factors, machine, multiply
from torch import nn

from geotether.devices import CPU_ROWS
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.context import LocalContext
from geotether.loading import load
from geotether.training.config import load_config

PART = 16 * CPU_ROWS
WITH_CONTEXT = {
    "positional": {"name": "spherical_harmonics", "l_max": 30, "taper_degree": 5.0, "scale": 21.5},
    "network": {"name": "mlp", "hidden_dim": 512, "num_layers": 2},
    "network_degree": 10,
    "readout": "projected",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--places", type=int, default=16 * PART)
    arguments = parser.parse_args()
    models = {folder: load(folder) for folder in arguments.models}
    if not models:
        models = of_recipes()
        models["with context"] = Encoder(build_location_encoder(WITH_CONTEXT, seed=0, context=random_context()))
    rng = np.random.default_rng(0)
    lon = rng.uniform(-180, 180, arguments.places)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, arguments.places)))
    print(machine())
    for name, model in models.items():
        pairs = products(model)
        seconds: dict[str, list[float]] = {"encoding": [], "products": []}
        for start in range(-PART, arguments.places, PART):  # the first part warms up
            rows = slice(max(start, 0), max(start, 0) + PART)
            for what, times in seconds.items():
                started = time.process_time()
                if what == "encoding":
                    model.encode(lon=lon[rows], lat=lat[rows])
                else:
                    with torch.inference_mode():
                        for _ in range(len(lon[rows]) // CPU_ROWS):
                            multiply(pairs)
                if start >= 0:
                    times.append(time.process_time() - started)
        encoding, bare = (PART / statistics.median(times) for times in seconds.values())
        print(
            f"{name}: {encoding:,.0f} places per second of processor time ({model.dim} numbers each), "
            f"{bare / encoding:.2f} times its bare matrix products ({bare:,.0f} per second; bar: 1.5)"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


def of_recipes() -> dict[str, Encoder]:
    """Return new encoders of the recipes' shapes."""
    shapes = {recipe: load_config(recipe=recipe).encoder.model_dump() for recipe in ("paper", "default")}
    return {f"recipe {recipe}": Encoder(build_location_encoder(shape, seed=0)) for recipe, shape in shapes.items()}


def random_context() -> LocalContext:
    """Four levels of 60 columns with random values at a third of the nodes."""
    world = {"source": "rasters", "west": -180.0, "north": 90.0, "groups": {"land": 48, "lights": 12}}
    steps = (0.5, 1.0, 2.0, 5.0)
    levels = [
        {**world, "scale_km": 60 * step, "step": step, "rows": int(180 / step) + 1, "columns": int(360 / step)}
        for step in steps
    ]
    context, rng = LocalContext(levels), np.random.default_rng(0)
    for number, level in enumerate(levels):
        shape = (level["rows"], level["columns"])
        values = rng.standard_normal((*shape, 60), dtype=np.float32) * (rng.random(shape) < 1 / 3)[..., None]
        context.fill(number, values, np.ones(shape, bool))
    return context


def products(model: Encoder) -> Factors:
    """Return the factors of the matrix products of an encoder, with the shapes that it computes."""
    shapes: list[tuple[int, int]] = []
    hooks = [
        part.register_forward_hook(lambda layer, *_: shapes.append((layer.in_features, layer.out_features)))
        for part in model.module.modules()
        if isinstance(part, nn.Linear)
    ]
    model.encode(lon=0.5, lat=0.5)
    for hook in hooks:
        hook.remove()
    if model.module.projection is not None:
        shapes.append((sum(model.module.projection.dims), model.dim))
    return [(torch.randn(CPU_ROWS, rows), torch.randn(rows, columns)) for rows, columns in shapes]


if __name__ == "__main__":
    main()
