"""Mirrors src/geotether/encoders/layers.py."""

import pytest
import torch

from geotether.encoders.layers import BatchNorm, ByteDropout


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_it_drops_the_given_share_and_keeps_the_mean(share):
    dropout = ByteDropout(share)
    out = dropout(torch.ones(1000, 777))
    dropped = (out == 0).double().mean().item()
    # Six standard errors of a binomial share.
    assert dropped == pytest.approx(dropout.share, abs=6 * (dropout.share * (1 - dropout.share) / out.numel()) ** 0.5)
    assert abs(dropout.share - share) <= 1 / 512
    assert out.max().item() == pytest.approx(1 / (1 - dropout.share))
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)


def test_neighbouring_decisions_are_independent():
    """Eight decisions come from one random word."""
    kept = (ByteDropout(0.5)(torch.ones(200_000, 8)) > 0).double()
    off_diagonal = torch.corrcoef(kept.T) - torch.eye(8)
    assert off_diagonal.abs().max() < 0.02


def test_the_gradient_flows_where_activations_were_kept():
    x = torch.ones(64, 9, requires_grad=True)
    out = ByteDropout(0.3)(x)
    out.sum().backward()
    torch.testing.assert_close(x.grad, out.detach())


def test_it_does_nothing_in_evaluation_mode_or_when_off():
    x = torch.randn(4, 4)
    assert ByteDropout(0.5).eval()(x) is x
    assert ByteDropout(0.0)(x) is x


def test_many_rows_are_normalised_as_by_torch():
    ours, theirs = BatchNorm(4), torch.nn.BatchNorm1d(4)
    for shape in ((9, 4), (9, 4, 5)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3 + 1
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    chips, of_chips = torch.randn(5, 4, 3, 6, generator=torch.Generator().manual_seed(1)), torch.nn.BatchNorm2d(4)
    torch.testing.assert_close(BatchNorm(4)(chips), of_chips(chips))
    with pytest.raises(ValueError, match="got shape"):
        ours(torch.zeros(4))


def test_a_single_row_uses_the_running_statistics_unchanged():
    norm = BatchNorm(4)
    norm(torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    row = torch.ones(1, 4, requires_grad=True)
    trained = norm(row)
    torch.testing.assert_close(norm.state_dict(), before)
    torch.testing.assert_close(trained, norm.eval()(row))
    assert norm.train()(torch.zeros(0, 4)).shape == (0, 4)
