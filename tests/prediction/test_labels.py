"""Mirrors src/geotether/prediction/labels.py."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from geotether.prediction.labels import in_units, read_labels
from geotether.tasks.task import Task

RNG = np.random.default_rng(0)
COLUMNS = {
    "site": np.arange(100, 160),
    "fid": RNG.permutation(10**6)[:60],
    "code": [f"plot {i}" for i in range(60)],
    "same": ["rye"] * 60,
    "few": [1.5, 2.5] * 10 + [None] * 40,
    "height": RNG.normal(size=60),
    "count": RNG.integers(0, 30, 60),
    "crop": ["rye", "oat", "pea"] * 20,
    "zone": [1, 2, 7] * 20,
}


@pytest.fixture
def file(tmp_path):
    lonlat = RNG.uniform(-80, 80, (60, 2))
    path = tmp_path / "sites.csv"
    pyarrow.csv.write_csv(pa.table({"lon": lonlat[:, 0], "lat": lonlat[:, 1], **COLUMNS}), path)
    return path


@pytest.mark.parametrize(
    ("label", "kind"), [("height", "regression"), ("count", "regression"), ("crop", "classification")]
)
def test_reads_numbers_and_classes(file, label, kind):
    assert read_labels(file, label).kind == kind
    assert read_labels(file, "count", kind="classification").kind == "classification"


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("site", "looks like an id"),
        ("fid", "looks like an id"),
        ("code", "looks like an id: 60 of 60"),
        ("same", "has one class"),
        ("few", r"has 20 labels \(40 rows have none\), and at least 30"),
        ("hight", "Did you mean 'height'"),
    ],
)
def test_refuses_what_no_map_can_come_of(file, label, said):
    with pytest.raises(ValueError, match=said):
        read_labels(file, label)


def test_refuses_several_labels_per_place(file):
    with pytest.raises(ValueError, match="one number or class per place"):
        read_labels(file, "crop", kind="multilabel")


@pytest.mark.parametrize("transform", [None, "log1p", "log10"])
def test_numbers_come_back_in_their_unit(transform):
    raw = np.array([0.5, 20.0, 3000.0])
    task = Task("height", "regression", np.zeros((3, 2)) + np.arange(3.0)[:, None], raw, transform=transform)
    np.testing.assert_allclose(in_units(task, task.values), raw)


@pytest.mark.parametrize(
    ("column", "kind", "warned"),
    [("zone", None, True), ("zone", "regression", False), ("count", None, False), ("height", None, False)],
)
def test_few_whole_numbers_may_be_codes(file, caplog, column, kind, warned):
    with caplog.at_level("WARNING", logger="geotether.prediction"):
        read_labels(file, column, **({} if kind is None else {"kind": kind}))
    assert [record.args[:2] for record in caplog.records] == [("zone", 3)] * warned
