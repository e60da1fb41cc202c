"""Mirrors src/geotether/probes/spread.py."""

import math

import numpy as np
import pytest
import torch

from geotether.probes.spread import CHUNK_ROWS, alignment, uniformity


@pytest.fixture
def rows():
    return np.random.default_rng(0).standard_normal((60, 5))


def test_alignment_equals_the_authors_definition(rows):
    """Wang & Isola give two lines of torch; here they are again, as an oracle."""
    left, right = (torch.nn.functional.normalize(torch.tensor(one), dim=1) for one in (rows, rows[::-1].copy()))
    want = (left - right).norm(p=2, dim=1).pow(2).mean().item()
    assert alignment(3 * rows, rows[::-1]) == pytest.approx(want)


def test_uniformity_equals_the_authors_definition(rows):
    unit = torch.nn.functional.normalize(torch.tensor(rows), dim=1)
    want = torch.pdist(unit, p=2).pow(2).mul(-2).exp().mean().log().item()
    assert uniformity(rows * 7) == pytest.approx(want)


def test_chunks_do_not_matter():
    rows = np.random.default_rng(1).standard_normal((CHUNK_ROWS + 30, 3)).astype(np.float32)
    unit = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    potential = np.exp(-4 * (1 - unit @ unit.T))
    want = math.log((potential.sum() - np.trace(potential)) / (len(rows) * (len(rows) - 1)))
    assert uniformity(rows) == pytest.approx(want)


def test_alignment_and_uniformity_at_their_limits(rows):
    assert alignment(rows, 2 * rows) == pytest.approx(0.0, abs=1e-12)
    assert alignment(rows, -rows) == pytest.approx(4.0)
    assert uniformity(np.ones((9, 4))) == pytest.approx(0.0, abs=1e-12)
    wide = np.random.default_rng(2).standard_normal((300, 4000))
    assert uniformity(wide) == pytest.approx(-4.0, abs=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: alignment(np.empty((0, 3)), np.empty((0, 3))), "at least one pair"),
        (lambda: alignment(np.eye(3) * [1, 0, 1], np.eye(3)), "row 1 of the features is all zeros"),
        (lambda: uniformity(np.ones((1, 3))), "at least two rows, got 1"),
    ],
)
def test_misuse_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
