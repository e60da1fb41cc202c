"""Networks of sensor encoders: a perceptron, temporal convolutions and a small residual network."""

import math
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from geotether.encoders.layers import BatchNorm, ByteDropout

# Side of the first map that the default patch aims at, and the largest default patch.
_FIRST_MAP, _LARGEST_PATCH = 8, 8
_GROUPS = 8
NORMS = ("group", "batch")


class Perceptron(nn.Module):
    """Hidden layers dropout(ReLU(norm(W x + b))), then a linear map.

    A series or a chip is flattened: the baseline without time or space.

    Args:
        shape: Shape of one row.
        out_dim: Size of the output.
        hidden_dim: Width of every hidden layer.
        num_layers: Number of hidden layers; 0 leaves the linear map, for small data.
        dropout: Share of hidden activations dropped in training, [0, 1).

    Raises:
        ValueError: If an option is out of range.
    """

    kinds: ClassVar[tuple[str, ...]] = ("vector", "series", "chip")
    any_size: ClassVar[bool] = False

    def __init__(
        self,
        shape: tuple[int, ...],
        out_dim: int,
        hidden_dim: int = 256,
        num_layers: int = 2,
        dropout: float | int = 0.2,
    ) -> None:
        super().__init__()
        if num_layers < 0 or hidden_dim < 1:
            raise ValueError(f"num_layers must be 0 or more and hidden_dim 1 or more, got {num_layers}, {hidden_dim}.")
        self.shape = shape
        self.out_dim = out_dim
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.dropout = dropout
        layers: list[nn.Module] = []
        widths = [math.prod(shape)] + [hidden_dim] * num_layers
        for width in widths[:-1]:
            layers += [nn.Linear(width, hidden_dim), BatchNorm(hidden_dim), nn.ReLU(), ByteDropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], out_dim)

    def forward(self, x: Float[Tensor, "n *row"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.output(self.layers(x.flatten(1)))


class TempCNN(nn.Module):
    """Convolutions along time, then one wide dense layer over all steps.

    Args:
        shape: Steps and bands of a series.
        out_dim: Size of the output.
        channels: Width of every convolution; the dense layer has four times as many units.
        num_layers: Number of convolutions, 1 or more.
        kernel: Number of steps of a convolution, odd.
        dropout: Share of activations dropped in training, [0, 1).

    Raises:
        ValueError: If an option is out of range.

    Source:
        Pelletier, Webb & Petitjean (2019), Remote Sensing 11(5):523, section 3 (three convolutions of 64);
        Mena et al. (2025), arXiv:2510.19579, released code (two of 128, the defaults here).
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


class ResidualBlock(nn.Module):
    """Two normalised 3 x 3 convolutions and a skip; channels are a multiple of 8, stride 2 halves the map."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: str = "group") -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.first_norm = normalisation(norm, out_channels)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.second_norm = normalisation(norm, out_channels)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.skip = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Float[Tensor, "n _ _ _"]) -> Float[Tensor, "n _ _ _"]:
        """Return the sum of both paths, rectified."""
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(inner)) + self.skip(x))


class ResNet(nn.Module):
    """A small residual network: patches, stages that each halve the map and double its channels, and mean pooling.

    Patches of 2 x 2 pixels for chips of 16, 4 x 4 for 32, 8 x 8 for 64 keep a training step cheap; patches of 1 keep
    more detail and cost up to 16 times as much. It is fully convolutional and accepts chips of other sizes; their
    ground resolution should be the same.

    Group normalisation removes the overall brightness of a chip; batch normalisation keeps it, but makes the output of
    a row depend on its batch in training. Where brightness matters, as with decibels or reflectance, use `norm: batch`
    or `statistics`.

    Args:
        shape: Bands, height and width of a chip.
        out_dim: Size of the output.
        width: Channels of the first stage, a multiple of 8.
        num_stages: Number of stages, 1 or more.
        num_blocks: Residual blocks per stage, 1 or more.
        patch: Side in pixels of one cell of the first map. None: an eighth of the chip's side, 1 to 8.
        dropout: Share of the pooled features dropped in training, [0, 1).
        norm: "group": channels of a row by groups; "batch": each channel over the batch.
        statistics: Whether mean and standard deviation of every band over the chip join the pooled features.

    Raises:
        ValueError: If an option is out of range.

    Source:
        He et al. (2016), CVPR, arXiv:1512.03385 (residual blocks); Wu & He (2018), ECCV, arXiv:1803.08494, and Ioffe &
        Szegedy (2015), ICML, arXiv:1502.03167 (normalisation of groups and of batches); Liu et al. (2022), CVPR,
        arXiv:2201.03545, section 2.2 (patches for a stem).
    """

    kinds: ClassVar[tuple[str, ...]] = ("chip",)
    any_size: ClassVar[bool] = True

    def __init__(
        self,
        shape: tuple[int, ...],
        out_dim: int,
        width: int = 32,
        num_stages: int = 3,
        num_blocks: int = 1,
        patch: int | None = None,
        dropout: float | int = 0.0,
        norm: str = "group",
        statistics: bool = False,
    ) -> None:
        super().__init__()
        if width < 1 or width % _GROUPS or num_stages < 1 or num_blocks < 1 or (patch is not None and patch < 1):
            raise ValueError(
                f"width must be a multiple of {_GROUPS} and num_stages, num_blocks and patch 1 or more, "
                f"got {width}, {num_stages}, {num_blocks} and {patch}."
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be 0 or more and less than 1, got {dropout}.")
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}.")
        bands, height, across = shape
        self.shape = shape
        self.out_dim = out_dim
        self.width = width
        self.num_stages = num_stages
        self.num_blocks = num_blocks
        self.patch = patch or min(max(round(min(height, across) / _FIRST_MAP), 1), _LARGEST_PATCH)
        self.dropout = dropout
        self.norm = norm
        self.statistics = statistics
        # Without patches a 3 x 3 convolution, as stems have.
        kernel = self.patch if self.patch > 1 else 3
        self.stem = nn.Conv2d(bands, width, kernel, self.patch, padding=0 if self.patch > 1 else 1, bias=False)
        self.stem_norm = normalisation(norm, width)
        widths = [width] + [width * 2**stage for stage in range(num_stages)]
        blocks = []
        for stage, (before, after) in enumerate(pairwise(widths)):
            blocks.append(ResidualBlock(before, after, 1 if stage == 0 else 2, norm))
            blocks += [ResidualBlock(after, after, 1, norm) for _ in range(num_blocks - 1)]
        self.blocks = nn.Sequential(*blocks)
        self.drop = ByteDropout(dropout)
        self.output = nn.Linear(widths[-1] + 2 * bands * statistics, out_dim)

    def forward(self, x: Float[Tensor, "n bands height width"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        # Padded with zeros (the mean), so that the last patches are complete.
        padded = F.pad(x, (0, -x.shape[3] % self.patch, 0, -x.shape[2] % self.patch))
        places = self.blocks(F.relu(self.stem_norm(self.stem(padded))))
        pooled = places.mean(dim=(2, 3))
        if self.statistics:
            mean = x.mean(dim=(2, 3))
            # 1e-6 is added because the root has no gradient at 0, a constant chip. This is three times as fast as
            # `var`, and accurate because values are standardised.
            variance = (x.square().mean(dim=(2, 3)) - mean.square()).clamp(min=0)
            pooled = torch.cat([pooled, mean, (variance + 1e-6).sqrt()], dim=1)
        return self.output(self.drop(pooled))


def normalisation(norm: str, channels: int) -> nn.Module:
    """Return the normalisation layer of maps with this number of channels."""
    return nn.GroupNorm(_GROUPS, channels) if norm == "group" else BatchNorm(channels)
