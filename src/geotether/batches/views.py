"""Views: augmented observations, changed in ways that should not affect their meaning.

`make_views` returns a function of values and a `torch.Generator`. Values are as in the table, not standardised. Missing
values (NaN) stay missing, and dropped values become missing as well. Rows never mix, and the random numbers that are
drawn depend on the shape of the values alone; some rows of a batch get their numbers of the whole batch (`drawn`).
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Num
from torch import Tensor
from torch.nn import functional as F

from geotether.draws import drawn
from geotether.encoders.build import known_names

_LOG_RATIO = math.log(4 / 3)


@dataclass(frozen=True)
class VectorViews:
    """Noise on every value, and dropped values.

    Args:
        noise: Standard deviation of the noise relative to each value, 0 or more; it is independent of units, and zeros
            stay zero.
        dropout: Probability of dropping each value, [0, 1); at least one of each row is kept.

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> views = VectorViews(noise=0.0, dropout=0.5)
        >>> views(torch.ones(2, 4), torch.Generator().manual_seed(0))
        tensor([[nan, 1., nan, nan],
                [nan, 1., nan, 1.]])
    """

    noise: float | int = 0.05
    dropout: float | int = 0.1

    def __post_init__(self) -> None:
        check_options({"dropout": self.dropout}, {"noise": self.noise})

    def __call__(self, values: Num[Tensor, "n d"], generator: torch.Generator) -> Float32[Tensor, "n d"]:
        """Augment vectors, shape (n, d)."""
        values = values.float()
        if self.noise:
            values = values * (1 + self.noise * normal(tuple(values.shape), generator).to(values.device))
        if self.dropout:
            dropped = some(len(values), values.shape[1], self.dropout, generator).to(values.device)
            values = values.masked_fill(dropped, float("nan"))
        return values


@dataclass(frozen=True)
class SeriesViews:
    """Noise, a shift in time, and dropped steps and bands.

    Args:
        jitter: Standard deviation of the noise relative to that of the band over the row's time, 0 or more.
        shift: Maximum shift of a row in steps, either way, 0 or more; its first or last step is repeated.
        step_dropout: Probability of dropping each step, as under a cloud, [0, 1); at least one of each row is kept.
        band_dropout: Probability of dropping each band of a row, [0, 1); at least one is kept.

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> views = SeriesViews(jitter=0.0, shift=2, step_dropout=0.0)
        >>> views(torch.arange(5.0).view(1, 5, 1), torch.Generator().manual_seed(3)).flatten()
        tensor([2., 3., 4., 4., 4.])
    """

    jitter: float | int = 0.1
    shift: int = 1
    step_dropout: float | int = 0.1
    band_dropout: float | int = 0.0

    def __post_init__(self) -> None:
        check_options(
            {"step_dropout": self.step_dropout, "band_dropout": self.band_dropout},
            {"jitter": self.jitter, "shift": self.shift},
        )

    def __call__(
        self, values: Num[Tensor, "n steps bands"], generator: torch.Generator
    ) -> Float32[Tensor, "n steps bands"]:
        """Augment series, shape (n, steps, bands)."""
        rows, steps, bands = values.shape
        device = values.device
        values = values.float()
        if self.jitter:
            noise = normal(tuple(values.shape), generator).to(device)
            values = values + self.jitter * spread(values, (1,)) * noise
        if self.shift:
            moved = uniform((rows, 1), -self.shift - 0.5, self.shift + 0.5, generator).to(device).round().long()
            # The ends of the interval can round to one more step.
            moved = moved.clamp(-self.shift, self.shift)
            source = (torch.arange(steps, device=device) - moved).clamp(0, steps - 1)
            values = values.gather(1, source[:, :, None].expand(-1, -1, bands))
        if self.step_dropout:
            dropped = some(rows, steps, self.step_dropout, generator).to(device)
            values = values.masked_fill(dropped[:, :, None], float("nan"))
        if self.band_dropout:
            dropped = some(rows, bands, self.band_dropout, generator).to(device)
            values = values.masked_fill(dropped[:, None, :], float("nan"))
        return values


@dataclass(frozen=True)
class ChipViews:
    """Crops, flips, quarter turns, speckle, gain, brightness, and dropped bands.

    Args:
        crop: Minimum and maximum share of the area that is kept, in (0, 1]; the crop, with an aspect ratio of at most
            4:3, is resized to the whole chip by linear interpolation. (1, 1): no crops.
        flips: Whether rows are mirrored, left to right and top to bottom.
        turns: Whether rows are rotated by quarter turns; chips that are not square, by half turns only.
        speckle_looks: Number of looks of the radar speckle that multiplies every pixel; 0: none. Sentinel-1's
            ground-range products have about 4.4.
        gain: Each band of a row is multiplied by a factor within 1 ± gain, [0, 1).
        decibels: Whether values are decibels, to which speckle and gain are added.
        brightness: Maximum shift of all bands of a row together, in units of their own standard deviations, 0 or more.
        band_dropout: Probability of dropping each band of a row, [0, 1); at least one is kept.

    Raises:
        ValueError: If an option is out of range.

    Source:
        Chen et al. (2020), ICML, arXiv:2002.05709, section 3 (crops and colours);
        Goodman (1976), JOSA 66:1145 (speckle).

    Example:
        >>> radar = ChipViews(speckle_looks=4.4, decibels=True, gain=0.0, brightness=0.0)
        >>> radar(torch.zeros(3, 2, 16, 16), torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2, 16, 16])
    """

    crop: tuple[float | int, float | int] = (0.6, 1.0)
    flips: bool = True
    turns: bool = True
    speckle_looks: float | int = 0.0
    gain: float | int = 0.1
    decibels: bool = False
    brightness: float | int = 0.1
    band_dropout: float | int = 0.1

    def __post_init__(self) -> None:
        check_options(
            {"gain": self.gain, "band_dropout": self.band_dropout},
            {"speckle_looks": self.speckle_looks, "brightness": self.brightness},
        )
        if len(self.crop) != 2 or not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"crop must be two shares of the area, 0 < least <= greatest <= 1, got {self.crop}.")

    def __call__(
        self, values: Num[Tensor, "n bands height width"], generator: torch.Generator
    ) -> Float32[Tensor, "n bands height width"]:
        """Augment chips, shape (n, bands, height, width)."""
        device = values.device
        rows, bands = values.shape[:2]
        values = values.float()
        cropped = tuple(self.crop) != (1, 1) and rows  # torch cannot interpolate an empty batch
        boxes = self._boxes(rows, generator) if cropped else None
        symmetry = None
        if self.flips or self.turns:
            symmetry = self._symmetry(rows, values.shape[2] == values.shape[3], generator)
        if boxes is not None:
            values = _sampled(values, turned_boxes(*boxes, symmetry).to(device))
        elif symmetry is not None:
            values = _turned(values, symmetry)
        if self.speckle_looks:
            values = self._amplified(values, speckle(tuple(values.shape), self.speckle_looks, generator).to(device))
        if self.gain:
            factor = uniform((rows, bands, 1, 1), 1 - self.gain, 1 + self.gain, generator).to(device)
            values = self._amplified(values, factor)
        if self.brightness:
            amount = uniform((rows, 1, 1, 1), -self.brightness, self.brightness, generator).to(device)
            values = values + amount * spread(values, (2, 3))
        if self.band_dropout:
            dropped = some(rows, bands, self.band_dropout, generator).to(device)
            values = values.masked_fill(dropped[:, :, None, None], float("nan"))
        return values

    def _amplified(self, values: Tensor, factor: Tensor) -> Tensor:
        return values + 10 * factor.log10() if self.decibels else values * factor

    def _boxes(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw side lengths and centres of boxes, x before y, in units of half a chip."""
        area = uniform((rows,), *self.crop, generator)
        ratio = uniform((rows,), -_LOG_RATIO, _LOG_RATIO, generator).exp()
        sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp(max=1.0)
        return sides, uniform((rows, 2), -1, 1, generator) * (1 - sides)  # the box stays inside

    def _symmetry(self, rows: int, square: bool, generator: torch.Generator) -> Tensor:
        """Draw whether each row is mirrored vertically, mirrored horizontally, and transposed; shape (3, rows)."""
        chance = drawn(rows, lambda count: torch.rand(3, count, generator=generator, device=generator.device).T)
        down, across, turn = chance.T < 0.5
        quarter = turn if self.turns and square else torch.zeros_like(turn)
        if not self.flips:  # a half turn is both mirrors; a quarter turn is a transposition and one mirror
            across = down ^ quarter
        return torch.stack([down, across, quarter])


def turned_boxes(sides: Tensor, centres: Tensor, symmetry: Tensor | None) -> Tensor:
    """Return the affine maps, shape (n, 2, 3), from positions in the new chip to the old, mirrored and rotated."""
    own = sides
    if symmetry is not None:
        own = torch.where(symmetry[[1, 0]].T, -sides, sides)
    across, down = own.unbind(1)
    zero = torch.zeros_like(across)
    quarter = torch.zeros_like(zero, dtype=torch.bool) if symmetry is None else symmetry[2]
    along = [torch.where(quarter, zero, across), torch.where(quarter, across, zero)]
    along += [torch.where(quarter, down, zero), torch.where(quarter, zero, down)]
    return torch.cat([torch.stack(along, dim=1).view(-1, 2, 2), centres[:, :, None]], dim=2)


def _sampled(values: Tensor, boxes: Tensor) -> Tensor:
    """Crop a box from each row and resize it to the chip."""
    height, width = values.shape[2:]
    # The same as `affine_grid`, whose matrix product takes longer than the sampling.
    y, x = (((2 * torch.arange(size, device=values.device) + 1) / size - 1) for size in (height, width))
    across, down, centre = boxes[:, None, None].unbind(-1)
    grid = (across * x[:, None] + centre) + down * y[:, None, None]
    if values.sum().isfinite():  # one pass, and true of nearly every batch
        return F.grid_sample(values, grid, padding_mode="border", align_corners=False)
    missing = ~values.isfinite()
    known = F.grid_sample(values.masked_fill(missing, 0.0), grid, padding_mode="border", align_corners=False)
    weight = F.grid_sample((~missing).float(), grid, padding_mode="border", align_corners=False)
    # A pixel mostly from missing pixels is missing; others are interpolated from the known ones.
    return torch.where(weight > 0.5, known / weight, float("nan"))


def _turned(values: Tensor, symmetry: Tensor) -> Tensor:
    """Mirror and rotate each row; pixels are moved, not interpolated."""
    _, _, height, width = values.shape
    down, across, quarter = symmetry.to(values.device)
    y, x = torch.arange(height, device=values.device), torch.arange(width, device=values.device)
    y = torch.where(down[:, None], y.flip(0), y)
    x = torch.where(across[:, None], x.flip(0), x)
    source = y[:, :, None] * width + x[:, None, :]
    if height == width:
        source = torch.where(quarter[:, None, None], source.transpose(1, 2), source)
    moved = values.flatten(2).gather(2, source.flatten(1)[:, None].expand(-1, values.shape[1], -1))
    return moved.view_as(values)


VIEWS: dict[str, Callable[..., Callable[[Tensor, torch.Generator], Tensor]]] = {
    "vector": VectorViews,
    "series": SeriesViews,
    "chip": ChipViews,
}


def make_views(config: Mapping[str, Any] | None, kind: str) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Build the function that augments observations.

    Args:
        config: Options of `VectorViews`, `SeriesViews` or `ChipViews`; None or empty: their defaults.
        kind: "vector", "series" or "chip".

    Returns:
        A function of values (n, *shape), NaN where missing, and a generator; it returns float32 of the same shape.

    Raises:
        ValueError: If the kind or an option is unknown (with the known ones), or an option is out of range.

    Example:
        >>> views = make_views({"flips": False, "crop": [0.8, 1.0]}, "chip")
        >>> views(torch.zeros(3, 12, 16, 16), torch.Generator().manual_seed(0)).dtype
        torch.float32
    """
    if kind not in VIEWS:
        raise ValueError(f"Unknown kind of observation {kind!r}; {known_names(kind, VIEWS)}")
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in (config or {}).items()}
    known = inspect.signature(VIEWS[kind]).parameters
    for key, value in options.items():
        if key not in known:
            raise ValueError(f"Views of a {kind} have no option {key!r}; {known_names(key, known)}")
        if not _alike(value, known[key].default):
            raise ValueError(f"{key} of the views of a {kind} must be like {known[key].default!r}, got {value!r}.")
    return VIEWS[kind](**options)


def _alike(value: Any, default: Any) -> bool:
    """Return whether a value has the type of its default; an integer is accepted for a float."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and len(value) == len(default) and all(map(_alike, value, default))
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    return isinstance(value, int) or (isinstance(value, float) and isinstance(default, float))


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Float32[Tensor, "..."]:
    """Draw uniform numbers between `low` and `high`."""
    rows, *row = shape
    chance = drawn(rows, lambda count: torch.rand(count, *row, generator=generator, device=generator.device))
    return chance * (high - low) + low


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Float32[Tensor, "..."]:
    """Draw normal numbers of mean 0 and standard deviation 1."""
    rows, *row = shape
    return drawn(rows, lambda count: torch.randn(count, *row, generator=generator, device=generator.device))


def speckle(shape: tuple[int, ...], looks: float, generator: torch.Generator) -> Float32[Tensor, "..."]:
    """Draw the intensity factors of speckle averaged over independent looks: mean 1, variance 1 / looks.

    Args:
        shape: Shape of the result.
        looks: Number of looks, more than 0, not necessarily an integer.
        generator: Seeds a NumPy generator, whose gamma draws are three times as fast as torch's.

    Source:
        Goodman (1976), JOSA 66:1145 (fully developed speckle); Lee & Pottier (2009), section 4.3 (several looks).
    """
    seed = torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device).item()
    numbers, (rows, *row) = np.random.default_rng(int(seed)), shape

    def draw(count: int) -> Tensor:
        gamma = numbers.standard_gamma(looks, (count, *row), dtype=np.float32)
        # With less than one look float32 can underflow to 0, which has no logarithm.
        factors = np.maximum(gamma / np.float32(looks), np.finfo(np.float32).tiny)
        return torch.from_numpy(factors).to(generator.device)

    return drawn(rows, draw)


def some(rows: int, count: int, share: float, generator: torch.Generator) -> Bool[Tensor, "{rows} {count}"]:
    """Draw what to drop of each row, each with probability `share`, but never a whole row."""
    chance = uniform((rows, count), 0, 1, generator)
    chosen = chance < share
    if count:
        chosen &= chance < chance.amax(dim=1, keepdim=True)
    return chosen


def spread(values: Float[Tensor, "n ..."], axes: tuple[int, ...]) -> Float[Tensor, "n ..."]:
    """Return the standard deviation of known values along axes, kept with size 1; 0 if none is known."""
    mean = values.mean(dim=axes, keepdim=True)
    if mean.isfinite().all():
        return (values - mean).square().mean(dim=axes, keepdim=True).sqrt()
    seen = values.isfinite()
    count = seen.sum(dim=axes, keepdim=True).clamp(min=1)
    known = torch.where(seen, values, 0.0)
    mean = known.sum(dim=axes, keepdim=True) / count
    return (torch.where(seen, values - mean, 0.0).square().sum(dim=axes, keepdim=True) / count).sqrt()


def check_options(shares: dict[str, float], amounts: dict[str, float]) -> None:
    """Raise ValueError if a share is not in [0, 1) or an amount is negative or not finite."""
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} must be 0 or more and less than 1, got {share}.")
    for name, amount in amounts.items():
        if not 0 <= amount < float("inf"):
            raise ValueError(f"{name} must be 0 (off) or more, got {amount}.")
