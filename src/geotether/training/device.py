"""The device and the precision that networks run in."""

from contextlib import AbstractContextManager
from typing import Any

import torch

from geotether.training.loop_config import LoopConfig


def choose_device(wish: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device.

    Raises:
        ValueError: If a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise ValueError("device: cuda needs an NVIDIA GPU that torch can see; use device: auto or cpu.")
    if wish == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def in_precision(config: LoopConfig, device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which networks run in bfloat16, if the configuration asks for it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")
