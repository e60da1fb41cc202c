"""Compare an encoder with its ONNX file: largest difference, size and speed.

    python benchmarks/onnx_parity.py [--model world] [--places 1000000] [--dim 64]

Places are spread evenly over the Earth; edges (poles, antimeridian) come first. Both compute chunks of 4,096 places, in
turn, on as many threads as OMP_NUM_THREADS says (default 1).
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import geotether
from geotether.devices import CPU_ROWS
from geotether.encoders.graph import INPUT, check_places


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="world")
    parser.add_argument("--places", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int)
    given = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", 1))
    torch.set_num_threads(threads)
    encoder, places = geotether.load(given.model), check_places(given.places).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        started = time.perf_counter()
        encoder.export_graph(path, given.dim)
        print(f"{path.stat().st_size / 1e6:.1f} MB, written in {time.perf_counter() - started:.1f} s")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    largest, seconds = 0.0, {"onnxruntime": 0.0, "torch": 0.0}
    for start in range(0, len(places), CPU_ROWS):
        rows = places[start : start + CPU_ROWS]
        began = time.perf_counter()
        got = session.run(None, {INPUT: rows})[0]
        between = time.perf_counter()
        wanted = encoder.encode(rows, dim=given.dim)
        seconds["torch"] += time.perf_counter() - between
        seconds["onnxruntime"] += between - began
        largest = max(largest, float(np.abs(got - wanted).max()))
    print(f"largest difference at {len(places):,} places: {largest:.1e}")
    for name, spent in seconds.items():
        print(f"{name}: {len(places) / spent:,.0f} places per second on {threads} thread(s)")
    print(f"onnxruntime is {seconds['torch'] / seconds['onnxruntime']:.2f} times as fast as torch")


if __name__ == "__main__":
    main()
