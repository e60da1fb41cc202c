"""Labels that may be looked at: a share of the training rows, and how much each class counts."""

import numpy as np
import torch
from torch import Tensor

from geotether.objectives.supervised import balanced_weights
from geotether.tables.answer import AnswerKind
from geotether.tables.paired_target import Target
from geotether.training.randomness import derived_seed


def labelled_rows(target: Target, share: float, seed: int) -> np.ndarray:
    """Draw the training rows whose labels may be looked at; a larger share holds the smaller one.

    Args:
        target: Of the training rows.
        share: Of the known rows, in (0, 1]; at least one row of every class or label is kept.
        seed: The run's seed.

    Returns:
        Row numbers, sorted.
    """
    known = np.flatnonzero(target.known)
    order = known[np.random.default_rng(derived_seed(seed, 0, "labelled")).permutation(len(known))]
    count = max(1, round(share * len(known)))
    kept = set(order[:count].tolist())
    if target.kind != "numbers":
        has = _memberships(target)
        for label in range(has.shape[1]):
            rows = order[has[order, label]]
            if len(rows) and not kept & set(rows.tolist()):
                kept.add(int(rows[0]))
    return np.array(sorted(kept), dtype=np.int64)


def class_weights(answer: AnswerKind, encoded: np.ndarray, balanced: bool) -> Tensor | None:
    """Weights of the classes that make each count alike; None for other kinds of targets."""
    if answer.kind != "classes" or not balanced:
        return None
    return balanced_weights(torch.from_numpy(encoded), answer.num_outputs)


def _memberships(target: Target) -> np.ndarray:
    if target.kind == "labels":
        return np.asarray(target.values == 1)
    return np.asarray(target.values[:, None] == np.arange(len(target.names)))
