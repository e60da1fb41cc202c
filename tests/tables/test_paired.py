import numpy as np
import pytest

from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target


def make(name="fields", **changes):
    columns = {
        "sensors": {
            "s1": Modality("series", np.arange(24.0).reshape(4, 3, 2)),
            "s2": Modality(
                "chip", np.arange(16, dtype=np.uint8).reshape(4, 1, 2, 2), np.array([True, True, False, True])
            ),
        },
        "targets": {"crop": Target("classes", np.array([0, 1, -1, 0]), ("maize", "wheat"))},
        "lonlat": np.array([[5.6, 52.0], [190.0, -90.0], [180.0, 90.0], [-180.0, 0.0]]),
        "split": np.array(["train", "val", "test", "train"]),
        "group": np.array(["a", "b", "b", "a"]),
    }
    return Table(name, **{**columns, **changes})


def test_what_it_holds():
    table = make()
    assert len(table) == 4
    assert table.id.tolist() == ["0", "1", "2", "3"]
    assert table.lonlat[:, 0].tolist() == [5.6, -170.0, -180.0, -180.0]
    assert table.split.tolist() == ["train", "validation", "test", "train"]
    assert table.modality("s2").present.sum() == 3
    assert "s1 (3, 2)" in repr(table)


def test_parts_and_rows():
    table = make(time=np.array(["2020", "2021", "2022", "2023"], dtype="datetime64[Y]"))
    train = table.part("train")
    assert train.id.tolist() == ["0", "3"]
    assert train.time.astype("datetime64[Y]").astype(str).tolist() == ["2020", "2023"]
    assert train.target("crop").values.tolist() == [0, 0]
    assert table.part("val").id.tolist() == table.part("validation").id.tolist() == ["1"]
    np.testing.assert_array_equal(table.rows(slice(1, 3)).lonlat, table.lonlat[1:3])
    np.testing.assert_array_equal(
        table.rows(np.array([3, 3])).modality("s1").values, table.modality("s1").values[[3, 3]]
    )
    # A part may lack what the table has.
    assert not table.rows(np.array([2])).modality("s2").present.any()


def test_a_table_that_was_not_split_trains_on_all_rows():
    table = make(split=None)
    assert table.part("train") is table
    with pytest.raises(ValueError, match="has no rows for test; it was not split"):
        table.part("test")


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda table: table.modality("S2"), r"has no modality 'S2'; it has s1, s2\. Did you mean 's2'\?"),
        (lambda table: table.target("corp"), r"has no target 'corp'; it has crop\. Did you mean 'crop'\?"),
        (lambda table: table.part("tset"), r"has no part 'tset'.*Did you mean 'test'\?"),
        (lambda table: table.part("buffer"), "has no rows for buffer; its split names test, train, validation"),
        (lambda table: table.rows(np.zeros(4, bool)), "none of 4 rows is left"),
    ],
)
def test_unknown_names(act, message):
    with pytest.raises(ValueError, match=message):
        act(make())


def test_rows_are_chosen_by_rows():
    with pytest.raises(TypeError, match="mask, row numbers or a slice, got float64"):
        make().rows(np.array([0.5]))
    with pytest.raises(IndexError, match="needs 4 values, got 3"):
        make().rows(np.ones(3, bool))
    with pytest.raises(IndexError):
        make().rows(np.array([4]))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"sensors": {}}, "it has no modality"),
        (
            {"sensors": {"s1": Modality("vector", np.ones((4, 1))), "s2": Modality("vector", np.ones((3, 1)))}},
            "modality 's1' has 4 rows and modality 's2' has 3",
        ),
        ({"targets": {"y": Target("numbers", np.ones(5), ("y",))}}, "modality 's1' has 4 rows and target 'y' has 5"),
        ({"split": np.array(["train"])}, "has 4 rows and split has 1"),
        ({"id": np.array(["a", "b", "a", "c"])}, "'a' stands in rows 0 and 2"),
        ({"lonlat": np.array([[0.0, 91.0]] * 4)}, "not .longitude, latitude. in degrees; row 0"),
        ({"split": np.array(["train", "vla", "test", "train"])}, "row 1 is 'vla'"),
        ({"split": np.array(["train", "tets", "test", "train"])}, "Did you mean 'test'"),
        ({"group": np.ones((4, 2))}, r"group needs one value a row, got shape \(4, 2\)"),
        (
            {"sensors": {"s1": Modality("vector", np.full((4, 1), np.nan))}},
            "modality 's1' is present in none of 4 rows",
        ),
        ({"targets": {"y": Target("classes", np.full(4, -1), ("a",))}}, "target 'y' is unknown in all 4 rows"),
    ],
)
def test_wrong_inputs(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(**changes)
    assert "'fields'" in str(caught.value)


def test_a_table_needs_a_name():
    with pytest.raises(ValueError, match="needs a name"):
        make(name="")


def test_times_must_be_times():
    with pytest.raises(TypeError, match="time must be datetime64"):
        make(time=np.arange(4))


def test_a_part_may_lack_everything_a_table_may_not():
    lacking = {"y": Target("classes", np.full(4, -1), ("a",))}
    assert not make(targets=lacking, is_part=True).target("y").known.any()


def test_content_hash_depends_on_the_content_alone():
    first = make()
    assert first.content_hash == make(name="other", origin=Origin(licence="MIT")).content_hash
    assert first.content_hash == make(group=np.array(["a", "b", "b", "a"], dtype="<U9")).content_hash
    others = [
        make(split=None),
        make(targets={}),
        make(targets={"crop": Target("classes", np.array([0, 1, -1, 0]), ("maize", "rye"))}),
        make(modalities={"s1": make().modality("s1")}),
        make().rows(np.array([0, 1, 3, 2])),
        make(modalities={**make().modalities, "s2": Modality("chip", make().modality("s2").values)}),
    ]
    assert len({first.content_hash, *(table.content_hash for table in others)}) == 7


def test_one_row_is_a_table():
    assert len(Table("one", {"s1": Modality("vector", np.ones((1, 1)))})) == 1
