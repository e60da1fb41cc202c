import numpy as np
import pytest

from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target, labels_target

LONLAT = np.array([[5.66, 51.97], [190.0, -90.0], [180.0, 0.0], [-74.01, 40.71]])
SPLIT = np.array(["train", "validation", "test", "train"])


def build(**columns):
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    return Table.single(**{"name": "rain", "lonlat": LONLAT, "features": features, **columns})


def build_several(name="fields", **columns):
    chips = np.arange(16, dtype=np.uint8).reshape(4, 1, 2, 2)
    given = {
        "modalities": {
            "s1": Modality("series", np.arange(24.0).reshape(4, 3, 2)),
            "s2": Modality("chip", chips, np.array([True, True, False, True])),
        },
        "targets": {"crop": Target("classes", np.array([0, 1, -1, 0]), ("maize", "wheat"))},
        "lonlat": LONLAT,
        "split": SPLIT,
        "group": np.array(["a", "b", "b", "a"]),
    }
    return Table(name, **{**given, **columns})


def changed(row, column, value):
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    features[row, column] = value
    return features


def place(row, lon, lat):
    lonlat = LONLAT.copy()
    lonlat[row] = lon, lat
    return lonlat


def test_a_table_of_one_modality():
    given = LONLAT.copy()
    table = build(lonlat=given, features=np.arange(12).reshape(4, 3))
    assert (len(table), table.dim, table.is_single) == (4, 3, True)
    assert (table.features.dtype, table.lonlat.dtype) == (np.float32, np.float64)
    assert table.id.tolist() == ["0", "1", "2", "3"]
    assert table.lonlat[:, 0].tolist() == [5.66, -170.0, -180.0, -74.01]
    np.testing.assert_array_equal(given, LONLAT)
    assert list(table.modalities) == ["rain"]
    assert "rain (3,)" in repr(table)


def test_a_table_of_several_modalities():
    table = build_several()
    assert (len(table), table.is_single) == (4, False)
    assert table.split.tolist() == SPLIT.tolist()
    assert table.modality("s2").present.sum() == table.sensors["s2"].present.sum() == 3
    assert len(Table("one", {"s1": Modality("vector", np.ones((1, 1)))})) == 1
    with pytest.raises(ValueError, match=r"'fields'.*s1, s2.*Table\.single"):
        _ = table.features


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"lonlat": place(2, -33.87, 151.21)}, r"row 2 is \(-33\.87, 151\.21\)"),
        ({"lonlat": place(1, np.nan, 5)}, r"row 1 is \(nan, 5\)"),
        ({"lonlat": place(3, 5, np.inf)}, r"row 3 is \(5, inf\)"),
        ({"lonlat": place(0, 361, 5)}, r"row 0 is \(361, 5\)"),
        ({"lonlat": LONLAT[:3]}, "'rain' has 4 rows and lonlat has 3"),
        ({"lonlat": np.zeros((4, 3))}, r"last axis of size 2"),
        ({"features": changed(2, 1, np.nan)}, "row 2, column 1 is nan"),
        ({"features": changed(3, 0, -np.inf)}, "row 3, column 0 is -inf"),
        ({"features": changed(1, 2, 0).astype(np.float64) * 1e300}, "row 0, column 1 is inf"),
        ({"features": np.full((4, 3), 7.0)}, "same features"),
        ({"features": np.zeros((4, 0))}, r"\(4, 0\)"),
        ({"features": np.zeros(4)}, r"\(n, d\), got \(4,\)"),
        ({"features": np.zeros((0, 3)), "lonlat": np.zeros((0, 2))}, "no rows"),
        ({"features": np.ones((1, 3)), "lonlat": LONLAT[:1]}, "1 rows"),
        ({"id": np.array(["a", "b", "a", "b"])}, "rows 0 and 2 are both 'a'"),
        ({"id": np.array(["a", "b"])}, "id has 2"),
        ({"targets": {"country": np.array(["NL"])}}, "'country' has 1"),
        ({"targets": {"country": np.zeros((4, 2))}}, r"'country'.*\(4, 2\)"),
        ({"time": np.array(["2020"] * 3, dtype="datetime64[D]")}, "time has 3"),
        ({"split": np.array(["train", "train", "valid", "test"])}, "row 2 is 'valid'.*Did you mean 'validation'"),
        ({"group": np.ones((4, 2))}, r"group.*\(4, 2\)"),
    ],
)
def test_wrong_values_are_refused(columns, message):
    with pytest.raises(ValueError, match=f"^Table 'rain': .*{message}"):
        build(**columns)


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"features": np.array([["a"]] * 4)}, "numbers"),
        ({"targets": {"x": np.array(["a", None, "b", "c"], dtype=object)}}, "'x'.*row 1 is None"),
        ({"targets": {"x": np.zeros(4, dtype="datetime64[D]")}}, "'x'.*datetime64"),
        ({"time": np.arange(4)}, r"astype\('datetime64\[ms\]'\)"),
        ({"lonlat": np.ma.array(LONLAT, mask=LONLAT > 5)}, "lonlat is a masked array"),
        ({"features": np.ma.array(np.eye(4), mask=np.eye(4))}, "masked array"),
        ({"targets": {"x": np.ma.array(np.arange(4), mask=[0, 1, 0, 0])}}, "'x'.* masked array"),
    ],
)
def test_wrong_types_are_refused(columns, message):
    with pytest.raises(TypeError, match=message):
        build(**columns)


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"modalities": {}}, "no modality"),
        (
            {"modalities": {"s1": Modality("vector", np.ones((4, 1))), "s2": Modality("vector", np.ones((3, 1)))}},
            "modality 's1' has 4 rows and modality 's2' has 3",
        ),
        ({"targets": {"y": Target("numbers", np.ones(5), ("y",))}}, "'s1' has 4 rows and target 'y' has 5"),
        ({"modalities": {"s1": Modality("vector", np.full((4, 1), np.nan))}}, "'s1' is present in none of 4 rows"),
        ({"targets": {"y": Target("classes", np.full(4, -1), ("a",))}}, "'y' is unknown in all 4 rows"),
    ],
)
def test_unusable_modalities_and_targets_are_refused(columns, message):
    with pytest.raises(ValueError, match=f"^Table 'fields': .*{message}"):
        build_several(**columns)


def test_a_part_may_lack_a_modality_or_target():
    unknown = {"y": Target("classes", np.full(4, -1), ("a",))}
    assert not build_several(targets=unknown, is_part=True).target("y").known.any()
    assert not build_several().rows(np.array([2])).modality("s2").present.any()


def test_a_table_needs_a_name():
    with pytest.raises(ValueError, match="needs a name"):
        build(name="")


@pytest.mark.parametrize("which", [np.array([3, 0]), np.array([True, False, False, True]), slice(0, 4, 3)])
def test_rows_take_every_column(which):
    times = np.array(["2020-01-01", "2021-06-30T12:00", "NaT", "1969-12-31"], dtype="datetime64[s]")
    full = build_several(time=times, id=np.array(list("abcd")), targets={"country": np.array(["NL", "AQ", "", "US"])})
    part = full.rows(which)
    for name in ("lonlat", "time", "id", "split", "group"):
        np.testing.assert_array_equal(getattr(part, name), getattr(full, name)[which])
    for name in ("s1", "s2"):
        np.testing.assert_array_equal(part.modality(name).values, full.modality(name).values[which])
        np.testing.assert_array_equal(part.modality(name).present, full.modality(name).present[which])
    assert part.target("country").column.tolist() == full.target("country").column[which].tolist()
    assert part.content_hash != full.content_hash


@pytest.mark.parametrize(
    "which, error, message",
    [
        (np.array([3]), ValueError, "1 of 4 rows are left; it needs at least 2"),
        (np.array([True] * 3), IndexError, "needs 4 values, got 3"),
        (np.array([0, 9]), IndexError, "9"),
        (np.array([0.0, 1.0]), TypeError, "float64"),
    ],
)
def test_rows_that_do_not_fit(which, error, message):
    with pytest.raises(error, match=message):
        build().rows(which)


def test_parts_of_the_split():
    table = build_several()
    assert table.part("train").id.tolist() == ["0", "3"]
    assert table.part("train").target("crop").values.tolist() == [0, 0]
    assert table.part("val").id.tolist() == table.part("validation").id.tolist() == ["1"]
    assert build_several(split=np.array(["val"] * 4)).split.tolist() == ["validation"] * 4
    unsplit = build()
    assert unsplit.part("train") is unsplit
    with pytest.raises(ValueError, match=r"no rows for validation.*assign_split"):
        unsplit.part("validation")
    with pytest.raises(ValueError, match="1 rows for validation, at least 2 are needed; its split names test, train"):
        build(split=SPLIT).part("validation")


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda table: table.modality("S2"), r"no modality 'S2'; it has s1, s2\. Did you mean 's2'\?"),
        (lambda table: table.target("corp"), r"no target 'corp'; it has crop\. Did you mean 'crop'\?"),
        (lambda table: table.part("tset"), r"no split 'tset'.*Did you mean 'test'\?"),
        (lambda table: table.part("buffer"), "no rows for buffer.*test, train, validation"),
        (lambda table: table.rows(np.zeros(4, bool)), "0 of 4 rows are left"),
    ],
)
def test_unknown_names(act, message):
    with pytest.raises(ValueError, match=message):
        act(build_several())


def test_the_hash_depends_on_the_content_alone():
    assert build(name="other", origin=Origin(licence="MIT")).content_hash == build().content_hash
    assert build(id=np.array(["0", "1", "2", "3"], dtype="<U20")).content_hash == build().content_hash
    assert build(features=np.asfortranarray(build().features)).content_hash == build().content_hash
    assert build().rows(np.arange(4)).content_hash == build().content_hash
    crop = Target("classes", np.array([0, 1, -1, 0]), ("maize", "rye"))
    tables = [
        build(),
        build(features=changed(0, 0, 0.5)),
        build(lonlat=place(0, 5.66, 51.98)),
        build(id=np.array(["0", "1", "23", ""])),
        build(id=np.array(["0", "1", "2", "3 "])),
        build(targets={"a": np.arange(4)}),
        build(targets={"b": np.arange(4)}),
        build(split=np.array(["train"] * 4)),
        build_several(),
        build_several(split=None),
        build_several(targets={}),
        build_several(targets={"crop": crop}),
        build_several(modalities={"s1": build_several().modality("s1")}),
        build_several().rows(np.array([0, 1, 3, 2])),
        build_several(modalities={**build_several().modalities, "s2": Modality("vector", np.eye(4))}),
    ]
    assert len({table.content_hash for table in tables}) == len(tables)


def test_hashes_of_earlier_versions():
    """Resumed runs and caches compare them."""
    lonlat = np.array([[5.66, 51.97], [190.0, -33.87], [-74.01, 40.71], [0.0, 0.5]])
    features = np.arange(8).reshape(4, 2) / 7
    time = np.array(["2020-01-01", "NaT", "2021-06-30T12:00", "1969-12-31"], "datetime64[s]")
    split = np.array(["train", "validation", "test", "train"])
    columns = {
        "kind": np.array(["oak", "", "ash", "oak"]),
        "codes": np.array([3, 1, 2, 2], np.int16),
        "big": np.array([2**60 + 1, 0, 1, 2]),
        "flag": np.array([True, False, True, True]),
        "height": np.array([1.5, np.nan, 2, 3], np.float32),
        "odd": np.array([1, np.inf, np.nan, 2.0]),
    }
    modalities = {
        "s2": Modality("series", np.arange(24).reshape(4, 3, 2), bands=("B4", "B8")),
        "s1": Modality("vector", np.array([[1.0], [np.nan], [2], [3]])),
        "c": Modality("chip", np.arange(64, dtype=np.uint16).reshape(4, 1, 4, 4)),
    }
    targets = {
        "crop": Target("classes", np.array([0, -1, 1, 1]), ("maize", "rye")),
        "flags": labels_target([["a"], None, ["b", "a"], []]),
        "yield": Target("numbers", np.array([1, 2, 3, 4]), ("yield (t/ha)",)),
    }
    np.array([1, 1, 2, 2])
    ids = np.array(["x", "longer", "z", "é"])
    split_only = Table.single("a", lonlat, features, targets=columns, split=split)
    places = Table("p", {"s1": Modality("vector", features)}, targets, lonlat=lonlat)
    found = {
        Table.single("a", lonlat, features): "11686dcd7d118383",
        Table.single("a", lonlat, features, time=time, targets=columns, split=split, id=ids): "8b76616517043c96",
        split_only.rows(np.array([3, 0, 1])): "9059bb9cbc054713",
        Table.single("a", lonlat, features, targets={"k": np.array([""] * 4)}): "181432a736f1fcff",
        Table("p", modalities): "39e13c6abb53dd66",
        Table(
            "p", modalities, targets, lonlat=lonlat, time=time, split=split, group=np.array([1, 1, 2, 2])
        ): "6d79658600a9ebdf",
        places.rows(slice(1, None)): "eb5be3f87d9cf9d7",
    }
    assert [table.content_hash[:16] for table in found] == list(found.values())


def test_a_memory_map_stays_on_disk(tmp_path):
    file = tmp_path / "features.npy"
    np.save(file, np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32))
    mapped = np.load(file, mmap_mode="r")
    lonlat = np.stack([np.linspace(-180, 179, 5000), np.linspace(-90, 90, 5000)], axis=1)
    table = Table.single("big", lonlat, mapped, split=np.where(np.arange(5000) % 3, "train", "validation"))
    training = table.part("train")
    assert isinstance(table.features, np.memmap)
    assert isinstance(training.features, np.memmap)
    np.testing.assert_array_equal(training.features, mapped[table.split == "train"])
    assert [path.name for path in tmp_path.iterdir()] == ["features.npy"]
    assert table.content_hash == Table.single("big", lonlat, np.array(mapped), split=table.split).content_hash
