"""Mirrors src/geotether/searching/candidates.py; Natural Earth's areas and brute force are the oracle."""

import numpy as np
import pytest

from geotether.geodesy.distance import great_circle_km
from geotether.regions import region_of
from geotether.searching.candidates import file_candidates, land_candidates, on_land


def test_places_are_on_land_and_evenly_spread():
    places = land_candidates(3000)
    assert on_land(places.lonlat).all()
    assert (places.lonlat[:, 1] > -60).all()
    assert abs(len(places) - 3000) < 60
    km = great_circle_km(places.lonlat[:, None], places.lonlat[None])
    np.fill_diagonal(km, np.inf)
    nearest = km.min(axis=1)
    assert places.spacing_km * 0.6 < np.quantile(nearest, 0.01)
    assert np.median(nearest) < places.spacing_km * 1.1


@pytest.mark.parametrize("name", ["France", "Fiji", "Antarctica", "170 -50 -170 -30"])
def test_a_region_has_as_many_places_inside_it(name):
    region = region_of(name)
    places = land_candidates(500, region)
    assert region.contains(places.lonlat).all()
    assert on_land(places.lonlat).all()
    assert (np.abs(places.lonlat[:, 0]) <= 180).all()
    if name == "France":
        assert 450 < len(places) < 550


def test_places_are_not_closer_than_the_finest_context():
    assert land_candidates(100_000, region_of("Luxembourg")).spacing_km == pytest.approx(5.0, rel=1e-3)


def test_a_region_at_sea_and_no_places_are_errors():
    with pytest.raises(ValueError, match="no land"):
        land_candidates(100, region_of("-40 0 -35 5"))
    with pytest.raises(ValueError, match="1 or more, got 0"):
        land_candidates(0)


def test_points_of_a_file_keep_their_columns(tmp_path):
    path = tmp_path / "towns.csv"
    path.write_text("name,lon,lat\nLyon,4.8,45.8\nOslo,10.7,59.9\nMetz,6.2,49.1\n")
    found = file_candidates(path, region_of("France"))
    assert found.columns["name"].to_pylist() == ["Lyon", "Metz"]
    assert found.lonlat.tolist() == [[4.8, 45.8], [6.2, 49.1]]
    with pytest.raises(ValueError, match="None of the 3 points"):
        file_candidates(path, region_of("Japan"))
