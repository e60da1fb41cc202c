"""Time of exporting the planet, and the bytes of exports that are killed at random moments.

    python benchmarks/exporting.py [--model world] [--resolution 0.25] [--dim 64] [--kills 10] [--kinds tif zarr]

Each kind is exported once in a process of its own, which is timed. Then the same export is started again and again,
killed by SIGKILL at a random moment between a twentieth and a half of that time, and in the end run to its end; its
files are compared with those of the first one. Each run continues where the last one was killed; if one ends before it
is killed, its files are removed and the next run starts from the beginning.
"""

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Run the benchmark and print its numbers."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--model", default="world")
    options.add_argument("--resolution", default="0.25")
    options.add_argument("--dim", default="64")
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--kinds", nargs="+", default=["tif", "zarr"])
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    random.seed(chosen.seed)
    print(f"load of the machine before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    with tempfile.TemporaryDirectory(prefix="geotether-exporting-") as folder:
        for kind in chosen.kinds:
            whole, killed = (Path(folder) / kind / name / f"planet.{kind}" for name in ("whole", "killed"))
            began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            assert start(chosen, whole).wait() == 0
            seconds = time.monotonic() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            peak = after.ru_maxrss / 2**20
            busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            size = sum(path.stat().st_size for path in files_of(whole.parent))
            cost = f"{seconds:.1f} s ({busy:.1f} s of processor time), {size / 1e6:,.0f} MB"
            print(f"{kind}: {cost}, peak memory so far {peak:.2f} GiB", flush=True)
            kills = 0
            while kills < chosen.kills:
                process = start(chosen, killed)
                time.sleep(random.uniform(0.1, 1.0) * seconds / 2)
                if process.poll() is not None:
                    shutil.rmtree(killed.parent)
                    continue
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                print(f"{kind}: kill {kills}, {parts_of(killed)} parts complete", flush=True)
            assert start(chosen, killed).wait() == 0
            same = sums_of(whole.parent) == sums_of(killed.parent)
            print(f"{kind}: the same bytes after {kills} kills: {same}", flush=True)
    print(f"load of the machine after: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")


def start(chosen: argparse.Namespace, out: Path) -> subprocess.Popen:
    words = ["export", chosen.model, "--resolution", chosen.resolution, "--dim", chosen.dim, "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "geotether", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def parts_of(out: Path) -> int:
    return len(list(out.parent.glob(f".{out.name}.job/*.npz")))


def sums_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files_of(folder)}


if __name__ == "__main__":
    main()
