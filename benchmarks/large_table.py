"""Training from a table larger than the memory of the process, beside the same table in memory.

    python benchmarks/large_table.py [--full] [--rows 400000] [--dim 256] [--steps 8] [--rounds 5] [--folder FOLDER]

A table in shards (float16) is written to a temporary folder, which is removed at the end: --full has 10,000,000 rows of
256 numbers, 5.1 GB, and needs 14 GB of disk. One process may allocate 2 GB (RLIMIT_DATA, which counts anonymous memory
but no pages of mapped files) and maps it. Another reads a table of the same kind into memory, of 2,000,000 rows at
most, so that the benchmark itself fits in memory: the speed from memory hardly depends on the number of rows. Pages of
the mapped file are removed from the system's cache when reading ahead begins, so that every block is read from the
disk. Both draw batches, then both train by the recipe `paper`, in alternating rounds. The peaks of their memory
are reported, from opening the table to the encoder: resident with pages of mapped files (VmRSS) and without (RssAnon),
and allocated, which the limit counts (VmData).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from measuring import machine, status_mb

LIMIT_BYTES = 2 * 10**9


def main() -> None:
    """Run the benchmark and print its numbers."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--full", action="store_true")
    options.add_argument("--rows", type=int, default=400_000)
    options.add_argument("--dim", type=int, default=256)
    options.add_argument("--batch", type=int, default=2048)
    options.add_argument("--steps", type=int, default=8, help="steps of a round")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--folder", help="parent of the temporary folder")
    options.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        measure(Path(chosen.child[0]), chosen.child[1] == "mapped", chosen)
        return
    rows = 10_000_000 if chosen.full else chosen.rows
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="geotether-large-", dir=chosen.folder) as name:
        folder = Path(name)
        began = time.monotonic()
        write(folder / "mapped.parquet", rows, chosen.dim)
        write(folder / "memory.parquet", min(rows, 2_000_000), chosen.dim)
        print(f"{rows:,} rows of {chosen.dim} numbers written in {time.monotonic() - began:.0f} s", flush=True)
        children = {kind: Child(folder, kind, chosen) for kind in ("mapped", "memory")}
        for kind, process in children.items():
            print(f"{kind}: {process.said()}", flush=True)
        for what in ("batches", "steps"):
            speeds: dict[str, list[float]] = {kind: [] for kind in children}
            for _ in range(chosen.rounds):  # alternating, so that other load affects both
                for kind, process in children.items():
                    speeds[kind].append(process.asked(what)["speed"])
            mapped, memory = (statistics.median(speeds[kind]) for kind in ("mapped", "memory"))
            ratio = statistics.median(a / b for a, b in zip(speeds["mapped"], speeds["memory"], strict=True))
            print(f"{what} per second, mapped / memory: {mapped:.2f} / {memory:.2f}, median ratio {ratio:.2f}")
            print(f"    in rounds: {json.dumps(speeds)}", flush=True)
        for kind, process in children.items():
            print(f"{kind}: {process.asked('end')}", flush=True)
    print(machine())


def write(path: Path, rows: int, dim: int) -> None:
    """Write the shards one by one, without the whole table in memory; places in the order of their blocks."""
    from geotether.files.parquet_files import shard_name
    from geotether.tables.store import write_table
    from geotether.tables.table import Table

    each = 500_000
    count = -(-rows // each)
    weights = np.random.default_rng(0).normal(size=(3, dim)).astype(np.float32)
    noise = np.random.default_rng(1).standard_normal((each, dim), dtype=np.float32)
    path.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        own = min(each, rows - number * each)
        lat = np.degrees(np.arcsin(np.sort(rng.uniform(-1, 1, own) / count + (2 * number + 1 - count) / count)))
        lonlat = np.stack([rng.uniform(-180, 180, own), lat], axis=1)
        x, y = np.radians(lonlat).T
        signal = np.stack([np.cos(x) * np.cos(y), np.sin(x) * np.cos(y), np.sin(y)], axis=1).astype(np.float32)
        features = signal @ weights
        features += np.roll(noise, number, axis=0)[:own]
        features = features.astype(np.float16)
        split = np.where(rng.random(own) < 0.9, "train", "validation")
        ids = np.arange(number * each, number * each + own).astype(str)
        table = Table.single("t", lonlat, features, id=ids, split=split)
        write_table(table, path / shard_name(number, count), dtype="float16")


class Child:
    """A process that measures on request; its memory is limited if the table is mapped."""

    def __init__(self, folder: Path, kind: str, chosen: argparse.Namespace) -> None:
        words = ["--child", str(folder), kind, "--steps", str(chosen.steps), "--batch", str(chosen.batch)]
        words += ["--rounds", str(chosen.rounds)]

        def limit() -> None:
            if kind == "mapped":
                resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))

        self.process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=limit,
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},  # as `geotether` sets it within a limit
        )  # fmt: skip

    def said(self) -> dict:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def asked(self, what: str) -> dict:
        """Ask for a measurement."""
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.said()


def say(found: dict) -> None:
    print(json.dumps(found), flush=True)


def measure(folder: Path, mapped: bool, chosen: argparse.Namespace) -> None:
    """Open the table, then draw batches, train and end, each after a line of the input."""
    from geotether.batches.batch import assemble
    from geotether.batches.schedule import build_schedule
    from geotether.files.mapped_rows import MappedRows
    from geotether.tables.store import read_table
    from geotether.training.pretraining import pretrain

    peaks = {"RssAnon": 0.0, "VmRSS": 0.0, "VmData": 0.0}
    threading.Thread(target=watch, args=(peaks,), daemon=True).start()
    found = {}
    for what in ("first_opening_s", "opening_s") if mapped else ("opening_s",):
        began = time.monotonic()
        path = folder / ("mapped.parquet" if mapped else "memory.parquet")
        table = read_table(path, memory_share=0.0 if mapped else 1.0, cache_dir=folder / "maps")
        found[what] = round(time.monotonic() - began, 2)
    part = table.part("train")
    schedule = build_schedule("melt", {"t": len(part)}, chosen.batch)
    prefetch = MappedRows.prefetch

    def cold(rows: MappedRows, start: int, stop: int) -> None:
        """Remove the maps from the system's cache when reading ahead begins."""
        evict(folder)
        MappedRows.prefetch = prefetch  # type: ignore[method-assign]
        rows.prefetch(start, stop)

    MappedRows.prefetch = cold  # type: ignore[method-assign]
    say(found)
    each = max(1, min(400, len(part) // chosen.batch) // chosen.rounds)
    for number in range(chosen.rounds):
        sys.stdin.readline()
        began = time.monotonic()
        for step in range(number * each, (number + 1) * each):
            assemble({"t": part}, schedule, step, seed=1)
        say({"speed": each / (time.monotonic() - began)})

    class Clock:
        began = 0.0

        def on_step(self, step: int, values: dict) -> None:
            if step and step % chosen.steps == 0:
                say({"speed": chosen.steps / (time.monotonic() - self.began)})
            if step % chosen.steps == 0 and step < chosen.steps * chosen.rounds:
                sys.stdin.readline()
                self.began = time.monotonic()

    del part
    MappedRows.prefetch = cold  # type: ignore[method-assign]
    pretrain(
        {"t": table}, "paper", steps=chosen.steps * chosen.rounds + 1, batch_size=chosen.batch, warmup_steps=0,
        validate_every=None, keep="last", ema_decay=None, callbacks=[Clock()], progress="none",
    )  # fmt: skip
    sys.stdin.readline()
    say({f"peak_{name}_MB": round(peak) for name, peak in peaks.items()})


def watch(peaks: dict[str, float]) -> None:
    """Keep the largest values that the system reports for this process, in MB."""
    while True:
        for name in peaks:
            peaks[name] = max(peaks[name], status_mb(name))
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
