"""Losses of predictions: of a target by its kind, rows without a label left out, and of observed features."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Int64, Shaped
from torch import Tensor

from geotether.objectives.multilabel import known_labels
from geotether.objectives.presence import zero_loss

KINDS = ("classes", "labels", "numbers")
"""Per row: one of k classes, any number of k labels, or one number."""


def task_loss(
    kind: str,
    outputs: Float[Tensor, "n ..."],
    targets: Shaped[Tensor, "m ..."],
    class_weights: Float[Tensor, "_"] | None = None,
) -> Float[Tensor, ""]:
    """Compute the loss of raw outputs.

    Args:
        kind: One of `KINDS`.
        outputs: Logits of shape (n, k) for classes and labels; for numbers predictions of shape (n, 1) or (n,).
        targets: Classes: int64 of shape (n,), -1 where unknown. Labels: 0 and 1 of shape (n, k), whole rows of NaN
            where unknown. Numbers: standardised, shape (n,), NaN where unknown.
        class_weights: Weights of the k classes, 0 or more, such as `balanced_weights`; for classes only.

    Returns:
        * classes: cross-entropy in nats, averaged over rows with the weights of their classes.
        * labels: binary cross-entropy in nats, averaged over rows and labels.
        * numbers: squared error, averaged over rows.

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
        return zero_loss(outputs)
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
    # torch's mean divides by the sum of weights, which is 0 if all known rows belong to classes of weight 0.
    return loss / weight[wanted].sum().clamp(min=torch.finfo(found.dtype).tiny)


def known_rows(kind: str, outputs: Float[Tensor, "n ..."], targets: Shaped[Tensor, "m ..."]) -> Bool[Tensor, "n"]:
    """Return which rows have a target; ValueError, as in `task_loss`, if targets do not fit the outputs."""
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
    """Compute class weights that give each class the same total weight and the average row a weight of 1.

    Args:
        classes: Classes of the training rows, 0 to k - 1, -1 where unknown.
        k: Number of classes.

    Returns:
        Known rows / (classes seen x rows of the class), as scikit-learn's "balanced"; 1 for a class without rows.

    Raises:
        ValueError: If no class is known or one is out of range.

    Source:
        King & Zeng (2001), Political Analysis 9:137, as in scikit-learn's `compute_class_weight`.

    Example:
        >>> balanced_weights(torch.tensor([0, 0, 0, 2, -1]), k=3)
        tensor([0.6667, 1.0000, 2.0000])
    """
    known = classes[classes != -1]
    if not len(known):
        raise ValueError("no row has a class; balanced weights need labelled training rows.")
    if int(known.min()) < 0 or int(known.max()) >= k:
        odd = int(known.max()) if int(known.max()) >= k else int(known.min())
        raise ValueError(f"class {odd} is out of range for k = {k}; classes are 0 to {k - 1}, -1 means unknown.")
    counts = torch.bincount(known, minlength=k).float()
    seen = counts > 0
    return torch.where(seen, len(known) / (seen.sum() * counts.clamp(min=1)), torch.ones_like(counts))


def regression_loss(predicted: Float[Tensor, "n k"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    """Compute the squared error of rows (n, k), summed over columns and averaged over rows.

    If the columns of the target have a total variance of one, predicting the mean scores 1.

    Source:
        Bishop (1994), Mixture density networks, section 2 (squared error estimates the conditional mean).

    Example:
        >>> regression_loss(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 2.0]])).item()
        2.5
    """
    return (predicted - target).square().sum(dim=1).mean()
