import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from geotether.tables.splits import assign_folds, random_folds


def test_groups_stay_whole_and_folds_balanced_as_in_sklearn():
    group = np.random.default_rng(0).integers(0, 60, 500)
    folds = assign_folds(group.astype(str), 500, 5, seed=1)
    for one in np.unique(group):
        assert len(np.unique(folds[group == one])) == 1
    theirs = sorted(len(test) for _, test in GroupKFold(5).split(group, groups=group))
    assert np.ptp(np.bincount(folds)) <= max(np.ptp(theirs), 1)


def test_the_seed_decides():
    group = np.repeat(np.arange(20), 5)
    first = assign_folds(group, 100, 4, seed=0)
    np.testing.assert_array_equal(first, assign_folds(group, 100, 4, seed=0))
    assert (first != assign_folds(group, 100, 4, seed=1)).any()


def test_random_folds_are_of_one_size():
    folds = random_folds(23, 5, seed=3)
    assert sorted(np.bincount(folds).tolist()) == [4, 4, 5, 5, 5]
    np.testing.assert_array_equal(folds, assign_folds(None, 23, 5, seed=3))
    assert np.ptp(np.diff(np.flatnonzero(folds == 0))) > 0  # drawn, not dealt in turn


@pytest.mark.parametrize(
    "group, n, folds, message",
    [
        (["a", "b"], 3, 2, "one value for each of 3 rows"),
        (["a", "a", "b"], 3, 3, "2 groups cannot fill 3 folds"),
        (None, 3, 1, "folds must be 2 or more"),
        (None, 3, 4, "3 groups cannot fill 4 folds"),
    ],
)
def test_wrong_inputs(group, n, folds, message):
    with pytest.raises(ValueError, match=message):
        assign_folds(group, n, folds, seed=0)
