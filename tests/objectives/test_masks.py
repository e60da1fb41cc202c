"""Mirrors src/geotether/objectives/masks.py."""

import math

import pytest
import torch

from geotether.objectives.masks import NearbyPairs, as_pair_mask, shifted


def closer_than_km(a: torch.Tensor, b: torch.Tensor, km: float) -> torch.Tensor:
    return NearbyPairs(torch.cat([a, b]), km)(slice(0, len(a)), slice(len(a), len(a) + len(b)))


@pytest.mark.parametrize("km", [5.0, 50.0, 1000.0, 15_000.0])
def test_agrees_with_haversine(random_places, km, haversine_km):
    a, b = random_places(150), random_places(30, seed=5)  # more rows than are done at once
    want = torch.tensor([[haversine_km(p, q) < km for q in b.tolist()] for p in a.tolist()])
    assert torch.equal(closer_than_km(a, b, km), want)


@pytest.mark.parametrize("latitude", [-89.999, -45.0, 0.0, 60.0])
@pytest.mark.parametrize("metres", [5.0, 200.0])
def test_it_resolves_metres(latitude, metres):
    """In float32 these would all be one place."""
    step = math.degrees(metres / 6_371_008.8)
    here = torch.tensor([[12.5, latitude]], dtype=torch.float64)
    there = torch.tensor([[12.5, latitude + 0.9 * step], [12.5, latitude + 1.1 * step]], dtype=torch.float64)
    assert closer_than_km(here, there, metres / 1000).tolist() == [[True, False]]


def test_a_distance_of_zero_selects_equal_places():
    places = torch.tensor([[180.0, 20.0], [-180.0, 20.0], [180.0, 20.001], [0.0, 90.0], [99.0, 90.0]]).double()
    same = closer_than_km(places, places, 0.0)
    want = torch.eye(5, dtype=torch.bool)
    want[0, 1] = want[1, 0] = want[3, 4] = want[4, 3] = True
    assert torch.equal(same, want)


def test_half_the_circumference_includes_every_place(random_places):
    antipodes = torch.tensor([[0.0, 90.0], [0.0, -90.0], [30.0, 0.0], [-150.0, 0.0]]).double()
    places = torch.cat([random_places(20), antipodes])
    assert closer_than_km(places, places, 20_100.0).all()


def test_no_places_have_no_pairs():
    none = torch.zeros(0, 2, dtype=torch.float64)
    assert closer_than_km(none, torch.zeros(3, 2, dtype=torch.float64), 10.0).shape == (0, 3)


def test_blocks_of_a_part_equal_those_of_the_whole(random_places):
    lonlat = random_places(40)
    whole = closer_than_km(lonlat, lonlat, 3000.0)
    nearby = NearbyPairs(lonlat, 3000.0)
    assert len(nearby) == 40
    for rows, columns in [(slice(0, 40), slice(0, 40)), (slice(7, 9), slice(3, 40)), (slice(39, 40), slice(0, 1))]:
        assert torch.equal(nearby(rows, columns), whole[rows, columns])
        assert torch.equal(as_pair_mask(whole, 40)(rows, columns), whole[rows, columns])
    assert torch.equal(shifted(nearby, 10)(slice(1, 4), slice(0, 5)), whole[11:14, 10:15])


@pytest.mark.parametrize("km", [-1.0, math.nan, math.inf])
def test_impossible_distances_are_refused(km):
    with pytest.raises(ValueError, match="0 or more, got"):
        NearbyPairs(torch.zeros(2, 2, dtype=torch.float64), km)


def test_swapped_places_are_named():
    latlon = torch.tensor([[40.71, -74.01], [-33.87, 151.21]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"row 1 is \(-33\.87, 151\.21\)"):
        NearbyPairs(latlon, 1.0)


def test_a_mask_of_another_batch_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 3\), but the batch has 4 rows"):
        as_pair_mask(torch.zeros(3, 3, dtype=torch.bool), 4)
