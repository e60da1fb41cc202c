"""Batch normalisation that also takes a batch of one row, or of none."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (n, channels), (n, channels, steps) or (n, channels, height, width).

    Of a single row there are no statistics, so while training it is normalised by the running ones, which it leaves as
    they are. Batches of paired sensors can hold one row of a sensor that most rows lack.

    Source:
        Ioffe & Szegedy (2015), ICML, arXiv:1502.03167.

    Example:
        >>> import torch
        >>> BatchNorm(4)(torch.ones(1, 4)).shape
        torch.Size([1, 4])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected (n, channels, ...), got shape {tuple(input.shape)}")

    def forward(self, input: Float[Tensor, "n *rest"]) -> Float[Tensor, "n *rest"]:
        """Normalise by the batch while training and by the running statistics otherwise."""
        if not self.training or len(input) > 1:
            return super().forward(input)
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
