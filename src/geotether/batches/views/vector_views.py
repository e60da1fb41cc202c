"""Views of vectors."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Num
from torch import Tensor

from geotether.batches.views.draws import check_options, normal, some


@dataclass(frozen=True)
class VectorViews:
    """Noise on every number, and numbers that go missing.

    Args:
        noise: Standard deviation of the noise as a share of each number's own size, 0 or more: units need not be known,
            and zeros stay zero.
        dropout: Chance of each number to go missing, [0, 1); one of each row stays.

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
        """Give one more look at vectors, shape (n, d)."""
        looked = values.float()
        if self.noise:
            looked = looked * (1 + self.noise * normal(tuple(values.shape), generator).to(values.device))
        if self.dropout:
            dropped = some(len(values), values.shape[1], self.dropout, generator).to(values.device)
            looked = looked.masked_fill(dropped, float("nan"))
        return looked
