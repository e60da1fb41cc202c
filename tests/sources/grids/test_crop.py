"""Mirrors src/geotether/sources/grids/crop.py."""

import numpy as np
import pytest

from geotether.context.rasters import ArrayRaster
from geotether.sources.grids.cells import Cells
from geotether.sources.grids.crop import CroppedRaster


@pytest.fixture
def world():
    """Pixels of two degrees, each with its own number."""
    return ArrayRaster(np.arange(90 * 180, dtype=np.float64).reshape(90, 180, 1), -180.0, 90.0, 2.0)


@pytest.mark.parametrize(
    "bounds",
    [(10, -20, 35, 15), (170, -50, 190, -30), (-180, 60, 180, 90), (-7, -90, 9, -80), (100.3, 0.1, 100.4, 0.2)],
    ids=["plain", "antimeridian", "cap", "south pole", "one pixel"],
)
def test_cells_of_the_box_are_those_of_the_raster(world, bounds):
    cropped = CroppedRaster(world, bounds)
    rng = np.random.default_rng(0)
    west, south, east, north = bounds
    lonlat = np.stack([(rng.uniform(west, east, 200) + 180) % 360 - 180, rng.uniform(south, north, 200)], axis=1)
    np.testing.assert_array_equal(Cells(cropped).values(lonlat), Cells(world).values(lonlat))
    assert cropped.grid.height <= (north - south) / 2 + 2
    assert cropped.grid.width <= (east - west) / 2 + 2


def test_a_regional_raster_is_cut_at_its_own_edges():
    raster = ArrayRaster(np.arange(200.0).reshape(10, 20, 1), 30.0, 10.0, 1.0)
    cropped = CroppedRaster(raster, (25, -5, 40, 5))
    assert (cropped.grid.height, cropped.grid.width) == (5, 10)
    np.testing.assert_array_equal(cropped.read(0, 0, 5, 10), raster.read(5, 0, 5, 10))
    inner = CroppedRaster(raster, (33, 2, 35, 4), margin=1)
    assert (inner.grid.height, inner.grid.width) == (4, 4)
    around = CroppedRaster(raster, (-170, -80, 170, 80))
    assert (around.grid.height, around.grid.width) == (10, 20)


def test_a_raster_elsewhere_is_refused_with_both_boxes():
    raster = ArrayRaster(np.zeros((10, 20, 1)), 30.0, 10.0, 1.0)
    for bounds in ((-20, 0, -10, 5), (60, 0, 70, 5), (35, 40, 40, 50)):
        with pytest.raises(ValueError, match=r"does not cover the region: it reaches from 30, 0, 50, 10"):
            CroppedRaster(raster, bounds)
