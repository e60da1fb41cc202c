import io

import numpy as np
import pytest

from geotether.pairing.open import open_paired

MODALITIES = {
    "s1": {"kind": "series", "values": "s1", "bands": "s1_bands"},
    "dem": {"kind": "vector", "values": "dem"},
}


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    series = rng.standard_normal((6, 4, 2)).astype(np.float32)
    series[1] = np.nan
    series[2, 1] = np.nan
    return {
        "s1": series,
        "s1_bands": np.array(["VV", "VH"]),
        "dem": rng.integers(0, 900, (6, 3)),
        "later": rng.standard_normal((2, 9, 2)),
        "later_row": np.array([4, 1]),
        "y": np.array([0, 1, -1, 1, 0, 1], dtype=np.int8),
        "names": np.array(["maize", "wheat"]),
        "cover": np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]], dtype=np.uint8),
        "cover_names": np.array(["tree", "water", "ice"]),
        "height": np.array([1.5, np.nan, 3, 4, -1, 6]),
        "lon": np.linspace(0, 10, 6),
        "lat": np.linspace(-40, 40, 6),
        "year": np.array([2020, 2021, 2020, 2021, 2020, 2020], dtype=np.int16),
        "sample": np.array(list("abcdef")),
        "part": np.array(["train", "train", "val", "val", "test", "test"]),
        "block": np.array([1, 1, 2, 2, 3, 3]),
    }


@pytest.fixture
def opened(arrays, tmp_path):
    def read(without=(), changed=None, **spec):
        np.savez(tmp_path / "d.npz", **{**{k: v for k, v in arrays.items() if k not in without}, **(changed or {})})
        return open_paired({"path": "d.npz", "modalities": MODALITIES, **spec}, tmp_path)

    return read


def test_all_options_at_once(opened, arrays):
    table = opened(
        targets={
            "crop": {"kind": "classes", "values": "y", "names": "names", "unknown": -1},
            "cover": {"kind": "labels", "names": "cover_names", "min_count": 1},
            "height": {"kind": "numbers", "unit": "m", "unknown": -1},
        },
        lon="lon",
        lat="lat",
        time="year",
        id="sample",
        split="part",
        group="block",
        licence="MIT",
    )
    assert table.name == "d"
    np.testing.assert_array_equal(table.modality("s1").values, arrays["s1"])
    assert table.modality("s1").present.tolist() == [True, False, True, True, True, True]
    assert table.modality("s1").bands == ("VV", "VH")
    np.testing.assert_array_equal(table.modality("dem").values, arrays["dem"])
    assert table.target("crop").values.tolist() == arrays["y"].tolist()
    assert table.target("cover").names == ("tree", "water")
    np.testing.assert_array_equal(table.target("cover").values, arrays["cover"][:, :2])
    np.testing.assert_array_equal(table.target("height").values, [1.5, np.nan, 3, 4, np.nan, 6])
    np.testing.assert_array_equal(table.lonlat[:, 1], arrays["lat"])
    assert table.time.astype("datetime64[Y]").astype(int).tolist() == (arrays["year"] - 1970).tolist()
    assert table.id.tolist() == list("abcdef")
    assert table.split.tolist()[2] == "validation"
    assert table.group.tolist() == list("112233")
    assert table.origin.licence == "MIT"


def test_only_some_rows(opened, arrays):
    table = opened(rows={"year": 2020, "part": ["train", "test"]}, id="sample")
    assert table.id.tolist() == ["a", "e", "f"]
    np.testing.assert_array_equal(table.modality("s1").values, arrays["s1"][[0, 4, 5]])


def test_arrays_of_some_rows(opened, arrays):
    later = {"kind": "series", "values": "later", "at": "later_row"}
    table = opened(modalities={**MODALITIES, "later": later}, id="sample")
    assert table.modality("later").present.tolist() == [False, True, False, False, True, False]
    np.testing.assert_allclose(table.modality("later").values[[4, 1]], arrays["later"], rtol=1e-6)
    assert opened(modalities={**MODALITIES, "later": later}, id="sample", require=["later"]).id.tolist() == ["b", "e"]
    # Row b has nothing but NaN from s1.
    both = opened(modalities={**MODALITIES, "later": later}, id="sample", require=["later", "s1"])
    assert both.id.tolist() == ["e"]
    some = opened(modalities={**MODALITIES, "later": later}, id="sample", rows={"part": "test"})
    np.testing.assert_allclose(some.modality("later").values[0], arrays["later"][0], rtol=1e-6)


@pytest.mark.parametrize("at", [np.array([4, 4]), np.array([4, 6]), np.array([-1, 2])])
def test_row_numbers_that_cannot_be(opened, at):
    later = {"kind": "series", "values": "later", "at": "later_row"}
    with pytest.raises(ValueError, match="'later_row' must hold different row numbers from 0 to 5"):
        opened(modalities={**MODALITIES, "later": later}, changed={"later_row": at})


@pytest.mark.parametrize(
    "spec, message",
    [
        ({"modalities": {"s1": {"kind": "series", "values": "S1"}}}, "there is no array 'S1'. Did you mean 's1'?"),
        ({"targets": {"crop": {"kind": "classes", "values": "yy"}}}, "target 'crop': there is no array 'yy'.*'y'"),
        ({"split": "prat"}, "no array 'prat'. Did you mean 'part'"),
        ({"targets": {"s1": {"kind": "classes"}}}, "\\(6, 4, 2\\)"),
        ({"targets": {"y": {"kind": "classes", "names": "names"}}}, "class -1 in row 2 is none of 0, 1; list it"),
        (
            {"targets": {"height": {"kind": "numbers", "unknown": [1.5, 3, 4, -1, 6]}}},
            "'height' is unknown in all",
        ),
        ({"targets": {"sample": {"kind": "numbers"}}}, "6 of 6 cells are 'a' .row 0"),
        (
            {"targets": {"c": {"kind": "labels", "columns": "cover*"}}},
            "'cover\\*'",
        ),
        ({"modalities": {"s1": {"kind": "chip", "files": "{id}.tif"}}, "id": "sample"}, "an npz holds arrays"),
        ({"modalities": {"s1": {"kind": "chip", "values": "s1", "shape": [1, 2, 2]}}}, "modality 's1'"),
        ({"rows": {"part": "trian"}}, "no row is left where 'part' is 'trian'; it holds test, train, val"),
        ({"rows": {"s1": 1}}, "rows cannot be chosen by 's1'"),
        ({"lon": "lat", "lat": "year"}, "not .longitude, latitude. in degrees; row 0"),
        ({"id": "block"}, "rows 0 and 1 are both '1'"),
        ({"time": "sample"}, "time 'sample', row 0: 'a'"),
        ({"split": "sample"}, "split must be one of train"),
        ({"index": "i.csv"}, "this path is a file"),
        ({"modalities": {}}, "names no modalities"),
        ({"split": "s1"}, "'s1' .*shape"),
    ],
)
def test_wrong_specifications(opened, spec, message):
    with pytest.raises(ValueError, match=message) as caught:
        opened(**spec)
    assert "d.npz" in str(caught.value)


@pytest.mark.parametrize(
    "changed, spec, message",
    [
        ({"dem": np.ones((5, 3))}, {}, "modality 'dem': array 's1' has 6 rows and 'dem' has 5"),
        ({"y": np.array(1)}, {"targets": {"y": {"kind": "classes"}}}, "'s1' has 6 rows and 'y' has a single value"),
        ({"dem": np.full((6, 3), np.nan)}, {}, "modality 'dem' is present in none of 6 rows"),
        ({"sample": np.array([{}] * 6, dtype=object)}, {"id": "sample"}, "'sample' holds Python objects"),
    ],
)
def test_wrong_arrays(opened, changed, spec, message):
    with pytest.raises(ValueError, match=message):
        opened(changed=changed, **spec)
    with pytest.raises(TypeError, match="lat must be numbers in degrees, but 'sample' holds"):
        opened(lon="lon", lat="sample")


def test_other_files(tmp_path):
    spec = {"path": "d.npz", "modalities": MODALITIES}
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*d\.npz.*--set data=FOLDER"):
        open_paired(spec, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*d\.npz\.$"):
        open_paired({**spec, "path": str(tmp_path / "d.npz")})
    array = io.BytesIO()
    np.save(array, np.ones(3))
    for content, message in (
        (b"PK\x03\x04 but no more", r"d\.npz is damaged"),
        (array.getvalue(), "a single array"),
    ):
        (tmp_path / "d.npz").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            open_paired(spec, tmp_path)


def test_damage_inside_is_found(opened, tmp_path, arrays):
    opened()
    data = bytearray((tmp_path / "d.npz").read_bytes())
    data[data.index(arrays["s1"].tobytes()[-8:])] ^= 255
    (tmp_path / "d.npz").write_bytes(data)
    with pytest.raises(ValueError, match="array 's1' is damaged"):
        open_paired({"path": "d.npz", "modalities": MODALITIES}, tmp_path)
