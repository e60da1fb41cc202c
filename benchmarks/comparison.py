"""Measure the cost of a comparison: six encoders, four tasks, two splits, five seeds, the label ladder, ridge and kNN.

    python benchmarks/comparison.py [--out FOLDER]

The encoders have the shapes of published ones (SatCLIP at L = 10 and 40, GeoCLIP, the recipe `default` twice, a
function of 64 columns) with random weights, because time does not depend on what was learned. Baselines and joined
encoders are added, as in any comparison. Then one ridge over all strengths is timed, as a multiple of one
decomposition of its training matrix.
"""

import argparse
import logging
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from geotether.benchmark.planet import planet_tasks
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.geodesy.coordinates import unit_vectors
from geotether.loading import EncoderFunction, load_encoder
from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import fit_ridges
from geotether.probes.spatial_cv import block_folds
from geotether.probes.target import ProbeTarget
from geotether.studies.comparison import compare
from geotether.training.config import load_config


def encoders() -> dict[str, EncoderFunction]:
    """Make six encoders of published shapes with random weights."""
    default = load_config().encoder.model_dump()
    satclip = {
        f"SatCLIP L{degrees} shape": {
            "positional": {"name": "satclip_harmonics", "legendre_polys": degrees},
            "network": {"name": "siren", "hidden_dim": 512},
            "embed_dim": 256,
            "readout": "output",
        }
        for degrees in (10, 40)
    }
    wide = {
        "GeoCLIP shape": {
            "positional": {"name": "equal_earth_fourier"},
            "network": {"name": "mlp", "hidden_dim": 1024},
            "embed_dim": 512,
            "readout": "output",
        }
    }
    shapes = {"default": default, "default again": default, **satclip, **wide}
    found = {
        name: load_encoder(Encoder(build_location_encoder(shape, seed=i)))
        for i, (name, shape) in enumerate(shapes.items())
    }
    mixer = np.random.default_rng(0).standard_normal((3, 64))
    return found | {"function": lambda lonlat: np.sin(4 * unit_vectors(lonlat) @ mixer).astype(np.float32)}


def ridge_ratio(rows: int, columns: int) -> str:
    """Measure the cost of choosing among all strengths and fitting, against decompositions of the training matrix."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((rows, 60)) @ rng.standard_normal((60, columns))).astype(np.float32)
    x += 0.3 * rng.standard_normal(x.shape).astype(np.float32)
    lonlat = np.stack([rng.uniform(-180, 180, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))], axis=1)
    folds, target = block_folds(lonlat, 250, 1112.0), ProbeTarget("regression", rng.standard_normal(rows))
    times: dict[str, list[float]] = {"own": [], "svd": [], "ridge": []}
    for _ in range(5):
        start = time.perf_counter()
        RidgeDecomposition(x)
        times["own"].append(time.perf_counter() - start)
        start = time.perf_counter()
        np.linalg.svd(x.astype(np.float64), full_matrices=False)
        times["svd"].append(time.perf_counter() - start)
        start = time.perf_counter()
        fit_ridges(RidgeDecomposition(x), [target], folds)
        times["ridge"].append(time.perf_counter() - start)
    own, svd, ridge = (float(np.median(times[name])) for name in ("own", "svd", "ridge"))
    return (
        f"ridge over 9 strengths, {rows} x {columns}: {ridge / svd:.2f} of numpy's SVD of the matrix, "
        f"{ridge / own:.2f} of our decomposition (median of 5, {ridge:.2f} s)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    print(ridge_ratio(2700, 1209), ridge_ratio(9000, 256), sep="\n", flush=True)
    started = time.perf_counter()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="comparison-"))
    found = compare(encoders(), planet_tasks(), out)
    minutes = (time.perf_counter() - started) / 60
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(found.outcomes):,} outcomes in {minutes:.1f} minutes, {memory:.2f} GiB at most; {found.report}")


if __name__ == "__main__":
    main()
