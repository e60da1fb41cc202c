"""Measure how long `geotether.load` takes after imports, and the imports themselves, each time in a new process.

    python benchmarks/loading.py [--repeats 5] [MODEL ...]

Without a model it takes those that come with the package. It fails if one takes a second or more.
"""

import argparse
import subprocess
import sys

import numpy as np

from geotether.checkpoint.named import SHIPPED, named_models

MOST_SECONDS = 1.0
CODE = """
import sys, time
started = time.perf_counter()
import torch
import geotether.encoder
import geotether.loading
imported = time.perf_counter()
encoder = geotether.loading.load(sys.argv[1])
loaded = time.perf_counter()
encoder.encode(lon=[5.66], lat=[51.97])
print(imported - started, loaded - imported, time.perf_counter() - loaded)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    models = arguments.models or [name for name, path in named_models().items() if path.parent == SHIPPED]
    if not models:
        raise SystemExit("No model comes with this installation; name one.")
    slow = []
    for model in models:
        runs = [
            subprocess.run([sys.executable, "-c", CODE, model], capture_output=True, text=True, check=True).stdout
            for _ in range(arguments.repeats)
        ]
        imports, load, first = np.median([[float(part) for part in run.split()] for run in runs], axis=0)
        print(f"{model}: imports {imports:.2f} s, load {load:.2f} s, first place {first:.3f} s (medians)")
        slow += [model] if load >= MOST_SECONDS else []
    if slow:
        raise SystemExit(f"{', '.join(slow)}: loading takes {MOST_SECONDS:g} s or more.")


if __name__ == "__main__":
    main()
