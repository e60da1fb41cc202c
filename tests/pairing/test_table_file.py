import datetime
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geotether.files.geometry import with_geometry
from geotether.pairing.open import open_paired


def encoded(pixels, kind="PNG"):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def as_npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.fixture
def opened(tmp_path):
    def read(columns, modalities, **spec):
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, tmp_path / "d.parquet", row_group_size=2)
        return open_paired({"path": "d.parquet", "modalities": modalities, **spec}, tmp_path)

    return read


@pytest.fixture
def opened_csv(tmp_path):
    def read(text, modalities, **spec):
        (tmp_path / "d.csv").write_text(text, encoding="utf-8")
        return open_paired({"path": "d.csv", "modalities": modalities, **spec}, tmp_path)

    return read


def test_images_in_cells(opened):
    colour = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
    grey = colour[..., 0]
    columns = {
        "rgb": [encoded(one) for one in colour],
        "lights": [{"bytes": encoded(grey[0]), "path": "a"}, None, {"bytes": encoded(grey[2]), "path": "c"}],
        "keep": [True, False, True],
    }
    modalities = {
        "optical": {"kind": "chip", "values": "rgb", "bands": ["red", "green", "blue"]},
        "lights": {"kind": "chip", "values": "lights"},
    }
    table = opened(columns, modalities)
    np.testing.assert_array_equal(table.modality("optical").values, colour.transpose(0, 3, 1, 2))
    assert table.modality("optical").values.dtype == np.uint8
    assert table.modality("lights").present.tolist() == [True, False, True]
    np.testing.assert_array_equal(table.modality("lights").values[2, 0], grey[2])
    some = opened(columns, modalities, rows={"keep": True})
    np.testing.assert_array_equal(some.modality("lights").values[1, 0], grey[2])
    small = opened(columns, {"optical": {"kind": "chip", "values": "rgb", "mode": "L", "size": 2}})
    assert small.modality("optical").shape == (1, 2, 2)


GOOD, WIDER = encoded(np.zeros((4, 4), np.uint8)), encoded(np.zeros((4, 5), np.uint8))


@pytest.mark.parametrize(
    "kind, cells, message",
    [
        ("chip", [GOOD, WIDER], r"'x', row 1 has shape \(1, 4, 5\) and column 'x', row 0 has \(1, 4, 4\)"),
        (
            "chip",
            [GOOD, as_npy(np.ones((1, 4, 4)))],
            "row 1 holds float64 and column 'x', row 0 holds uint8",
        ),
        ("chip", [GOOD, GOOD[:40]], "modality 'x': column 'x', row 1: damaged or cut short PNG"),
        ("chip", [b"hello", GOOD], r"row 0: .*image"),
        ("vector", [GOOD], "is an image, so its modality is a chip, not a vector"),
        ("chip", [None, b""], "none of 2 rows has an observation"),
        ("vector", [as_npy(np.ones(3))[:-4]], r"row \d is damaged"),
    ],
)
def test_cells_that_cannot_be_decoded(opened, kind, cells, message):
    with pytest.raises(ValueError, match=message):
        opened({"x": pa.array(cells, pa.binary())}, {"x": {"kind": kind, "values": "x"}})


def test_arrays_as_bytes(opened):
    series = [np.ones((2, 3)), np.zeros((4, 3))]
    table = opened({"x": [as_npy(one) for one in series]}, {"x": {"kind": "series", "values": "x"}})
    assert table.modality("x").shape == (4, 3)
    assert np.isnan(table.modality("x").values[0, 2:]).all()


@pytest.mark.parametrize("kind", ["list", "large", "fixed"])
def test_lists_of_numbers(opened, kind):
    values = np.arange(12.0).reshape(3, 4)
    inner = {"list": pa.list_(pa.float32()), "large": pa.large_list(pa.float64()), "fixed": pa.list_(pa.float32(), 4)}
    column = pa.array([values[0].tolist(), None, values[2].tolist()], inner[kind])
    vector = opened({"x": column}, {"x": {"kind": "vector", "values": "x", "bands": list("abcd")}}).modality("x")
    assert vector.present.tolist() == [True, False, True]
    np.testing.assert_array_equal(vector.values[[0, 2]], values[[0, 2]])
    series = opened({"x": column}, {"x": {"kind": "series", "values": "x", "shape": [2, 2]}}).modality("x")
    np.testing.assert_array_equal(series.values[2], values[2].reshape(2, 2))


def test_nested_lists(opened):
    chips = np.arange(24).reshape(2, 2, 2, 3)
    table = opened({"x": chips.tolist()}, {"x": {"kind": "chip", "values": "x"}})
    np.testing.assert_array_equal(table.modality("x").values, chips)
    last = opened(
        {"x": chips.transpose(0, 2, 3, 1).tolist()}, {"x": {"kind": "chip", "values": "x", "axes": "bands_last"}}
    )
    np.testing.assert_array_equal(last.modality("x").values, chips)


def test_series_of_several_lengths(opened):
    series = [[[1.0, 2.0]], None, [[3.0, None], [5.0, 6.0], [7.0, 8.0]], []]
    got = opened({"x": series}, {"x": {"kind": "series", "values": "x"}}).modality("x")
    assert got.shape == (3, 2)
    assert got.present.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(got.values[0], [[1, 2], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(got.values[2], [[3, np.nan], [5, 6], [7, 8]])
    longer = opened({"x": series}, {"x": {"kind": "series", "values": "x", "shape": [5, 2]}}).modality("x")
    np.testing.assert_array_equal(longer.values[2, :3], got.values[2])
    assert np.isnan(longer.values[2, 3:]).all()
    with pytest.raises(ValueError, match="column 'x' has 3 steps; the specified shape has 2"):
        opened({"x": series}, {"x": {"kind": "series", "values": "x", "shape": [2, 2]}})


@pytest.mark.parametrize(
    "values, kind, message",
    [
        ([[1, 2], [3]], "vector", "lists of 1 values in row 1 and of 2 in row 0"),
        ([None, [1, 2], [3]], "vector", "lists of 1 values in row 2 and of 2 in row 1"),
        ([[[1, 2], [3]], [[4, 5], [6, 7]]], "series", "lists of 1 values in another and of 2 in row 0"),
        ([[None, [1.0]], [[1.0], [2.0]]], "series", "an empty cell inside a list"),
        ([["a"], ["b"]], "vector", "lists of string, not of numbers"),
        (pa.array([None], pa.list_(pa.int8())), "vector", "is empty in all 1 rows"),
        ([datetime.date(2020, 1, 1)], "vector", "holds date32.*, not numbers"),
    ],
)
def test_lists_that_cannot_be_used(opened, values, kind, message):
    with pytest.raises(ValueError, match=message):
        opened({"x": values}, {"x": {"kind": kind, "values": "x"}})


def test_columns_of_numbers(opened):
    frame = pd.DataFrame({f"{band}_{step}": [step * 1.0, -step] for step in (1, 10, 2) for band in ("VV", "VH")})
    frame["height"] = [3, None]
    table = opened(
        pa.Table.from_pandas(frame, preserve_index=False),
        {
            "s1": {"kind": "series", "columns": {"VH": "VH_*", "VV": "VV_*"}},
            "flat": {"kind": "vector", "columns": ["VV_*", "height"]},
            "one": {"kind": "vector", "values": "height"},
        },
    )
    np.testing.assert_array_equal(table.modality("s1").values[0], [[1, 1], [2, 2], [10, 10]])
    assert table.modality("s1").bands == ("VH", "VV")
    assert table.modality("flat").bands == ("VV_1", "VV_2", "VV_10", "height")
    assert table.modality("one").present.tolist() == [True, False]


@pytest.mark.parametrize(
    "modality, message",
    [
        ({"kind": "vector", "columns": ["heihgt"]}, "modality 'x': .*'heihgt'. Did you mean 'height'?"),
        ({"kind": "vector", "values": "heihgt"}, "modality 'x': .*'heihgt'. Did you mean 'height'?"),
        ({"kind": "vector", "columns": "a_*"}, "there is no column 'a_.'"),
        (
            {"kind": "vector", "columns": "name"},
            "column 'name' holds string, not numbers: 1 of 1 cells are 'x'",
        ),
        ({"kind": "vector", "values": "name"}, "must hold numbers, images or lists such as .*, but row 0 is 'x'"),
        ({"kind": "series", "columns": {"a": "b*", "c": "height"}}, "band 'c' has 1 columns and 'a' has 2"),
        ({"kind": "vector", "values": "height", "at": "name"}, "at is for an npz"),
        ({"kind": "vector", "values": "height", "bands": "name"}, "'name' names an array of an npz"),
    ],
)
def test_columns_that_cannot_be_used(opened, modality, message):
    with pytest.raises(ValueError, match=message):
        opened({"height": [1.0], "name": ["x"], "b1": [1], "b2": [2]}, {"x": modality})


HEIGHT = {"h": {"kind": "vector", "columns": "height"}}


def test_targets_of_every_kind(opened):
    columns = {
        "height": [1.0, 2.0, 3.0, 4.0],
        "when": [datetime.date(2020, 5, 1), None, datetime.date(2019, 1, 1), datetime.date(2020, 5, 1)],
        "code": pa.array([7, None, 3, 7], pa.int16()),
        "text": pa.array(["b", "a", None, "b"]).dictionary_encode(),
        "crop": [True, False, None, True],
        "biomes": pa.array([[8, 3], [], None, [3]], pa.list_(pa.int16())),
        "words": ["sea; land", "", None, "land"],
        "hot": pa.array([[1, 0], [0, 0], [1, 1], [0, 1]], pa.list_(pa.uint8(), 2)),
        "is_a": [1, 0, 1, None],
        "is_b": [0, 0, 1, None],
        "mass": [1.5, None, -999.0, 2.0],
    }
    targets = {
        "when": {"kind": "classes"},
        "code": {"kind": "classes", "names": {3: "tree", 7: "shrub"}},
        "text": {"kind": "classes"},
        "crop": {"kind": "classes", "names": {0: "other", 1: "crop"}},
        "biomes": {"kind": "labels"},
        "words": {"kind": "labels", "separator": ";"},
        "hot": {"kind": "labels", "names": ["x", "y"]},
        "matrix": {"kind": "labels", "columns": "is_*", "leave_out": ["is_b"]},
        "mass": {"kind": "numbers", "unknown": -999, "unit": "kg"},
    }
    table = opened(columns, HEIGHT, targets=targets)
    assert table.target("when").names == ("2019-01-01", "2020-05-01")
    assert table.target("when").values.tolist() == [1, -1, 0, 1]
    assert table.target("code").names == ("tree", "shrub")
    assert table.target("code").values.tolist() == [1, -1, 0, 1]
    assert table.target("text").values.tolist() == [1, 0, -1, 1]
    assert table.target("crop").values.tolist() == [1, 0, -1, 1]
    assert table.target("biomes").names == ("3", "8")
    np.testing.assert_array_equal(table.target("biomes").values, [[1, 1], [0, 0], [np.nan] * 2, [1, 0]])
    assert table.target("words").counts == {"land": 2, "sea": 1}
    assert table.target("hot").counts == {"x": 2, "y": 2}
    np.testing.assert_array_equal(table.target("matrix").values, [[1], [0], [1], [np.nan]])
    np.testing.assert_array_equal(table.target("mass").values, [1.5, np.nan, np.nan, 2.0])
    assert table.target("mass").names == ("mass (kg)",)
    rare = opened(columns, HEIGHT, targets={"biomes": {"kind": "labels", "min_count": 2}})
    assert rare.target("biomes").names == ("3",)


def test_a_codebook_names_codes(opened, tmp_path):
    (tmp_path / "book.csv").write_text("kind,id,name\nbiome,3,Forest\nbiome,8,Steppe\nrealm,3,Nearctic\n")
    book = {"path": "book.csv", "code": "id", "name": "name", "rows": {"kind": "biome"}}
    columns = {"height": [1.0, 2.0], "biomes": [[8, 3], [3, 99]], "main": [8, 3]}
    targets = {"biomes": {"kind": "labels", "codebook": book}, "main": {"kind": "classes", "codebook": book}}
    table = opened(columns, HEIGHT, targets=targets)
    assert table.target("biomes").counts == {"Forest": 2, "Steppe": 1}
    assert table.target("main").values.tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"book\.csv repeats the code 3"):
        opened(columns, HEIGHT, targets={"biomes": {"kind": "labels", "codebook": {**book, "rows": {}}}})
    with pytest.raises(ValueError, match=r"book\.csv: there is no column 'nme'. Did you mean 'name'"):
        opened(columns, HEIGHT, targets={"biomes": {"kind": "labels", "codebook": {**book, "name": "nme"}}})
    with pytest.raises(FileNotFoundError, match="no file"):
        opened(columns, HEIGHT, targets={"biomes": {"kind": "labels", "codebook": {**book, "path": "b.csv"}}})


@pytest.mark.parametrize(
    "target, message",
    [
        ({"kind": "labels", "values": "text"}, "'a;b'; .*separator"),
        ({"kind": "labels", "values": "height"}, "labels need a 0/1 matrix or a column of lists"),
        ({"kind": "labels", "columns": "height"}, "label 'height' in row 0 is 5; labels are 0 or 1"),
        ({"kind": "labels", "values": "lists", "min_count": 3}, "no label occurs in 3 or more of 1 rows"),
        ({"kind": "classes", "values": "text", "names": "names"}, "'names' names an array of an npz"),
        ({"kind": "numbers", "values": "text"}, "1 of 1 cells are 'a;b' .row 0"),
    ],
)
def test_targets_that_cannot_be_used(opened, target, message):
    with pytest.raises(ValueError, match=message):
        opened({"height": [5.0], "text": ["a;b"], "lists": [["a"]]}, HEIGHT, targets={"y": target})


def test_places_ids_and_splits(opened):
    columns = pa.table({"height": [1.0, 2.0], "when": [datetime.date(2020, 1, 1), None], "part": ["dev", "learn"]})
    lonlat = np.array([[5.6, 52.0], [-70.0, -30.0]])
    rename = {"dev": "val", "learn": "train"}
    table = opened(with_geometry(columns, lonlat), HEIGHT, time="when", split="part", rename_split=rename)
    np.testing.assert_array_equal(table.lonlat, lonlat)
    assert table.split.tolist() == ["validation", "train"]
    assert np.isnat(table.time).tolist() == [False, True]
    with pytest.raises(ValueError, match="'when' has no value in row 1"):
        opened(columns, HEIGHT, id="when")
    with pytest.raises(ValueError, match=r"split must be one of .*, but row 0 is 'dev'"):
        opened(columns, HEIGHT, split="part")


def test_damaged_and_empty_parquet_files(tmp_path):
    spec = {"path": "d.parquet", "modalities": HEIGHT}
    (tmp_path / "d.parquet").write_text("hello")
    with pytest.raises(ValueError, match=r"d\.parquet is damaged or is not a Parquet file"):
        open_paired(spec, tmp_path)
    pq.write_table(pa.table({"height": pa.array([], pa.float64())}), tmp_path / "d.parquet")
    with pytest.raises(ValueError, match="it has no rows"):
        open_paired(spec, tmp_path)


def test_a_csv_of_numbers(opened_csv):
    text = "id;lon;lat;VV_1;VV_2;b1;b2;species;split\n07;5;52;1;2;;;oak;train\n08;6;53;3;;5;6;;val\n"
    table = opened_csv(
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


def test_lists_as_json_in_a_csv(opened_csv):
    table = opened_csv('id,x\na,"[1, 2.5]"\nb,\nc,"[3, 4]"\n', {"x": {"kind": "vector", "values": "x"}})
    assert table.modality("x").present.tolist() == [True, False, True]
    np.testing.assert_array_equal(table.modality("x").values[[0, 2]], [[1, 2.5], [3, 4]])
    with pytest.raises(ValueError, match=r"must hold numbers, images or lists such as .*, but row 1 is '\[1'"):
        opened_csv('x\n"[1, 2]"\n"[1"\n', {"x": {"kind": "vector", "values": "x"}})
    with pytest.raises(ValueError, match="lists of several kinds"):
        opened_csv('x\n"[1, 2]"\n"[1, ""a""]"\n', {"x": {"kind": "vector", "values": "x"}})


HEIGHT_OF_H = {"h": {"kind": "vector", "columns": "h"}}
CODES = {"code": [1, 2, None, 10, 1, 2], "crop": ["wheat", "rice", None, "vine", "wheat", "rice"]}
KINDS = {
    "integers": {"code": pa.array(CODES["code"], pa.int8())},
    "floats": {"code": pa.array(CODES["code"], pa.float32())},
    "decimals": {"code": pa.array(CODES["code"], pa.decimal128(5, 2))},
    "dictionaries": {"code": pa.array(CODES["code"]).dictionary_encode()},
    "large": {"code": pa.array(CODES["code"], pa.uint64())},
    "texts": {"code": pa.array([None if one is None else str(one) for one in CODES["code"]])},
    "views": {"code": pa.array([None if one is None else str(one) for one in CODES["code"]], pa.string_view())},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "json lines"])
def test_codes_with_gaps_are_the_same_classes_in_every_type_and_format(tmp_path, kind, ending):
    columns = {"h": pa.array([1.5] * 6), "crop": pa.array(CODES["crop"]), **KINDS[kind]}
    table, path = pa.table(columns), tmp_path / f"d.{ending.replace('json lines', 'jsonl')}"
    frame = pd.DataFrame({name: column.to_pylist() for name, column in columns.items()}, dtype=object)
    if ending == "parquet":
        pq.write_table(table, path)
    elif ending == "json lines":
        if kind == "decimals":
            pytest.skip("JSON has no decimals")
        path.write_text(frame.to_json(orient="records", lines=True))
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    targets = {"code": {"kind": "classes"}, "crop": {"kind": "classes"}}
    found = open_paired(
        {"path": str(path), "modalities": {"h": {"kind": "vector", "columns": "h"}}, "targets": targets}
    )
    code, crop = found.target("code"), found.target("crop")
    assert [code.names[value] if value >= 0 else None for value in code.values] == ["1", "2", None, "10", "1", "2"]
    assert [crop.names[value] if value >= 0 else None for value in crop.values] == CODES["crop"]
    targets["code"]["names"] = {1: "wheat", 2: "rice", 10: "vine"}
    found = open_paired(
        {"path": str(path), "modalities": {"h": {"kind": "vector", "columns": "h"}}, "targets": targets}
    )
    named = found.target("code")
    assert [named.names[value] if value >= 0 else None for value in named.values] == CODES["crop"]


def test_ids_and_groups_that_are_whole_floats_keep_their_digits(opened):
    table = opened({"h": [1.0, 2.0], "id": [7.0, 12.0], "block": [0.5, 1.0]}, HEIGHT_OF_H, id="id", group="block")
    assert table.id.tolist() == ["7", "12"]
    assert table.group.tolist() == ["0.5", "1.0"]


def test_texts_in_a_column_of_numbers_are_missing_if_few_and_an_error_otherwise(opened_csv, opened, caplog):
    with pytest.raises(ValueError, match=r"'b' .*1 of 3 cells are 'low\?' .row 1.\. .*leave them empty"):
        opened_csv("b,c\n1,2\nlow?,3\n2,4\n", {"x": {"kind": "vector", "columns": "b"}})
    found = opened({"b": ["1.5", None, "2"]}, {"x": {"kind": "vector", "columns": "b"}}).modality("x")
    np.testing.assert_array_equal(found.values[:, 0], [1.5, np.nan, 2])
    text = "b,y\n" + "".join(f"{'low?' if row == 7 else row},{'high' if row == 9 else row}\n" for row in range(30))
    table = opened_csv(text, {"x": {"kind": "vector", "columns": "b"}}, targets={"y": {"kind": "numbers"}})
    assert np.flatnonzero(~table.modality("x").present).tolist() == [7]
    assert np.flatnonzero(~table.target("y").known).tolist() == [9]
    assert "column 'b': 'low?' (row 7) are not numbers" in caplog.text
    assert "column 'y': 'high' (row 9) are not numbers" in caplog.text


def test_labels_of_codes_in_texts_take_names_of_numbers(opened_csv):
    target = {"kind": "labels", "values": "y", "separator": ";", "names": {1: "wheat", 10: "vine"}, "unknown": -1}
    table = opened_csv("h,y\n1,1;10\n2,10\n3,\n4,-1\n", HEIGHT_OF_H, targets={"y": target})
    assert table.target("y").counts == {"wheat": 1, "vine": 2}
    assert table.target("y").known.tolist() == [True, True, True, False]  # an empty text is no label
