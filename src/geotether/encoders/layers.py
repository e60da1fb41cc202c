"""Layers that several encoders use: dropout by random bytes, and batch normalisation of single rows."""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from geotether.draws import BatchRows, drawn
from geotether.processes import Processes


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
        random = drawn(len(x), lambda rows: random_bytes((rows, *x.shape[1:]), x.device))
        # Factors of 0 or 1 / (1 - share): products take less time than filling by a mask.
        wide = torch.promote_types(x.dtype, torch.float32)
        factors = torch.ge(random, self.threshold, out=x.new_empty(x.shape, dtype=wide))
        return (x * factors.mul_(1 / (1 - self.share))).to(x.dtype)


def random_bytes(shape: tuple[int, ...], device: torch.device) -> UInt8[Tensor, "..."]:
    """Draw bytes from the global generator."""
    count = math.prod(shape)
    words = torch.empty(-(-count // 8), dtype=torch.int64, device=device).random_(-(2**63), None)
    return words.view(torch.uint8)[:count].view(shape)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (n, channels), (n, channels, steps) or (n, channels, height, width).

    A batch of one row has no statistics, so in training it is normalised by the running ones, which it does not change.
    Batches of paired sensors can contain a single row of a sensor that is missing in most rows. Where several processes
    compute a batch, its statistics are those of all its rows.

    Source:
        Ioffe & Szegedy (2015), ICML, arXiv:1502.03167.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected (n, channels, ...), got shape {tuple(input.shape)}")

    def forward(self, input: Float[Tensor, "n *rest"]) -> Float[Tensor, "n *rest"]:
        """Normalise by the batch while training and by the running statistics otherwise."""
        batch = BatchRows.current()
        rows = len(input) if batch is None else batch.total
        if self.training and rows > 1 and batch is not None and batch.processes is not None:
            return self._normalised_with(batch.processes, input, rows)
        if not self.training or rows > 1:
            return super().forward(input)
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)

    def _normalised_with(self, processes: Processes, input: Tensor, rows: int) -> Tensor:
        """Normalise by the statistics of the rows of all processes."""
        axes = [axis for axis in range(input.ndim) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(input.ndim)]
        count = rows * math.prod(input.shape[2:])
        mean = processes.sum(input.sum(axes)) / count
        centred = input - mean.view(shape)
        squares = processes.sum(centred.square().sum(axes))
        if self.running_mean is not None and self.running_var is not None and self.momentum is not None:
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(squares / max(count - 1, 1), self.momentum)
                self.num_batches_tracked.add_(1)  # type: ignore[union-attr, operator]
        normalised = centred * (squares / count + self.eps).rsqrt().view(shape)
        return normalised * self.weight.view(shape) + self.bias.view(shape)
