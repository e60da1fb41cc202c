"""Time a query among stored vectors: similarities of all candidates, the ten best, and ten that are apart.

    python benchmarks/search.py [--places 1000000] [--dim 256] [--threads 2]

Vectors are random, of length 1, float16 and memory-mapped, as `geotether.searching.index` stores them.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geotether.searching.answers import best, thinned
from geotether.searching.candidates import Candidates
from geotether.searching.index import Index
from geotether.searching.query import unit

ROWS = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, asked.places), rng.uniform(-60, 80, asked.places)], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "place.npy"
        stored = np.lib.format.open_memmap(path, "w+", np.float16, (asked.places, asked.dim))
        for start in range(0, asked.places, ROWS):
            stored[start : start + ROWS] = unit(rng.standard_normal((len(stored[start : start + ROWS]), asked.dim)))
        stored.flush()
        index = Index(None, Candidates("random places", lonlat))
        index._vectors["place"] = np.load(path, mmap_mode="r")
        query = unit(rng.standard_normal((1, asked.dim)))[0]
        similarity = index.similarity("place", query)
        order = np.argsort(-similarity, kind="stable")
        said = f"{asked.places:,} places of {asked.dim} numbers, {asked.threads} threads"
        print(f"{said}: {path.stat().st_size / 1e6:,.0f} MB")
        print(f"similarities      {seconds(lambda: index.similarity('place', query)):.3f} s")
        print(f"the ten best      {seconds(lambda: best(similarity, 10)):.3f} s")
        print(f"sorted            {seconds(lambda: np.argsort(-similarity, kind='stable')):.3f} s")
        print(f"ten, 300 km apart {seconds(lambda: thinned(lonlat, order, 10, 300.0)):.3f} s")


def seconds(work: Callable[[], Any], times: int = 5) -> float:
    """Return the least time of several runs."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


if __name__ == "__main__":
    main()
