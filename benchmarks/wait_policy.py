"""Measure the effect of OMP_WAIT_POLICY=PASSIVE and GOMP_SPINCOUNT=3000 (set by the command line) on a training step.

    python benchmarks/wait_policy.py [--steps 20] [--turns 3]

Each policy trains in its own process, alternately, first without other load and then beside two processes that keep
one core busy each. Medians over steps are reported, and their ratios; both are meaningful only if the machine is
otherwise idle.
"""

import argparse
import os
import statistics
import subprocess
import sys

TRAIN = """
import statistics, sys
from itertools import pairwise
import numpy as np, torch
from geotether.tables.table import Table
from geotether.training.pretraining import pretrain

torch.set_num_threads(2)
rng = np.random.default_rng(0)
tables = {}
for name in ("one", "two", "three"):
    lonlat = np.stack([rng.uniform(-180, 180, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))], -1)
    tables[name] = Table.single(name, lonlat, rng.standard_normal((20_000, 256), np.float32))
context = {"observations": {"components": 0}}
steps = int(sys.argv[1]) + 3
settings = {"steps": steps, "validate_every": None, "context": context, "encoder": {"readout": "output"}}
done = pretrain(tables, progress="none", device="cpu", **settings)
seconds = [line["seconds"] for line in done.history][2:]
print(statistics.median(b - a for a, b in pairwise(seconds)) * 1000)
"""
BUSY = "while True: sum(range(1000))"


SETTINGS = {
    "default": {},
    "PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "command line": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "3000"},
}


def step_ms(settings: dict[str, str], steps: int) -> float:
    """Train in a process of its own and return the median milliseconds of a step."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment |= settings
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(steps)], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Measure both policies, beside nothing and beside two busy processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}")
    for busy in (0, 2):
        others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(busy)]
        try:
            turns = [
                {name: step_ms(settings, options.steps) for name, settings in SETTINGS.items()}
                for _ in range(options.turns)
            ]
        finally:
            for other in others:
                other.kill()
        medians = {name: statistics.median(turn[name] for turn in turns) for name in SETTINGS}
        print(f"{busy} busy processes: " + ", ".join(f"{name} {ms:.1f} ms" for name, ms in medians.items()))


if __name__ == "__main__":
    main()
