"""Training from a table larger than the memory of the process, beside the same table in memory.

    python benchmarks/large_table.py [--full] [--rows 400000] [--dim 256] [--steps 40] [--folder FOLDER]

A table in shards (float16) is written to a temporary folder, which is removed at the end: --full has 10,000,000 rows of
256 numbers, 5.1 GB, and needs 11 GB of disk and 13 GB of memory for the comparison. One process reads it into memory.
Another may allocate 2 GB (RLIMIT_DATA, which counts anonymous memory but no pages of mapped files) and maps it. Pages
of the file are removed from the system's cache before each measurement, so that every block is read from the disk. The
peaks of its resident memory with and without mapped pages are reported too. Both train with the same recipe, and both
draw batches without training.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

LIMIT_BYTES = 2 * 10**9


def main() -> None:
    """Run the benchmark and print its numbers."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--full", action="store_true")
    options.add_argument("--rows", type=int, default=400_000)
    options.add_argument("--dim", type=int, default=256)
    options.add_argument("--batch", type=int, default=2048)
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--folder", help="where the temporary folder is made")
    options.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        measure(Path(chosen.child[0]), chosen.child[1] == "mapped", chosen)
        return
    rows = 10_000_000 if chosen.full else chosen.rows
    print(f"load of the machine before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}", flush=True)
    with tempfile.TemporaryDirectory(prefix="geotether-large-", dir=chosen.folder) as name:
        folder = Path(name)
        began = time.monotonic()
        write(folder / "t.parquet", rows, chosen.dim)
        print(f"{rows:,} rows of {chosen.dim} numbers written in {time.monotonic() - began:.0f} s", flush=True)
        found = {}
        for kind in ("mapped", "memory"):
            found[kind] = child(folder, kind, chosen)
            print(f"{kind}: {json.dumps(found[kind])}", flush=True)
        for what in ("steps", "batches"):
            mapped, memory = found["mapped"][what], found["memory"][what]
            print(f"{what} per second, mapped / memory: {mapped:.2f} / {memory:.2f} = {mapped / memory:.2f}")
    print(f"load of the machine after: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")


def write(path: Path, rows: int, dim: int) -> None:
    """Write the shards one by one, without the whole table in memory; places in the order of their blocks."""
    from geotether.files.parquet_files import shard_name
    from geotether.tables.store import write_table
    from geotether.tables.table import Table

    each = 500_000
    count = -(-rows // each)
    weights = np.random.default_rng(0).normal(size=(3, dim)).astype(np.float32)
    path.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        own = min(each, rows - number * each)
        lat = np.degrees(np.arcsin(np.sort(rng.uniform(-1, 1, own) / count + (2 * number + 1 - count) / count)))
        lonlat = np.stack([rng.uniform(-180, 180, own), lat], axis=1)
        x, y = np.radians(lonlat).T
        signal = np.stack([np.cos(x) * np.cos(y), np.sin(x) * np.cos(y), np.sin(y)], axis=1).astype(np.float32)
        features = (signal @ weights + rng.standard_normal((own, dim), dtype=np.float32)).astype(np.float16)
        split = np.where(rng.random(own) < 0.9, "train", "validation")
        ids = np.arange(number * each, number * each + own).astype(str)
        table = Table.single("t", lonlat, features, id=ids, split=split)
        write_table(table, path / shard_name(number, count), dtype="float16")


def child(folder: Path, kind: str, chosen: argparse.Namespace) -> dict:
    """Measure in a process of its own, with a limit if the table is mapped."""
    words = ["--child", str(folder), kind, "--steps", str(chosen.steps), "--batch", str(chosen.batch)]

    def limit() -> None:
        if kind == "mapped":
            resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))

    done = subprocess.run(
        [sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True, preexec_fn=limit
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(folder: Path, mapped: bool, chosen: argparse.Namespace) -> None:
    """Open the table, draw batches, train, and print what it took as JSON."""
    import torch

    from geotether.batches.batch import assemble
    from geotether.batches.schedule import build_schedule
    from geotether.tables.store import read_table
    from geotether.training.pretraining import pretrain

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 0)) or torch.get_num_threads())
    peaks = {"RssAnon": 0, "VmRSS": 0}
    threading.Thread(target=watch, args=(peaks,), daemon=True).start()
    share = 0.0 if mapped else 1.0
    found = {}
    for what in ("first_opening_s", "opening_s") if mapped else ("opening_s",):
        began = time.monotonic()
        table = read_table(folder / "t.parquet", memory_share=share, cache_dir=folder / "maps")
        found[what] = round(time.monotonic() - began, 2)
    part = table.part("train")
    schedule = build_schedule("melt", {"t": len(part)}, chosen.batch)
    evict(folder)
    count = min(400, len(part) // chosen.batch)
    began = time.monotonic()
    for step in range(count):
        assemble({"t": part}, schedule, step, seed=1)
    found["batches"] = round(count / (time.monotonic() - began), 1)

    times: list[float] = []

    class Clock:
        def on_step(self, step: int, values: dict) -> None:
            if step == 0:
                evict(folder)
            times.append(time.monotonic())

    began = time.monotonic()
    pretrain(
        {"t": table}, "paper", steps=chosen.steps, batch_size=chosen.batch, warmup_steps=0, validate_every=None,
        keep="last", ema_decay=None, callbacks=[Clock()], progress="none",
    )  # fmt: skip
    found["steps"] = round(1 / statistics.median(np.diff(times)), 3)
    found["setup_and_end_s"] = round(time.monotonic() - began - (times[-1] - times[0]), 1)
    found |= {f"peak_{name}_MB": round(peak / 1000) for name, peak in peaks.items()}
    print(json.dumps(found))


def watch(peaks: dict[str, int]) -> None:
    """Keep the largest values that the system reports for this process, in kB."""
    while True:
        status = Path("/proc/self/status").read_text()
        for name in peaks:
            peaks[name] = max(peaks[name], int(re.search(rf"{name}:\s+(\d+)", status)[1]))
        time.sleep(0.02)


def evict(folder: Path) -> None:
    """Remove the files of a folder from the system's cache."""
    for file in folder.rglob("*.npy"):
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


if __name__ == "__main__":
    main()
