"""Contrast by labels: observations are positives in proportion to the labels they share (MoSAiC)."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Integer, Shaped
from torch import Tensor

from geotether.objectives.masks import PairMask
from geotether.objectives.pairs import own_logits, pair_logsumexp, unit_rows
from geotether.objectives.presence import Present, check_sensors, common_rows, take, zero_loss
from geotether.objectives.views import check_temperature


def jaccard(labels: Shaped[Tensor, "n k"]) -> Float[Tensor, "n n"]:
    """Compute, for all pairs of rows, the number of labels of both over that of either; 0 if neither has a label.

    Args:
        labels: 0 and 1 (or booleans), shape (n, k).

    Raises:
        ValueError: If values other than 0 and 1 occur.

    Source:
        Jaccard (1912), New Phytologist 11:37.

    Example:
        >>> jaccard(torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 0]]))[0]
        tensor([1.0000, 0.3333, 0.0000])
    """
    sets = labels if labels.dtype == torch.float64 else labels.float()
    if not ((sets == 0) | (sets == 1)).all():
        row = int(((sets != 0) & (sets != 1)).any(dim=1).nonzero()[0])
        raise ValueError(f"labels must be 0 or 1, row {row} has other values: {sets[row].tolist()}.")
    with torch.autocast(sets.device.type, enabled=False):
        both = sets @ sets.T
    size = sets.sum(dim=1)
    # If neither row has a label, the numerator and so the quotient is 0.
    return both / (size[:, None] + size - both).clamp(min=1)


def multilabel_contrast(
    z: Float[Tensor, "m d"],
    labels: Shaped[Tensor, "l k"],
    temperature: Float[Tensor, ""] | float,
    exclude: Integer[Tensor, "e"] | None = None,
    chunk_rows: int | None = None,
) -> Float[Tensor, ""]:
    """Compute the contrast that draws embeddings together by the overlap of their label sets, in nats.

    Each anchor's softmax runs over all other labelled rows of the batch; its loss is the mean of the negative
    logarithms over these rows, weighted by `jaccard`. Views or sensors of one sample are partners of weight 1,
    like any rows with the same labels. With one label per row this is SupCon.

    Args:
        z: Embeddings of the merged batch (all sensors, all views), shape (m, d); normalised here.
        labels: Their labels, 0 and 1, shape (m, k); a whole row of NaN where unknown. Such rows are not used as
            anchors, partners or negatives, since they may share a label.
        temperature: Divisor of the cosines, 0.001 to 1000.
        exclude: Number of the sample of each row, shape (m,), if rows of one sample (which have the same
            labels) are to be neither partners nor negatives. None keeps them.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses. Same value and gradient.

    Returns:
        The mean over anchors that share a label with another row; exactly 0, with a gradient of exactly 0, if there
        are none.

    Raises:
        ValueError: If rows differ or there are none, labels are not 0, 1 or whole rows of NaN, rows of one excluded
            sample differ in their labels, or the temperature is out of range.

    Source:
        Khosla et al. (2020), "Supervised Contrastive Learning", arXiv:2004.11362, eq. 2, with weights. MoSAiC
        (Gupta et al. 2025, arXiv:2507.08683) names a multi-label form without publishing its formula; weights by
        Jaccard are our interpretation.

    Example:
        >>> z, labels = torch.eye(3), torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> round(multilabel_contrast(z, labels, temperature=1.0).item(), 4)  # all equally far: log 2
        0.6931
    """
    check_temperature(temperature)
    if len(z) != len(labels) or len(z) == 0:
        raise ValueError(f"z has {len(z)} rows and labels {len(labels)}; pass the same number of both, at least one.")
    if exclude is not None and len(exclude) != len(z):
        raise ValueError(f"`exclude` has {len(exclude)} entries, but the batch has {len(z)} rows.")
    known = known_labels(labels)
    if not known.any():
        return zero_loss(z)
    rows = unit_rows(z[known])
    # Weights depend on label sets alone, of which a batch has few, so no pass over the pairs is needed.
    sets, own_set, count = labels[known].unique(dim=0, return_inverse=True, return_counts=True)
    overlap = jaccard(sets.to(rows.dtype))
    has_label = overlap.diagonal()[own_set]
    if exclude is None:
        itself, number_of_itself, mask = rows, torch.ones_like(has_label), None
    else:
        itself, number_of_itself, mask = _samples(rows, exclude[known], own_set)
    weight = (overlap * count).sum(dim=1)[own_set] - has_label * number_of_itself
    anchors = weight > 0.5 / labels.shape[1]  # the smallest weight of a partner is 1 / k; below is rounding
    if not anchors.any():
        return zero_loss(z)
    with torch.autocast(z.device.type, enabled=False):
        in_sets = torch.zeros(len(sets), rows.shape[1], dtype=rows.dtype, device=z.device)
        in_sets = in_sets.index_add(0, own_set, rows)
        partners = (overlap @ in_sets)[own_set] - has_label[:, None] * itself
    scaled = rows / temperature
    others = pair_logsumexp(scaled, rows, mask, without_self=True, chunk_rows=chunk_rows)
    pull = own_logits(scaled[anchors], partners[anchors]) / weight[anchors]
    return (others[anchors] - pull).mean()


def _samples(
    rows: Float[Tensor, "m d"], sample: Integer[Tensor, "m"], own_set: Integer[Tensor, "m"]
) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m"], PairMask]:
    """Return per row the sum and the number of all rows of its sample, and the mask of such pairs."""
    names, own, number = sample.unique(return_inverse=True, return_counts=True)
    any_set = torch.zeros_like(names).index_copy(0, own, own_set.to(names.dtype))
    if (any_set[own] != own_set).any():
        odd = int(names[own[int((any_set[own] != own_set).nonzero()[0])]])
        raise ValueError(f"rows of sample {odd} in `exclude` differ in their labels; a sample has one set of labels.")
    sums = torch.zeros(len(names), rows.shape[1], dtype=rows.dtype, device=rows.device).index_add(0, own, rows)
    return sums[own], number[own].to(rows.dtype), lambda r, c: own[r, None] == own[c]


def known_labels(labels: Shaped[Tensor, "n k"]) -> Bool[Tensor, "n"]:
    """Return which rows have labels, those that are not NaN; ValueError if a row is NaN in part."""
    missing = labels.isnan() if labels.is_floating_point() else torch.zeros_like(labels, dtype=torch.bool)
    unknown = missing.all(dim=1)
    if (missing.any(dim=1) != unknown).any():
        row = int((missing.any(dim=1) & ~unknown).nonzero()[0])
        raise ValueError(
            f"row {row} has NaN for some labels only: {labels[row].tolist()}; give all labels of a row or none."
        )
    return ~unknown


def merge(
    views: Mapping[str, Sequence[Float[Tensor, "_ _"]]],
    labels: Shaped[Tensor, "n k"],
    present: Present | None = None,
) -> tuple[Float[Tensor, "m d"], Shaped[Tensor, "m k"]]:
    """Merge the views of all sensors into one batch, each with the labels of its row.

    Args:
        views: One or more views of the n rows by each sensor, each of shape (n, d).
        labels: Labels of the rows, shape (n, k).
        present: True where a row has the sensor; other rows are left out.

    Returns:
        Embeddings and labels of the merged batch: sensors in their order, then views, then rows.

    Raises:
        ValueError: If rows differ or a mask does not fit.
    """
    every = {f"{name} (view {i + 1})": view for name, own in views.items() for i, view in enumerate(own)}
    check_sensors({**every, "labels": labels}, None, at_least=2)
    check_sensors({name: own[0] for name, own in views.items()}, present)
    if len({view.shape[1] for view in every.values()}) > 1:
        widths = ", ".join(f"{name}: {view.shape[1]}" for name, view in every.items())
        raise ValueError(f"embeddings to be compared differ in width ({widths}); project them to one width.")
    parts, sets = [], []
    for name, own in views.items():
        rows = common_rows((name,), present)
        parts += [take(view, rows) for view in own]
        sets += [take(labels, rows)] * len(own)
    return torch.cat(parts), torch.cat(sets)
