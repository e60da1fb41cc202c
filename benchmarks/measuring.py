"""What several benchmarks print and measure: the machine, the memory of a process, bare matrix products."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Factors = list[tuple[torch.Tensor, torch.Tensor]]


def machine() -> str:
    """Return processor, threads, load and version of torch."""
    processor = platform.processor() or platform.machine()
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} threads"
    return f"{processor}, {threads}, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}"


def status_mb(key: str, pid: int | str = "self") -> float:
    """Return an entry of Linux's account of a process's memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def raised_mb(work: Callable[[], Any]) -> float:
    """Return by how many MB a call raises the peak of this process's memory."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    before = status_mb("VmRSS")
    work()
    return status_mb("VmHWM") - before


def device_seconds(work: Callable[[], Any], repeats: int) -> list[float]:
    """Return the durations of calls, each until a GPU is done."""
    durations = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        durations.append(time.perf_counter() - started)
    return durations


def multiply(factors: Factors) -> None:
    """Compute matrix products and nothing else."""
    for left, right in factors:
        left @ right
