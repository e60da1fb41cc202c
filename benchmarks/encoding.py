"""Measure places encoded per second, in one call with 1,000,000 places, beside the bare matrix products of the model.

    python benchmarks/encoding.py [--places 1000000] [MODEL ...]

Without a model folder it uses new encoders of the recipes' shapes, and one with a context of 240 columns at four
scales: speed does not depend on the weights.
"""

import argparse
import platform
import resource
import time

import numpy as np
import torch
from torch import nn

from geotether.encoder import CHUNK_ROWS, Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.context import LocalContext
from geotether.loading import load
from geotether.training.config import load_config

WITH_CONTEXT = {
    "positional": {"name": "spherical_harmonics", "l_max": 30, "taper_degree": 5.0, "scale": 21.5},
    "network": {"name": "mlp", "hidden_dim": 512, "num_layers": 2},
    "network_degree": 10,
    "readout": "projected",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--places", type=int, default=1_000_000)
    arguments = parser.parse_args()
    models = {folder: load(folder) for folder in arguments.models}
    if not models:
        for recipe in ("default", "paper"):
            shape = load_config(recipe=recipe).encoder.model_dump()
            models[f"recipe {recipe}"] = Encoder(build_location_encoder(shape, seed=0))
        models["with context"] = Encoder(build_location_encoder(WITH_CONTEXT, seed=0, context=random_context()))
    rng = np.random.default_rng(0)
    lon = rng.uniform(-180, 180, arguments.places)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, arguments.places)))
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, model in models.items():
        model.encode(lon=lon[:10_000], lat=lat[:10_000])
        bare = products_per_second(model, arguments.places)
        started = time.perf_counter()
        model.encode(lon=lon, lat=lat)
        rate = arguments.places / (time.perf_counter() - started)
        print(
            f"{name}: {rate:,.0f} places per second ({model.dim} numbers each), "
            f"{100 * rate / bare:.0f} % of its bare matrix products ({bare:,.0f} per second)"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


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


def products_per_second(model: Encoder, places: int) -> float:
    """Time the matrix products of an encoder alone, by the shapes of those that it computes."""
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
    pairs = [(torch.randn(CHUNK_ROWS, rows), torch.randn(rows, columns)) for rows, columns in shapes]
    repeats = max(min(places, 200_000) // CHUNK_ROWS, 1)
    with torch.inference_mode():
        started = time.perf_counter()
        for _ in range(repeats):
            for left, right in pairs:
                left @ right
    return repeats * CHUNK_ROWS / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
