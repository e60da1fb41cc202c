"""Compare a contrast of many rows on a GPU with its matrix products: in blocks, and by fused kernels.

    python benchmarks/contrast.py [--rows 8192 32768 131072] [--dim 256] [--tiles]

One group, both directions, factors in bfloat16, forward and backward, as `precision: bf16` trains. "Products" are the
four (rows x rows x dim) products that a contrast needs without its matrix in memory: logits twice, and the gradients of
both sides. Peak memory is that above the embeddings. Differences are relative norms: of the loss and of the gradients
of both sides, to a contrast in float64 (up to 8,192 rows) or float32. `--tiles` times each kernel with other tiles.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from measuring import Factors, device_seconds, machine, multiply
from torch import Tensor

from geotether.objectives import fused_pairs, pairs
from geotether.objectives.fused_pairs import Tile
from geotether.objectives.tying import tying_loss

SCALE = 14.3
PRODUCT_ENTRIES = 2**28  # of a block of the bare products
TILES = {
    "logsumexp": [
        Tile(256, 64, 16, 3), Tile(256, 64, 16, 2), Tile(256, 128, 16, 1), Tile(256, 64, 8, 3), Tile(128, 64, 8, 3),
        Tile(128, 128, 8, 2), Tile(64, 128, 4, 1),
    ],
    "gradient": [
        Tile(64, 128, 4, 1), Tile(64, 64, 4, 2), Tile(128, 64, 8, 2), Tile(128, 64, 8, 3), Tile(128, 128, 8, 2),
    ],
}  # fmt: skip


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Return the median duration after a warm-up."""
    work()
    return statistics.median(device_seconds(work, repeats))


def peak_gb(work: Callable[[], Any]) -> float:
    """Return the device memory that a call takes at its peak, above what is there."""
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 1e9


@contextmanager
def fused(wanted: bool) -> Iterator[None]:
    """Compute contrasts by kernels or in blocks, whatever their size."""
    with mock.patch.object(pairs, "is_fused", return_value=wanted):
        yield


def contrast(embeddings: list[Tensor], half: bool = True) -> tuple[Tensor, ...]:
    """Compute a loss and the gradients of both embeddings."""
    (loss,) = tying_loss(*embeddings, [slice(0, len(embeddings[0]))], [SCALE], "within_modality", half=half)
    return loss.detach(), *torch.autograd.grad(loss, embeddings)


def products(embeddings: list[Tensor]) -> Callable[[], None]:
    a, b = (embedding.detach().bfloat16() for embedding in embeddings)
    height = min(len(a), max(1, PRODUCT_ENTRIES // len(b)))
    weight = torch.rand(height, len(b), device=a.device).bfloat16()
    factors: Factors = []
    for part in a.split(height):
        factors += [(part, b.T), (part, b.T), (weight[: len(part)], b), (weight[: len(part)].T, part)]
    return lambda: multiply(factors)


def differences(got: tuple[Tensor, ...], want: tuple[Tensor, ...]) -> str:
    norms = [((a.double() - b.double()).norm() / b.double().norm()).item() for a, b in zip(got, want, strict=True)]
    return ", ".join(f"{norm:.1e}" for norm in norms)


def attempt(work: Callable[[], Any]) -> Any:
    """Return a result, or None after printing the error."""
    try:
        return work()
    except Exception as error:
        print(f"    failed: {type(error).__name__}: {str(error)[:500]}", flush=True)
        return None


def compare(rows: int, dim: int) -> None:
    embeddings = [torch.randn(rows, dim, device="cuda", requires_grad=True) for _ in range(2)]
    with fused(False):
        exact = torch.float64 if rows <= 8192 else torch.float32
        want = contrast([part.detach().to(exact).requires_grad_() for part in embeddings], half=False)
    print(f"\n{rows:,} rows x {dim}; loss {want[0]:.5f} in {exact}")
    print(f"    {'':10s}{'ms':>8s}{'ratio':>7s}{'peak GB':>9s}  differences: loss, gradients", flush=True)
    multiplied = seconds(products(embeddings))
    print(f"    {'products':10s}{1e3 * multiplied:8.1f}{1:7.2f}", flush=True)
    results = {}
    for name, by_kernels in (("blocks", False), ("kernels", True)):
        with fused(by_kernels):
            results[name] = attempt(lambda: contrast(embeddings))
            if results[name] is None:
                continue
            peak, taken = peak_gb(lambda: contrast(embeddings)), seconds(lambda: contrast(embeddings))
        print(
            f"    {name:10s}{1e3 * taken:8.1f}{taken / multiplied:7.2f}{peak:9.2f}  {differences(results[name], want)}",
            flush=True,
        )
    if None not in results.values():
        print(f"    kernels relative to blocks: {differences(results['kernels'], results['blocks'])}", flush=True)


def time_tiles(rows: int, dim: int) -> None:
    """Print how long each kernel takes with other tiles, once per side."""
    a, b = (pairs.unit_rows(torch.randn(1, rows, dim, device="cuda")).bfloat16() for _ in range(2))
    a *= SCALE
    over_rows = over_columns = (torch.full((1, rows), 12.0, device="cuda"), torch.ones(1, rows, device="cuda"))
    kernels = {
        "logsumexp": (2, lambda tile: fused_pairs.fused_logsumexp(a, b, tile)),
        "gradient": (4, lambda tile: fused_pairs.fused_gradient(a, b, over_rows, over_columns, tile)),
    }
    for name, (operations, run) in kernels.items():
        print(f"\n{name}, {rows:,} rows x {dim}")
        for tile in TILES[name]:
            print(f"    {tile}", flush=True)
            taken = attempt(lambda run=run, tile=tile: seconds(lambda: run(tile)))
            if taken is not None:
                print(f"    {1e3 * taken:8.2f} ms, {operations * rows**2 * dim / taken / 1e12:.0f} TFLOP/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[8192, 32768, 131072])
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--tiles", action="store_true")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("A contrast of many rows is measured on a GPU, and torch finds none.")
    torch.manual_seed(0)
    print(
        f"{torch.cuda.get_device_name()}; {machine()}; kernels for it: {fused_pairs.is_available(torch.device('cuda'))}"
    )
    for rows in arguments.rows:
        compare(rows, arguments.dim)
    if arguments.tiles:
        time_tiles(max(arguments.rows), arguments.dim)


if __name__ == "__main__":
    main()
