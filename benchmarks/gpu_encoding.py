"""Measure encoding on one GPU, beside the bare products of the same shapes and the bytes that must move.

    python benchmarks/gpu_encoding.py [--places 4194304] [--rounds 2]

For the shapes of the recipes `default` and `paper` and for the model `world`, in each precision: places per second with
256 numbers each, where vectors stay on the device and from NumPy to NumPy; the error against float32 on the CPU; a grid
in degrees. The products are those of one chunk, in the same precision, without anything else; bytes are those that each
place needs in any case (features, hidden layers and vectors, written and read once), at the bandwidth of a copy in the
same run; results for NumPy must also be copied within the host, to memory that is used for the first time. The five
operations that take most of the device's time of a chunk are listed with their shares. The least time of some rounds
counts. It takes about 30 seconds.
"""

import argparse
import sys
import time
from typing import Any

import numpy as np
import torch
from measuring import device_seconds
from torch import nn

from geotether.devices import PRECISIONS, products_in, rows_at_once
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.location import LocationEncoder
from geotether.encoders.point_path import aligned
from geotether.encoders.positional import fused_harmonics
from geotether.loading import load
from geotether.regions import grid_of, region_of
from geotether.training.config import load_config

COMPARED = 4096
DEVICE = torch.device("cuda")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=2**22)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("This benchmark needs an NVIDIA GPU that torch can see; benchmarks/encoding.py measures CPUs.")
    started = time.perf_counter()
    places = random_places(arguments.places)
    there = torch.from_numpy(places).to(DEVICE)
    copied = bandwidth(torch.empty(2**28, device=DEVICE), torch.empty(2**28, device=DEVICE))
    to_host = bandwidth(torch.empty(2**26, device=DEVICE), torch.empty(2**26, pin_memory=True)) / 2
    pinned = torch.zeros(2**26, 1, pin_memory=True)
    into_new = device_seconds(lambda: torch.from_numpy(np.empty(pinned.shape, np.float32)).copy_(pinned), 3)
    in_host = pinned.nbytes / min(into_new)
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {torch.get_num_threads()} threads of the host; "
        f"copies: {copied / 1e9:,.0f} GB/s on the device, {to_host / 1e9:.1f} GB/s to pinned memory, from there to new "
        f"memory {in_host / 1e9:.1f} GB/s; kernels for harmonics: {fused_harmonics.is_available(DEVICE)}"
    )
    for name, module in modules().items():
        want = Encoder(module).encode(places[:COMPARED])
        for precision in PRECISIONS:
            encoder = Encoder(module, device="cuda", precision=precision)
            error = encoder.encode(places[:COMPARED]) - want
            by_tensor, by_array = rates(encoder, (there, places), arguments.rounds)
            bare, flops = products(module, precision)
            moved = bytes_per_place(module, 2 if precision == "bf16" else 4) / copied
            print(
                f"{name}, {precision}: {by_tensor / 1e6:.1f} million places per second on the device, "
                f"{by_array / 1e6:.1f} from NumPy to NumPy ({module.handout_dim} numbers); "
                f"{1e9 / by_tensor:.1f} ns, products {bare * 1e9:.1f} ns ({flops / bare / 1e12:.0f} "
                f"TFLOP/s), bytes {moved * 1e9:.1f} ns; error {np.linalg.norm(error) / np.linalg.norm(want):.1e} in "
                f"norm, {np.abs(error).max() / np.abs(want).max():.1e} of the largest number",
                flush=True,
            )
            print_operations(encoder, there)
            if precision == "tf32":
                print_grid(encoder, arguments.rounds)
    print(
        f"{time.perf_counter() - started:.0f} s; peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of the device"
    )


def random_places(count: int) -> np.ndarray:
    """Return places spread evenly over the Earth, (n, 2)."""
    rng = np.random.default_rng(0)
    return np.stack((rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))), axis=1)


def modules() -> dict[str, LocationEncoder]:
    """Return new encoders of the recipes' shapes, and the model `world`."""
    shapes = {recipe: load_config(recipe=recipe).encoder.model_dump() for recipe in ("default", "paper")}
    built = {f"recipe {name}": build_location_encoder(shape, seed=0).eval() for name, shape in shapes.items()}
    for module in built.values():
        module.settle()
    return built | {"world": load("world").module}


def rates(encoder: Encoder, forms: Any, rounds: int) -> list[float]:
    """Return places per second of each form in which the places are given."""
    found = []
    for places in forms:
        encoder.encode(places[: 2**18])  # pins memory, loads kernels
        seconds = min(device_seconds(lambda places=places: encoder.encode(places), rounds))
        found.append(len(places) / seconds)
    return found


def bandwidth(source: torch.Tensor, target: torch.Tensor) -> float:
    """Return bytes read and written per second of a copy."""
    return 2 * source.nbytes / min(device_seconds(lambda: target.copy_(source, non_blocking=True), 5))


def products(module: LocationEncoder, precision: str) -> tuple[float, float]:
    """Return seconds and operations per place of the products of one chunk alone."""
    network: Any = module.network
    layers = [part for part in network.modules() if isinstance(part, nn.Linear)]
    used = [layer for layer in layers if layer is not network.output or "output" in module.part_names]
    shapes = [(layer.in_features, layer.out_features) for layer in used]
    if module.projection is not None:
        shapes.append((sum(module.projection.dims), module.handout_dim))
    rows = rows_at_once(DEVICE, module.numbers_per_place(module.handout_dim))
    kept = torch.bfloat16 if precision == "bf16" else torch.float32
    factors = [
        (
            torch.randn(rows, aligned(count), device=DEVICE, dtype=kept),
            torch.randn(aligned(count), out, device=DEVICE, dtype=kept),
        )
        for count, out in shapes
    ]

    def multiply() -> None:
        for left, right in factors:
            left @ right

    with torch.inference_mode(), products_in(precision, DEVICE):
        return min(device_seconds(multiply, 5)) / rows, sum(2.0 * count * out for count, out in shapes)


def bytes_per_place(module: LocationEncoder, size: int) -> int:
    """Return the bytes that a place needs: features, hidden layers and its vector, each written and read once."""
    network: Any = module.network
    features = module.positional.out_dim + (0 if module.context is None else module.context.out_dim)  # type: ignore[operator]
    hidden = network.hidden_dim * network.num_layers
    return 2 * size * (features + hidden) + 8 * module.handout_dim + 16


def print_operations(encoder: Encoder, places: torch.Tensor) -> None:
    """Print the operations of one chunk that take most of the device's time."""
    chunk = places[: rows_at_once(DEVICE, encoder.module.numbers_per_place(encoder.dim))]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        seconds = min(device_seconds(lambda: encoder.encode(chunk), 1))
    found = [one for one in profile.key_averages() if one.self_device_time_total > 0]
    busy, launched = sum(one.self_device_time_total for one in found), sum(one.count for one in found)
    print(f"  {len(chunk):,} places: {launched} kernels, device busy {busy / 1e3:.2f} of {seconds * 1e3:.2f} ms:")
    for one in sorted(found, key=lambda one: -one.self_device_time_total)[:5]:
        print(f"  {one.self_device_time_total / busy:6.1%} {one.count:3d} x {one.key[:110]}")


def print_grid(encoder: Encoder, rounds: int) -> None:
    """Print how fast a grid in degrees is encoded."""
    grid = grid_of(region_of("-60 -30 60 30"), 0.05)
    lon, lat = (torch.tensor(axis, device=DEVICE) for axis in (grid.lon(), grid.lat()))

    def on_device() -> None:
        with torch.inference_mode(), products_in(encoder.precision, DEVICE):
            encoder.module.handout_grid(lon, lat)

    found = []
    for call in (on_device, lambda: encoder.encode_grid(grid)):
        call()
        found.append(grid.rows * grid.columns / min(device_seconds(call, rounds)) / 1e6)
    print(
        f"  a grid of {grid.rows:,} x {grid.columns:,}: {found[0]:.1f} million places per second by row and column, on "
        f"the device; {found[1]:.1f} point by point, to NumPy"
    )


if __name__ == "__main__":
    main()
