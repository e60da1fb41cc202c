"""Measure places encoded per second, in one call with 1,000,000 places.

    python benchmarks/encoding.py [--places 1000000] [MODEL ...]

Without a model folder it uses new encoders of the recipes' shapes: speed does not depend on the weights.
"""

import argparse
import platform
import resource
import time

import numpy as np
import torch

from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.loading import load
from geotether.training.config import load_config


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
    rng = np.random.default_rng(0)
    lon = rng.uniform(-180, 180, arguments.places)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, arguments.places)))
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, model in models.items():
        model.encode(lon=lon[:10_000], lat=lat[:10_000])
        started = time.perf_counter()
        model.encode(lon=lon, lat=lat)
        seconds = time.perf_counter() - started
        print(
            f"{name}: {arguments.places / seconds:,.0f} places per second ({model.dim} numbers each, {seconds:.1f} s)"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
