"""Measure encoding on a grid in degrees against point by point, alternating, with the least time that any path needs.

    python benchmarks/grid.py [--repeats 7] [--step 0.1] [MODEL ...]

Without models: spherical harmonics of degree 39 alone (features of 4,096 places at a time), with a linear map to 256
numbers, and the recipes `paper` (degree 39) and `default`, then the model `world`. The floor is the products that
depend on every place: all layers of the network but the first, its columns of context, and the readout of context and
hidden layer. Times are processor time; measure on one thread: OMP_NUM_THREADS=1.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from geotether.devices import CPU_ROWS
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.positional import SphericalHarmonics
from geotether.loading import load
from geotether.regions import grid_of, region_of
from geotether.training.config import load_config

BOX = "-10 34.4 15.6 60"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--step", type=float, default=0.1)
    arguments = parser.parse_args()
    grid = grid_of(region_of(BOX), arguments.step)
    lonlat = grid.lonlat(slice(None), slice(None)).reshape(-1, 2)
    print(f"{grid.rows} x {grid.columns} places, {torch.get_num_threads()} threads, torch {torch.__version__}")
    if not arguments.models:
        harmonics(grid.lon(), grid.lat(), arguments.repeats)
    for name, model in models(arguments.models):
        points, gridded = model.encode(lonlat), model.encode_grid(grid).reshape(len(lonlat), -1)
        error = np.abs(points - gridded).max()
        by_point, by_grid = alternating(
            [lambda model=model: model.encode(lonlat), lambda model=model: model.encode_grid(grid)], arguments.repeats
        )
        report(name, by_point, by_grid, error, len(lonlat), floor(model, len(lonlat)))


def models(folders: list[str]) -> list[tuple[str, Encoder]]:
    """Load models, or build new ones: speed does not depend on the weights."""
    if folders:
        return [(folder, load(folder)) for folder in folders]
    linear = {
        "positional": {"name": "spherical_harmonics", "l_max": 39},
        "network": {"name": "linear"},
        "embed_dim": 256,
    }
    paper, default = (load_config(recipe=recipe).encoder.model_dump() for recipe in ("paper", "default"))
    named = {"degree 39, linear": linear, "recipe paper (degree 39)": paper, "recipe default (degree 20)": default}
    built = [(name, Encoder(build_location_encoder(shape, seed=0))) for name, shape in named.items()]
    for _, model in built:
        model.module.settle()
    return [*built, ("world (degree 40)", load("world"))]


def harmonics(lon: np.ndarray, lat: np.ndarray, repeats: int) -> None:
    """Compare the features themselves, 4,096 places at a time."""
    positional, lons, lats = SphericalHarmonics(39), torch.from_numpy(lon), torch.from_numpy(lat)
    rows = CPU_ROWS // len(lon)
    lat_grid, lon_grid = torch.meshgrid(lats, lons, indexing="ij")
    places = torch.stack((lon_grid, lat_grid), dim=-1).flatten(0, 1)

    def by_point() -> None:
        for chunk in places.split(rows * len(lon)):
            positional(chunk, torch.float32)

    def by_grid() -> None:
        factors = positional.grid_factors(lons, lats, torch.float32)
        for start in range(0, len(lat), rows):
            factors.features(slice(start, start + rows), slice(0, len(lon)))

    with torch.inference_mode():
        features = positional.grid_factors(lons, lats, torch.float32).features(slice(0, rows), slice(0, len(lon)))
        error = float((features - positional(places[: rows * len(lon)], torch.float32)).abs().max())
        report("harmonics of degree 39 alone", *alternating([by_point, by_grid], repeats), error, len(places))


def floor(model: Encoder, places: int) -> float:
    """Time the products that every path needs, on one call's number of places."""
    module = model.module
    layers = [part for part in module.network.modules() if isinstance(part, nn.Linear)]
    used = [layer for layer in layers if layer is not module.network.output or "output" in module.part_names]
    shapes = [(layer.in_features, layer.out_features) for layer in used[1:]]
    rasters = 0 if module.context is None else module.context.dim_of("rasters")
    if rasters and used:
        shapes.append((rasters, used[0].out_features))
    if module.projection is not None:
        shapes.append((sum(module.projection.dims[1:]), model.dim))
    pairs = [(torch.randn(CPU_ROWS, rows), torch.randn(rows, columns)) for rows, columns in shapes]

    def products() -> None:
        for left, right in pairs:
            left @ right

    with torch.inference_mode():
        return alternating([products], 15)[0] * places / CPU_ROWS if pairs else 0.0


def alternating(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """Return the median seconds of each call."""
    seconds: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 1):
        for number, call in enumerate(calls):
            started = time.process_time()
            call()
            if repeat:  # the first call builds tables
                seconds[number].append(time.process_time() - started)
    return [statistics.median(one) for one in seconds]


def report(name: str, by_point: float, by_grid: float, error: float, places: int, least: float = 0.0) -> None:
    each = [1e6 * seconds / places for seconds in (by_point, by_grid, least)]
    at_most = f"; floor {each[2]:.1f} us, so at most {by_point / least:.1f}" if least else ""
    print(
        f"{name}: {each[0]:.2f} us per place point by point, {each[1]:.2f} us on the grid: "
        f"{by_point / by_grid:.1f} times as fast{at_most}; largest difference {error:.1e}",
        flush=True,
    )


if __name__ == "__main__":
    main()
