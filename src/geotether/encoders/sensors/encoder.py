"""The encoder of one sensor: standardisation by band, then a network."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Num, Shaped
from torch import Tensor, nn

from geotether.moments import mean_and_scale, principal_axes

# Number of axes of a row, and the axis of a batch that contains the bands.
KINDS = {"vector": (1, 1), "series": (2, 2), "chip": (3, 1)}
# Numbers read at once while fitting, so that a memory map is not loaded whole.
_NUMBERS = 8_000_000
# Standard deviations from the mean at which numbers of a vector are clipped. A number that hardly varies in training
# (the share of lidar returns at 38 m) can be thousands of them away in another row and would dominate it. Bands of
# series and chips are standardised over all steps and pixels, where this does not happen.
LIMIT = 10.0


class SensorEncoder(nn.Module):
    """An encoder that standardises observations by band, marks missing values and runs a network.

    Missing values (NaN or infinite, such as the decibels of no echo) become 0 after standardisation, the mean of the
    training rows. With a missing channel, one more band is the share of missing bands per row, step or pixel.

    Numbers of a vector are clipped at 10 standard deviations. With `components`, the network gets that many principal
    components of a vector, each of variance 1, which suit spectra of hundreds of correlated bands.

    Args:
        network: One of `SENSOR_ENCODERS`, built for the shape of `network_shape`.
        config: Plain values from which `build_sensor_encoder` builds the same encoder.
        kind: "vector", rows (d,); "series", rows (steps, bands); "chip", rows (bands, height, width).
        shape: Of one row.
        missing_channel: Whether to add a band with the share of missing values.
        components: Number of principal components, up to the size of the vector; None: the numbers themselves.

    Attributes:
        mean: Subtracted from each band, shape (bands,); zeros until fitted.
        scale: Divides each band afterwards, shape (bands,); ones until fitted.
        axes: With components: multiplies standardised vectors, shape (size, components); zeros until fitted.
        out_dim: Size of the output.

    Raises:
        ValueError: If the kind is unknown, the shape is not one of that kind, the network does not take it, or
            components are requested of a series or chip, or are too many.
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
        """Fit mean and standard deviation of each band, and components, to training rows; saved with the weights.

        Missing values are ignored. A constant band is only centred; one that is always missing is unchanged.

        Args:
            values: Numbers of any kind, shape (n, *shape), at least one row; may be a memory map.

        Raises:
            ValueError: If the shape differs or there are no rows.
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
        """Return observations as the network takes them: standardised, or as components.

        Args:
            values: Shape (n, *shape), NaN where missing. A series may have fewer steps; the others
                count as missing. A chip may have another size if the network accepts any.

        Returns:
            As `values`, with one more band if there is a missing channel.

        Raises:
            ValueError: If the number of bands, of steps or of pixels does not fit.
        """
        self._check(tuple(values.shape))
        axis = KINDS[self.kind][1]
        along = [-1 if i == axis else 1 for i in range(values.ndim)]
        values = values.to(self.mean.dtype)
        if self.kind == "series" and values.shape[1] < self.shape[0]:
            absent = self.shape[0] - values.shape[1]
            values = nn.functional.pad(values, (0, 0, 0, absent), value=float("nan"))
        standard = (values - self.mean.view(along)) / self.scale.view(along)
        # One pass instead of three if no value is missing.
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
        """Encode observations as `standardise` takes them; shape (n, out_dim), not normalised."""
        return self.network(self.standardise(values))

    def _check(self, shape: tuple[int, ...]) -> None:
        axes, axis = KINDS[self.kind]
        if len(shape) != axes + 1:
            raise ValueError(f"Need rows of shape {self.shape} ({self.kind}), got values of shape {shape}.")
        if shape[axis] != self.num_bands:
            what = "numbers" if self.kind == "vector" else "bands"
            raise ValueError(
                f"got {shape[axis]} {what}, but the encoder was built for {self.num_bands}: pass the {what} that it "
                "was trained with, in the same order, with NaN for a missing one."
            )
        if self.kind == "series" and shape[1] > self.shape[0]:
            raise ValueError(
                f"Got a series of {shape[1]} steps, but the encoder was trained for up to {self.shape[0]}: cut it to "
                f"{self.shape[0]} steps, or train again with series of {shape[1]}."
            )
        if self.kind == "chip" and shape[2:] != self.shape[1:] and not self.network.any_size:
            raise ValueError(
                f"Got chips of {shape[2]} x {shape[3]} pixels, but this network takes only {self.shape[1]} x "
                f"{self.shape[2]}: resample or cut them, or train a network of any size, such as 'resnet'."
            )


def network_shape(
    kind: str, shape: tuple[int, ...], missing_channel: bool, components: int | None = None
) -> tuple[int, ...]:
    """Return the shape of a network's input: `components` if any, and one more band with a missing channel."""
    if components is not None:
        if kind != "vector":
            raise ValueError(f"components are for vectors; a {kind} would lose its order.")
        if not isinstance(components, int) or not 1 <= components <= shape[0]:
            raise ValueError(f"components must be an integer from 1 to {shape[0]}, got {components!r}.")
        shape = (components,)
    at = KINDS[kind][1] - 1
    return tuple(size + (missing_channel and i == at) for i, size in enumerate(shape))


def check_shape(kind: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError if the kind of observation is unknown or a row of it cannot have that shape."""
    if kind not in KINDS:
        raise ValueError(f"Unknown kind {kind!r} of observation; known: {', '.join(KINDS)}.")
    axes = {"vector": "(numbers,)", "series": "(steps, bands)", "chip": "(bands, height, width)"}[kind]
    if len(shape) != KINDS[kind][0] or min(shape) < 1:
        raise ValueError(f"A row of kind {kind!r} has the shape {axes}, each 1 or more, got {shape}.")


def whitening_axes(covariance: Float64[np.ndarray, "d d"], components: int) -> Float64[np.ndarray, "d k"]:
    """Return axes on which centred rows have uncorrelated components of variance 1, in decreasing order of variance.

    Components without variance become 0. Every axis is signed so that its largest number is positive.

    Source:
        Jolliffe (2002), Principal Component Analysis, 2nd ed., section 2.1.
    """
    variances, axes = principal_axes(covariance, components)
    varies = variances > 1e-10 * max(float(variances[0]), 1e-300)
    return np.where(varies, axes / np.sqrt(np.where(varies, variances, 1.0)), 0.0)
