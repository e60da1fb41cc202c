"""How a device computes: precision of products, places at once, kernels, and copies to the host beside them."""

import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from threading import Lock
from typing import Any

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

PRECISIONS = ("float32", "tf32", "bf16")
CPU_ROWS = 4096  # so that intermediate results stay in the cache
# So that a GPU is not idle while operations are prepared for it; fewer where memory is short.
_GPU_ROWS = 2**17
_LARGEST_SHARE = 0.25  # of the free memory

_tf32_lock, _tf32_users, _tf32_before = Lock(), 0, False
_tf32_encoding = Lock()


@contextmanager
def products_in(precision: str, device: torch.device) -> Iterator[None]:
    """Compute the products of networks in a precision, as the setting `precision` of a training says.

    Args:
        precision: `float32`; `tf32`, which lets a GPU round the factors of float32 products to 10 bits; or `bf16`,
            which runs networks in bfloat16.
        device: Where they are computed.
    """
    with (
        products_in_tf32(precision == "tf32"),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        yield


@contextmanager
def products_in_tf32(wanted: bool) -> Iterator[None]:
    """Let a GPU round the factors of float32 products to 10 bits, if wanted; the last thread restores the setting."""
    global _tf32_users, _tf32_before
    if not wanted:
        yield
        return
    with _tf32_lock:
        if not _tf32_users:
            _tf32_before = torch.backends.cuda.matmul.allow_tf32
            torch.backends.cuda.matmul.allow_tf32 = True
        _tf32_users += 1
    try:
        yield
    finally:
        with _tf32_lock:
            _tf32_users -= 1
            if not _tf32_users:
                torch.backends.cuda.matmul.allow_tf32 = _tf32_before


def encoding_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which only one thread at a time encodes with rounded products on a GPU.

    The setting is the process's, and harmonics, which precede the network, must not be rounded.
    """
    return _tf32_encoding if precision == "tf32" and device.type == "cuda" else nullcontext()


@contextmanager
def advising_on_memory(advice: str) -> Iterator[None]:
    """Turn torch's error about a GPU's memory into a MemoryError that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"{str(error).split('. ')[0].removesuffix('.')}. {advice}") from error


def check_precision(precision: str) -> str:
    """Return the precision; ValueError if it is unknown."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}.")
    return precision


def device_of(name: str | torch.device) -> torch.device:
    """Return a device by its name.

    Raises:
        ValueError: If the name is unknown, or torch does not see the GPU.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"Unknown device {name!r}; choose cpu, cuda, or cuda:1 for the second GPU.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(f"device {name} needs an NVIDIA GPU that torch can see, and it sees {count}; use device cpu.")
    return device


def rows_at_once(device: torch.device, numbers: int) -> int:
    """Return how many places to compute at once.

    Args:
        device: Where they are computed.
        numbers: Intermediate numbers of a place, about.
    """
    if device.type != "cuda":
        return CPU_ROWS
    free = torch.cuda.mem_get_info(device)[0]
    return max(CPU_ROWS, min(_GPU_ROWS, int(_LARGEST_SHARE * free / (8 * numbers))))


@cache
def compiles_kernels(device: torch.device) -> bool:
    """Return whether Triton, which torch's wheels for CUDA on Linux include, can compile kernels for a device."""
    if device.type != "cuda":
        return False
    try:
        import triton

        triton.runtime.driver.active.get_current_target()  # compiles a part of Triton at its first use
    except ImportError:
        return False
    except Exception as error:
        warnings.warn(
            f"Triton cannot compile here ({error}), so slower operations are used; install gcc and Python's headers "
            "(python3-dev).",
            stacklevel=3,
        )
        return False
    return True


def compute_in_chunks(
    compute: Callable[[Tensor, Tensor | None], Tensor],
    lonlat: Float64[Tensor, "n 2"],
    out: Float32[Tensor, "n d"],
    rows: int,
) -> None:
    """Compute numbers of places, some at a time.

    Args:
        compute: Function of places, shape (m, 2), that returns numbers on the same device, shape (m, d). Its second
            argument is where they may be written; None if that is on another device.
        lonlat: All places, on the device that computes.
        out: Where the numbers go, on this or another device.
        rows: Places at once.
    """
    with torch.inference_mode(), Copies() as copies:
        for start in range(0, len(lonlat), rows):
            target = out[start : start + rows]
            here = target if target.device == lonlat.device else None
            copies.add(target, compute(lonlat[start : start + rows], here))


class Copies:
    """Copies of results into other tensors, made while the device computes the next results; done when it is left.

    From a GPU to host memory a result goes through pinned memory, by a stream and a thread of their own: only such
    copies run beside computations, and memory that is used for the first time takes longer than the way to the host. At
    most three are under way.
    """

    def __init__(self) -> None:
        self._under_way: deque[Future[None]] = deque()
        self._streams: dict[torch.device, Any] = {}
        self._thread: ThreadPoolExecutor | None = None

    def __enter__(self) -> "Copies":
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for all copies."""
        try:
            while self._under_way and kind is None:
                self._under_way.popleft().result()
        finally:
            if self._thread is not None:
                self._thread.shutdown(cancel_futures=True)

    def add(self, target: Float[Tensor, "..."], result: Float[Tensor, "..."]) -> None:
        """Copy a result into `target`, at once or later; do nothing if it is already there."""
        if result.data_ptr() == target.data_ptr():
            return
        if result.device.type != "cuda" or target.device.type != "cpu":
            target.copy_(result)
            return
        if len(self._under_way) == 3:
            self._under_way.popleft().result()
        stream = self._stream(result.device)
        pinned = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
        stream.wait_stream(torch.cuda.current_stream(result.device))
        with torch.cuda.stream(stream):
            pinned.copy_(result, non_blocking=True)
            copied = stream.record_event()
        result.record_stream(stream)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1)
        self._under_way.append(self._thread.submit(_after, copied, target, pinned))

    def _stream(self, device: torch.device) -> Any:
        if device not in self._streams:
            self._streams[device] = torch.cuda.Stream(device)
        return self._streams[device]


@torch.inference_mode()
def _after(copied: Any, target: Tensor, pinned: Tensor) -> None:
    copied.synchronize()
    target.copy_(pinned)
