"""InfoNCE: each row picks its partner among the rows of the batch."""

from jaxtyping import Bool, Float
from torch import Tensor

from geotether.objectives.masks import PairMask, as_pair_mask
from geotether.objectives.pairs import check_partners, own_logits, pair_logsumexp_both, unit_rows


def info_nce(
    left: Float[Tensor, "n d"],
    right: Float[Tensor, "m d"],
    logit_scale: Float[Tensor, ""] | float,
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
) -> Float[Tensor, ""]:
    """Compute the symmetric InfoNCE between two modalities, in nats: the CLIP loss.

    Row i of `left` and row i of `right` describe the same place; every other pair of the batch is a negative.
    Untrained encoders score about log(n). `plain_tying_loss` with `within_modality` is the same without blocks of rows.

    Args:
        left: Embeddings of one modality, of any length; they are normalised here.
        right: Embeddings of the other modality, in the same row order.
        logit_scale: Inverse temperature, 1 / tau; 14.3 is tau = 0.07.
        ignore: True where a negative is left out, such as two rows closer than the footprint of the imagery: a matrix,
            or `NearbyPairs`. The diagonal is always kept.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses. Same value and gradient.

    Returns:
        The mean over rows and both directions.

    Raises:
        ValueError: If the shapes differ, there are no rows, or the mask is of another size.

    Source:
        van den Oord et al. (2018), arXiv:1807.03748, eq. 4; symmetric as in
        Radford et al. (2021), arXiv:2103.00020, fig. 3.

    Example:
        >>> import torch
        >>> apart = torch.eye(4)
        >>> round(info_nce(apart, apart, logit_scale=100.0).item(), 4)
        0.0
    """
    check_partners(left, right, "left", "right")
    anchors, candidates = logit_scale * unit_rows(left), unit_rows(right)
    mask = as_pair_mask(ignore, len(anchors))
    rows, columns = pair_logsumexp_both(anchors[None], candidates[None], None if mask is None else [mask], chunk_rows)
    return ((rows[0] + columns[0]) / 2 - own_logits(anchors, candidates)).mean()
