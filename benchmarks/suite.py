"""Time the parts of the package beside their floors, in one run.

    OMP_NUM_THREADS=1 python benchmarks/suite.py [--only losses steps] [--rounds 7] [--processes 2] [--write]

Each part runs in turn with its floor, so that other load affects both alike, and medians of processor time are
compared. A floor is the bare matrix products of the same shapes, or the bytes that must be read and written at the
bandwidth of a copy in the same run. The published ways (`published_way.py`) are timed beside them. `--write` puts the
table into docs/performance.md; `--processes N` adds steps of N processes (`processes.py`).
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import convolution
import encoding
import grid
import measuring
import numpy as np
import paired_losses
import torch
import training_step
from published_way import GeoCLIP, SatCLIP

from geotether.encoders.positional import SphericalHarmonics
from geotether.features.convolution import RandomConvolution
from geotether.loading import load
from geotether.objectives.info_nce import info_nce
from geotether.objectives.sigmoid import sigmoid_loss
from geotether.objectives.tying import tying_loss
from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import fit_ridges
from geotether.probes.spatial_cv import block_folds
from geotether.probes.target import ProbeTarget
from geotether.regions import grid_of, region_of
from geotether.searching.candidates import Candidates
from geotether.searching.index import Index
from geotether.searching.query import unit
from geotether.training.loop import train

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BETWEEN = ("<!-- suite -->\n", "<!-- end of suite -->")
PRODUCTS, BYTES = "products", "bytes"
Call = Callable[[], Any]


class Part(NamedTuple):
    """A part to time, and its floor.

    Attributes:
        name: What it is.
        work: Call to time.
        floor: Call with the least work, number of bytes that `work` must read and write, or nanoseconds.
        bound: Kind of floor: "products", "bytes" or in words.
    """

    name: str
    work: Call
    floor: Call | int
    bound: str


class Timed(NamedTuple):
    """Median milliseconds of a part and of its floor."""

    name: str
    ms: float
    floor_ms: float
    bound: str

    def row(self) -> str:
        """Return a row of the table."""
        return f"| {self.name} | {self.ms:,.2f} | {self.floor_ms:,.2f} | {self.bound} | {self.ms / self.floor_ms:.2f} |"


def places(count: int) -> torch.Tensor:
    """Return places that are spread evenly over the sphere, in degrees, shape (count, 2)."""
    rng = np.random.default_rng(0)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    return torch.from_numpy(np.stack([rng.uniform(-180, 180, count), lat], axis=1))


def multiply(factors: measuring.Factors) -> Call:
    """Return a call that computes matrix products."""
    return lambda: measuring.multiply(factors)


def repeated(work: Call, times: int) -> Call:
    """Return a call that repeats another."""
    return lambda: [work() for _ in range(times)]


def harmonics() -> Iterator[Part]:
    """Time spherical harmonics by degree, beside writing them."""
    for l_max, count in ((10, 2048), (20, 2048), (39, 2048), (80, 2048), (39, 16384)):
        positional, lonlat = SphericalHarmonics(l_max), places(count)
        bytes_written = 4 * count * (l_max + 1) ** 2
        work = lambda positional=positional, lonlat=lonlat: positional(lonlat, torch.float32)  # noqa: E731
        yield Part(f"harmonics of degree {l_max}, {count:,} places", work, bytes_written, BYTES)
    published, lonlat = SatCLIP(39, 8).harmonics, places(2048)
    yield Part("the same of degree 39 by published formulas", lambda: published(lonlat), 4 * 2048 * 1600, BYTES)


def context() -> Iterator[Part]:
    """Time the sampling of rasters around places: four corners of each level, two bytes a number."""
    local, lonlat = encoding.random_context(), places(4096)
    columns = sum(sum(level["groups"].values()) for level in local.levels)
    bytes_moved = 4096 * columns * (4 * 2 + 4)
    yield Part(f"local context, {columns} columns, 4,096 places", lambda: local(lonlat), bytes_moved, BYTES)


def encoders() -> Iterator[Part]:
    """Time encoding of points and on a grid in degrees."""
    models = {**encoding.of_recipes(), "world": load("world")}
    lonlat = places(8192).numpy()
    for name, model in models.items():
        model.module.settle()
        floor = repeated(multiply(encoding.products(model)), 2)
        work = lambda model=model: model.encode(lonlat)  # noqa: E731
        yield Part(f"encoding of 8,192 places, {name}", work, floor, PRODUCTS)
    geoclip, satclip = GeoCLIP(8).eval(), SatCLIP(39, 8).eval()
    layers = [layer for layer in geoclip.capsules.modules() if isinstance(layer, torch.nn.Linear)]
    pairs = [(torch.randn(8192, one.in_features), one.weight.detach().T.contiguous()) for one in layers]
    given = torch.from_numpy(lonlat)
    yield Part("the same, GeoCLIP's as published", lambda: geoclip.encode(given), multiply(pairs), PRODUCTS)
    layers = [layer for layer in satclip.network.modules() if isinstance(layer, torch.nn.Linear)]
    pairs = [(torch.randn(8192, one.in_features), one.weight.detach().T.float().contiguous()) for one in layers]
    work = lambda: satclip.network(satclip.harmonics(given))  # noqa: E731
    yield Part("the same, SatCLIP's as published (degree 39)", work, multiply(pairs), PRODUCTS)
    lattice = grid_of(region_of("-10 34.4 15.6 60"), 0.2)
    count = lattice.rows * lattice.columns
    for name, model in models.items():
        seconds = grid.floor(model, count)
        work = lambda model=model: model.encode_grid(lattice)  # noqa: E731
        yield Part(f"encoding of a grid of {count:,} places, {name}", work, round(seconds * 1e9), "later products")


def losses() -> Iterator[Part]:
    """Time losses with their gradient, by batch and number of modalities."""
    for count in (512, 2048, 8192):
        left, right = (torch.randn(count, 256, requires_grad=True) for _ in range(2))
        floor = paired_losses.products(count, count, 256, "cpu")
        pairs = {
            "CLIP": lambda left=left, right=right: info_nce(left, right, 14.0),
            "sigmoid": lambda left=left, right=right: sigmoid_loss(left, right, 10.0, -10.0),
        }
        for name, loss in pairs.items():
            work = lambda loss=loss, leaves=(left, right): torch.autograd.grad(loss(), leaves)  # noqa: E731
            yield Part(f"{name} loss of {count:,} pairs", work, floor, PRODUCTS)
    place, observed = (torch.randn(2048, 256, requires_grad=True) for _ in range(2))
    for modalities in (1, 2, 4, 8):
        share = 2048 // modalities
        groups = [slice(share * one, share * (one + 1)) for one in range(modalities)]
        for reading in ("modality_to_location", "within_modality"):
            within = reading == "within_modality"
            one = paired_losses.products(share if within else 2048, share if within else 2048, 256, "cpu")
            floor = repeated(one, modalities if within else 1)

            def work(groups: list[slice] = groups, reading: str = reading) -> None:
                parts = tying_loss(place, observed, groups, [14.0] * len(groups), reading)
                torch.autograd.grad(torch.stack(parts).mean(), (place, observed))

            yield Part(
                f"{reading}, 2,048 rows of {modalities} modalit{'y' if modalities == 1 else 'ies'}",
                work,
                floor,
                PRODUCTS,
            )


def steps(rounds: int) -> Iterator[Timed]:
    """Time whole training steps; a callback of the loop runs the floor after each."""
    for recipe, batch in (("paper", 2048), ("default", 1024), ("default", 2048), ("world", 1024)):
        method = training_step.make_method(recipe, batch, "float32")
        timed = training_step.Alternating(rounds, {"floor": training_step.products_alone(method)})
        with suppress(training_step.Enough):
            train(method, progress="none", callbacks=[timed])
        step, floor = (1e3 * statistics.median(timed.seconds[name]) for name in ("step", "floor"))
        yield Timed(f"a step of `{recipe}`, {len(method.tables)} modalities, batch {batch:,}", step, floor, PRODUCTS)
    paper = training_step.make_method("paper", 2048, "float32")
    paper.build(torch.device("cpu"))
    for name, work in training_step.published(2048, 39, 256).items():
        if name in ("SatCLIP", "GeoCLIP"):
            said = f"a step of {name} as published, 1 modality, batch 2,048"
            yield from timed_parts([Part(said, work, training_step.products_alone(paper), "products of `paper`")], 2)


def featurising() -> Iterator[Part]:
    """Time random convolutional features beside the convolution alone."""
    images = np.random.default_rng(0).integers(0, 256, (256, 64, 64, 3), dtype=np.uint8)
    features = RandomConvolution(num_filters=256).fit(images)
    filters = torch.from_numpy((features.filters_ / features.scales_).transpose(0, 3, 1, 2).copy())
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    offsets = torch.from_numpy(-features.offsets_)
    floor = lambda: convolution.bare(pixels, filters, offsets, torch.channels_last, 2)  # noqa: E731
    yield Part("features of 256 chips of 64 x 64 x 3", lambda: features.transform(images), floor, "convolution")


def probes() -> Iterator[Part]:
    """Time a ridge over nine strengths beside one decomposition by NumPy."""
    rng = np.random.default_rng(0)
    for rows, columns in ((2700, 256), (2700, 768), (9000, 256)):
        x = (rng.standard_normal((rows, 60)) @ rng.standard_normal((60, columns))).astype(np.float32)
        x += 0.3 * rng.standard_normal(x.shape).astype(np.float32)
        folds = block_folds(places(rows).numpy(), 250, 1112.0)
        target = ProbeTarget("regression", rng.standard_normal(rows))
        work = lambda x=x, target=target, folds=folds: fit_ridges(RidgeDecomposition(x), [target], folds)  # noqa: E731
        floor = lambda x=x: np.linalg.svd(x.astype(np.float64), full_matrices=False)  # noqa: E731
        yield Part(f"ridge over 9 strengths, {rows:,} x {columns}", work, floor, "NumPy's SVD")


def search() -> Iterator[Part]:
    """Time similarities of stored places with queries, beside reading them."""
    rng = np.random.default_rng(0)
    for count in (100_000, 400_000):
        index = Index(None, Candidates("random places", places(count).numpy()))
        index._vectors["place"] = unit(rng.standard_normal((count, 256), dtype=np.float32)).astype(np.float16)
        for queries in (1, 8):
            asked = unit(rng.standard_normal((queries, 256)))
            given = asked[0] if queries == 1 else asked
            work = lambda index=index, given=given: index.similarity("place", given)  # noqa: E731
            yield Part(
                f"similarity of {count:,} places with {queries} quer{'y' if queries == 1 else 'ies'}",
                work,
                512 * count,
                BYTES,
            )


PARTS: dict[str, Callable[[], Iterator[Part]]] = {
    "harmonics": harmonics,
    "context": context,
    "encoders": encoders,
    "losses": losses,
    "featurising": featurising,
    "probes": probes,
    "search": search,
}


def timed_parts(parts: Any, rounds: int) -> Iterator[Timed]:
    """Time parts and their floors in turn."""
    for part in parts:
        floor = part.floor
        if not callable(floor) and part.bound == BYTES:
            source, target = buffers()
            work_ms, copy_ms = alternate(part.work, lambda s=source, t=target: t.copy_(s), rounds)
            yield Timed(part.name, work_ms, copy_ms * floor / (2 * source.nbytes), part.bound)  # it reads and writes
        elif not callable(floor):
            yield Timed(part.name, alternate(part.work, lambda: None, rounds)[0], floor / 1e6, part.bound)
        else:
            yield Timed(part.name, *alternate(part.work, floor, rounds), part.bound)


def alternate(work: Call, floor: Call, rounds: int) -> tuple[float, float]:
    """Return median milliseconds; calls shorter than 2 ms are repeated."""
    calls = []
    for call in (work, floor):
        call()
        began = time.process_time()
        call()
        times = max(1, round(2e-3 / max(time.process_time() - began, 1e-5)))
        calls.append((lambda call=call, times=times: [call() for _ in range(times)], times))
    medians = grid.alternating([call for call, _ in calls], rounds)
    ours, least = (1e3 * each / times for each, (_, times) in zip(medians, calls, strict=True))
    return ours, max(least, 1e-6)


@cache
def buffers() -> tuple[torch.Tensor, torch.Tensor]:
    """Return two arrays of 128 MB, which exceed the caches."""
    return torch.ones(2**25), torch.zeros(2**25)


def several_processes(count: int) -> list[str]:
    """Return what benchmarks/processes.py prints."""
    own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, str(Path(__file__).with_name("processes.py")), "--count", str(count)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=own).stdout
    return [line for line in said.splitlines() if "time of a step" in line]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*PARTS, "steps"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--processes", type=int, help="also time steps of this number of processes")
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        f"{measuring.machine()}; milliseconds of processor time, medians.",
        "",
        "| part | ms | floor, ms | floor is | ratio |",
        "| --- | ---: | ---: | --- | ---: |",
    ]
    print("\n".join(lines), flush=True)
    for name in asked.only or [*PARTS, "steps"]:
        found = steps(asked.rounds) if name == "steps" else without_gradient(name, asked.rounds)
        for one in found:
            lines.append(one.row())
            print(lines[-1], flush=True)
    if asked.processes:
        lines += ["", *several_processes(asked.processes)]
        print("\n".join(lines[-3:]))
    if asked.write:
        page = PAGE.read_text(encoding="utf-8")
        pattern = re.compile("(?<=" + re.escape(BETWEEN[0]) + ").*(?=" + re.escape(BETWEEN[1]) + ")", re.DOTALL)
        PAGE.write_text(pattern.sub(lambda _: "\n".join(lines) + "\n", page, count=1), encoding="utf-8")


def without_gradient(name: str, rounds: int) -> Iterator[Timed]:
    """Time the parts of one subject, all but the losses without gradients."""
    with torch.set_grad_enabled(name == "losses"):
        yield from timed_parts(PARTS[name](), rounds)


if __name__ == "__main__":
    main()
