"""Mirrors torchgeo_dataset.py; and torchgeo's own reader of BigEarthNet as a second opinion."""

import json
import shutil

import numpy as np
import pytest

from geotether.pairing.layouts.bigearthnet import CLASS_OF, CLASSES, FINE_CLASSES, read_bigearthnet
from geotether.pairing.layouts.torchgeo_dataset import read_torchgeo

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


def test_the_19_classes_are_put_together_as_in_torchgeo(torchgeo_datasets):
    theirs = torchgeo_datasets.BigEarthNet
    fine, coarse = theirs.class_sets[43], theirs.class_sets[19]
    assert {fine[a]: coarse[b] for a, b in theirs.label_converter.items()} == CLASS_OF
    assert set(fine) == set(FINE_CLASSES)
