"""Mirrors src/geotether/searching/recall.py and observations.py."""

import numpy as np
import pytest

from geotether.geodesy.distance import great_circle_km
from geotether.searching import land_candidates, open_index
from geotether.searching.observations import TrainingObservations
from geotether.searching.query import head_vectors
from geotether.searching.recall import cross_modal_recall, recall_rows
from geotether.sources.planet import read_place_texts


def test_recall_is_that_of_a_loop_and_chance_is_the_share_of_the_land(trained):
    index = open_index(trained, land_candidates(3000))
    table = trained.tables["climate"]
    found = cross_modal_recall(trained, index, "climate", table)
    rows = table.numbers("validation")
    vectors = index.vectors("shared").astype(np.float32)
    for row, km in zip(rows[:10], found.km, strict=False):
        at = (vectors @ head_vectors(trained, "climate", table.features[row : row + 1])[0]).argmax()
        assert km == pytest.approx(float(great_circle_km(table.lonlat[row], index.candidates.lonlat[at])))
    plain = found.plain()
    assert plain["rows"] == len(rows)
    share = np.mean(great_circle_km(table.lonlat[rows][:, None], index.candidates.lonlat[None]) <= 2500)
    assert plain["chance"]["within_km"]["2500"] == pytest.approx(share, abs=0.02)
    assert plain["model"]["median_km"] < plain["chance"]["median_km"]
    assert [len(row) for row in recall_rows([found])] == [8] * 4
    with pytest.raises(ValueError, match="no head of soil"):
        cross_modal_recall(trained, index, "soil", table)


def test_the_nearest_observations_are_training_rows(trained):
    table = trained.tables["town"]
    place = table.lonlat[:3] + 0.001
    found = TrainingObservations.of_tables({"town": table}).nearest(place)["town"]
    rows = table.numbers("train")
    for one, at in zip(found, place, strict=True):
        km = great_circle_km(at, table.lonlat[rows])
        assert one.id == table.id[rows[km.argmin()]]
        assert one.km == pytest.approx(km.min(), abs=1e-3)
        assert one.text == ""


def test_observations_of_the_demo_planet_have_texts():
    planet = read_place_texts()
    rows = np.flatnonzero(planet.split == "train")
    facts = {"place_texts": {"rows": len(planet.lonlat), "split": {"train": len(rows)}}}
    place = np.array([[5.12, 52.09]])
    one = TrainingObservations.of_planet(facts).nearest(place)["place_texts"][0]
    km = great_circle_km(place[0], planet.lonlat[rows])
    assert one.km == pytest.approx(km.min(), abs=1e-3)
    assert one.text[:10] == planet.texts[rows[km.argmin()]][:10]
    facts["place_texts"]["rows"] += 1
    assert TrainingObservations.of_planet(facts) is None
    assert TrainingObservations.of_planet({"wells": {}}) is None
