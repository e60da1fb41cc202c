"""Mirrors experiments/world_tables.py: the columns it makes, on a few rows made by hand."""

import numpy as np
import pytest

pd = pytest.importorskip("pandas")


def test_a_gap_becomes_the_mean_and_is_marked(script):
    frame = pd.DataFrame({"mass": [0.0, np.e - 1, None], "level": [1.0, 2.0, 3.0]})
    np.testing.assert_allclose(script.numbers(frame, ["level"], ["mass"]), [[1, 0, 0], [2, 1, 0], [3, 0.5, 1]])


def test_classes_are_the_frequent_ones_and_gaps_none_of_them(script):
    frame = pd.DataFrame({"order": ["owl", "owl", "gull", None], "code": pd.array([1, 1, None, 2], dtype="Int8")})
    found = script.classes(frame, ["order", "code"], least_rows=2)
    np.testing.assert_array_equal(found, [[1, 1], [1, 1], [0, 0], [0, 0]])


def test_tables_are_standardised_on_training_rows(script):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"lon": rng.uniform(-180, 180, 500), "lat": rng.uniform(-80, 80, 500)})
    table = script.measured("height", frame, rng.normal(5, 3, (500, 2)), np.ones((500, 1)))
    assert table.dim == 2  # a column that never changes says nothing
    train = table.part("train").features
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["birds", "mammals", "languages", "airports", "climate"])
def test_real_sources_contain_no_coordinate_as_a_feature(script, shared_data, name):
    table = script.BUILDERS[name](shared_data / "pretrain")
    assert np.isfinite(table.features).all()
    assert set(table.split) == {"train", "validation"}
    for axis in range(2):  # a column that is longitude or latitude by another name would correlate with it at 1
        place = table.lonlat[:, axis]
        worst = max(abs(np.corrcoef(place, column)[0, 1]) for column in table.features.T if column.std() > 0)
        assert worst < 0.9
