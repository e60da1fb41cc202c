"""Mirrors bigearthnet.py."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.pairing.layouts import read_layout
from geotether.pairing.layouts.bigearthnet import CLASS_OF, CLASSES, DROPPED, FINE_CLASSES, S2_BANDS, read_bigearthnet

SCENE = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
PATCHES = [f"{SCENE}_26_57", f"{SCENE}_26_58", "S2B_MSIL2A_20180204T094156_N9999_R036_T35VPK_01_02"]
RADAR = [
    "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_26_57",
    "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_26_58",
    "S1B_IW_GRDH_1SDV_20180204T043253_35VPK_1_2",
]
PIXELS = {"B01": 20, "B09": 20, "B05": 60, "B06": 60, "B07": 60, "B8A": 60, "B11": 60, "B12": 60}


def write_patch(write_tif, folder, radar, number):
    """Every band is flat, 100 x its place in the list + the number of the patch; VV is -10.5 - number, VH -17.25."""
    for place, band in enumerate(S2_BANDS):
        pixels = PIXELS.get(band, 120)
        values = np.full((1, pixels, pixels), 100 * place + number, np.uint16)
        write_tif(folder / f"{folder.name}_{band}.tif", values, x=400_000 + 1200 * number, gsd_m=1200 / pixels)
    for band, value in (("VV", -10.5 - number), ("VH", -17.25)):
        values = np.full((1, 120, 120), value, np.float32)
        write_tif(radar / f"{radar.name}_{band}.tif", values, x=400_000 + 1200 * number)


@pytest.fixture(scope="module")
def written(tmp_path_factory, write_tif):
    folder = tmp_path_factory.mktemp("v2")
    for number, (patch, radar) in enumerate(zip(PATCHES, RADAR, strict=True)):
        scene, radar_scene = patch.rsplit("_", 2)[0], radar.rsplit("_", 3)[0]
        at = folder / "BigEarthNet-S1" / radar_scene / radar
        write_patch(write_tif, folder / "BigEarthNet-S2" / scene / patch, at, number)
    table = {
        "patch_id": PATCHES,
        "labels": [["Arable land", "Mixed forest"], ["Marine waters"], ["Arable land"]],
        "split": ["train", "validation", "test"],
        "country": ["Austria", "Austria", "Finland"],
        "s1_name": RADAR,
        "s2v1_name": PATCHES,
    }
    pq.write_table(pa.table(table), folder / "metadata.parquet")
    return folder


@pytest.fixture
def version_2(written, tmp_path):
    return shutil.copytree(written, tmp_path / "v2")


def change_table(folder, **columns):
    table = pq.read_table(folder / "metadata.parquet").to_pydict()
    pq.write_table(pa.table({**table, **columns}), folder / "metadata.parquet")


def test_version_2_is_read_as_written(version_2):
    from rasterio.warp import transform

    table = read_bigearthnet(version_2)
    assert table.id.tolist() == PATCHES
    assert table.split.tolist() == ["train", "validation", "test"]
    assert table.group.tolist() == ["33UUP", "33UUP", "35VPK"]
    assert table.time.astype("datetime64[s]").astype(str).tolist()[2] == "2018-02-04T09:41:56"
    s1, s2 = table.modality("s1"), table.modality("s2")
    assert (s1.kind, s1.values.dtype, s1.bands) == ("chip", np.float32, ("VV", "VH"))
    assert (s2.kind, s2.values.dtype, s2.shape, s2.bands) == ("chip", np.uint16, (12, 120, 120), S2_BANDS)
    for number in range(3):
        np.testing.assert_array_equal(s1.values[number].mean(axis=(1, 2)), [-10.5 - number, -17.25])
        expected = np.broadcast_to((100 * np.arange(12) + number)[:, None, None], (12, 120, 120))
        np.testing.assert_array_equal(s2.values[number], expected)
    (lon,), (lat,) = transform("EPSG:32632", "EPSG:4326", [400_000 + 1200 + 600], [5_000_000 - 600])
    np.testing.assert_allclose(table.lonlat[1], [lon, lat], atol=1e-9)
    label = table.target("classes")
    assert label.kind == "labels"
    assert label.names == tuple(CLASSES)
    assert [name for name, count in label.counts.items() if count] == ["Arable land", "Mixed forest", "Marine waters"]
    assert label.values[0].sum() == 2


def test_parts_countries_bands_and_size_can_be_chosen(version_2):
    assert read_bigearthnet(version_2, split="val").id.tolist() == PATCHES[1:2]
    assert read_bigearthnet(version_2, split=["test", "train"]).id.tolist() == [PATCHES[0], PATCHES[2]]
    assert read_bigearthnet(version_2, countries=["Finland"]).id.tolist() == PATCHES[2:]
    table = read_bigearthnet(version_2, modalities=["s2"], s2_bands=["B12", "B02"], size=24, limit=2, seed=1)
    assert list(table.modalities) == ["s2"]
    assert table.modality("s2").shape == (2, 24, 24)
    assert np.unique(table.modality("s2").values[:, 0]).tolist()[0] >= 1100
    assert len(table) == 2


def test_a_smaller_grid_averages_and_a_larger_one_interpolates(version_2, write_tif):
    patch = version_2 / "BigEarthNet-S2" / SCENE / PATCHES[0] / f"{PATCHES[0]}_B02.tif"
    pixels = np.arange(120 * 120, dtype=np.uint16).reshape(1, 120, 120)
    write_tif(patch, pixels)
    small = read_bigearthnet(version_2, modalities=["s2"], s2_bands=["B02"], size=60, split="train")
    blocks = pixels[0].reshape(60, 2, 60, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(small.modality("s2").values[0, 0], blocks, atol=0.5)
    large = read_bigearthnet(version_2, modalities=["s2"], s2_bands=["B02"], size=240, enlarge="nearest", split="train")
    np.testing.assert_array_equal(large.modality("s2").values[0, 0], pixels[0].repeat(2, 0).repeat(2, 1))


def test_missing_files_are_counted_or_tolerated(version_2):
    (version_2 / "BigEarthNet-S1" / "S1B_IW_GRDH_1SDV_20180204T043253" / RADAR[2] / f"{RADAR[2]}_VV.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 42 files are missing \(s1: 1 of 3 rows\).*_1_2_VV\.tif"):
        read_bigearthnet(version_2)
    table = read_bigearthnet(version_2, tolerate_missing=True)
    assert table.modality("s1").present.tolist() == [True, True, False]
    assert table.modality("s2").present.all()
    assert table.origin.made["lacking"] == {"s1": 1}
    shutil.rmtree(version_2 / "BigEarthNet-S2" / PATCHES[2].rsplit("_", 2)[0])
    table = read_bigearthnet(version_2, tolerate_missing=True)
    assert table.id.tolist() == PATCHES[:2]  # a patch that lacks both is left out
    assert table.origin.made["left_out"] == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"split": "valdation"}, "no part of the split 'valdation'.*Did you mean 'validation'"),
        ({"classes": 43}, "version 2 of BigEarthNet has 19"),
        ({"countries": ["Portgal"]}, "no country 'Portgal'.*known: Austria, Finland"),
    ],
)
def test_implausible_options_are_errors(version_2, options, message):
    with pytest.raises(ValueError, match=message):
        read_bigearthnet(version_2, **options)


def test_a_table_with_other_labels_or_columns_is_an_error(version_2):
    change_table(version_2, labels=[["Arable land"], ["Marine water"], ["Pastures"]])
    with pytest.raises(ValueError, match=r"26_58.*'Marine water'.*'Marine waters'"):
        read_bigearthnet(version_2)
    table = pq.read_table(version_2 / "metadata.parquet").drop_columns(["s1_name"])
    pq.write_table(table, version_2 / "metadata.parquet")
    with pytest.raises(ValueError, match=r"'s1_name'.* patch_id, labels"):
        read_bigearthnet(version_2)


@pytest.fixture
def version_1(tmp_path, write_tif):
    """The first two patches under old names; the second has labels that belong to none of the 19."""
    labels = [["Rice fields", "Vineyards"], ["Airports"]]
    for number, (patch, radar) in enumerate(
        [("S2A_MSIL2A_20170613T101031_87_48", RADAR[0]), ("S2B_MSIL2A_20180204T94161_57_38", RADAR[2])]
    ):
        at, radar_at = tmp_path / "BigEarthNet-v1.0" / patch, tmp_path / "BigEarthNet-S1-v1.0" / radar
        write_patch(write_tif, at, radar_at, number)
        note = {"labels": labels[number], "tile_source": "S2A_MSIL1C_20170613T101031_N0205_R022_T33UUP_2017.SAFE"}
        note["acquisition_date"] = "2017-06-13 10:10:31"
        (at / f"{patch}_labels_metadata.json").write_text(json.dumps(note))
        note = {"labels": labels[number], "corresponding_s2_patch": patch, "acquisition_time": "2017-06-13T16:50:43"}
        (radar_at / f"{radar}_labels_metadata.json").write_text(json.dumps(note))
    return tmp_path


def test_version_1_joins_the_sensors_by_their_notes(version_1):
    table = read_bigearthnet(version_1)
    assert table.id.tolist() == ["S2A_MSIL2A_20170613T101031_87_48", "S2B_MSIL2A_20180204T94161_57_38"]
    assert table.split is None
    assert table.group.tolist() == ["33UUP", "33UUP"]
    np.testing.assert_array_equal(table.modality("s1").values[:, 0, 0, 0], [-10.5, -11.5])
    np.testing.assert_array_equal(table.modality("s2").values[:, 1, 0, 0], [100, 101])
    label = table.target("classes")
    assert label.known.tolist() == [True, False]
    assert [name for name, count in label.counts.items() if count] == ["Arable land", "Permanent crops"]
    fine = read_bigearthnet(version_1, classes=43).target("classes")
    assert [name for name, count in fine.counts.items() if count] == ["Rice fields", "Vineyards", "Airports"]
    alone = read_bigearthnet(version_1, modalities=["s1"])
    assert alone.id.tolist() == [RADAR[0], RADAR[2]]
    assert alone.time.astype(str).tolist()[0].startswith("2017-06-13T16:50:43")


def test_version_1_takes_the_split_from_lists(version_1):
    (version_1 / "bigearthnet-train.csv").write_text(f"S2A_MSIL2A_20170613T101031_87_48,{RADAR[0]}\n")
    (version_1 / "bigearthnet-val.csv").write_text(f"S2B_MSIL2A_20180204T94161_57_38,{RADAR[2]}\n")
    assert read_bigearthnet(version_1).split.tolist() == ["train", "validation"]
    assert read_bigearthnet(version_1, modalities=["s1"], split="train").id.tolist() == [RADAR[0]]


def test_a_missing_partner(version_1, tmp_path_factory):
    shutil.rmtree(version_1 / "BigEarthNet-S1-v1.0" / RADAR[2])
    with pytest.raises(FileNotFoundError, match=r"s1: 1 of 2 rows"):
        read_bigearthnet(version_1)
    assert read_bigearthnet(version_1, tolerate_missing=True).modality("s1").present.tolist() == [True, False]
    with pytest.raises(FileNotFoundError, match=r"metadata\.parquet"):
        read_bigearthnet(tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"labels": "Airports"}', b'{"labels": [3]}', b"\xff{}"])
def test_a_damaged_note_is_named(version_1, content):
    name = "S2A_MSIL2A_20170613T101031_87_48"
    file = version_1 / "BigEarthNet-v1.0" / name / f"{name}_labels_metadata.json"
    note = json.loads(file.read_text())
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(note).encode())  # a byte order mark is no fault
    assert len(read_bigearthnet(version_1)) == 2
    file.write_text(json.dumps({**note, "acquisition_date": "2017-06-31"}))
    with pytest.raises(ValueError, match=f"patch {name}: '2017-06-31' is not a date"):
        read_bigearthnet(version_1)
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}_labels_metadata.json"):
        read_layout("bigearthnet", version_1)


def test_lists_that_name_no_patch_and_tables_with_gaps_are_refused(version_1, version_2):
    (version_1 / "train.csv").write_text("s2,s1\nS2A_other,S1A_other\n")
    with pytest.raises(ValueError, match="none of its 2 patches, such as S2A_MSIL2A_20170613T101031_87_48"):
        read_bigearthnet(version_1)
    change_table(version_2, split=["train", None, "test"])
    with pytest.raises(ValueError, match=r"metadata\.parquet: 'split' has no value in row 1"):
        read_bigearthnet(version_2)
    (version_2 / "metadata.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"metadata\.parquet is damaged"):
        read_bigearthnet(version_2)


def test_the_classes_are_43_and_19():
    assert len(CLASSES) == 19
    assert len(FINE_CLASSES) == len(set(FINE_CLASSES)) == 43
    assert len(DROPPED) == 11
    assert set(CLASS_OF.values()) == set(CLASSES)


def test_real_patches_of_version_1(shared_data):
    folder = shared_data / "paired" / "format_samples" / "bigearthnet"
    table = read_bigearthnet(folder)
    assert len(table) == 6
    assert table.modality("s1").present.all()
    assert table.modality("s2").values.dtype == np.uint16
    # Radar names its tile, optical its note: both must say the same of every pair.
    radar = read_bigearthnet(folder, modalities=["s1"])
    assert (
        sorted(table.group.tolist())
        == sorted(radar.group.tolist())
        == sorted(["33UUP", "29UPU", "29UPU", "29SND", "35VPK", "35VPK"])
    )
    assert -25 < np.median(table.modality("s1").values) < -5  # dB over land
    # Austria, Ireland, Portugal, Finland
    np.testing.assert_array_less(np.abs(table.lonlat[0] - [13.72, 48.22]), 0.01)
    assert (table.lonlat[:, 1] > 39).all()
    assert (table.lonlat[:, 1] < 63).all()
    first = table.target("classes").values[0]
    names = [name for name, value in zip(table.target("classes").names, first, strict=True) if value]
    assert names == [
        "Arable land",
        "Land principally occupied by agriculture, with significant areas of natural vegetation",
    ]
