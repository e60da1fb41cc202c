"""One encoder and one group of tasks: draw, fit, predict and score, or read the outcome from the store."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from geotether.benchmark.outcome import Outcome, block_sums, interval_blocks, score_of_sums
from geotether.benchmark.plan import Draw, Problem, draw
from geotether.benchmark.probing import PROBES, Answer, TrainingRows
from geotether.benchmark.splitting import USUAL_BLOCK_KM, Parting, block_side_km
from geotether.benchmark.store import Origin, ResultStore, array_hash, judging_hash, library_versions, task_hash
from geotether.tasks.task import Task


class Bench:
    """One encoder on one group of tasks.

    Args:
        name: The encoder's name.
        features: Its features at the tasks' places, shape (n, d).
        group: Tasks at the same places with the same labelled rows.
        probes: Names of probes.
        settings: Other settings that decide the outcomes, for their keys in the store.
        num_folds: Number of inner folds.
        store: Where finished outcomes are kept, or None.
    """

    def __init__(
        self,
        name: str,
        features: Float[np.ndarray, "n d"],
        group: Sequence[Task],
        probes: Sequence[str],
        settings: str,
        num_folds: int,
        store: ResultStore | None,
    ) -> None:
        self.name, self.features, self.group, self.probes = name, features, group, probes
        self.num_folds, self.store = num_folds, store
        # All probes of a problem share one draw and one decomposition.
        self._drawn: tuple[tuple[str, str, int, int], Draw, TrainingRows] | None = None
        self.origins: dict[str, Origin] = {}
        if store is not None:
            content, decided = array_hash(features), f"{settings} {library_versions()}"
            self.origins = {task.name: Origin(content, task_hash(task), judging_hash(), decided) for task in group}

    def outcomes(self, problem: Problem, wanted: Sequence[int] | None = None) -> Iterator[Outcome]:
        """Yield the outcomes of one split and seed, from the store where it has them; of wanted label counts only."""
        for labels in problem.labels if wanted is None else [one for one in problem.labels if one in wanted]:
            for parting in problem.partings:
                if self.store is None:
                    found = self.judge(problem.split, parting, labels, problem.seed, self.probes, self.group)
                else:
                    found = self.kept(self.store, problem.split, parting, labels, problem.seed)
                for one in found:
                    # Whether all judged rows have one class depends on the other seeds, so the store keeps the scores.
                    yield one.undefined() if one.task in problem.one_class else one

    def kept(self, store: ResultStore, split: str, parting: Parting, labels: int, seed: int) -> Iterator[Outcome]:
        """Yield the outcomes of one draw from the store; missing ones are computed and stored."""

        def key(task: str, probe: str) -> str:
            return self.origins[task].key(self.name, probe, split, labels, seed, parting.fold)

        def find(task: str, probe: str) -> Outcome | None:
            found = store.get(key(task, probe))
            # The earlier version took larger blocks for the intervals of fine splits.
            if found is None and (block_side_km(split) or USUAL_BLOCK_KM) >= USUAL_BLOCK_KM:
                names = (self.name, probe, split, labels, seed, parting.fold)
                found = store.get(self.origins[task].earlier_key(*names))
            return found

        for probe in self.probes:
            answered = [task for task in self.group if task.kind in PROBES[probe].kinds]
            found = {task.name: find(task.name, probe) for task in answered}
            missing = [task for task in answered if found[task.name] is None]
            if missing:
                fresh = list(self.judge(split, parting, labels, seed, (probe,), missing))
                store.put((key(one.task, probe), self.origins[one.task], one) for one in fresh)
                found |= {one.task: one for one in fresh}
            yield from (one for one in found.values() if one is not None)

    def judge(
        self, split: str, parting: Parting, labels: int, seed: int, probes: Sequence[str], tasks: Sequence[Task]
    ) -> Iterator[Outcome]:
        """Fit, predict and score one draw of labelled rows."""
        blocks = interval_blocks(self.group[0].lonlat[parting.judged], split)
        for task, probe, answer in self.predict(split, parting, labels, seed, probes, tasks):
            names, sums = block_sums(task.metric, task.values[parting.judged], answer.values, blocks)
            yield Outcome(
                task.name, self.name, probe, split, labels, seed, parting.fold, task.metric,
                float(score_of_sums(task.metric, sums.sum(axis=0))), answer.chosen, names, sums,
            )  # fmt: skip

    def predict(
        self, split: str, parting: Parting, labels: int, seed: int, probes: Sequence[str], tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, str, Answer]]:
        """Yield the answers of probes for the judged rows, from one draw of labelled rows."""
        first, problem = self.group[0], (split, parting.fold, labels, seed)
        if self._drawn is None or self._drawn[0] != problem:
            drawn = draw(first, split, parting, labels, seed, self.num_folds)
            rows = TrainingRows(self.features[drawn.train], first.lonlat[drawn.train], drawn.folds, seed)
            self._drawn = problem, drawn, rows
        _, drawn, train = self._drawn
        judged, lonlat = self.features[parting.judged], first.lonlat[parting.judged]
        for probe in probes:
            answered = [task for task in tasks if task.kind in PROBES[probe].kinds]
            if answered:
                targets = [task.targets(drawn.train) for task in answered]
                answers = PROBES[probe].predict(train, targets, judged, lonlat)
                yield from ((task, probe, answer) for task, answer in zip(answered, answers, strict=True))
