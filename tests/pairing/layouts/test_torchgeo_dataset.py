"""Mirrors torchgeo_dataset.py; and torchgeo's own readers as a second opinion on the layouts read here."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.pairing.layouts.bigearthnet import CLASS_OF, CLASSES, FINE_CLASSES, S2_BANDS, read_bigearthnet
from geotether.pairing.layouts.cropharvest import BANDS, read_cropharvest
from geotether.pairing.layouts.sen12ms import read_sen12ms
from geotether.pairing.layouts.torchgeo_dataset import read_torchgeo
from geotether.pairing.layouts.treesatai import GENERA, IMAGES, read_treesatai

SENSORS = {
    "s1": {"key": "image", "bands": list(range(8))},
    "s2": {"key": "image", "bands": list(range(8, 18)), "names": ["B02", "B03", "B04", "B05", "B06", *"789XY"]},
}
LABEL = {"zone": {"key": "label", "kind": "classes"}}


@pytest.fixture
def torchgeo_datasets(torchvision_imports):
    return pytest.importorskip("torchgeo.datasets")


@pytest.fixture
def so2sat(tmp_path, write_h5):
    for part, rows in (("training", 3), ("testing", 2)):
        sen1 = np.arange(rows * 8.0)[:, None].repeat(16, 1).reshape(rows, 4, 4, 8)
        label = np.eye(17)[np.arange(rows) + 1]
        write_h5(tmp_path / f"{part}.h5", sen1=sen1, sen2=np.full((rows, 4, 4, 10), 0.25), label=label)
    return tmp_path


def test_so2sat_is_read_part_by_part(so2sat, torchgeo_datasets):
    table = read_torchgeo(so2sat, "So2Sat", SENSORS, LABEL, splits=["train", "test"])
    assert table.split.tolist() == ["train"] * 3 + ["test"] * 2
    assert table.id.tolist() == ["train-0", "train-1", "train-2", "test-3", "test-4"]
    assert table.modality("s1").shape == (8, 4, 4)
    assert table.modality("s2").shape == (10, 4, 4)
    assert (table.modality("s2").values == 0.25).all()
    assert table.target("zone").values.tolist() == [1, 2, 3, 1, 2]
    assert table.target("zone").names[1] == "Compact mid rise"
    assert len(read_torchgeo(so2sat, "So2Sat", SENSORS, splits=["train"], limit=2)) == 2


def test_errors_of_torchgeo_are_reported(so2sat, torchgeo_datasets, tmp_path):
    for given, message in [
        ({"dataset": "So2sat"}, "There is no data set .* 'So2sat'.*Did you mean 'So2Sat'"),
        ({"dataset": "Sentinel2"}, "There is no data set without geographic index in torchgeo"),
        ({"splits": ["holdout"]}, "torchgeo's So2Sat does not accept .*'split': 'holdout'.*AssertionError"),
        ({"arguments": {"colour": 1}}, "colour.*TypeError"),
        ({"arguments": {"root": "."}}, "must not have root"),
        ({"modalities": {}}, "modalities is empty"),
        ({"modalities": {"s1": {"key": "picture"}}}, "no key 'picture'; known: image, label"),
        ({"modalities": {"s1": {"bands": [1]}}}, "needs a key of the sample"),
        ({"modalities": {"s1": {"key": "image", "band": [1]}}}, "no option 'band'.*Did you mean 'bands'"),
        ({"modalities": {"s1": {"key": "image", "bands": [18]}}}, "has 18 bands, so there are no bands .18."),
        ({"modalities": {"s1": {"key": "image", "names": ["VV"]}}}, "1 names for 18 bands"),
        ({"modalities": {"s1": {"key": "image", "dtype": "int8"}}}, "dtype must be one of"),
        ({"modalities": {"s1": {"key": "image", "dtype": "uint16"}}}, "values that uint16 cannot represent"),
        ({"targets": {"zone": {"key": "label"}}}, "needs a kind"),
    ]:
        options = {"dataset": "So2Sat", "modalities": SENSORS, "splits": ["train"], **given}
        with pytest.raises(ValueError, match=message):
            read_torchgeo(so2sat, **options)
    with pytest.raises(FileNotFoundError, match="So2Sat is not at"):
        read_torchgeo(tmp_path / "nowhere", "So2Sat", SENSORS)


def test_bigearthnet_is_read_as_by_torchgeo(torchgeo_datasets, shared_data, tmp_path):
    """Real patches of version 1, under the names that torchgeo wants."""
    samples = shared_data / "paired" / "format_samples" / "bigearthnet"
    ours = read_bigearthnet(samples)
    shutil.copytree(samples / "BigEarthNet-S2-Example", tmp_path / "BigEarthNet-v1.0")
    shutil.copytree(samples / "BigEarthNet-S1-Example", tmp_path / "BigEarthNet-S1-v1.0")
    pairs = {}
    for note in tmp_path.glob("BigEarthNet-S1-v1.0/*/*.json"):
        pairs[json.loads(note.read_text())["corresponding_s2_patch"]] = note.parent.name
    for part in ("train", "val", "test"):
        lines = "".join(f"{name},{pairs[name]}\n" for name in ours.id)
        (tmp_path / f"bigearthnet-{part}.csv").write_text(lines)
    theirs = torchgeo_datasets.BigEarthNet(tmp_path, split="train", bands="all", num_classes=19)
    names = theirs.class_sets[19]
    for row in range(len(ours)):
        sample = theirs[row]
        optical, label = sample["image"][2:].numpy(), sample["label"].numpy()
        np.testing.assert_array_equal(ours.modality("s2").values[row], optical)
        # torchgeo rounds decibels to whole numbers and puts VH first.
        radar = ours.modality("s1").values[row][::-1]
        np.testing.assert_allclose(radar, sample["image"][:2].numpy(), atol=0.5)
        np.testing.assert_array_equal(ours.target("classes").values[row], label)
    assert tuple(names) == tuple(CLASSES)


def test_version_2_of_bigearthnet_is_read_as_by_torchgeo(torchgeo_datasets, tmp_path, write_tif):
    rng = np.random.default_rng(0)
    scene, radar_scene = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP", "S1A_IW_GRDH_1SDV_20170613T165043"
    patch, radar = f"{scene}_26_57", f"{radar_scene}_33UUP_26_57"
    for band in S2_BANDS:
        pixels = {"B01": 20, "B09": 20}.get(band, 120 if band in ("B02", "B03", "B04", "B08") else 60)
        values = rng.integers(0, 10_000, (1, pixels, pixels)).astype(np.uint16)
        write_tif(tmp_path / "BigEarthNet-S2" / scene / patch / f"{patch}_{band}.tif", values, gsd_m=1200 / pixels)
    for band in ("VV", "VH"):
        values = rng.uniform(-25, -5, (1, 120, 120)).astype(np.float32)
        write_tif(tmp_path / "BigEarthNet-S1" / radar_scene / radar / f"{radar}_{band}.tif", values)
    cover = np.full((1, 120, 120), 312, np.uint16)
    write_tif(tmp_path / "Reference_Maps" / scene / patch / f"{patch}_reference_map.tif", cover)
    table = {"patch_id": [patch], "s1_name": [radar], "labels": [["Coniferous forest", "Inland waters"]]}
    pq.write_table(pa.table({**table, "split": ["validation"], "country": ["Austria"]}), tmp_path / "metadata.parquet")
    theirs, ours = torchgeo_datasets.BigEarthNetV2(tmp_path, split="val"), read_bigearthnet(tmp_path, split="val")
    sample = theirs[0]
    np.testing.assert_array_equal(ours.modality("s2").values[0], sample["image_s2"].numpy())
    np.testing.assert_allclose(ours.modality("s1").values[0][::-1], sample["image_s1"].numpy(), atol=0.5)
    np.testing.assert_array_equal(ours.target("classes").values[0], sample["label"].numpy())
    assert tuple(theirs.class_set) == ours.target("classes").names


def test_the_19_classes_are_put_together_as_in_torchgeo(torchgeo_datasets):
    theirs = torchgeo_datasets.BigEarthNet
    fine, coarse = theirs.class_sets[43], theirs.class_sets[19]
    assert {fine[a]: coarse[b] for a, b in theirs.label_converter.items()} == CLASS_OF
    assert set(fine) == set(FINE_CLASSES)


def test_sen12ms_is_read_as_by_torchgeo(torchgeo_datasets, tmp_path, write_tif):
    rng = np.random.default_rng(0)
    names = ["ROIs1158_spring", "ROIs1868_summer", "ROIs1970_fall", "ROIs2017_winter"]
    for season in names:
        for sensor, bands, dtype in (("s1", 2, np.float32), ("s2", 13, np.uint16), ("lc", 4, np.uint8)):
            pixels = rng.integers(1, 17, (bands, 8, 8)).astype(dtype)
            write_tif(tmp_path / season / f"{sensor}_1" / f"{season}_{sensor}_1_p30.tif", pixels)
    (tmp_path / "train_list.txt").write_text("".join(f"{season}_s2_1_p30.tif\n" for season in names))
    (tmp_path / "test_list.txt").write_text("")
    theirs = torchgeo_datasets.SEN12MS(tmp_path, split="train")
    ours = read_sen12ms(tmp_path, split="train", scheme="igbp")
    for row in range(4):
        sample = theirs[row]
        both = np.concatenate([ours.modality("s1").values[row], ours.modality("s2").values[row]])
        np.testing.assert_array_equal(both, sample["image"].numpy())
        shares = np.bincount(sample["mask"].numpy().ravel(), minlength=18)[1:] / 64
        np.testing.assert_array_equal(ours.target("land_cover").values[row], shares >= 0.1)


def test_cropharvest_is_read_as_by_torchgeo(torchgeo_datasets, tmp_path, write_h5):
    rng = np.random.default_rng(0)
    features = []
    for number in range(4):
        write_h5(tmp_path / "features" / "arrays" / f"{number}_togo.h5", array=rng.random((12, 18)))
        more = {"lat": 8.0, "lon": 1.0, "label": None, "is_crop": number % 2, "export_end_date": "2020-02-01"}
        features.append({"type": "Feature", "properties": {"index": number, "dataset": "togo", **more}})
    (tmp_path / "labels.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    theirs = torchgeo_datasets.CropHarvest(tmp_path)
    assert theirs.all_bands == BANDS
    ours = read_cropharvest(tmp_path)
    for row in range(4):
        array = theirs[row]["array"].numpy()
        np.testing.assert_allclose(ours.modality("s1").values[row], array[:, :2], rtol=1e-6)
        np.testing.assert_allclose(ours.modality("s2").values[row], array[:, 2:13], rtol=1e-6)
        np.testing.assert_allclose(ours.modality("weather").values[row], array[:, 13:15], rtol=1e-6)
        np.testing.assert_allclose(ours.modality("terrain").values[row], array[0, 15:17], rtol=1e-6)
    label = {"crop": {"key": "label", "kind": "classes"}}
    adapted = read_torchgeo(
        tmp_path, "CropHarvest", {"s1": {"key": "array", "bands": [0, 1], "names": ["VV", "VH"]}}, label
    )
    np.testing.assert_array_equal(adapted.modality("s1").values, ours.modality("s1").values)
    assert adapted.modality("s1").kind == "series"
    assert adapted.target("crop").names == ("None", "Other")
    assert adapted.target("crop").values.tolist() == ours.target("crop").values.tolist()


def test_treesatai_is_read_as_by_torchgeo(torchgeo_datasets, tmp_path, write_tif):
    rng = np.random.default_rng(0)
    for kind, bands in (("aerial", 4), ("s1", 3), ("s2", 12)):
        write_tif(tmp_path / kind / "60m" / "Tilia_spec_1_2_BI_NLF.tif", rng.random((bands, 6, 6)).astype(np.float32))
    for part in ("train", "test"):
        (tmp_path / f"{part}_filenames.lst").write_text("Tilia_spec_1_2_BI_NLF.tif\n" if part == "train" else "")
    (tmp_path / "labels").mkdir()
    labels = {"Tilia_spec_1_2_BI_NLF.tif": [["Tilia", 0.8], ["Acer", 0.2]]}
    (tmp_path / "labels" / "TreeSatBA_v9_60m_multi_labels.json").write_text(json.dumps(labels))
    theirs = torchgeo_datasets.TreeSatAI(tmp_path, split="train")
    assert theirs.classes == GENERA
    assert tuple(theirs.all_bands["s2"]) == IMAGES["s2_image"]
    sample = theirs[0]
    ours = read_treesatai(tmp_path, modalities=list(IMAGES))
    for name, key in (("aerial", "image_aerial"), ("s1_image", "image_s1"), ("s2_image", "image_s2")):
        np.testing.assert_array_equal(ours.modality(name).values[0], sample[key].numpy())
    np.testing.assert_array_equal(ours.target("genera").values[0], sample["label"].numpy())
