"""Mirrors src/geotether/prediction/selection.py."""

import dataclasses

import numpy as np
import pytest

from geotether.geodesy.distance import nearest_km
from geotether.prediction.selection import LabelledRows, outcome, select, suitable_block_km
from geotether.probes.target import ProbeTarget


def rows_of(planet, kind="regression", block_km=1000.0):
    task = planet.task_of(kind)
    return LabelledRows(planet.encode(task.lonlat), task.lonlat, task.targets(np.arange(len(task.lonlat))), block_km)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_a_fold_does_not_see_its_own_labels(planet, quick, kind):
    """Shuffled labels of one fold change neither the choice for it nor what is predicted there."""
    rows = rows_of(planet, kind)
    held = rows.folds == 2
    values = rows.target.values.copy()
    values[held] = np.random.default_rng(1).permutation(values[held])
    other = dataclasses.replace(rows, target=ProbeTarget(kind, values))
    first, second = select(rows), select(other)
    assert first.chosen_by_fold[2] == second.chosen_by_fold[2]
    for name, said in first.predicted.items():
        np.testing.assert_array_equal(said[held], second.predicted[name][held])
        assert (said[~held] != second.predicted[name][~held]).any()


def test_training_rows_keep_their_distance(planet):
    rows = rows_of(planet)
    used = rows.without([1, 3])
    held = np.isin(rows.folds, [1, 3])
    assert not (used & held).any()
    assert nearest_km(rows.lonlat[used], rows.lonlat[held]).min() > rows.buffer_km == 50.0


def test_a_class_that_a_fit_does_not_know_has_no_score(planet, quick):
    rows = rows_of(planet, "classification")
    values = rows.target.values.copy()
    values[rows.folds == 0] = "only here"
    found = select(dataclasses.replace(rows, target=ProbeTarget("classification", values)))
    column = np.unique(values).tolist().index("only here")
    assert np.isneginf(found.columns[rows.folds == 0, column]).all()
    assert np.isfinite(found.columns[rows.folds == 1, column]).all()


def test_outcome_has_the_score_of_scikit_learn(planet):
    from sklearn.metrics import r2_score

    rows = rows_of(planet)
    said = rows.target.values + np.random.default_rng(0).normal(size=len(rows.folds))
    assert outcome(rows, "yield", "x", said).value == pytest.approx(r2_score(rows.target.values, said))


def test_blocks_fit_the_places():
    rng = np.random.default_rng(0)
    assert suitable_block_km(rng.uniform(-80, 80, (2000, 2)), 20) == 1000
    assert suitable_block_km(rng.uniform(5, 7, (2000, 2)), 20) < 50
    with pytest.raises(ValueError, match="fill 1 blocks of 1 km, and 20 are needed"):
        suitable_block_km(np.full((50, 2), 5.0), 20)
