"""The optimiser, its learning rate, and the averaged weights."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.swa_utils import get_ema_multi_avg_fn


def build_optimizer(
    model: nn.Module, learning_rate: float, weight_decay: float, recorded: torch.device | None = None
) -> AdamW:
    """Build AdamW that decays matrices only.

    Biases, norms, logit scales and everything else with fewer than two axes are not decayed. `recorded` is the GPU on
    which steps are recorded and replayed; the learning rate is then a tensor there, which a replay reads anew.

    Source:
        Loshchilov & Hutter (2019), ICLR, arXiv:1711.05101.
    """
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trainable if weight.ndim >= 2], "weight_decay": weight_decay},
        {"params": [weight for weight in trainable if weight.ndim < 2], "weight_decay": 0.0},
    ]
    # One kernel for all weights; the plain loop over tensors costs several times as much on small ones.
    rate = learning_rate if recorded is None else torch.tensor(learning_rate, device=recorded)
    groups = [group for group in groups if group["params"]]
    return AdamW(groups, rate, fused=True, capturable=recorded is not None)


def set_learning_rate(optimizer: AdamW, learning_rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(learning_rate)
        else:
            group["lr"] = learning_rate


def learning_rate_at(
    step: int, total_steps: int, peak: float, warmup_steps: int = 0, final_share: float = 0.0
) -> float:
    """Return the rate of a step: linear warm-up to `peak`, then half a cosine down to `final_share * peak`.

    Example:
        >>> [round(learning_rate_at(step, 5, 1.0, 2, 0.0), 3) for step in range(5)]
        [0.333, 0.667, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    fall = max(total_steps - 1 - warmup_steps, 1)
    progress = min((step - warmup_steps) / fall, 1.0)
    return peak * (final_share + (1 - final_share) * (1 + math.cos(math.pi * progress)) / 2)


def average_into(averaged: Iterable[torch.Tensor], current: Iterable[torch.Tensor], decay: float, step: int) -> None:
    """Update an exponential moving average of weights by one step, in place.

    Early on the decay is lowered to (1 + step) / (10 + step), so that the random initial weights are
    forgotten at once and not only after 1 / (1 - decay) steps.
    """
    warm = min(decay, (1 + step) / (10 + step))
    get_ema_multi_avg_fn(warm)([w.detach() for w in averaged], [w.detach() for w in current], None)
