"""Mirrors src/geotether/probes/moran.py."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm

from geotether.probes.moran import moran_moments, moran_sum, surprisal


def graph(count: int, k: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return np.array([rng.choice([j for j in range(count) if j != i], k, replace=False) for i in range(count)])


@pytest.mark.parametrize("k", [1, 4])
def test_the_sum_equals_a_double_loop(k):
    links, values = graph(25, k), np.random.default_rng(1).standard_normal(25)
    mean = sum(values) / 25
    want = sum((values[i] - mean) * (values[j] - mean) for i in range(25) for j in links[i])
    assert moran_sum(values, links) == pytest.approx(want)


def test_permutation_moments_are_exact():
    """Over all 5,040 ways to deal seven values to seven places."""
    links, values = graph(7, 3), np.array([1.0, 1.0, -1.0, 0.0, 0.0, 2.5, -4.0])
    sums = [moran_sum(np.array(dealt), links) for dealt in itertools.permutations(values)]
    assert moran_moments(values, links) == pytest.approx((np.mean(sums), np.std(sums)))


def test_surprisal_is_the_log_of_the_two_sided_tail_and_does_not_underflow():
    assert surprisal(3.1, 1.0, 0.7) == pytest.approx(-math.log(2 * norm.sf(3.0)))
    assert surprisal(-1.1, 1.0, 0.7) == pytest.approx(surprisal(3.1, 1.0, 0.7))
    assert surprisal(1.0, 1.0, 0.7) == 0.0
    assert surprisal(100.0, 0.0, 1.0) == pytest.approx(5000, rel=0.01)
    assert surprisal(5.0, 1.0, 0.0) == 0.0


def test_a_cluster_is_surprising_whatever_its_sign():
    links = np.array([[(i - 2) % 60, (i - 1) % 60, (i + 1) % 60, (i + 2) % 60] for i in range(60)])
    values = np.where(np.arange(60) < 12, 1.0, 0.0)
    together = surprisal(moran_sum(values, links), *moran_moments(values, links))
    assert together > 5.0
    assert surprisal(moran_sum(-values, links), *moran_moments(-values, links)) == pytest.approx(together)
