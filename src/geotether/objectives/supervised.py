"""Supervised losses by kind of target; rows without a label are left out."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Int64, Shaped
from torch import Tensor

from geotether.objectives.multilabel import known_labels
from geotether.objectives.presence import nothing

KINDS = ("classes", "labels", "numbers")
"""One of k classes a row; any number of k labels a row; one number a row."""


def task_loss(
    kind: str,
    outputs: Float[Tensor, "n ..."],
    targets: Shaped[Tensor, "m ..."],
    class_weights: Float[Tensor, "_"] | None = None,
) -> Float[Tensor, ""]:
    """Score raw outputs against targets.

    Args:
        kind: One of `KINDS`.
        outputs: Logits of shape (n, k) for classes and labels; for numbers predictions of shape (n, 1) or (n,).
        targets: Classes: int64 of shape (n,), -1 where unknown. Labels: 0 and 1 of shape (n, k), whole rows of NaN
            where unknown. Numbers: standardised, shape (n,), NaN where unknown.
        class_weights: Of the k classes, 0 or more, such as `balanced_weights`; for classes only.

    Returns:
        * classes: cross-entropy in nats, a mean over rows weighted by the weight of the row's class.
        * labels: binary cross-entropy in nats, the mean over rows and labels.
        * numbers: squared error, the mean over rows.

        Exactly 0, with a gradient of exactly 0, if no row is known (or all weights of known rows are 0).

    Raises:
        ValueError: If the kind is unknown, shapes do not fit, a class is out of range, or weights do not fit.

    Source:
        Bishop (2006), Pattern Recognition and Machine Learning, eqs. 4.108, 4.90 and 1.2.

    Example:
        >>> task_loss("numbers", torch.tensor([[1.0], [5.0]]), torch.tensor([3.0, torch.nan])).item()
        4.0
    """
    known = known_rows(kind, outputs, targets)
    if class_weights is not None and kind != "classes":
        raise ValueError(f"class_weights are for classes, not for {kind}; leave them out.")
    if class_weights is not None and len(class_weights) != outputs.shape[1]:
        raise ValueError(f"class_weights has {len(class_weights)} entries, but there are {outputs.shape[1]} classes.")
    if not known.any():
        return nothing(outputs)
    found, wanted = outputs[known], targets[known]
    found = found if found.dtype == torch.float64 else found.float()
    if kind == "labels":
        return F.binary_cross_entropy_with_logits(found, wanted.to(found.dtype))
    if kind == "numbers":
        return F.mse_loss(found.reshape(-1), wanted.to(found.dtype))
    if class_weights is None:
        return F.cross_entropy(found, wanted)
    weight = class_weights.to(found)
    loss = F.cross_entropy(found, wanted, weight=weight, reduction="sum")
    # The mean of torch divides by the sum of weights, which is 0 where all known rows are of classes of weight 0.
    return loss / weight[wanted].sum().clamp(min=torch.finfo(found.dtype).tiny)


def known_rows(kind: str, outputs: Float[Tensor, "n ..."], targets: Shaped[Tensor, "m ..."]) -> Bool[Tensor, "n"]:
    """Say which rows have a target, and check that targets fit the outputs.

    Args:
        kind: One of `KINDS`.
        outputs: As in `task_loss`.
        targets: As in `task_loss`.

    Raises:
        ValueError: As in `task_loss`.

    Example:
        >>> known_rows("classes", torch.zeros(2, 3), torch.tensor([2, -1]))
        tensor([ True, False])
    """
    check_kind(kind)
    shape = tuple(outputs.shape)
    wide = len(shape) == 2 and shape[1] >= 1
    fits = (wide and shape[1] == 1) or len(shape) == 1 if kind == "numbers" else wide
    wanted = shape if kind == "labels" else shape[:1]
    if not fits or tuple(targets.shape) != wanted or not shape[0]:
        raise ValueError(
            f"for {kind}, outputs have the shape {'(n, 1) or (n,)' if kind == 'numbers' else '(n, k)'} and targets "
            f"{'(n, k)' if kind == 'labels' else '(n,)'}, n at least 1; got {shape} and {tuple(targets.shape)}."
        )
    if kind == "labels":
        return known_labels(targets)
    if kind == "numbers":
        return ~targets.isnan()
    if targets.dtype != torch.int64:
        raise ValueError(f"classes are int64, got {targets.dtype}; pass targets.long() with -1 where unknown.")
    if int(targets.max()) >= shape[1] or int(targets.min()) < -1:
        odd = int(targets.max()) if int(targets.max()) >= shape[1] else int(targets.min())
        raise ValueError(f"class {odd} is not one of the {shape[1]} outputs, 0 to {shape[1] - 1}; -1 means unknown.")
    return targets >= 0


def check_kind(kind: str) -> None:
    """Raise if `kind` is not one of `KINDS`."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")


def balanced_weights(classes: Int64[Tensor, "n"], k: int) -> Float32[Tensor, "k"]:
    """Weigh classes so that each counts the same in sum, and the average row has weight 1.

    Args:
        classes: Classes of the training rows, 0 to k - 1, -1 where unknown.
        k: Number of classes.

    Returns:
        Known rows / (classes seen x rows of the class), as scikit-learn's "balanced"; 1 for a class without rows.

    Raises:
        ValueError: If no row is known or a class is out of range.

    Source:
        King & Zeng (2001), Political Analysis 9:137, as in scikit-learn's `compute_class_weight`.

    Example:
        >>> balanced_weights(torch.tensor([0, 0, 0, 2, -1]), k=3)
        tensor([0.6667, 1.0000, 2.0000])
    """
    known = classes[classes != -1]
    if not len(known):
        raise ValueError("no row has a class, so there is nothing to balance; weights need labelled training rows.")
    if int(known.min()) < 0 or int(known.max()) >= k:
        odd = int(known.max()) if int(known.max()) >= k else int(known.min())
        raise ValueError(f"class {odd} is out of range for k = {k}; classes are 0 to {k - 1}, -1 means unknown.")
    counts = torch.bincount(known, minlength=k).float()
    seen = counts > 0
    return torch.where(seen, len(known) / (seen.sum() * counts.clamp(min=1)), torch.ones_like(counts))
