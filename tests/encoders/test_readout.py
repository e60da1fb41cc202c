"""Mirrors src/geotether/encoders/readout.py."""

import numpy as np
import pytest
import torch

from geotether.encoders.readout import RIDGES, Readout, Response, rotation, shorten


def drawn(rows, seed):
    generator = np.random.default_rng(seed)
    loud = 100 * generator.normal(size=(rows, 3)) + 7
    quiet = generator.normal(size=(rows, 12)) * np.linspace(1, 0.05, 12)
    return [torch.from_numpy(part) for part in (loud, quiet)]


def observed(parts, seed):
    """Two numbers that depend on weak columns of the second part."""
    noise = np.random.default_rng(seed).normal(size=(len(parts[0]), 2)) * 0.1
    return torch.from_numpy(parts[1][:, 4:6].numpy() @ np.array([[1.0, 0.3], [-0.5, 1.0]]) + noise + 3)


@pytest.fixture
def parts():
    return drawn(400, 0)


@pytest.fixture
def response():
    train, validation = drawn(300, 1), drawn(80, 2)
    return Response(train, observed(train, 3), validation, observed(validation, 4))


def spanned(columns):
    return np.linalg.qr(columns)[0]


def by_hand(parts, response, sizes, share):
    """Directions of the reduced-rank regression, written in NumPy; without nesting."""
    blocks = [part.numpy() for part in parts]
    scales = np.concatenate(
        [np.full(b.shape[1], size / np.sqrt(b.var(0).sum())) for b, size in zip(blocks, sizes, strict=True)]
    )

    def joined(some):
        return np.concatenate([part.numpy() for part in some], 1) * scales

    x = joined(parts)
    covariance = np.cov(x.T, bias=True)
    a, b = joined(response.parts_train), joined(response.parts_validation)
    y, z = response.targets_train.numpy(), response.targets_validation.numpy()
    candidates = []
    for ridge in RIDGES:
        w = np.linalg.solve((a - a.mean(0)).T @ (a - a.mean(0)) + ridge * np.eye(15), (a - a.mean(0)).T @ y)
        candidates.append((np.square(z - y.mean(0) - (b - a.mean(0)) @ w).sum(), w))
    error, w = min(candidates, key=lambda pair: pair[0])
    assert error < 0.5 * np.square(z - y.mean(0)).sum()
    m = w @ w.T / np.trace(w.T @ covariance @ w)
    s = share * np.eye(15) / np.trace(covariance) + (1 - share) * m / np.trace(m @ covariance)
    values, vectors = np.linalg.eigh(s)
    root = vectors * np.sqrt(values) @ vectors.T
    return x - x.mean(0), root @ np.linalg.eigh(root @ covariance @ root)[1][:, ::-1]


def test_directions_are_those_of_a_reduced_rank_regression(parts, response):
    readout = Readout([3, 12], [2, 0.5]).double()
    readout.fit(parts, [response], share=0.3)
    x, directions = by_hand(parts, response, [2, 0.5], 0.3)
    for width in (4, 8, 15):
        want, got = spanned(x @ directions[:, :width]), spanned(readout(parts, width).numpy())
        np.testing.assert_allclose(np.linalg.svd(want.T @ got)[1], 1, atol=1e-6)


def test_without_responses_directions_are_principal_components(parts):
    readout = Readout([3, 12], [1, 1]).double()
    readout.fit(parts)
    x = np.concatenate([(p - p.mean(0)).numpy() / np.sqrt(p.numpy().var(0).sum()) for p in parts], 1)
    want = np.linalg.svd(x, full_matrices=False)[0][:, :5]
    np.testing.assert_allclose(np.linalg.svd(want.T @ spanned(readout(parts, 5).numpy()))[1], 1, atol=1e-8)


@pytest.mark.parametrize("size", [1, 7, 32, 48, 256, 768])
def test_a_rotation_is_orthogonal_and_shows_the_first_half_of_the_directions(size):
    turn = rotation(size)
    np.testing.assert_allclose(turn @ turn.T, np.eye(size), atol=1e-10)
    if size > 32:
        half = size // 2
        np.testing.assert_allclose(2 * turn[:half, :half] @ turn[:half, :half].T, np.eye(half), atol=1e-10)


def test_columns_have_about_equal_variance_and_shorter_vectors_come_from_longer_ones():
    wide = [torch.randn(3000, 200, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 0.01, 200)]
    readout = Readout([200], [1])
    readout.fit(wide)
    whole = readout(wide, 200)
    for dim in (200, 64, 10, 1):
        np.testing.assert_allclose(shorten(whole.numpy(), dim), readout(wide, dim).numpy(), atol=2e-5)
    variance = whole.var(0)
    assert variance.mean().item() == pytest.approx(1, abs=0.02)
    assert variance.min() > 0.6
    assert variance.max() < 1.5
    # Distances are those of all directions, however columns are standardised.
    before, after = torch.pdist(wide[0][:300]), torch.pdist((whole / variance.sqrt())[:300])
    assert torch.corrcoef(torch.stack((before, after)))[0, 1] > 0.98
    with pytest.raises(ValueError, match="cannot be shortened to 201"):
        shorten(whole.numpy(), 201)


def test_rounding_the_directions_loses_little(parts, response):
    readout = Readout([3, 12], [1, 1]).double()
    readout.fit(parts, [response])
    unit, x = readout.unit.numpy(), np.concatenate(parts, 1)
    exact = x @ (readout.directions.numpy() + np.random.default_rng(0).uniform(-0.5, 0.5, (15, 15)) * unit[:, None])
    assert np.abs(exact - x @ readout.directions.numpy()).max() < 3e-4 * readout(parts, 15).std().item()
    again = Readout([3, 12], [1, 1]).double()
    again.load_state_dict(readout.state_dict())
    assert torch.equal(again(parts, 15), readout(parts, 15))
    assert {name: part.dtype for name, part in readout.state_dict().items()}["rounded"] == torch.int16


def test_a_response_makes_what_it_needs_loud(parts, response):
    readouts = [Readout([3, 12], [1, 1]).double() for _ in range(2)]
    readouts[0].fit(parts)
    readouts[1].fit(parts, iter([response]))
    y = observed(parts, 5).numpy()
    y = y - y.mean(0)
    errors = []
    for readout in readouts:
        basis = spanned(readout(parts, 4).numpy())
        errors.append(np.square(y - basis @ (basis.T @ y)).sum() / np.square(y).sum())
    assert errors[0] > 0.5
    assert errors[1] < 0.2


def test_a_constant_part_and_a_response_without_validation(parts, response):
    readout = Readout([2, 3, 12], [1, 1, 1])
    constant = torch.full((400, 2), 3.0, dtype=torch.float64)
    held_out = [part[:0] for part in response.parts_validation]
    alone = Response(
        [constant[:300], *response.parts_train], response.targets_train, [constant[:0], *held_out], torch.zeros(0, 2)
    )
    readout.fit([constant, *parts], [alone])
    got = readout([part.float() for part in (constant, *parts)], 17)
    assert got.isfinite().all()
    assert (readout.directions[:2] == 0).all()
    nothing = Readout([2], [1])
    nothing.fit([constant])
    assert nothing([constant.float()], 2).abs().max() == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Readout([], []), "at least one column"),
        (lambda: Readout([3, 0], [1, 1]), "at least one column"),
        (lambda: Readout([3], [0]), r"size above 0, got widths \[3\] and sizes \[0\]"),
        (lambda: Readout([3], [1], out_dim=0), "out_dim must be 1 or more"),
        (lambda: Readout([3], [1]).fit([torch.zeros(1, 3)]), "two rows or more and a share in .*, got 1 rows"),
        (lambda: Readout([3], [1])([torch.zeros(2, 4)], 2), r"Parts of \[3\] columns are needed, got \[4\]"),
    ],
)
def test_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_readout_that_encoded_can_still_be_trained_through():
    readout = Readout([3], sizes=[1])
    readout.fit([torch.randn(50, 3, generator=torch.Generator().manual_seed(0))])
    parts = torch.ones(2, 3)
    with torch.inference_mode():
        readout([parts], 2)
    parts.requires_grad_()
    readout([parts], 2).sum().backward()
    assert parts.grad is not None
    assert parts.grad.abs().sum() > 0
