"""Mirrors src/geotether/prediction/predictor.py."""

import re

import numpy as np
import pytest

from geotether.benchmark.verdict import difference
from geotether.prediction.layers import MappedArea
from geotether.prediction.page import summary_of
from geotether.prediction.predictor import fit_predictor
from geotether.regions import grid_of, region_of
from geotether.tasks.task import Task


def test_intervals_cover_new_places(planet, of_numbers):
    rng = np.random.default_rng(9)
    lonlat = planet.places(rng, 3000)
    found = of_numbers.predict(lonlat)
    true = planet.numbers(lonlat) + 0.3 * rng.normal(size=3000)
    assert ((found.lower <= true) & (true <= found.upper)).mean() == pytest.approx(0.9, abs=0.06)
    assert of_numbers.covered().value == pytest.approx(0.92, abs=0.04)
    np.testing.assert_array_equal(found.value, of_numbers.predict(lon=lonlat[:, 0], lat=lonlat[:, 1]).value)


def test_prediction_sets_cover_new_places(planet, of_classes):
    rng = np.random.default_rng(9)
    lonlat = planet.places(rng, 3000)
    found = of_classes.predict(lonlat)
    code = np.digitize(planet.numbers(lonlat) + 0.3 * rng.normal(size=3000), (8.0, 12.0))
    assert found.sets[np.arange(3000), code].mean() >= 0.87
    assert (found.sets.sum(axis=1) >= 1).all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(found.value, found.probabilities.argmax(axis=1))


def test_says_whether_the_embedding_beats_the_baselines(planet, of_numbers, quick):
    def random(lonlat):
        return np.random.default_rng(0).normal(size=(len(lonlat), 4))

    steps = []
    useless = fit_predictor(random, planet.task_of(), name="noise", progress=lambda *step: steps.append(step))
    assert sorted(set(steps)) == [(done, len(set(steps))) for done in range(1, len(set(steps)) + 1)]
    world = region_of("world")
    grid = grid_of(world, 30)
    lonlat = grid.lonlat(slice(None), slice(None)).reshape(-1, 2)
    mapped = MappedArea(grid)
    mapped.add(lonlat, lonlat[:, 1] > 0)
    assert mapped.inside == pytest.approx(0.5)
    assert mapped.area_km2 == pytest.approx(5.1e8, rel=0.02)
    assert (of_numbers.beats_baselines, useless.beats_baselines) == (True, False)
    assert "clearly better than every baseline" in summary_of(of_numbers, world, mapped)[0]
    first, no_skill, rival = summary_of(useless, world, mapped)[:3]
    assert "not clearly better" in first
    assert useless.score.mean <= 0
    assert "R2 is not above 0" in no_skill
    named = re.search(r"a map by (.*) is better\.", rival)[1]
    assert difference([useless.outcomes["embedding"]], [useless.outcomes[named]]).high < 0


def test_what_is_unlike_all_labels_is_outside(planet, quick):
    rng = np.random.default_rng(0)
    lonlat = planet.places(rng, 400) * [1, 0.5]  # nothing north of 45 degrees, where the encoder says something else

    def odd(lonlat):
        return planet.encode(lonlat) + 20 * (lonlat[:, 1:] > 60).astype(np.float32)

    predictor = fit_predictor(odd, Task("t", "regression", lonlat, planet.numbers(lonlat)), name="odd")
    assert predictor.predict(lonlat).inside.all()
    found = predictor.predict(np.array([[0.0, 70.0], [100.0, 80.0]]))
    assert not found.inside.any()


def test_the_map_is_in_the_unit_of_the_labels(planet, quick):
    task = planet.task_of()
    raw = Task("t", "regression", task.lonlat, np.exp(task.target / 3), transform="log10")
    predictor = fit_predictor(planet.encode, raw, name="waves")
    found = predictor.predict(task.lonlat)
    assert np.corrcoef(np.log(found.value), task.target)[0, 1] > 0.95
    assert (found.lower > 0).all()
    assert predictor.held_out_errors.max() <= raw.target.max() * 10


@pytest.mark.parametrize(("level", "said"), [(0.3, "0.5 or more"), (1.0, "below 1"), (90, "below 1")])
def test_refuses_a_level_that_is_none(planet, level, said):
    with pytest.raises(ValueError, match=said):
        fit_predictor(planet.encode, planet.task_of(), level)


def test_refuses_blocks_that_are_too_large(planet):
    with pytest.raises(ValueError, match="need 20; use smaller blocks"):
        fit_predictor(planet.encode, planet.task_of(), block_km=9000.0)
