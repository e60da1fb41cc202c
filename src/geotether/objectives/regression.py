"""Regression of observations on places: what would be seen there?"""

from jaxtyping import Float
from torch import Tensor


def regression_loss(predicted: Float[Tensor, "n k"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    """Average the squared error over rows, summed over columns.

    Contrast asks which of the observations in a batch belongs to a place, and may forget what does not tell them
    apart; regression asks for the conditional mean of every component, near or far.

    Args:
        predicted: Shape (n, k), n at least 1.
        target: Shape (n, k). With a total variance of one, predicting the mean scores 1.

    Returns:
        A scalar, 0 or more.

    Source:
        Bishop (1994), Mixture density networks, section 2 (squared error estimates the conditional mean).

    Example:
        >>> import torch
        >>> regression_loss(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 2.0]])).item()
        2.5
    """
    return (predicted - target).square().sum(dim=1).mean()
