"""Mirrors src/geotether/tasks/store.py."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from geotether.tasks.specification import read_tasks
from geotether.tasks.store import write_tasks
from geotether.tasks.task import Task

LONLAT = np.array([[180.0, 90.0], [-180.0, -90.0], [5.5, 52.25], [0.1, 0.2]])
SPLIT = np.array(["train", "train", "train", ""])
TIME = np.array(["2020-01-01T00:00:05", "NaT", "1969-07-20", "2021-01-01"], dtype="datetime64[s]")


def test_what_is_written_is_read_back(tmp_path):
    tasks = [
        Task("house value", "regression", LONLAT, np.array([1.5, np.nan, 2.5, 0.0]), SPLIT, "USD", "log1p", time=TIME),
        Task("land / sea", "classification", LONLAT, np.array(["a", None, "b", "a"], dtype=object)),
        Task("code", "classification", LONLAT, np.array([3, 1, 2, 3]), continent=np.array(["Asia", "", "Asia", "É"])),
        Task("crops", "multilabel", LONLAT, np.array([[0, 1], [1, 0], [np.nan, np.nan], [1.0, 1.0]]),
             label_names=("oat", "rye")),
        Task("one", "multilabel", LONLAT, np.array([[0.0], [1.0], [0.0], [1.0]]), label_names=("elk",)),
    ]  # fmt: skip
    path = write_tasks(tasks, tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "code.parquet", "crops.parquet", "house-value.parquet", "land-sea.parquet", "one.parquet", "tasks.yaml",
    ]  # fmt: skip
    for task, again in zip(tasks, read_tasks(path), strict=True):
        for name in ("name", "kind", "unit", "transform"):
            assert getattr(task, name) == getattr(again, name)
        assert tuple(task.label_names) == tuple(again.label_names)
        for name in ("lonlat", "split", "time", "continent", "valid"):
            np.testing.assert_array_equal(getattr(task, name), getattr(again, name))
        np.testing.assert_array_equal(task.values[task.valid], again.values[again.valid])


def test_geopandas_reads_the_table_as_it_is(tmp_path):
    gpd = pytest.importorskip("geopandas")
    write_tasks([Task("a", "regression", LONLAT, np.arange(4.0))], tmp_path)
    frame = gpd.read_parquet(tmp_path / "a.parquet")
    assert frame.crs == "OGC:CRS84"
    np.testing.assert_array_equal(np.stack([frame.geometry.x, frame.geometry.y], 1), LONLAT)
    assert pq.read_schema(tmp_path / "a.parquet").names == ["geometry", "lon", "lat", "label"]


def test_names_that_would_be_one_file_are_refused(tmp_path):
    tasks = [Task(name, "regression", LONLAT, np.arange(4.0)) for name in ("a b", "a-b")]
    with pytest.raises(ValueError, match=r"two tasks would be written to a-b.parquet"):
        write_tasks(tasks, tmp_path)
    with pytest.raises(ValueError, match="there are no tasks"):
        write_tasks([], tmp_path)
