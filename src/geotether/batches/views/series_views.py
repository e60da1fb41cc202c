"""Views of time series."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Num
from torch import Tensor

from geotether.batches.views.draws import check_options, normal, some, spread, uniform


@dataclass(frozen=True)
class SeriesViews:
    """Noise, a shift in time, steps and bands that go missing.

    Args:
        jitter: Standard deviation of the noise as a share of the band's own spread along the row's time, 0 or more.
        shift: A row moves by up to so many whole steps, either way, 0 or more; its first or last step is repeated.
        step_dropout: Chance of each step to go missing, as under a cloud, [0, 1); one of each row stays.
        band_dropout: Chance of each band of a row to go missing, [0, 1); one stays.

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
        """Give one more look at series, shape (n, steps, bands)."""
        rows, steps, bands = values.shape
        device = values.device
        looked = values.float()
        if self.jitter:
            noise = normal(tuple(values.shape), generator).to(device)
            looked = looked + self.jitter * spread(looked, (1,)) * noise
        if self.shift:
            moved = uniform((rows, 1), -self.shift - 0.5, self.shift + 0.5, generator).to(device).round().long()
            # The ends of the interval would round to one step more.
            moved = moved.clamp(-self.shift, self.shift)
            source = (torch.arange(steps, device=device) - moved).clamp(0, steps - 1)
            looked = looked.gather(1, source[:, :, None].expand(-1, -1, bands))
        if self.step_dropout:
            dropped = some(rows, steps, self.step_dropout, generator).to(device)
            looked = looked.masked_fill(dropped[:, :, None], float("nan"))
        if self.band_dropout:
            dropped = some(rows, bands, self.band_dropout, generator).to(device)
            looked = looked.masked_fill(dropped[:, None, :], float("nan"))
        return looked
