"""Mirrors src/geotether/diagnostics/diagnosis.py."""

import json

import numpy as np
import pytest

from geotether.diagnostics.diagnosis import diagnose
from geotether.diagnostics.places import even_places
from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.probes.geobias import geo_bias


def test_all_options_at_once():
    test, tables = even_places(60, seed=5), {"photos": even_places(50, seed=6)}
    correct = {"rain": np.arange(60) % 3 > 0}
    found = diagnose(unit_vectors, even_places(300), tables, test, correct, resolution_places=10)
    # The chord over 50 km, squared; no place has a direction of its own.
    assert found.alignment == pytest.approx((50 / EARTH_RADIUS_KM) ** 2, rel=1e-4)
    # On the 2-sphere E exp(-2 |x - y|^2) = (1 - exp(-8)) / 8.
    assert found.uniformity == pytest.approx(np.log((1 - np.exp(-8)) / 8), abs=0.02)
    assert found.resolution.lonlat.shape == (10, 2)
    assert found.continuity.seamless
    assert found.coverage["photos"].km.shape == (300,)
    assert found.leakage["photos"].km.shape == (60,)
    assert found.bias["rain"].marked == geo_bias(test, correct["rain"]).marked
    numbers = json.loads(json.dumps(found.numbers(), allow_nan=False))
    assert numbers["geo_bias"]["rain"]["centers"] == 20
    assert numbers["effective_resolution_km"]["raw"]["50%"] == pytest.approx(found.resolution.median_km)
    assert numbers["continuity"]["seamless"] is True


def test_a_collapsed_encoder_is_diagnosed_and_fits_into_json():
    found = diagnose(lambda p: np.ones((len(p), 4)), even_places(30), resolution_places=5)
    numbers = json.loads(json.dumps(found.numbers(), allow_nan=False))
    assert numbers["intrinsic_dimension"]["two_nn"] is None
    assert numbers["intrinsic_dimension"]["duplicates"] == 29
    assert numbers["effective_resolution_km"]["raw"] | {"similarity": 0} == {
        "25%": None, "50%": None, "75%": None, "share_beyond": 1.0, "beyond_km": 10000.0, "similarity": 0,
    }  # fmt: skip
    assert (numbers["uniformity"], numbers["alignment"]["value"]) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert (numbers["coverage"], numbers["leakage"], numbers["geo_bias"]) == ({}, {}, {})


def test_places_on_land_are_drawn_by_the_seed():
    first, again, other = (diagnose(unit_vectors, num_places=40, resolution_places=3, seed=s) for s in (1, 1, 2))
    assert first.numbers() == again.numbers()
    assert first.dimensionality.mle.value != other.dimensionality.mle.value
    assert len(first.dimensionality.lonlat) == 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correct": {"a": np.ones(3, dtype=bool)}}, "give test_lonlat with correct"),
        ({"resolution_places": 0}, "resolution_places must be 1"),
        ({"alignment_km": 0}, "alignment_km above 0"),
        ({"places": np.array([[200.0, 100.0]])}, "not .longitude, latitude."),
    ],
)
def test_misuse_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        diagnose(unit_vectors, **{"places": even_places(10), **options})
