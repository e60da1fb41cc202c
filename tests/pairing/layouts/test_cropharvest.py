"""Mirrors cropharvest.py."""

import json

import numpy as np
import pytest

from geotether.pairing.layouts import read_layout
from geotether.pairing.layouts.cropharvest import BANDS, CROP_TYPES, read_cropharvest

LABELS = [
    {"index": 0, "dataset": "togo", "is_crop": 1, "label": None, "classification_label": None, "is_test": False},
    {"index": 1, "dataset": "togo", "is_crop": 0, "label": None, "classification_label": None, "is_test": True},
    {"index": 0, "dataset": "lem-brazil", "is_crop": 1, "label": "soy", "classification_label": "oilseeds"},
    {"index": 7, "dataset": "lem-brazil", "is_crop": 0, "label": "pasture", "classification_label": "non_crop"},
]


@pytest.fixture
def write_labels(tmp_path):
    def write(labels):
        features = []
        for number, label in enumerate(labels):
            more = {"lon": 1.25 + number, "lat": 8.5 - number, "export_end_date": "2020-02-01T00:00:00"}
            properties = {"is_test": False, **more, **label}
            features.append({"type": "Feature", "properties": properties, "geometry": None})
        (tmp_path / "labels.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))

    return write


@pytest.fixture
def data(tmp_path, write_labels, write_h5):
    """Value of row r, month m, band b is 1000 r + 100 m + b; the last label has no array."""
    write_labels(LABELS)
    for number, label in enumerate(LABELS[:3]):
        values = 1000.0 * number + 100 * np.arange(12)[:, None] + np.arange(18)
        write_h5(tmp_path / "features" / "arrays" / f"{label['index']}_{label['dataset']}.h5", array=values)
    return tmp_path


def test_rows_are_read_as_written(data):
    table = read_cropharvest(data, modalities=["s1", "s2", "weather", "terrain", "ndvi"])
    assert table.id.tolist() == ["0_togo", "1_togo", "0_lem-brazil"]
    assert table.group.tolist() == ["togo", "togo", "lem-brazil"]
    assert table.split.tolist() == ["train", "test", "train"]
    assert table.origin.made["labels_without_array"] == 1
    np.testing.assert_array_equal(table.lonlat, [[1.25, 8.5], [2.25, 7.5], [3.25, 6.5]])
    assert table.time.astype("datetime64[D]").astype(str).tolist() == ["2020-02-01"] * 3
    shapes = {name: (sensor.kind, sensor.shape) for name, sensor in table.modalities.items()}
    assert shapes == {
        "s1": ("series", (12, 2)),
        "s2": ("series", (12, 11)),
        "weather": ("series", (12, 2)),
        "terrain": ("vector", (2,)),
        "ndvi": ("series", (12, 1)),
    }
    assert table.modality("s1").values[1, 3].tolist() == [1300, 1301]
    assert table.modality("s2").values[0, 11].tolist() == [1100 + band for band in range(2, 13)]
    assert table.modality("weather").values[0, 0].tolist() == [13, 14]
    assert table.modality("terrain").values[2].tolist() == [2015, 2016]
    assert table.modality("ndvi").values[0, 0].tolist() == [17]
    assert table.modality("s2").bands == ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12")
    assert len(BANDS) == 18


def test_targets(data):
    table = read_cropharvest(data)
    assert table.target("crop").values.tolist() == [1, 0, 1]
    assert table.target("crop").names == ("non_crop", "crop")
    kinds = table.target("crop_type")
    assert kinds.names == CROP_TYPES
    assert kinds.values.tolist() == [-1, -1, CROP_TYPES.index("oilseeds")]
    assert "crop_type" not in read_cropharvest(data, datasets=["togo"]).targets


def test_parts_and_data_sets_can_be_chosen(data):
    assert read_cropharvest(data, split="test").id.tolist() == ["1_togo"]
    assert read_cropharvest(data, datasets=["lem-brazil"]).group is None
    assert len(read_cropharvest(data, limit=2)) == 2
    with pytest.raises(ValueError, match="no data set in CropHarvest 'Togo'; known: lem-brazil, togo"):
        read_cropharvest(data, datasets=["Togo"])
    with pytest.raises(ValueError, match="no part of the split 'validation'; known: test, train"):
        read_cropharvest(data, split="val")


def test_labels_without_an_array_can_be_an_error(data):
    with pytest.raises(FileNotFoundError, match=r"1 of 4 files are missing .*7_lem-brazil\.h5"):
        read_cropharvest(data, tolerate_missing=False)


def test_a_folder_without_labels_or_arrays(tmp_path, write_labels):
    with pytest.raises(FileNotFoundError, match="CropHarvest has its labels there"):
        read_cropharvest(tmp_path)
    write_labels(LABELS)
    with pytest.raises(FileNotFoundError, match="No row has arrays"):
        read_cropharvest(tmp_path)


def test_errors_in_the_files_are_named(data, write_labels, write_h5):
    file = data / "features" / "arrays" / "0_togo.h5"
    write_h5(file, array=np.zeros((12, 17)))
    with pytest.raises(ValueError, match=r"0_togo\.h5 has an array of shape \(12, 17\), not \(12, 18\)"):
        read_cropharvest(data)
    write_h5(file, values=np.zeros((12, 18)))
    with pytest.raises(ValueError, match="no data set 'array'; it has values"):
        read_cropharvest(data)
    file.write_bytes(b"no")
    with pytest.raises(ValueError, match=r"0_togo\.h5 is not"):
        read_cropharvest(data)
    write_labels([{**LABELS[2], "classification_label": "oil seeds"}])
    with pytest.raises(ValueError, match=r"'oil seeds' in row 0 is none of .*oilseeds"):
        read_cropharvest(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": None}, "label 1 has no 'dataset'"),
        ({"lat": None}, "label 1 has no 'lat'"),
        ({"lat": "north"}, "label 1: index, lon and lat must be numbers: .*'north'"),
        ({"index": "1.5"}, "label 1 has the index '1.5', which is not an integer"),
        ({"index": 0}, "labels 0 and 1 are both 0_togo"),
        ({"is_crop": "maybe"}, r"label 1 \(1_togo\): is_crop is 'maybe', neither true nor false"),
        ({"is_test": "yes"}, r"label 1 \(1_togo\): is_test is 'yes'"),
        ({"export_end_date": "2021-02-30"}, "export_end_date of label 1_togo: '2021-02-30' is not a date"),
    ],
)
def test_a_label_that_cannot_be_read_is_named_with_its_file(data, write_labels, change, message):
    write_labels([LABELS[0], {**LABELS[1], **change}, *LABELS[2:]])
    with pytest.raises(ValueError, match=rf"labels\.geojson: {message}"):
        read_cropharvest(data)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"features": 3}', b'{"features": [3]}', b"\xff\xfe{}", b"[" * 10**5]
)
def test_values_that_are_not_labels_are_named(data, content):
    (data / "labels.geojson").write_bytes(content)
    with pytest.raises(ValueError, match=str(data)):
        read_layout("cropharvest", data)


@pytest.mark.parametrize(
    ("crop", "known"), [(None, -1), (float("nan"), -1), (True, 1), ("False", 0), (1.0, 1), ("0", 0)]
)
def test_crops_written_in_any_way(data, write_labels, crop, known):
    write_labels([LABELS[0], {**LABELS[1], "is_crop": crop, "index": "1.0", "is_test": "True"}, *LABELS[2:]])
    table = read_cropharvest(data)
    assert table.target("crop").values.tolist() == [1, known, 1]
    assert (table.id[1], table.split[1]) == ("1_togo", "test")


def test_an_infinite_number_is_named_with_file_sensor_and_band(data, write_h5):
    values = np.zeros((12, 18))
    values[4, 1] = -np.inf  # 0 in decibels
    write_h5(data / "features" / "arrays" / "0_togo.h5", array=values)
    with pytest.raises(ValueError, match=r"0_togo\.h5: s1 is -inf at \(1, 4\), band VH; .* NaN"):
        read_cropharvest(data)
    assert read_cropharvest(data, modalities=["s2"]).modality("s2").present.all()
