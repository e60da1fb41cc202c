"""The encoder of one sensor: what it observed, standardised by band, then a network."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Num, Shaped
from torch import Tensor, nn

from geotether.moments import mean_and_scale, principal_axes

# How many axes a row has, and which of them, counted in a batch, holds the bands.
KINDS = {"vector": (1, 1), "series": (2, 2), "chip": (3, 1)}
# Numbers read at once while fitting: keeps a memory map from being drawn into memory.
_NUMBERS = 8_000_000
# Standard deviations from the mean beyond which a number of a vector is cut off. A number that hardly varies in
# training (the share of lidar returns at 38 m) can lie thousands of them away in another row, and would decide all
# there. Bands of series and chips are standardised over all steps and pixels, so that this does not happen.
LIMIT = 10.0


class SensorEncoder(nn.Module):
    """Standardise observations by band, mark what is missing, and run a network.

    What is missing (NaN or infinite, such as the decibels of no echo) becomes 0 after standardisation, the mean of the
    training rows. With a missing channel, one more band says which share of a row's (a step's, a pixel's) bands was
    missing.

    Numbers of a vector are cut off at 10 standard deviations. With `components`, the network gets that many principal
    components of a vector's training rows, each of spread 1, and not its numbers: a spectrum of hundreds of bands that
    nearly repeat each other is learned from more easily.

    Args:
        network: One of `SENSOR_ENCODERS`, built for what `network_shape` says.
        config: Plain values from which `build_sensor_encoder` makes the same.
        kind: "vector", rows (d,); "series", rows (steps, bands); "chip", rows (bands, height, width).
        shape: Of one row.
        missing_channel: Whether one more band says what was missing.
        components: Number of principal components, up to the size of the vector; None: the numbers themselves.

    Attributes:
        mean: Subtracted from each band, shape (bands,); zeros until fitted.
        scale: Divides each band afterwards, shape (bands,); ones until fitted.
        axes: With components: multiplies standardised vectors, shape (size, components); zeros until fitted.
        out_dim: Size of the output.

    Raises:
        ValueError: If the kind is unknown, the shape is not one of that kind, the network does not take it, or
            components are asked of what is no vector or are too many.

    Example:
        >>> from geotether.encoders.sensors import build_sensor_encoder
        >>> radar = build_sensor_encoder({"name": "tempcnn"}, "series", (12, 2), out_dim=128)
        >>> radar.eval()(torch.zeros(3, 12, 2)).shape
        torch.Size([3, 128])
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor

    def __init__(
        self,
        network: nn.Module,
        config: dict[str, Any],
        kind: str,
        shape: tuple[int, ...],
        missing_channel: bool,
        components: int | None = None,
    ) -> None:
        super().__init__()
        check_shape(kind, shape)
        wanted = network_shape(kind, shape, missing_channel, components)
        if kind not in network.kinds or network.shape != wanted:  # type: ignore[operator]
            raise ValueError(
                f"The network takes {' or '.join(network.kinds)} of shape {network.shape}, "  # type: ignore[arg-type]
                f"not {kind} of shape {wanted}."
            )
        self.network = network
        self.config = config
        self.kind = kind
        self.shape = shape
        self.missing_channel = missing_channel
        self.components = components
        self.out_dim: int = network.out_dim  # type: ignore[assignment]
        self.register_buffer("mean", torch.zeros(self.num_bands))
        self.register_buffer("scale", torch.ones(self.num_bands))
        if components is not None:
            self.register_buffer("axes", torch.zeros(self.num_bands, components))

    @property
    def num_bands(self) -> int:
        """Number of bands; of a vector, its size."""
        return self.shape[KINDS[self.kind][1] - 1]

    def fit(self, values: Shaped[np.ndarray, "n *row"]) -> None:
        """Take mean and standard deviation of each band, and components, from training rows; saved with the weights.

        What is missing is left out. A band that never varies is centred and otherwise left alone; one that is always
        missing stays as it is.

        Args:
            values: Numbers of any kind, shape (n, *shape), at least one row; may be a memory map.

        Raises:
            ValueError: If the shape is another one or there is no row.
        """
        if values.shape[1:] != self.shape or len(values) == 0:
            raise ValueError(f"Need rows of shape {self.shape}, got shape {values.shape}.")
        axis = KINDS[self.kind][1]
        rows = max(1, _NUMBERS // math.prod(self.shape))
        mean, scale = mean_and_scale(values, axis, skip_missing=True, chunk_rows=rows)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))
        if self.components is None:
            return
        products = np.zeros((self.num_bands, self.num_bands))
        for start in range(0, len(values), rows):
            part = np.asarray(values[start : start + rows], dtype=np.float64)
            standard = np.where(np.isfinite(part), (part - mean) / scale, 0.0).clip(-LIMIT, LIMIT)
            products += standard.T @ standard
        self.axes.copy_(torch.from_numpy(whitening_axes(products / len(values), self.components)))

    def standardise(self, values: Num[Tensor, "n *row"]) -> Float[Tensor, "n *input"]:
        """Turn observations, as they are in the table, into what the network takes: standardised, or components.

        Args:
            values: Shape (n, *shape), NaN where missing. A series may have fewer steps; those that lack at its end are
                missing. A chip may have another size if the network takes any.

        Returns:
            As `values`, with one band more if there is a missing channel.

        Raises:
            ValueError: If the number of bands, of steps or of pixels does not fit.
        """
        self._check(tuple(values.shape))
        axis = KINDS[self.kind][1]
        along = [-1 if i == axis else 1 for i in range(values.ndim)]
        values = values.to(self.mean.dtype)
        if self.kind == "series" and values.shape[1] < self.shape[0]:
            lacking = self.shape[0] - values.shape[1]
            values = nn.functional.pad(values, (0, 0, 0, lacking), value=float("nan"))
        standard = (values - self.mean.view(along)) / self.scale.view(along)
        # One pass where nothing is missing, in place of three.
        if self.missing_channel or not standard.sum().isfinite():
            standard = torch.where(values.isfinite(), standard, 0.0)
        if self.kind == "vector":
            standard = standard.clamp(-LIMIT, LIMIT)
        if self.components is not None:
            standard = standard @ self.axes
        if not self.missing_channel:
            return standard
        missing = (~values.isfinite()).to(standard.dtype).mean(dim=axis, keepdim=True)
        return torch.cat([standard, missing], dim=axis)

    def forward(self, values: Num[Tensor, "n *row"]) -> Float[Tensor, "n out_dim"]:
        """Encode observations.

        Args:
            values: See `standardise`.

        Returns:
            Shape (n, out_dim), not normalised.

        Raises:
            ValueError: If the number of bands, of steps or of pixels does not fit.
        """
        return self.network(self.standardise(values))

    def _check(self, shape: tuple[int, ...]) -> None:
        axes, axis = KINDS[self.kind]
        if len(shape) != axes + 1:
            raise ValueError(f"Need rows of shape {self.shape} ({self.kind}), got values of shape {shape}.")
        if shape[axis] != self.num_bands:
            what = "numbers" if self.kind == "vector" else "bands"
            raise ValueError(
                f"{shape[axis]} {what} came and the encoder was built for {self.num_bands}: give the {what} that it "
                "was trained with, in their order, NaN for one that is not there."
            )
        if self.kind == "series" and shape[1] > self.shape[0]:
            raise ValueError(
                f"A series of {shape[1]} steps came and the encoder was trained for up to {self.shape[0]}: cut it to "
                f"{self.shape[0]} steps, or train anew with series of {shape[1]}."
            )
        if self.kind == "chip" and shape[2:] != self.shape[1:] and not self.network.any_size:
            raise ValueError(
                f"Chips of {shape[2]} x {shape[3]} pixels came and this network takes {self.shape[1]} x "
                f"{self.shape[2]} only: resample or cut them, or train a network of any size, such as 'resnet'."
            )


def network_shape(
    kind: str, shape: tuple[int, ...], missing_channel: bool, components: int | None = None
) -> tuple[int, ...]:
    """Give the shape of what a network gets: any components, and one band more with a missing channel.

    Raises:
        ValueError: If there cannot be so many components.
    """
    if components is not None:
        if kind != "vector":
            raise ValueError(f"components are for vectors; a {kind} has an order that they would lose.")
        if not isinstance(components, int) or not 1 <= components <= shape[0]:
            raise ValueError(f"components must be a whole number from 1 to {shape[0]}, got {components!r}.")
        shape = (components,)
    at = KINDS[kind][1] - 1
    return tuple(size + (missing_channel and i == at) for i, size in enumerate(shape))


def check_shape(kind: str, shape: tuple[int, ...]) -> None:
    """Raise if there is no such kind of observation or a row of it cannot have that shape.

    Raises:
        ValueError: With the known kinds or the wanted axes.
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown kind {kind!r} of observation; known: {', '.join(KINDS)}.")
    axes = {"vector": "(numbers,)", "series": "(steps, bands)", "chip": "(bands, height, width)"}[kind]
    if len(shape) != KINDS[kind][0] or min(shape) < 1:
        raise ValueError(f"A row of kind {kind!r} has the shape {axes}, each 1 or more, got {shape}.")


def whitening_axes(covariance: Float64[np.ndarray, "d d"], components: int) -> Float64[np.ndarray, "d k"]:
    """Give the axes on which centred rows become their principal components, uncorrelated and of variance 1.

    Args:
        covariance: Of the rows.
        components: How many, the most varying first. Those that do not vary become 0.

    Returns:
        One column a component. Of both directions of an axis the one whose largest number is positive.

    Source:
        Jolliffe (2002), Principal Component Analysis, 2nd ed., section 2.1.
    """
    variances, axes = principal_axes(covariance, components)
    varies = variances > 1e-10 * max(float(variances[0]), 1e-300)
    return np.where(varies, axes / np.sqrt(np.where(varies, variances, 1.0)), 0.0)
