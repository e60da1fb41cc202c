"""Mirrors src/geotether/probes/moran.py."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm

from geotether.probes.moran import MOMENTS, lattice_moments, moran_moments, moran_sum, morans_i, surprisal


def graph(count: int, k: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return np.array([rng.choice([j for j in range(count) if j != i], k, replace=False) for i in range(count)])


def by_hand(values, links):
    """Moran's I by its textbook double sum over a full weight matrix."""
    n, mean = len(values), sum(values) / len(values)
    weight = [[1.0 if j in links[i] else 0.0 for j in range(n)] for i in range(n)]
    above = sum(weight[i][j] * (values[i] - mean) * (values[j] - mean) for i in range(n) for j in range(n))
    return n / sum(map(sum, weight)) * above / sum((value - mean) ** 2 for value in values)


@pytest.mark.parametrize("k", [1, 4])
def test_equals_a_double_loop(k):
    links, values = graph(25, k), np.random.default_rng(1).standard_normal(25)
    assert morans_i(values, links) == pytest.approx(by_hand(values.tolist(), links.tolist()))


def test_permutation_moments_are_exact():
    """Over all 5,040 ways to deal seven values to seven places."""
    links, values = graph(7, 3), np.array([1.0, 1.0, -1.0, 0.0, 0.0, 2.5, -4.0])
    sums = [moran_sum(np.array(dealt), links) for dealt in itertools.permutations(values)]
    got = moran_moments(values, links)
    assert got.mean == pytest.approx(np.mean(sums))
    assert got.deviation == pytest.approx(np.std(sums))


def test_lattice_moments_equal_their_formula_written_out():
    """Three values on 46 places: 30 of 0 (the most frequent), 10 of 1, 6 of -1."""
    values = np.repeat([0.0, 1.0, -1.0], [30, 10, 6])
    n, mean = 46.0, 4.0 / 46.0
    zero, one, minus = -mean, 1.0 - mean, -1.0 - mean
    same = [(zero, 30), (one, 10), (minus, 6)]
    want = sum(z * z * (4 * c * (c - 1) / n - 1) for z, c in same)
    want += 2 * (zero * one * 10 * 4 * 30 / n + zero * minus * 6 * 4 * 30 / n + one * minus * 6 * 4 * 10 / n)
    share = 4 * 10 / n
    mixed = [(one * minus - 2 * a * zero + zero**2) ** 2 for a in (one, minus)]
    variance = sum(8 * c * (c - 1) / n * (1 - 4 * (2 * c - 1) / (3 * n)) for c in (10, 6))
    variance += sum(mixed) * 6 * share * (1 - share)
    got = lattice_moments(values)
    assert got.mean == pytest.approx(want)
    assert got.deviation == pytest.approx(math.sqrt(variance) + 1.0)


def test_chance_patterns_surprise_as_chance_does():
    """Two-sided tail probabilities of dealt values are about uniform, so the mean surprise is about 1 nat."""
    links, rng = graph(120, 4), np.random.default_rng(3)
    values = np.repeat([0.0, 1.0, -1.0], [80, 25, 15])
    found = [
        surprisal(moran_sum(dealt, links), *moran_moments(dealt, links))
        for dealt in (rng.permutation(values) for _ in range(400))
    ]
    assert np.mean(found) == pytest.approx(1.0, abs=0.15)


def test_surprisal_is_the_log_of_the_two_sided_tail_and_does_not_underflow():
    assert surprisal(3.1, 1.0, 0.7) == pytest.approx(-math.log(2 * norm.sf(3.0)))
    assert surprisal(-1.1, 1.0, 0.7) == pytest.approx(surprisal(3.1, 1.0, 0.7))
    assert surprisal(1.0, 1.0, 0.7) == 0.0
    assert surprisal(100.0, 0.0, 1.0) == pytest.approx(5000, rel=0.01)
    assert surprisal(5.0, 1.0, 0.0) == 0.0


@pytest.mark.parametrize("moments", MOMENTS)
def test_a_cluster_surprises_and_its_sign_does_not_matter(moments):
    links = np.array([[(i - 2) % 60, (i - 1) % 60, (i + 1) % 60, (i + 2) % 60] for i in range(60)])
    values = np.where(np.arange(60) < 12, 1.0, 0.0)
    together = surprisal(moran_sum(values, links), *moran_moments(values, links, moments))
    assert together > 5.0
    assert surprisal(moran_sum(-values, links), *moran_moments(-values, links, moments)) == pytest.approx(together)


def test_equal_values_have_no_morans_i():
    with pytest.raises(ValueError, match="all values are equal"):
        morans_i(np.ones(6), graph(6, 2))
