"""The optimiser, its learning rate, and the averaged weights."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AdamW:
    """PyTorch's AdamW, called as a function.

    `torch.optim.AdamW` imports the whole of torch.compile to say that it is not to be compiled: two seconds (six where
    Python keeps no byte code) in which a short run could be done. What it computes is the same, bit for bit.

    Args:
        groups: Weights with their decay: {"params": [...], "weight_decay": ...}.
        learning_rate: Of all groups, until `set_learning_rate` changes it.

    Attributes:
        param_groups: As given, with their rate "lr".
        state: Weight to its "step", "exp_avg" and "exp_avg_sq", from its first update on.

    Source:
        Loshchilov & Hutter (2019), ICLR, arXiv:1711.05101.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], learning_rate: float) -> None:
        self.param_groups = [{**group, "lr": learning_rate} for group in groups]
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget all gradients; a weight without one is left alone by `step`."""
        for group in self.param_groups:
            for weight in group["params"]:
                weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            self.state |= {weight: _fresh(weight) for weight in weights if weight not in self.state}
            states = [self.state[weight] for weight in weights]
            adamw(
                weights,
                grads=[weight.grad for weight in weights if weight.grad is not None],
                exp_avgs=[state["exp_avg"] for state in states],
                exp_avg_sqs=[state["exp_avg_sq"] for state in states],
                max_exp_avg_sqs=[],
                state_steps=[state["step"] for state in states],
                # One kernel for all weights; the plain loop over tensors costs several times as much on small ones.
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=1e-8,
                maximize=False,
            )


def build_optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """Build AdamW that decays matrices only.

    Biases, norms, logit scales and anything else with fewer than two axes are left alone: pulling
    them to zero would fight the quantity they hold.

    Args:
        model: Its trainable parameters are optimised.
        learning_rate: The peak rate; `set_learning_rate` changes it each step.
        weight_decay: Decay per unit of learning rate.
    """
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trainable if weight.ndim >= 2], "weight_decay": weight_decay},
        {"params": [weight for weight in trainable if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW([group for group in groups if group["params"]], learning_rate)


def learning_rate_at(
    step: int, total_steps: int, peak: float, warmup_steps: int = 0, final_share: float = 0.0
) -> float:
    """Linear warm-up to `peak`, then half a cosine down to `final_share * peak` at the last step.

    Args:
        step: 0 for the first update.
        total_steps: Updates in the whole run.
        peak: Highest rate.
        warmup_steps: The peak is reached at this step; 0 starts there.
        final_share: Rate of the last update over the peak; 1 keeps the peak.

    Example:
        >>> [round(learning_rate_at(step, 5, 1.0, 2, 0.0), 3) for step in range(5)]
        [0.333, 0.667, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    fall = max(total_steps - 1 - warmup_steps, 1)
    progress = min((step - warmup_steps) / fall, 1.0)
    return peak * (final_share + (1 - final_share) * (1 + math.cos(math.pi * progress)) / 2)


def set_learning_rate(optimizer: AdamW, learning_rate: float) -> None:
    """Use `learning_rate` for every group from the next update on."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def average_into(averaged: Iterable[torch.Tensor], current: Iterable[torch.Tensor], decay: float, step: int) -> None:
    """Move an exponential moving average of weights one step on, in place.

    Early on the decay is lowered to (1 + step) / (10 + step), so that the random first weights are
    forgotten at once instead of lingering for 1 / (1 - decay) steps.

    Args:
        averaged: The averages; changed.
        current: The weights after the update, in the same order.
        decay: Share kept of the old average, in (0, 1).
        step: 0 for the first update.
    """
    warm = min(decay, (1 + step) / (10 + step))
    get_ema_multi_avg_fn(warm)([w.detach() for w in averaged], [w.detach() for w in current], None)


def _fresh(weight: Tensor) -> dict[str, Tensor]:
    step = torch.zeros((), dtype=torch.float32, device=weight.device)
    return {"step": step, "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
