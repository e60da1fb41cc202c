"""Random numbers of views, drawn where the generator lives, and what several kinds of views do with them."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Float32[Tensor, "..."]:
    """Draw numbers between `low` and `high`, evenly."""
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Float32[Tensor, "..."]:
    """Draw numbers of mean 0 and standard deviation 1."""
    return torch.randn(shape, generator=generator, device=generator.device)


def speckle(shape: tuple[int, ...], looks: float, generator: torch.Generator) -> Float32[Tensor, "..."]:
    """Draw factors of intensity as the average of independent looks has them: mean 1, variance 1 / looks.

    Args:
        shape: Of what is drawn.
        looks: Number of looks, more than 0, not necessarily a whole number.
        generator: Seeds a generator of NumPy, whose gamma law is drawn three times as fast as torch's.

    Source:
        Goodman (1976), JOSA 66:1145 (fully developed speckle); Lee & Pottier (2009), section 4.3 (several looks).
    """
    seed = torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device).item()
    drawn = np.random.default_rng(int(seed)).standard_gamma(looks, shape, dtype=np.float32)
    # A float32 of 0 is possible with less than one look and has no logarithm.
    drawn = np.maximum(drawn / np.float32(looks), np.finfo(np.float32).tiny)
    return torch.from_numpy(drawn).to(generator.device)


def some(rows: int, count: int, share: float, generator: torch.Generator) -> Bool[Tensor, "{rows} {count}"]:
    """Choose what to drop of each row, each with the chance `share`, but never all of a row."""
    drawn = torch.rand(rows, count, generator=generator, device=generator.device)
    chosen = drawn < share
    if count:
        chosen &= drawn < drawn.amax(dim=1, keepdim=True)
    return chosen


def spread(values: Float[Tensor, "n ..."], axes: tuple[int, ...]) -> Float[Tensor, "n ..."]:
    """Standard deviation along axes that are kept with size 1, of what is there; 0 where nothing is."""
    mean = values.mean(dim=axes, keepdim=True)
    if mean.isfinite().all():
        return (values - mean).square().mean(dim=axes, keepdim=True).sqrt()
    seen = values.isfinite()
    count = seen.sum(dim=axes, keepdim=True).clamp(min=1)
    known = torch.where(seen, values, 0.0)
    mean = known.sum(dim=axes, keepdim=True) / count
    return (torch.where(seen, values - mean, 0.0).square().sum(dim=axes, keepdim=True) / count).sqrt()


def check_options(shares: dict[str, float], amounts: dict[str, float]) -> None:
    """Raise if a share is not in [0, 1) or an amount is negative or not finite.

    Raises:
        ValueError: With the option's name.
    """
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} must be 0 or more and less than 1, got {share}.")
    for name, amount in amounts.items():
        if not 0 <= amount < float("inf"):
            raise ValueError(f"{name} must be 0 (off) or more, got {amount}.")
