"""Measure windows cut from a raster per second, compared with a lower bound of the time.

    python benchmarks/windows.py RASTER [--windows 20000] [--pixels 64] [--km 180]

The floor is the least that any method needs: decoding every tile once with rasterio, and copying each window once from
an array in memory. Windows are cut in runs of 1,000 rows in one process, as the job that builds a table does.
"""

import argparse
import pickle
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio

from geotether.sources.grids.raster_source import RasterSource


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raster")
    parser.add_argument("--windows", type=int, default=20_000)
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--km", type=float, default=180.0)
    arguments = parser.parse_args()
    count, side = arguments.windows, arguments.pixels
    decoding, copying = floor(arguments.raster, count, side)
    print(
        f"{platform.processor() or platform.machine()}, rasterio {rasterio.__version__}, {count} windows of {side} px"
    )
    print(f"floor: {decoding:.1f} s to decode every tile, {copying:.1f} s to copy the windows out of memory")
    for name, options in (
        (f"{side} x {side} cells", {"pixels": side}),
        (f"{arguments.km:g} km, nearest", {"km": arguments.km, "size": side}),
        (f"{arguments.km:g} km, bilinear", {"km": arguments.km, "size": side, "resampling": "bilinear"}),
    ):
        preparing, cutting = cut(arguments.raster, count, options)
        whole = preparing + cutting
        print(
            f"{name}: {count / whole:,.0f} windows a second in all ({preparing:.1f} s to prepare), "
            f"{count / cutting:,.0f} while cutting; {whole / (decoding + copying):.1f} times the floor"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB, with the floor's array")


def floor(path: str, count: int, side: int) -> tuple[float, float]:
    started = time.perf_counter()
    with rasterio.open(path) as file:
        cells = np.empty((file.height, file.width, file.count), dtype=file.dtypes[0])
        for _, tile in file.block_windows():
            rows, columns = tile.toslices()
            cells[rows, columns] = np.moveaxis(file.read(window=tile), 0, -1)
    decoded = time.perf_counter()
    rng = np.random.default_rng(0)
    top, left = rng.integers(0, cells.shape[0] - side, count), rng.integers(0, cells.shape[1] - side, count)
    run = np.empty((1000, side, side, cells.shape[2]), dtype=cells.dtype)
    for place, (row, column) in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
        run[place % 1000] = cells[row : row + side, column : column + side]
    return decoded - started, time.perf_counter() - decoded


def cut(path: str, count: int, options: dict) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        source = RasterSource(path, take="window", sample=count, **options)
        source.prepare(Path(folder))
        source = pickle.loads(pickle.dumps(source))  # as a worker gets it
        prepared = time.perf_counter()
        for start in range(0, count, 1000):
            source.read(start, min(start + 1000, count))
        return prepared - started, time.perf_counter() - prepared


if __name__ == "__main__":
    main()
