"""Mirrors src/geotether/tables/table.py."""

import numpy as np
import pytest

from geotether.tables.table import Table

LONLAT = np.array([[5.66, 51.97], [190.0, -90.0], [180.0, 0.0], [-74.01, 40.71]])


def build(**columns):
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    return Table.single(**{"name": "rain", "lonlat": LONLAT, "features": features, **columns})


@pytest.fixture
def full():
    return build(
        id=np.array(["a", "b", "c", "d"]),
        time=np.array(["2020-01-01", "2021-06-30T12:00", "NaT", "1969-12-31"], dtype="datetime64[s]"),
        labels={"country": np.array(["NL", "AQ", "", "US"]), "height": np.array([12.0, np.nan, 0.0, 10.0])},
        split=np.array(["train", "validation", "train", "validation"]),
    )


def changed(row, column, value):
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    features[row, column] = value
    return features


def place(row, lon, lat):
    lonlat = LONLAT.copy()
    lonlat[row] = lon, lat
    return lonlat


def test_defaults_and_kinds():
    table = build(features=np.arange(12).reshape(4, 3))
    assert (len(table), table.dim) == (4, 3)
    assert table.features.dtype == np.float32
    assert table.lonlat.dtype == np.float64
    assert table.id.tolist() == ["0", "1", "2", "3"]
    assert table.split is None
    assert repr(table) == "Table.single('rain', 4 rows, 3 features)"


def test_longitudes_wrap_and_the_input_stays():
    given = LONLAT.copy()
    assert build(lonlat=given).lonlat[:, 0].tolist() == [5.66, -170.0, -180.0, -74.01]
    np.testing.assert_array_equal(given, LONLAT)


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"lonlat": place(2, -33.87, 151.21)}, r"Table 'rain': .*row 2 is \(-33\.87, 151\.21\)"),
        ({"lonlat": place(1, np.nan, 5)}, r"row 1 is \(nan, 5\)"),
        ({"lonlat": place(3, 5, np.inf)}, r"row 3 is \(5, inf\)"),
        ({"lonlat": place(0, 361, 5)}, r"row 0 is \(361, 5\)"),
        ({"lonlat": LONLAT[:3]}, "features have 4 rows and lonlat has 3"),
        ({"lonlat": np.zeros((4, 3))}, r"last axis of size 2"),
        ({"features": changed(2, 1, np.nan)}, "row 2, column 1 is nan"),
        ({"features": changed(3, 0, -np.inf)}, "row 3, column 0 is -inf"),
        ({"features": changed(1, 2, 0).astype(np.float64) * 1e300}, "row 0, column 1 is inf"),
        ({"features": np.full((4, 3), 7.0)}, "all rows have the same features"),
        ({"features": np.zeros((4, 0))}, "no features"),
        ({"features": np.zeros(4)}, r"shape \(n, d\), got \(4,\)"),
        ({"features": np.zeros((0, 3)), "lonlat": np.zeros((0, 2))}, "it has no rows"),
        ({"features": np.ones((1, 3)), "lonlat": LONLAT[:1]}, "only one row"),
        ({"id": np.array(["a", "b", "a", "b"])}, "'a' stands in rows 0 and 2"),
        ({"id": np.array(["a", "b"])}, "id has 2"),
        ({"labels": {"country": np.array(["NL"])}}, "label 'country' has 1"),
        ({"labels": {"country": np.zeros((4, 2))}}, r"label 'country' needs one value a row, got shape \(4, 2\)"),
        ({"time": np.array(["2020"] * 3, dtype="datetime64[D]")}, "time has 3"),
        ({"split": np.array(["train", "train", "valid", "test"])}, "row 2 is 'valid'.*Did you mean 'validation'"),
        ({"name": ""}, "needs a name"),
    ],
)
def test_wrong_content_is_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        build(**columns)


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"features": np.array([["a"]] * 4)}, "features must be numbers"),
        ({"labels": {"x": np.array(["a", None, "b", "c"], dtype=object)}}, "row 1 is None"),
        ({"labels": {"x": np.zeros(4, dtype="datetime64[D]")}}, "numbers or texts"),
        ({"time": np.arange(4)}, r"astype\('datetime64\[ms\]'\)"),
    ],
)
def test_wrong_kinds_are_refused(columns, message):
    with pytest.raises(TypeError, match=message):
        build(**columns)


def test_one_constant_column_is_no_fault():
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    features[:, 1] = 5
    assert build(features=features).dim == 3


@pytest.mark.parametrize("which", [np.array([2, 0]), np.array([True, False, True, False]), slice(0, 3, 2)])
def test_rows_take_every_column_along(full, which):
    part = full.rows(which)
    np.testing.assert_array_equal(part.lonlat, full.lonlat[which])
    np.testing.assert_array_equal(part.features, full.features[which])
    np.testing.assert_array_equal(part.time, full.time[which])
    np.testing.assert_array_equal(part.labels["country"], full.labels["country"][which])
    assert part.id.tolist() == full.id[which].tolist()
    assert part.split.tolist() == ["train", "train"]
    assert part.content_hash != full.content_hash


def test_rows_that_do_not_fit_are_named(full):
    with pytest.raises(ValueError, match="1 of 4 rows are left"):
        full.rows(np.array([3]))
    with pytest.raises(IndexError, match="needs 4 values, got 3"):
        full.rows(np.array([True] * 3))
    with pytest.raises(IndexError):
        full.rows(np.array([0, 9]))
    with pytest.raises(TypeError, match="float64"):
        full.rows(np.array([0.0, 1.0]))


def test_parts_of_the_split(full):
    assert full.part("train").id.tolist() == ["a", "c"]
    assert full.part("validation").id.tolist() == ["b", "d"]
    unsplit = build()
    assert unsplit.part("train") is unsplit
    with pytest.raises(ValueError, match=r"0 rows for validation.*assign_split"):
        unsplit.part("validation")
    with pytest.raises(ValueError, match="1 rows for train, at least 2 are needed; its split names test, train"):
        build(split=np.array(["train", "test", "test", "test"])).part("train")


def test_the_hash_follows_the_content_and_nothing_else(full):
    same = full.rows(np.arange(4))
    assert same.content_hash == full.content_hash
    assert len(full.content_hash) == 64
    assert build(name="other").content_hash == build().content_hash
    assert build(id=np.array(["0", "1", "2", "3"], dtype="<U20")).content_hash == build().content_hash
    assert build(features=np.asfortranarray(build().features)).content_hash == build().content_hash
    different = [
        build(features=changed(0, 0, 0.5)),
        build(lonlat=place(0, 5.66, 51.98)),
        build(id=np.array(["0", "1", "23", ""])),
        build(id=np.array(["0", "1", "2", "3 "])),
        build(labels={"a": np.arange(4)}),
        build(labels={"b": np.arange(4)}),
        build(split=np.array(["train"] * 4)),
        full,
    ]
    assert len({table.content_hash for table in [*different, build()]}) == 9


def test_a_memory_map_stays_on_disk(tmp_path):
    file = tmp_path / "features.npy"
    np.save(file, np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32))
    mapped = np.load(file, mmap_mode="r")
    lonlat = np.stack([np.linspace(-180, 179, 5000), np.linspace(-90, 90, 5000)], axis=1)
    table = Table.single("big", lonlat, mapped, split=np.where(np.arange(5000) % 3, "train", "validation"))
    assert isinstance(table.features, np.memmap)
    training = table.part("train")
    assert isinstance(training.features, np.memmap)
    np.testing.assert_array_equal(training.features, mapped[table.split == "train"])
    assert [path.name for path in tmp_path.iterdir()] == ["features.npy"]
    in_memory = Table.single("big", lonlat, np.array(mapped), split=table.split)
    assert table.content_hash == in_memory.content_hash
