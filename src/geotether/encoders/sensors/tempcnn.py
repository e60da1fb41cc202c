"""Temporal convolutions: the encoder of time series."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.networks.dropout import ByteDropout
from geotether.encoders.sensors.normalisation import BatchNorm


class TempCNN(nn.Module):
    """Convolutions along time, then one wide dense layer over all steps.

    Args:
        shape: Steps and bands of a series.
        out_dim: Size of the output.
        channels: Width of every convolution; the dense layer has four times as many units.
        num_layers: Number of convolutions, 1 or more.
        kernel: Steps that a convolution spans, odd.
        dropout: Share of activations dropped in training, [0, 1).

    Raises:
        ValueError: If an option is out of range.

    Source:
        Pelletier, Webb & Petitjean (2019), Remote Sensing 11(5):523, section 3 (three convolutions of 64);
        Mena et al. (2025), arXiv:2510.19579, released code (two of 128, the defaults here).

    Example:
        >>> import torch
        >>> TempCNN(shape=(12, 2), out_dim=128)(torch.zeros(3, 12, 2)).shape
        torch.Size([3, 128])
    """

    kinds: ClassVar[tuple[str, ...]] = ("series",)
    any_size: ClassVar[bool] = False

    def __init__(
        self,
        shape: tuple[int, ...],
        out_dim: int,
        channels: int = 128,
        num_layers: int = 2,
        kernel: int = 5,
        dropout: float | int = 0.2,
    ) -> None:
        super().__init__()
        if channels < 1 or num_layers < 1 or kernel < 1 or kernel % 2 == 0:
            raise ValueError(
                f"channels and num_layers must be 1 or more and kernel odd, got {channels}, {num_layers} and {kernel}."
            )
        self.shape = shape
        self.out_dim = out_dim
        self.channels = channels
        self.num_layers = num_layers
        self.kernel = kernel
        self.dropout = dropout
        steps, bands = shape
        layers: list[nn.Module] = []
        for width in [bands] + [channels] * (num_layers - 1):
            convolution = nn.Conv1d(width, channels, kernel, padding=kernel // 2)
            layers += [convolution, BatchNorm(channels), nn.ReLU(), ByteDropout(dropout)]
        self.convolutions = nn.Sequential(*layers)
        dense = 4 * channels
        self.dense = nn.Sequential(
            nn.Linear(channels * steps, dense), BatchNorm(dense), nn.ReLU(), ByteDropout(dropout)
        )
        self.output = nn.Linear(dense, out_dim)

    def forward(self, x: Float[Tensor, "n steps bands"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.output(self.dense(self.convolutions(x.transpose(1, 2)).flatten(1)))
