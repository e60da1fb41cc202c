"""What a comparison found, and which tables its scores make."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geotether.benchmark.outcome import Outcome
from geotether.benchmark.plan import Plan


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Args:
        names: The compared encoders, in order.
        baselines: Everything else in the tables, in order.
        outcomes: All outcomes.
        labels: The rung that tables and verdicts are for: 2,700, else the largest that all tasks and splits have.
        report: The page.
        provenance: How it was made.
    """

    names: tuple[str, ...]
    baselines: tuple[str, ...]
    outcomes: list[Outcome]
    labels: int
    report: Path
    provenance: dict[str, object]


def common_labels(plans: Sequence[Plan]) -> list[int]:
    """The rungs that every task and split has, ascending; else those that any has."""
    rungs = [set(problem.labels) for plan in plans for problem in plan.problems]
    return sorted(set.intersection(*rungs) or set.union(*rungs))


def tables_of(found: Comparison) -> list[tuple[str, str]]:
    """Probes and splits that have scores at the comparison's rung, random splits last."""
    pairs = dict.fromkeys(
        (one.probe, one.split) for one in found.outcomes if one.labels == found.labels and one.encoder in found.names
    )
    return sorted(pairs, key=lambda pair: pair[1] == "random")
