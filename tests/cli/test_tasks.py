"""Mirrors src/geotether/cli/tasks.py."""

import pytest

from geotether.cli.tasks import build_tasks, list_tasks
from geotether.tasks.specification import BUILDERS, read_tasks


def test_built_tasks_are_listed_and_can_be_read_again(tmp_path):
    (tmp_path / "stations.csv").write_text("Lon,Lat,meanT\n1,2,3\n4,5,\n6,7,8\n")
    (tmp_path / "sites.csv").write_text("lon,lat,y,part\n1,2,3,train\n4,5,7,train\n")
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "- {builder: temperature, file: stations.csv}\n- {name: height, table: sites.csv, label: y, split: part}\n"
    )
    said = build_tasks(spec, tmp_path / "out").splitlines()
    assert said[:2] == [
        "air temperature (°C): regression, 2 of 3 rows labelled",
        "height: regression, 2 of 2 rows labelled, with split",
    ]
    assert said[2].endswith("tasks.yaml")
    assert [task.name for task in read_tasks(tmp_path / "out" / "tasks.yaml")] == ["air temperature", "height"]
    with pytest.raises(FileNotFoundError, match="no specification"):
        build_tasks(tmp_path / "none.yaml", tmp_path / "out")


def test_every_builder_is_listed_with_its_requirements_and_options():
    said = list_tasks()
    assert {"countries", "population", "elevation", "biomes", "coordbench"} <= set(BUILDERS)
    for name in BUILDERS:
        assert f"\n{name}\n    Build " in f"\n{said}"
    assert "file [rows] [seed] [land] [countries] [zoom] [south] [north]" in said
