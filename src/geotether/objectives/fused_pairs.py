"""Fused kernels: the softmax denominators of a large matrix of logits and their gradients, without the matrix.

The blocks of `pairs.py` write and read every logit about ten times. These kernels keep a tile of logits in registers
from the product to the sum, as FlashAttention does, and write only what belongs to a row. Each program computes some
rows against all columns in order, so sums have one order and results are the same in every run.

Written in Triton, which torch's wheels for CUDA on Linux include; without it, `is_available` is false.

Source:
    Dao, Fu, Ermon, Rudra and Ré (2022), "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness",
    arXiv:2205.14135: online maximum, and logits computed again in the backward pass.
"""

import functools
from dataclasses import dataclass
from typing import Any, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from geotether.devices import compiles_kernels

try:
    import triton
    import triton.language as tl
    from triton.tools.tensor_descriptor import TensorDescriptor
except ImportError:  # a torch for CPUs or another system, or a Triton before 3.4
    triton = None

MAX_WIDTH = 256  # A row's gradient is summed in registers, which have no room for more.

NEAR = 20.0  # Largest distance of log-sum-exps from their mean at which factors lose no term in float32.


@dataclass(frozen=True)
class Tile:
    """The part of the matrix in registers at once, and how a kernel is run; chosen by measuring on an H100.

    Attributes:
        rows: Rows of a program.
        columns: Columns computed at once.
        warps: Warps of a program.
        stages: Tiles of columns in shared memory, the one in use and those being loaded.
    """

    rows: int
    columns: int
    warps: int
    stages: int


LOGSUMEXP_TILE = Tile(256, 64, 16, 3)
GRADIENT_TILE = Tile(64, 128, 4, 1)  # Two programs share a multiprocessor: one multiplies while the other loads.


@functools.cache
def is_available(device: torch.device) -> bool:
    """Return whether Triton can compile the kernels for a device: a Hopper GPU, as they were measured on no other."""
    if triton is None or device.type != "cuda" or torch.cuda.get_device_capability(device)[0] != 9:
        return False
    return compiles_kernels(device)


class FusedLogSumExp(torch.autograd.Function):
    """The log-sum-exps of rows and, with `both`, of columns, for groups; factors are rounded to bfloat16.

    Anchors (g, n, d) and candidates (g, m, d) give outputs (g, n) and (g, m); without `both`, the second is empty.
    """

    @staticmethod
    def forward(ctx: Any, anchors: Tensor, candidates: Tensor, both: bool) -> tuple[Tensor, Tensor]:
        """Compute both outputs and keep the rounded factors."""
        ctx.dtypes, ctx.both = (anchors.dtype, candidates.dtype), both
        anchors, candidates = anchors.bfloat16(), candidates.bfloat16()
        rows = fused_logsumexp(anchors, candidates)
        columns = fused_logsumexp(candidates, anchors) if both else rows.new_empty(0)
        ctx.save_for_backward(anchors, candidates, rows, columns)
        return rows, columns

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, rows_grad: Tensor, columns_grad: Tensor) -> tuple[Tensor, Tensor, None]:
        """Compute the gradients of anchors and candidates, each by a kernel of its own."""
        anchors, candidates, rows, columns = ctx.saved_tensors
        over_rows, over_columns = (rows, rows_grad), (columns, columns_grad) if ctx.both else None
        anchors_grad = fused_gradient(anchors, candidates, over_rows, over_columns)
        candidates_grad = fused_gradient(candidates, anchors, over_columns, over_rows)
        return anchors_grad.to(ctx.dtypes[0]), candidates_grad.to(ctx.dtypes[1]), None


def fused_logsumexp(
    anchors: Float[Tensor, "g n d"], candidates: Float[Tensor, "g m d"], tile: Tile = LOGSUMEXP_TILE
) -> Float[Tensor, "g n"]:
    """Compute the log-sum-exp of each anchor's logits, float32.

    Args:
        anchors: Factors of the logits, in bfloat16, d up to `MAX_WIDTH`.
        candidates: As `anchors`.
        tile: How the kernel is run.
    """
    groups, n, m = *anchors.shape[:2], candidates.shape[1]
    anchors, candidates = _padded(anchors), _padded(candidates)
    found = torch.empty(groups, n, device=anchors.device)
    width = _width(anchors)
    with torch.cuda.device_of(anchors):
        _logsumexp[(triton.cdiv(n, tile.rows), groups)](
            _tiles(anchors, tile.rows, width), _tiles(candidates, tile.columns, width), found, n, m,
            ROWS=tile.rows, COLUMNS=tile.columns, WIDTH=width, WHOLE=m % tile.columns == 0,
            num_warps=tile.warps, num_stages=tile.stages,
        )  # fmt: skip
    return found


def fused_gradient(
    anchors: Float[Tensor, "g n d"],
    candidates: Float[Tensor, "g m d"],
    over_rows: tuple[Float[Tensor, "g n"], Float[Tensor, "g n"]] | None,
    over_columns: tuple[Float[Tensor, "g m"], Float[Tensor, "g m"]] | None,
    tile: Tile = GRADIENT_TILE,
) -> Float[Tensor, "g n d"]:
    """Compute the gradient of log-sum-exps in the anchors, float32.

    With logits s_ij, it is the sum over j of [exp(s_ij - rows_i) r_i + exp(s_ij - columns_j) c_j] candidates_j. For the
    gradient in the candidates, exchange the roles of both. If all rows_i and columns_j of each group are near each
    other, the sum in brackets takes one exponential instead of two, exp(s_ij - rows_i) [r_i + exp(rows_i - columns_j)
    c_j], which makes the kernel an eighth faster. The device decides: of two kernels, one returns at once.

    Args:
        anchors: As for `fused_logsumexp`.
        candidates: As `anchors`.
        over_rows: The log-sum-exp of each row and its incoming gradient r; None leaves out the first term.
        over_columns: The log-sum-exp of each column and its incoming gradient c; None leaves out the second term.
        tile: How the kernel is run.
    """
    (groups, n, d), m = anchors.shape, candidates.shape[1]
    anchors, candidates = _padded(anchors), _padded(candidates)
    found = torch.empty_like(anchors, dtype=torch.float32)
    width = _width(anchors)
    rows_out, rows_grad = over_rows or (found, found)  # of a term that is left out, nothing is read
    columns_out, columns_grad = over_columns or (found, found)
    near, row_factor, weights = found, found, [columns_grad]
    if over_rows and over_columns:
        middle = rows_out.mean(dim=1, keepdim=True)
        furthest = torch.maximum((rows_out - middle).abs().amax(), (columns_out - middle).abs().amax())
        near, row_factor = (furthest < NEAR).int(), (rows_out - middle).exp()
        weights.append((middle - columns_out).exp() * columns_grad)
    for one_exponential, column_weight in enumerate(weights):
        with torch.cuda.device_of(anchors):
            _gradient[(triton.cdiv(n, tile.rows), groups)](
                _tiles(anchors, tile.rows, width), _tiles(candidates, tile.columns, width), near,
                rows_out, rows_grad.contiguous(), row_factor, columns_out, column_weight.contiguous(),
                _tiles(found, tile.rows, width), n, m,
                ROWS=tile.rows, COLUMNS=tile.columns, WIDTH=width, WHOLE=m % tile.columns == 0,
                BY_ROW=over_rows is not None, BY_COLUMN=over_columns is not None, ONE_EXPONENTIAL=one_exponential,
                num_warps=tile.warps, num_stages=tile.stages,
            )  # fmt: skip
    return found[..., :d]


def _padded(factors: Tensor) -> Tensor:
    """Widen rows by zeros to a multiple of 16 bytes, which loads of tiles need."""
    return torch.nn.functional.pad(factors, (0, -factors.shape[2] % 8)).contiguous()


def _width(factors: Tensor) -> int:
    """Return the width of a tile, a power of two; loads beyond the factors' own return zeros."""
    return max(16, triton.next_power_of_2(factors.shape[2]))


def _tiles(values: Tensor, rows: int, width: int) -> Any:
    return TensorDescriptor.from_tensor(values, [1, rows, width])


if triton is not None:
    LOG2_E = tl.constexpr(1.4426950408889634)

    @triton.jit
    @no_type_check
    def _logsumexp(
        anchors, candidates, found, n, m,
        ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr,
    ):  # fmt: skip
        group, first = tl.program_id(1), tl.program_id(0) * ROWS
        anchor = anchors.load([group, first, 0]).reshape(ROWS, WIDTH)
        peak = tl.full([ROWS], float("-inf"), tl.float32)  # of the columns so far, in powers of two
        total = tl.zeros([ROWS], tl.float32)  # relative to 2^peak
        for start in range(0, m, COLUMNS):
            candidate = candidates.load([group, start, 0]).reshape(COLUMNS, WIDTH)
            logits = tl.dot(anchor, candidate.T)
            if not WHOLE:
                logits = tl.where(start + tl.arange(0, COLUMNS)[None, :] < m, logits, float("-inf"))
            higher = tl.maximum(peak, tl.max(logits, 1) * LOG2_E)
            total = total * tl.exp2(peak - higher) + tl.sum(tl.exp2(logits * LOG2_E - higher[:, None]), 1)
            peak = higher
        rows = first + tl.arange(0, ROWS)
        tl.store(found + group.to(tl.int64) * n + rows, (peak + tl.log2(total)) / LOG2_E, mask=rows < n)

    @triton.jit
    @no_type_check
    def _gradient(
        anchors, candidates, near, rows_out, rows_grad, row_factor, columns_out, column_weight, found, n, m,
        ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr,
        BY_ROW: tl.constexpr, BY_COLUMN: tl.constexpr, ONE_EXPONENTIAL: tl.constexpr,
    ):  # fmt: skip
        if BY_ROW and BY_COLUMN and tl.load(near) != ONE_EXPONENTIAL:
            return
        group, first = tl.program_id(1), tl.program_id(0) * ROWS
        anchor = anchors.load([group, first, 0]).reshape(ROWS, WIDTH)
        row, inside = group.to(tl.int64) * n + first + tl.arange(0, ROWS), first + tl.arange(0, ROWS) < n
        if BY_ROW:
            out = tl.load(rows_out + row, mask=inside, other=float("inf")) * LOG2_E
            row_grad = tl.load(rows_grad + row, mask=inside, other=0.0)
        if ONE_EXPONENTIAL:
            factor = tl.load(row_factor + row, mask=inside, other=0.0)
        total = tl.zeros([ROWS, WIDTH], tl.float32)
        for start in range(0, m, COLUMNS):
            candidate = candidates.load([group, start, 0]).reshape(COLUMNS, WIDTH)
            logits = tl.dot(anchor, candidate.T) * LOG2_E
            columns = start + tl.arange(0, COLUMNS)
            column = group.to(tl.int64) * m + columns
            if not WHOLE:
                logits = tl.where(columns[None, :] < m, logits, float("-inf"))
            weights = tl.zeros([ROWS, COLUMNS], tl.float32)
            if BY_COLUMN:
                weight = tl.load(column_weight + column, mask=columns < m, other=0.0)
            if ONE_EXPONENTIAL:
                weights = tl.exp2(logits - out[:, None]) * (row_grad[:, None] + factor[:, None] * weight[None, :])
            else:
                if BY_ROW:
                    weights += tl.exp2(logits - out[:, None]) * row_grad[:, None]
                if BY_COLUMN:
                    column_out = tl.load(columns_out + column, mask=columns < m, other=0.0) * LOG2_E
                    weights += tl.exp2(logits - column_out[None, :]) * weight[None, :]
            total = tl.dot(weights.to(candidate.dtype), candidate, total)
        found.store([group, first, 0], total.reshape(1, ROWS, WIDTH))
