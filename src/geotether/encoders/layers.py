"""Layers that several encoders use: dropout by random bytes, and batch normalisation of single rows."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class ByteDropout(nn.Module):
    """Zero a share of the activations while training, and scale the others up, as `torch.nn.Dropout` does.

    One random byte decides each activation, because on a CPU drawing floats costs as much as a matrix product: two to
    three times as fast as `torch.nn.Dropout` (measured by benchmarks/training_step.py). The share is a multiple of
    1/256, and the scale fits the share that is actually dropped, which keeps the mean exact.

    Args:
        share: Share to drop, [0, 1).

    Attributes:
        share: The share actually dropped, a multiple of 1/256.

    Source:
        Srivastava et al. (2014), JMLR 15:1929.

    Example:
        >>> ByteDropout(0.1).share
        0.1015625
    """

    def __init__(self, share: float | int) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"dropout must be 0 or more and less than 1, got {share}.")
        self.threshold = min(round(share * 256), 255)
        self.share = self.threshold / 256

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Drop activations while training; return the input otherwise."""
        if not self.training or self.threshold == 0:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        drawn = words.view(torch.uint8)[: x.numel()].view(x.shape)
        # Factors of 0 or 1 / (1 - share): products cost a thirtieth of what filling by a mask costs.
        wide = torch.promote_types(x.dtype, torch.float32)
        factors = torch.ge(drawn, self.threshold, out=x.new_empty(x.shape, dtype=wide))
        return (x * factors.mul_(1 / (1 - self.share))).to(x.dtype)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (n, channels), (n, channels, steps) or (n, channels, height, width).

    A batch of one row has no statistics, so in training it is normalised by the running ones, which it does not change.
    Batches of paired sensors can contain a single row of a sensor that is missing in most rows.

    Source:
        Ioffe & Szegedy (2015), ICML, arXiv:1502.03167.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected (n, channels, ...), got shape {tuple(input.shape)}")

    def forward(self, input: Float[Tensor, "n *rest"]) -> Float[Tensor, "n *rest"]:
        """Normalise by the batch while training and by the running statistics otherwise."""
        if not self.training or len(input) > 1:
            return super().forward(input)
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
