"""Mirrors src/geotether/objectives/pairs.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from geotether.objectives.masks import NearbyPairs, as_pair_mask
from geotether.objectives.negatives import NEGATIVES
from geotether.objectives.pairs import pair_logsumexp, pair_logsumexp_both
from geotether.objectives.tying import mean_over_rows, sigmoid_tying_loss, tying_loss

SRC = str(Path(__file__).parents[2] / "src")
GROUPS = [slice(0, 17), slice(17, 18), slice(18, 50)]


@pytest.mark.parametrize("negatives", [*NEGATIVES, "sigmoid"])
@pytest.mark.parametrize("chunk_rows", [1, 7, 49, 500])
@pytest.mark.parametrize("masking", ["no mask", "matrix", "places"])
@pytest.mark.parametrize("largest_scale", [14.3, 600.0], ids=["bounded", "unbounded"])
def test_chunks_change_neither_value_nor_gradient(
    random_pair, random_mask, random_places, negatives, chunk_rows, masking, largest_scale
):
    inputs = [*random_pair(50, 6), *(torch.tensor(s).double().requires_grad_() for s in (2.0, 9.0, largest_scale))]
    location, modality, *scales = inputs
    places = NearbyPairs(random_places(50), 2500.0)
    ignore = {"no mask": None, "matrix": random_mask(50, 0.2), "places": places}[masking]

    def value_and_gradients(chunk_rows):
        if negatives == "sigmoid":
            losses = sigmoid_tying_loss(location, modality, GROUPS, scales, [-3.0, 0.0, 1.0], ignore, chunk_rows)
        else:
            losses = tying_loss(location, modality, GROUPS, scales, negatives, ignore, chunk_rows)
        return losses, torch.autograd.grad(mean_over_rows(losses, GROUPS), inputs)

    torch.testing.assert_close(value_and_gradients(chunk_rows), value_and_gradients(None), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("scale", [10.0, 600.0], ids=["bounded", "unbounded"])
@pytest.mark.parametrize("height", [None, 4])
def test_equals_torch_on_the_whole_matrix(random_pair, random_mask, scale, height):
    anchors, candidates = (torch.nn.functional.normalize(x, dim=-1) for x in random_pair(9, 4))
    ignore = random_mask(9, 0.4)
    logits = scale * anchors @ candidates.T
    logits = logits.masked_fill(ignore & ~torch.eye(9, dtype=torch.bool), -torch.inf)
    both = pair_logsumexp_both(scale * anchors[None], candidates[None], [as_pair_mask(ignore, 9)], height)
    rows, columns = (part[0] for part in both)
    torch.testing.assert_close(rows, logits.logsumexp(1))
    torch.testing.assert_close(columns, logits.logsumexp(0))
    torch.testing.assert_close(pair_logsumexp(scale * anchors, candidates, ignore, chunk_rows=height), rows)


def test_the_graph_can_be_walked_twice(random_pair):
    left, right = random_pair(9, 4)
    loss = pair_logsumexp_both(left[None], right[None])[1].sum()
    first = torch.autograd.grad(loss, [left, right], retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, [left, right]), first)


@pytest.mark.parametrize("negatives", [*NEGATIVES, "sigmoid"])
@pytest.mark.parametrize("chunk_rows", [None, 7])
def test_half_precision_rounds_the_factors_alone(random_pair, negatives, chunk_rows):
    """Sums are made in float32: the error is that of rounded embeddings, and does not grow with the width."""
    inputs = [part.detach().float().requires_grad_() for part in random_pair(50, 512)]

    def value_and_gradients(half):
        if negatives == "sigmoid":
            losses = sigmoid_tying_loss(*inputs, GROUPS, [9.0] * 3, [-3.0] * 3, None, chunk_rows, half)
        else:
            losses = tying_loss(*inputs, GROUPS, [9.0] * 3, negatives, None, chunk_rows, half)
        return torch.stack(losses), *torch.autograd.grad(mean_over_rows(losses, GROUPS), inputs)

    for got, want in zip(value_and_gradients(True), value_and_gradients(False), strict=True):
        assert got.dtype == torch.float32
        assert (got - want).norm() < 2**-8 * want.norm()


PEAK_MEMORY = """
import sys, torch
from geotether.objectives.tying import tying_loss

def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

def step(rows, width, negatives):
    generator = torch.Generator().manual_seed(0)
    place, seen = (torch.randn(rows, width, generator=generator, requires_grad=True) for _ in range(2))
    before = peak_mb()
    scale = torch.tensor(14.3, requires_grad=True)
    (loss,) = tying_loss(place, seen, [slice(0, rows)], [scale], negatives)
    loss.backward()
    assert torch.isfinite(place.grad).all() and torch.isfinite(seen.grad).all() and scale.grad != 0
    return peak_mb() - before

rows, width, negatives = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
step(64, width, negatives)  # what the libraries set up on first use is not the loss's
print(step(rows, width, negatives))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
@pytest.mark.parametrize("negatives", ["within_modality", "all_pairs"])
def test_large_batches_need_less_than_a_gigabyte(negatives):
    """Half of 32,768 rows in half of the memory, since what is needed beside blocks of one size grows with the rows.

    What grows with their square is seen: one matrix of all pairs takes 1,024 MB, and one of flags 256 MB.
    """
    arguments = [sys.executable, "-c", PEAK_MEMORY, "16384", "256", negatives]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": SRC})
    assert done.returncode == 0, done.stderr
    assert 10 < float(done.stdout) < 500
