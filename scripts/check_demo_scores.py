"""Compare the scores of a demo run with the recorded ones; exits 1 where they differ.

    geotether demo --out demo-out
    python scripts/check_demo_scores.py demo-out

A change that intentionally alters the scores replaces tests/data/golden/demo_scores.csv, and its commit says why.
"""

import sys
from pathlib import Path

from geotether.benchmark.score_table import read_scores

RECORDED = Path(__file__).parents[1] / "tests" / "data" / "golden" / "demo_scores.csv"
KEYS = ("task", "encoder", "probe", "split", "labels", "metric", "seed", "fold")
TOLERANCE = 0.002


def values_by_name(path: Path) -> dict[str, float]:
    return {", ".join(str(row[key]) for key in KEYS if row[key] != ""): row["value"] for row in read_scores(path)}


def differences(found: dict[str, float], known: dict[str, float]) -> list[str]:
    lines = [f"{name}: missing" for name in known.keys() - found.keys()]
    lines += [f"{name}: not recorded" for name in found.keys() - known.keys()]
    both = known.keys() & found.keys()
    return sorted(lines) + [
        f"{name}: {found[name]:.4f}, recorded {known[name]:.4f}"
        for name in sorted(both, key=lambda name: -abs(found[name] - known[name]))
        if not abs(found[name] - known[name]) <= TOLERANCE
    ]


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python scripts/check_demo_scores.py DEMO_FOLDER")
        return 2
    known = values_by_name(RECORDED)
    lines = differences(values_by_name(Path(sys.argv[1]) / "scores.csv"), known)
    print("\n".join(lines[:40]) if lines else f"{len(known):,} scores are within {TOLERANCE} of the recorded ones")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
