"""Mirrors src/geotether/tasks/coordbench.py."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.tasks.coordbench import coordbench_task

MS = 1_577_836_800_000  # 2020-01-01


def write(path, **labels):
    columns = {
        "lon": [0.0, 10.0, 20.0, 30.0],
        "lat": [0.0, 1.0, 2.0, 3.0],
        "timestamp": [MS, None, MS, MS],
        "timestamp_end": pa.array([None] * 4, pa.int64()),
        "split": ["train", "val", "trainval", "test"],
        "id": ["a", "b", "c", "d"],
        **labels,
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_split_and_time_are_the_tables_own(tmp_path):
    task = coordbench_task(write(tmp_path / "data.parquet", asset_index=[0.1, None, 0.3, 0.4]))
    assert (task.name, task.kind) == ("asset_index", "regression")
    assert task.split.tolist() == ["train", "validation", "train", "test"]
    assert task.time.astype(str).tolist() == ["2020-01-01T00:00:00", "NaT", *["2020-01-01T00:00:00"] * 2]
    np.testing.assert_array_equal(task.target, [0.1, np.nan, 0.3, 0.4])


def test_whole_numbers_of_few_kinds_and_text_are_classes(tmp_path):
    crops = coordbench_task(write(tmp_path / "a.parquet", label=[3, 1, 2, 3]))
    assert (crops.kind, crops.target.tolist()) == ("classification", [3, 1, 2, 3])
    sea = coordbench_task(write(tmp_path / "b.parquet", country=[4, 0, 7, 4]), missing=[0])
    assert (sea.kind, sea.target.tolist(), sea.num_missing) == ("classification", [4, None, 7, 4], 1)
    assert coordbench_task(tmp_path / "b.parquet", kind="regression").kind == "regression"
    assert coordbench_task(write(tmp_path / "c.parquet", biome=list("aabc"))).kind == "classification"


def test_empty_split_and_time_are_none(tmp_path):
    columns = {"lon": [0.0, 1.0], "lat": [0.0, 1.0], "timestamp": [None, None], "split": [None, None], "y": [1.5, 2.5]}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    task = coordbench_task(tmp_path / "data.parquet")
    assert task.split is None
    assert task.time is None


def test_several_labels_need_a_name(tmp_path):
    path = write(tmp_path / "data.parquet", water=[0.1, 0.2, 0.3, 0.4], trees=[0.5, 0.6, 0.7, 0.8])
    with pytest.raises(ValueError, match="has the labels water, trees; name one with label; known layout: lon, lat"):
        coordbench_task(path)
    with pytest.raises(ValueError, match="there is no 'split'"):
        coordbench_task(path, label="split")
    assert coordbench_task(path, label="trees").target.tolist() == [0.5, 0.6, 0.7, 0.8]
