"""Mirrors src/geotether/objectives/info_nce.py."""

import math

import pytest
import torch

from geotether.objectives.info_nce import info_nce


def by_hand(left, right, scale, ignore):
    """The definition with loops and no library loss."""
    cosine = [[(a @ b / a.norm() / b.norm()).item() for b in right] for a in left]
    n, total = len(cosine), 0.0
    for i in range(n):
        row = [math.exp(scale * cosine[i][j]) for j in range(n) if i == j or not ignore[i][j]]
        column = [math.exp(scale * cosine[j][i]) for j in range(n) if i == j or not ignore[j][i]]
        total -= 2 * scale * cosine[i][i] - math.log(sum(row)) - math.log(sum(column))
    return total / (2 * n)


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0, 600.0])
@pytest.mark.parametrize("ignored", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("chunk_rows", [None, 1, 4])
def test_equals_the_definition(random_pair, random_mask, scale, ignored, chunk_rows):
    left, right = random_pair(6, 8)
    ignore = random_mask(6, ignored)
    got = info_nce(left, right, scale, ignore, chunk_rows).item()
    assert got == pytest.approx(by_hand(left, right, scale, ignore.tolist()), abs=1e-12)


@pytest.mark.parametrize("scale", [14.3, 600.0], ids=["bounded", "unbounded"])
@pytest.mark.parametrize("chunk_rows", [None, 4])
def test_gradient_is_exact(random_pair, random_mask, scale, chunk_rows):
    """Against finite differences, that of the logit scale included."""
    left, right = random_pair(6, 3)
    log_scale = torch.tensor(math.log(scale), dtype=torch.float64, requires_grad=True)
    ignore = random_mask(6, 0.3)

    def loss(left, right, log_scale):
        return info_nce(left, right, log_scale.exp(), ignore, chunk_rows)

    assert torch.autograd.gradcheck(loss, (left, right, log_scale), atol=1e-4, rtol=1e-4)


def test_without_information_the_loss_is_log_n():
    same = torch.ones(32, 4)
    assert info_nce(same, same, 14.3).item() == pytest.approx(math.log(32))


@pytest.mark.parametrize("scale", [1.0, 14.3, 60.0, 100.0])
def test_float32_is_accurate_to_its_digits(random_pair, scale):
    """At 100 opposite pairs have logits that float32 cannot exponentiate as they are."""
    left, right = random_pair(64, 4)
    left.data[:8] = right.data[:8]
    left.data[8:12] = -right.data[8:12]
    exact = info_nce(left, right, scale)
    rough = info_nce(left.float(), right.float(), scale)
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=2e-6)
    (want,) = torch.autograd.grad(exact, left)
    (got,) = torch.autograd.grad(rough, left)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5 * want.abs().max().item())


def test_chunks_of_no_rows_are_refused(random_pair):
    with pytest.raises(ValueError, match="chunk_rows must be 1 or more, got 0"):
        info_nce(*random_pair(6, 8), 14.3, chunk_rows=0)
