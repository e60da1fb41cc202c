"""Contrasts between views of one sample: two augmentations of one sensor, or two sensors of one place."""

import itertools
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from geotether.objectives.info_nce import info_nce
from geotether.objectives.pairs import check_partners, own_logits, pair_logsumexp, unit_rows
from geotether.objectives.presence import Present, check_sensors, common_rows, take, zero_loss

TEMPERATURES = (1e-3, 1e3)
"""Range in which float32 logits keep enough digits and embeddings have an influence."""


def nt_xent(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "m d"],
    temperature: Float[Tensor, ""] | float,
    chunk_rows: int | None = None,
) -> Float[Tensor, ""]:
    """Compute NT-Xent: each of the 2 n views picks its partner among the 2 n - 1 others, in nats.

    Unlike in `info_nce`, views of the same side compete as well. A single row has no competitors and scores 0.

    Args:
        a: First view of each row, shape (n, d), of any length; normalised here.
        b: Second view, in the same row order.
        temperature: Divisor of the cosines, 0.001 to 1000; 0.1 to 0.5 is usual.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses. Same value and gradient.

    Returns:
        The mean over the 2 n anchors.

    Raises:
        ValueError: If the shapes differ, there are no rows, or the temperature is out of range.

    Source:
        Chen et al. (2020), "A Simple Framework for Contrastive Learning of Visual Representations",
        arXiv:2002.05709, eq. 1 and algorithm 1.

    Example:
        >>> apart = torch.eye(4)
        >>> round(nt_xent(apart, apart, temperature=0.01).item(), 4)
        0.0
    """
    check_partners(a, b, "a", "b")
    check_temperature(temperature)
    views = unit_rows(torch.cat([a, b]))
    scaled = views / temperature
    others = pair_logsumexp(scaled, views, without_self=True, chunk_rows=chunk_rows)
    return others.mean() - own_logits(scaled[: len(a)], views[len(a) :]).mean()


def pairwise_nt_xent(
    parts: Mapping[str, Float[Tensor, "_ _"]],
    temperature: Float[Tensor, ""] | float,
    present: Present | None = None,
) -> Float[Tensor, ""]:
    """Sum NT-Xent over all ordered pairs of sensors, so each pair counts twice.

    Args:
        parts: Embeddings of the same n rows by each sensor, shape (n, d), two sensors or more.
        temperature: Divisor of the cosines, 0.001 to 1000; MDiCo uses 0.1.
        present: True where a row has the sensor. A pair of sensors uses the rows that have both; with fewer
            than two such rows it adds 0.

    Returns:
        A sum, not a mean: with M sensors M (M - 1) terms.

    Raises:
        ValueError: If there are fewer than two sensors, rows or widths differ, a mask does not fit, or the
            temperature is out of range.

    Source:
        Mena et al. (2025), arXiv:2510.19579, the contrastive term, with the order of pairs as in the released code.

    Example:
        >>> apart = torch.eye(4)
        >>> round(pairwise_nt_xent({"s1": apart, "s2": apart}, temperature=1.0).item(), 4)
        2.3308
    """
    return _sum_over_pairs(parts, temperature, present, lambda a, b: 2 * nt_xent(a, b, temperature))


def across_sensors(
    parts: Mapping[str, Float[Tensor, "_ _"]],
    temperature: Float[Tensor, ""] | float,
    present: Present | None = None,
) -> Float[Tensor, ""]:
    """Sum the symmetric InfoNCE over all pairs of sensors, each counted once; arguments as in `pairwise_nt_xent`.

    Source:
        `info_nce`; MoSAiC (Gupta et al. 2025, arXiv:2507.08683) names the term, its formula is our interpretation.
    """
    return _sum_over_pairs(parts, temperature, present, lambda a, b: info_nce(a, b, 1 / temperature))


def _sum_over_pairs(
    parts: Mapping[str, Tensor],
    temperature: Tensor | float,
    present: Present | None,
    contrast: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    check_temperature(temperature)
    check_sensors(parts, present, at_least=2)
    total = zero_loss(*parts.values())
    for one, other in itertools.combinations(parts, 2):
        rows = common_rows((one, other), present)
        a, b = take(parts[one], rows), take(parts[other], rows)
        if len(a):
            total = total + contrast(a, b)
    return total


def within_sensors(
    views: Mapping[str, tuple[Float[Tensor, "_ _"], Float[Tensor, "_ _"]]],
    temperature: Float[Tensor, ""] | float,
    present: Present | None = None,
) -> Float[Tensor, ""]:
    """Sum, over sensors, NT-Xent between the two views of each row.

    Args:
        views: Two views of the n rows by each sensor, each of shape (n, d).
        temperature: Divisor of the cosines, 0.001 to 1000.
        present: True where a row has the sensor; a sensor without rows adds 0.

    Raises:
        ValueError: If rows differ, a mask does not fit, or the temperature is out of range.

    Source:
        MoSAiC (Gupta et al. 2025, arXiv:2507.08683) names the term; its formula is our interpretation, see
        docs/paired-objectives.md.
    """
    check_temperature(temperature)
    check_sensors({name: pair[0] for name, pair in views.items()}, present)
    total = zero_loss(*(view for pair in views.values() for view in pair))
    for name, (first, second) in views.items():
        check_partners(first, second, f"the first view of {name}", "the second")
        rows = common_rows((name,), present)
        a, b = take(first, rows), take(second, rows)
        if len(a):
            total = total + nt_xent(a, b, temperature)
    return total


def check_temperature(temperature: Float[Tensor, ""] | float) -> None:
    """Raise ValueError unless the temperature, a divisor of cosines, lies in `TEMPERATURES`."""
    value = float(temperature.detach()) if isinstance(temperature, Tensor) else float(temperature)
    low, high = TEMPERATURES
    if not low <= value <= high:
        raise ValueError(f"temperature must lie in [{low:g}, {high:g}], got {value:g}; 0.1 to 0.5 is usual.")
