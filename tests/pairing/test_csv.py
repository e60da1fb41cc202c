import numpy as np
import pytest

from geotether.pairing.open import open_paired


@pytest.fixture
def opened(tmp_path):
    def read(text, modalities, **spec):
        (tmp_path / "d.csv").write_text(text, encoding="utf-8")
        return open_paired({"path": "d.csv", "modalities": modalities, **spec}, tmp_path)

    return read


def test_a_csv_of_numbers(opened):
    text = "id;lon;lat;VV_1;VV_2;b1;b2;species;split\n07;5,;52;1;2;;;oak;train\n08;6;53;3;;5;6;;val\n"
    text = text.replace("5,;", "5;")
    table = opened(
        text,
        {"s1": {"kind": "series", "columns": {"VV": "VV_*"}}, "s2": {"kind": "vector", "columns": "b*"}},
        targets={"species": {"kind": "classes"}},
        id="id",
        lon="lon",
        lat="lat",
        split="split",
    )
    assert table.id.tolist() == ["07", "08"]
    np.testing.assert_array_equal(table.modality("s1").values[:, :, 0], [[1, 2], [3, np.nan]])
    assert table.modality("s2").present.tolist() == [False, True]
    assert table.target("species").values.tolist() == [0, -1]


def test_lists_as_json(opened):
    table = opened('id,x\na,"[1, 2.5]"\nb,\nc,"[3, 4]"\n', {"x": {"kind": "vector", "values": "x"}})
    assert table.modality("x").present.tolist() == [True, False, True]
    np.testing.assert_array_equal(table.modality("x").values[[0, 2]], [[1, 2.5], [3, 4]])
    with pytest.raises(ValueError, match=r"must hold numbers, images or lists such as .*, but row 1 is '\[1'"):
        opened('x\n"[1, 2]"\n"[1"\n', {"x": {"kind": "vector", "values": "x"}})
    with pytest.raises(ValueError, match="lists of several kinds"):
        opened('x\n"[1, 2]"\n"[1, ""a""]"\n', {"x": {"kind": "vector", "values": "x"}})


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b\n1,2\n3\n", r"d\.csv: the line has 1 values, the header 2"),
        ("a,b\n", "it has no rows"),
        ("a,a\n1,2\n", "the header names column 'a' twice"),
    ],
)
def test_files_that_cannot_be_read(opened, text, message):
    with pytest.raises(ValueError, match=message):
        opened(text, {"x": {"kind": "vector", "columns": "a"}})
