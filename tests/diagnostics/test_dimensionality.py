"""Mirrors src/geotether/diagnostics/dimensionality.py; the estimators have tests of their own."""

import numpy as np
import pytest

from geotether.diagnostics.dimensionality import dimensionality
from geotether.diagnostics.places import even_places
from geotether.geodesy.coordinates import unit_vectors


def test_the_sphere_itself_has_two_dimensions():
    found = dimensionality(unit_vectors, even_places(1200))
    assert (found.dim, found.local_neighbors) == (3, 100)
    assert found.two_nn.value == pytest.approx(2.0, abs=0.2)
    assert found.mle.value == pytest.approx(2.0, abs=0.1)
    assert found.local_quartiles == pytest.approx((2.0, 2.0, 2.0), abs=0.3)
    assert found.effective_rank == pytest.approx(3.0, abs=0.01)
    assert found.participation_ratio == pytest.approx(3.0, abs=0.05)


def test_local_dimension_differs_between_a_smooth_and_a_rough_half_of_the_earth():
    """In the north noise of four dimensions is added, in the south nothing."""
    places = even_places(1500)

    def encoder(lonlat):
        noise = np.random.default_rng(0).standard_normal((len(lonlat), 4))
        return np.concatenate([unit_vectors(lonlat), noise * (lonlat[:, 1:] > 0)], axis=1)

    found = dimensionality(encoder, places, local_neighbors=30)
    north = places[:, 1] > 0
    assert np.median(found.local[north]) > 3.5
    assert np.median(found.local[~north]) == pytest.approx(2.0, abs=0.3)
