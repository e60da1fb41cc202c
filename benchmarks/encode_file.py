"""Measure `geotether encode` of a large CSV (lon, lat, an id of 12 digits) beside the encoder alone.

    python benchmarks/encode_file.py [--rows 1000000] [--model world] [--dim 64 256] [--out .parquet .csv]

Each file is written by a process of its own, start and imports included. Processor time is compared too, because
machines are shared; "alone" is `Encoder.encode` of up to 200,000 of the places, before and after.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from geotether.loading import load

ALONE = 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--model", default="world")
    parser.add_argument("--dim", nargs="+", default=["64"])
    parser.add_argument("--out", nargs="+", default=[".parquet", ".csv"], help="endings of the files to write")
    arguments = parser.parse_args()
    model = load(arguments.model)
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, ALONE), np.degrees(np.arcsin(rng.uniform(-1, 1, ALONE)))], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        points = Path(folder, "points.csv")
        write_points(points, arguments.rows, rng)
        for dim in arguments.dim:
            width = dim if dim == "full" else int(dim)
            before = alone(model, lonlat, width)
            runs = {ending: encode_file(arguments.model, points, ending, dim) for ending in arguments.out}
            rates = [max(pair) for pair in zip(before, alone(model, lonlat, width), strict=True)]
            print(f"dim {dim}: the encoder alone {rates[0]:,.0f} rows per second, {rates[1]:,.0f} per processor second")
            for ending, (wall, processor, peak, size) in runs.items():
                shares = (arguments.rows / wall / rates[0], arguments.rows / processor / rates[1])
                print(
                    f"  {ending}: {arguments.rows:,} rows in {wall:.1f} s = {arguments.rows / wall:,.0f} per second, "
                    f"{shares[0]:.2f} of the encoder alone ({shares[1]:.2f} by processor time); peak {peak / 1e9:.2f} "
                    f"GB, file {size / 1e9:.2f} GB"
                )


def write_points(path: Path, rows: int, rng: np.random.Generator) -> None:
    with path.open("w") as file:
        file.write("lon,lat,id\n")
        for start in range(0, rows, 100_000):
            count = min(100_000, rows - start)
            lon, lat = rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
            places = zip(lon.round(6).tolist(), lat.round(6).tolist(), strict=True)
            file.writelines(f"{x},{y},{start + at:012d}\n" for at, (x, y) in enumerate(places))


def alone(model: object, lonlat: np.ndarray, dim: int | str) -> tuple[float, float]:
    """Return places per second and per second of processor time."""
    model.encode(lonlat[:10_000], dim=dim)  # type: ignore[attr-defined]
    wall, processor = time.perf_counter(), time.process_time()
    model.encode(lonlat, dim=dim)  # type: ignore[attr-defined]
    return len(lonlat) / (time.perf_counter() - wall), len(lonlat) / (time.process_time() - processor)


def encode_file(model: str, points: Path, ending: str, dim: str) -> tuple[float, float, int, int]:
    """Return seconds, seconds of processor time, peak memory in bytes, and size of the file of one command."""
    out = points.with_name(f"encoded{ending}")
    started = time.perf_counter()
    command = [sys.executable, "-m", "geotether", "encode", model, str(points), "--out", str(out), "--dim", dim]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    wall = time.perf_counter() - started
    size = out.stat().st_size
    out.unlink()
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, size


if __name__ == "__main__":
    main()
