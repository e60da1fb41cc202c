"""Mirrors src/geotether/tasks/specification.py."""

import inspect

import numpy as np
import pytest

from geotether.tasks.specification import BUILDERS, BuiltInEntry, Entry, read_specification, read_tasks, write_tasks
from geotether.tasks.task import Task

TABLE = "lon,lat,y,kind,part\n1,2,3,a,train\n2,3,5,b,train\n3,4,8,a,val\n4,5,9,b,test\n"
STATIONS = "Lon,Lat,meanT\n1,2,3\n4,5,6\n"


def write(folder, text):
    (folder / "sites.csv").write_text(TABLE)
    (folder / "stations.csv").write_text(STATIONS)
    (folder / "tasks.yaml").write_text(text)
    return folder / "tasks.yaml"


def test_a_list_of_tables_and_built_in_tasks(tmp_path):
    path = write(
        tmp_path,
        """
- {name: height, table: sites.csv, label: y, unit: m, split: part, transform: log1p}
- {table: sites.csv, label: kind}
- {builder: temperature, file: stations.csv}
- {builder: temperature, file: stations.csv, name: warmth, unit: K, transform: null}
""",
    )
    height, kind, air, warmth = read_tasks(path)
    assert height.label == "height (log(1 + m))"
    assert height.split.tolist() == ["train", "train", "validation", "test"]
    np.testing.assert_allclose(height.values, np.log([4, 6, 9, 10]))
    assert (kind.name, kind.kind) == ("kind", "classification")
    assert (air.label, warmth.label) == ("air temperature (°C)", "warmth (K)")


@pytest.mark.parametrize("text", ["table: sites.csv\nlabel: y\n", "tasks:\n- table: sites.csv\n  label: y\n"])
def test_one_task_alone_and_a_key_tasks_are_understood(tmp_path, text):
    assert [task.name for task in read_tasks(write(tmp_path, text))] == ["y"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "lists no tasks"),
        ("- {name: a, label: y}", "task 0: give either table .* or builder .*; got .'label', 'name'."),
        ("- {table: a.csv, builder: mosaiks}", "give either table"),
        ("- 7", "give either table .*; got 7"),
        ("- {table: sites.csv, lable: y}", r"task 0 \(sites.csv\): unknown key 'lable'. Did you mean 'label'"),
        ("- {table: sites.csv}", "label: is missing"),
        ("- {table: sites.csv, label: y, kind: regresion}", "kind: must be 'regression', 'classification' or"),
        ("- {table: sites.csv, label: y, transform: log}", r"unknown transform 'log'. Did you mean 'log1"),
        ("- {builder: countrys, file: a.gpkg}", "unknown builder 'countrys'. Did you mean 'countries'"),
        (
            "- {builder: housing, file: a, rows: 5}",
            "for the builder housing. Known: file, countries",
        ),
        ("- {builder: elevation, file: a, zom: 5}", "unknown key 'zom'. Did you mean 'zoom'"),
        ("- {builder: elevation, file: a, rows: 0}", "rows: must be at least 2"),
        ("- {builder: elevation}", "file: is missing"),
        ("- {table: sites.csv, label: y}\n- {table: sites.csv, label: y}", "two tasks are called 'y'"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_wrong_specifications_are_explained(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_tasks(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no specification"):
        read_tasks(tmp_path / "none.yaml")
    with pytest.raises(FileNotFoundError, match=r"no file .*none.csv"):
        read_tasks(write(tmp_path, "{table: none.csv, label: y}"))
    assert len(read_specification(tmp_path / "tasks.yaml")) == 1  # checked without the data


def test_every_option_of_every_builder_is_a_key(tmp_path):
    keys = set(BuiltInEntry.model_fields) - {"builder", *Entry.model_fields}
    taken = {name: dict(inspect.signature(builder).parameters) for name, builder in BUILDERS.items()}
    assert keys == {key for parameters in taken.values() for key in parameters}
    for name, parameters in taken.items():
        assert parameters["file"].default is inspect.Parameter.empty, name
        for key in parameters.keys() - {"file"}:
            default = BuiltInEntry.model_fields[key].default
            assert parameters[key].default in (default, () if default == [] else default), (name, key)


LONLAT = np.array([[180.0, 90.0], [-180.0, -90.0], [5.5, 52.25], [0.1, 0.2]])
SPLIT = np.array(["train", "train", "train", ""])
TIME = np.array(["2020-01-01T00:00:05", "NaT", "1969-07-20", "2021-01-01"], dtype="datetime64[s]")


def test_writing_and_reading_back_is_the_identity(tmp_path):
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


def test_names_that_map_to_the_same_file_are_an_error(tmp_path):
    tasks = [Task(name, "regression", LONLAT, np.arange(4.0)) for name in ("a b", "a-b")]
    with pytest.raises(ValueError, match=r"two tasks would be written to a-b.parquet"):
        write_tasks(tasks, tmp_path)
    with pytest.raises(ValueError, match="there are no tasks"):
        write_tasks([], tmp_path)
