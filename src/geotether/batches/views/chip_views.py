"""Views of image chips."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float32, Num
from torch import Tensor
from torch.nn import functional as F

from geotether.batches.views.draws import check_options, some, speckle, spread, uniform

_LOG_RATIO = math.log(4 / 3)


@dataclass(frozen=True)
class ChipViews:
    """Crops, flips, quarter turns, speckle, gain, brightness, and bands that go missing.

    Args:
        crop: Least and greatest share of the area that is kept, in (0, 1]; what is kept, up to a third longer one way
            than the other, is stretched to the whole chip by linear interpolation. (1, 1): no crops.
        flips: Whether rows are mirrored, left to right and top to bottom.
        turns: Whether rows are turned by quarter turns; chips that are not square, by half turns only.
        speckle_looks: Multiply every pixel by the speckle of so many looks, as radar has it; 0: none. Sentinel-1's
            ground-range products have about 4.4.
        gain: Each band of a row is multiplied by up to 1 ± gain, [0, 1).
        decibels: Whether values are decibels, so that speckle and gain are added in them.
        brightness: All bands of a row are raised or lowered together, by up to so many of their own standard
            deviations, 0 or more.
        band_dropout: Chance of each band of a row to go missing, [0, 1); one stays.

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
        """Give one more look at chips, shape (n, bands, height, width)."""
        device = values.device
        rows, bands = values.shape[:2]
        looked = values.float()
        cropped = tuple(self.crop) != (1, 1) and rows  # torch interpolates no empty batch
        boxes = self._boxes(rows, generator) if cropped else None
        symmetry = None
        if self.flips or self.turns:
            symmetry = self._symmetry(rows, values.shape[2] == values.shape[3], generator)
        if boxes is not None:
            looked = _sampled(looked, turned_boxes(*boxes, symmetry).to(device))
        elif symmetry is not None:
            looked = _turned(looked, symmetry)
        if self.speckle_looks:
            looked = self._amplified(looked, speckle(tuple(values.shape), self.speckle_looks, generator).to(device))
        if self.gain:
            factor = uniform((rows, bands, 1, 1), 1 - self.gain, 1 + self.gain, generator).to(device)
            looked = self._amplified(looked, factor)
        if self.brightness:
            amount = uniform((rows, 1, 1, 1), -self.brightness, self.brightness, generator).to(device)
            looked = looked + amount * spread(looked, (2, 3))
        if self.band_dropout:
            dropped = some(rows, bands, self.band_dropout, generator).to(device)
            looked = looked.masked_fill(dropped[:, :, None, None], float("nan"))
        return looked

    def _amplified(self, values: Tensor, factor: Tensor) -> Tensor:
        return values + 10 * factor.log10() if self.decibels else values * factor

    def _boxes(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw sides and centres of boxes, across before down, in halves of the chip."""
        area = uniform((rows,), *self.crop, generator)
        ratio = uniform((rows,), -_LOG_RATIO, _LOG_RATIO, generator).exp()
        sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp(max=1.0)
        return sides, uniform((rows, 2), -1, 1, generator) * (1 - sides)  # the box stays inside

    def _symmetry(self, rows: int, square: bool, generator: torch.Generator) -> Tensor:
        """Draw whether each row is mirrored down, mirrored across, and transposed; shape (3, rows)."""
        down, across, turn = torch.rand(3, rows, generator=generator, device=generator.device) < 0.5
        quarter = turn if self.turns and square else torch.zeros_like(turn)
        if not self.flips:  # a half turn is both mirrors; a quarter turn is a transposition and one of them
            across = down ^ quarter
        return torch.stack([down, across, quarter])


def turned_boxes(sides: Tensor, centres: Tensor, symmetry: Tensor | None) -> Tensor:
    """Give the affine maps, shape (n, 2, 3), from places of the new chip to places of the old, mirrored and turned."""
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
    """Cut a box from each row and stretch it over the chip."""
    height, width = values.shape[2:]
    # As `affine_grid`, whose product of matrices takes longer than the sampling.
    y, x = (((2 * torch.arange(size, device=values.device) + 1) / size - 1) for size in (height, width))
    across, down, centre = boxes[:, None, None].unbind(-1)
    grid = (across * x[:, None] + centre) + down * y[:, None, None]
    if values.sum().isfinite():  # one pass, and true of nearly every batch
        return F.grid_sample(values, grid, padding_mode="border", align_corners=False)
    missing = ~values.isfinite()
    known = F.grid_sample(values.masked_fill(missing, 0.0), grid, padding_mode="border", align_corners=False)
    weight = F.grid_sample((~missing).float(), grid, padding_mode="border", align_corners=False)
    # What lies mostly on missing pixels is missing; the rest is interpolated between the others.
    return torch.where(weight > 0.5, known / weight, float("nan"))


def _turned(values: Tensor, symmetry: Tensor) -> Tensor:
    """Mirror and turn each row; pixels are moved, not interpolated."""
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
