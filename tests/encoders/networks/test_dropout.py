"""Mirrors src/geotether/encoders/networks/dropout.py."""

import pytest
import torch

from geotether.encoders.networks.dropout import ByteDropout


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_drops_the_share_it_names_and_keeps_the_mean(share):
    dropout = ByteDropout(share)
    out = dropout(torch.ones(1000, 777))
    dropped = (out == 0).double().mean().item()
    # Six standard errors of a binomial share.
    assert dropped == pytest.approx(dropout.share, abs=6 * (dropout.share * (1 - dropout.share) / out.numel()) ** 0.5)
    assert abs(dropout.share - share) <= 1 / 512
    assert out.max().item() == pytest.approx(1 / (1 - dropout.share))
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)


def test_neighbours_in_memory_are_independent():
    """Eight decisions come from one random word."""
    kept = (ByteDropout(0.5)(torch.ones(200_000, 8)) > 0).double()
    off_diagonal = torch.corrcoef(kept.T) - torch.eye(8)
    assert off_diagonal.abs().max() < 0.02


def test_the_gradient_flows_where_activations_were_kept():
    x = torch.ones(64, 9, requires_grad=True)
    out = ByteDropout(0.3)(x)
    out.sum().backward()
    torch.testing.assert_close(x.grad, out.detach())


def test_a_seed_gives_the_same_mask():
    masks = []
    for _ in range(2):
        torch.manual_seed(7)
        masks.append(ByteDropout(0.4)(torch.ones(5, 3)))
    torch.testing.assert_close(*masks, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (2, 3, 5)])
def test_any_shape(shape):
    assert ByteDropout(0.2)(torch.ones(shape)).shape == shape


def test_does_nothing_when_evaluating_or_off():
    x = torch.randn(4, 4)
    assert ByteDropout(0.5).eval()(x) is x
    assert ByteDropout(0.0)(x) is x


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_refuses_shares_that_are_none(share):
    with pytest.raises(ValueError, match="dropout must be"):
        ByteDropout(share)
