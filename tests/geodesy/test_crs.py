"""Mirrors src/geotether/geodesy/crs.py."""

import numpy as np
import pytest
import torch

from geotether.geodesy.crs import equal_earth

RNG = np.random.default_rng(0)
PLACES = np.concatenate(
    [
        np.stack([RNG.uniform(-180, 180, 300), RNG.uniform(-90, 90, 300)], axis=1),
        [(0, 90), (0, -90), (179.999, 0), (-179.999, -60), (0, 0)],
    ]
)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_agrees_with_proj(kind):
    pyproj = pytest.importorskip("pyproj")
    project = pyproj.Transformer.from_crs("+proj=longlat +R=1", "+proj=eqearth +R=1", always_xy=True)
    want = np.stack(project.transform(*PLACES.T), axis=1)
    np.testing.assert_allclose(np.asarray(equal_earth(kind(PLACES))), want, atol=1e-9)


def test_areas_are_equal():
    """The area that a small cell covers on the map, by finite differences, is its area on the sphere."""
    places = PLACES[np.abs(PLACES[:, 1]) < 85]
    places = places[np.abs(places[:, 0]) < 179]
    step = 1e-4
    east, north = np.array([step, 0]), np.array([0, step])
    dx = (equal_earth(places + east) - equal_earth(places - east)) / np.radians(2 * step)
    dy = (equal_earth(places + north) - equal_earth(places - north)) / np.radians(2 * step)
    area = dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]
    np.testing.assert_allclose(area, np.cos(np.radians(places[:, 1])), rtol=1e-4)


def test_longitudes_beyond_the_edge_wrap():
    np.testing.assert_allclose(equal_earth(np.array([[190.0, 10.0]])), equal_earth(np.array([[-170.0, 10.0]])))
    east, west = equal_earth(np.array([[180.0, 10.0], [-180.0, 10.0]]))
    assert east[0] == -west[0] > 0


def test_gradient_is_exact():
    places = torch.tensor([[5.66, 51.97], [200.0, -30.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(equal_earth, places)
