import numpy as np
import pytest

from geotether.exporting.precision import Numbers, similarity_loss


@pytest.fixture
def sample():
    return np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32) * np.arange(1, 17, dtype=np.float32)


def test_int8_is_exact_to_half_a_step_within_the_range_of_the_sample(sample):
    numbers = Numbers.fit("int8", sample)
    stored = numbers.stored(sample)
    assert (stored.min(axis=0) == -127).all()
    assert (stored.max(axis=0) == 127).all()
    steps = np.array([band.scale for band in numbers.bands])
    np.testing.assert_allclose(steps, np.ptp(sample, axis=0) / 254, rtol=1e-6)
    assert (np.abs(numbers.restored(stored) - sample) <= 0.501 * steps).all()
    assert numbers.stored(sample * 9).min() == -127  # -128 is kept for missing values


def test_a_constant_number_stays_as_it_is():
    constant = np.full((3, 2), 0.7, np.float32)
    numbers = Numbers.fit("int8", constant)
    np.testing.assert_array_equal(numbers.restored(numbers.stored(constant)), constant)


def test_the_loss_is_that_of_a_loop(sample):
    rounded = sample.round(1)
    found = similarity_loss(sample, rounded)
    pairs = np.random.default_rng(0).integers(len(sample), size=(2, 10_000))
    cosine = lambda x, a, b: x[a] @ x[b] / np.linalg.norm(x[a]) / np.linalg.norm(x[b])  # noqa: E731
    changes = [abs(cosine(sample, a, b) - cosine(rounded, a, b)) for a, b in pairs.T[:2000]]
    assert found["mean"] == pytest.approx(np.mean(changes), rel=0.1)
    assert found["max"] >= max(changes) * 0.99
    assert Numbers.fit("float32", sample).loss == {}
    assert Numbers.fit("float16", sample).loss["max"] < Numbers.fit("int8", sample).loss["mean"]
