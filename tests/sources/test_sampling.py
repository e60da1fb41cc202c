"""Mirrors src/geotether/sources/sampling.py."""

import numpy as np
import pytest
from scipy import stats

from geotether.sources.sampling import on_land, sample_places, sample_sphere, without_rare


@pytest.mark.parametrize(("south", "north"), [(-90, 90), (-60, -10)])
def test_places_are_uniform_by_area(south, north):
    lonlat = sample_sphere(20_000, seed=1, south=south, north=north)
    assert lonlat[:, 1].min() >= south
    assert lonlat[:, 1].max() <= north
    # On the sphere, longitude and the sine of latitude are uniform (Archimedes).
    assert stats.kstest(lonlat[:, 0], stats.uniform(-180, 360).cdf).pvalue > 0.01
    low, high = np.sin(np.radians([south, north]))
    assert stats.kstest(np.sin(np.radians(lonlat[:, 1])), stats.uniform(low, high - low).cdf).pvalue > 0.01
    assert sample_sphere(0).shape == (0, 2)


def test_the_result_depends_on_the_seed_and_fewer_rows_are_a_prefix():
    np.testing.assert_array_equal(sample_sphere(50, seed=3), sample_sphere(100, seed=3)[:50])
    assert (sample_sphere(50, seed=3) != sample_sphere(50, seed=4)).all()

    def look(lonlat):
        return lonlat[:, 0] > 60, {"lat": lonlat[:, 1]}

    few, said = sample_places(10, 0, look)
    many, _ = sample_places(5000, 0, look)
    np.testing.assert_array_equal(few, many[:10])
    np.testing.assert_array_equal(said["lat"], few[:, 1])
    assert many.shape == (5000, 2)
    assert (many[:, 0] > 60).all()


def test_too_few_places_are_an_error_that_counts_them():
    with pytest.raises(ValueError, match=r"only 0 of the 5 places asked for were found among 200000 drawn between"):
        sample_places(5, 0, lambda lonlat: (np.zeros(len(lonlat), bool), {}))
    with pytest.raises(ValueError, match="rows must be 1 or more, got 0"):
        sample_places(0, 0, lambda lonlat: (np.ones(len(lonlat), bool), {}))
    with pytest.raises(ValueError, match="south=50, north=40"):
        sample_sphere(5, south=50, north=40)
    assert on_land(np.zeros((3, 2)), None).all()


def test_rare_classes_become_missing():
    labels = np.array(["a", "b", "a", None, "c", "b", "a"], dtype=object)
    assert without_rare(labels, 1).tolist() == labels.tolist()
    assert without_rare(labels, 2).tolist() == ["a", "b", "a", None, None, "b", "a"]
    assert without_rare(labels, 3).tolist() == ["a", None, "a", None, None, None, "a"]


def test_places_may_be_drawn_between_meridians_also_over_the_antimeridian():
    lonlat = sample_sphere(5000, seed=0, south=-10, north=10, west=170.0, east=200.0)
    assert lonlat[:, 0].min() > 170
    assert lonlat[:, 0].max() < 200
    assert abs((lonlat[:, 0] > 180).mean() - 2 / 3) < 0.03
    np.testing.assert_array_equal(sample_sphere(50, 1), sample_sphere(50, 1, west=-180.0, east=180.0))
    with pytest.raises(ValueError, match=r"west < east <= west \+ 360; got west=10, east=-10"):
        sample_sphere(3, west=10.0, east=-10.0)
