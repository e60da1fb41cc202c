"""Mirrors src/geotether/plugins.py; the parts of docs/extend.md in use, across processes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geotether.plugins import Registry, load_plugin, plugin_name, use_plugins

PAGE = (Path(__file__).parents[1] / "docs" / "extend.md").read_text(encoding="utf-8")
LENGTH = "\nsteps: 6\nepochs: null\nbatch_size: 32\nwarmup_steps: 1\nvalidate_every: null\ndevice: cpu\n"

COMPARED = """
import geotether, mine, numpy
loaded = geotether.load("made/model")
assert loaded.encode(lon=[5.0], lat=[52.0]).shape == (1, loaded.dim)
encoders = {"mine": loaded, "angles": lambda lon, lat: numpy.stack([lon, lat], axis=1)}
outcomes = geotether.evaluate(encoders, [mine.hemisphere_task()], ["ridge", "logistic"], ["random"], [60], [0])
print(*sorted({outcome.encoder for outcome in outcomes if outcome.value > 0.8}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write the page's file and configuration, with data; train on the command line."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "mine.py").write_text("\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S)), encoding="utf-8")
    config = re.search(r"```yaml\n(.*?)```", PAGE, re.S)[1]
    (folder / "run.yaml").write_text(config + f"cache: {folder / 'cache'}\n" + LENGTH, encoding="utf-8")
    rng = np.random.default_rng(0)
    places = np.stack([rng.uniform(-180, 180, 300), rng.uniform(-60, 60, 300)], axis=1)
    np.savetxt(folder / "buoys.txt", np.hstack([places, np.cos(np.deg2rad(places))]))
    trained = run(folder, "-m", "geotether", "pretrain", "run.yaml", "--out", "made")
    assert trained.returncode == 0, trained.stderr
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_one_file_trains_saves_loads_in_another_process_and_is_compared(folder):
    (folder / "sites.csv").write_text("lon,lat\n5.0,52.0\n")
    encoded = run(folder, "-m", "geotether", "encode", "made/model", "sites.csv", "--out=x.csv", "--plugin=mine.py")
    assert encoded.returncode == 0, encoded.stderr
    compared = run(folder, "-c", COMPARED)
    assert compared.stdout.split() == ["angles", "mine"], compared.stderr


def test_a_folder_records_its_plugins_and_names_a_missing_one(folder):
    about = json.loads((folder / "made/model/config.json").read_text())
    assert [(one["kind"], one["name"], one["module"]) for one in about["plugins"]] == [
        ("positional", "latitude_bands", "mine"),
        ("network", "two_layers", "mine"),
    ]
    assert {one["file"] for one in about["plugins"]} == {str(folder / "mine.py")}
    provenance = json.loads((folder / "made/model/provenance.json").read_text())
    assert [one["name"] for one in provenance["plugins"]] == ["one_way"]
    without = run(folder, "-c", "import geotether; geotether.load('made/model')")
    for part in ("ImportError", "latitude_bands", str(folder / "mine.py"), "--plugin", "steps 6", "seed 0"):
        assert part in without.stderr


def test_changed_code_is_reported(folder, tmp_path):
    (tmp_path / "mine.py").write_text((folder / "mine.py").read_text() + "\n# changed\n")
    model = folder / "made" / "model"
    loaded = run(tmp_path, "-c", f"import mine, geotether; geotether.load({str(model)!r})")
    assert loaded.returncode == 0
    assert "has changed since" in loaded.stderr


@pytest.fixture
def shapes(monkeypatch):
    monkeypatch.setattr(Registry, "all", dict(Registry.all))
    monkeypatch.setenv("GEOTETHER_PLUGINS", "")
    return Registry("shape", "geotether.shapes", {"square": float})


def test_a_repeated_name_is_an_error(shapes):
    shapes.register("circle")(Path)
    for name in ("square", "circle"):
        with pytest.raises(ValueError, match=name):
            shapes.register(name)(int)


def test_redefining_a_class_replaces_it(shapes):
    def define():
        class Circle:
            pass

        return Circle

    first, second = define(), define()
    shapes.register("circle")(first)
    shapes.register("circle")(second)
    assert shapes["circle"] is second


def test_entry_points_are_found_by_name(shapes, tmp_path, monkeypatch):
    (tmp_path / "round_shapes.py").write_text("class Circle: pass\n")
    about = tmp_path / "round_shapes-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: round-shapes\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[geotether.shapes]\ncircle = round_shapes:Circle\noval = round_shapes:Oval\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert shapes.names() == ["circle", "oval", "square"]
    assert "triangle" not in shapes
    assert shapes["circle"].__name__ == "Circle"
    assert shapes.origin("circle")["file"] == str(tmp_path / "round_shapes.py")
    with pytest.raises(ImportError, match="Oval"):
        shapes["oval"]


def test_a_plugin_file_needs_a_name_of_its_own(tmp_path):
    (tmp_path / "json.py").write_text("")
    with pytest.raises(ImportError, match="rename"):
        load_plugin(tmp_path / "json.py")


def test_plugins_are_passed_on_once_with_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEOTETHER_PLUGINS", "")
    Path("own.py").write_text("")
    use_plugins(["own.py", tmp_path / "own.py", "some.module"])
    assert os.environ["GEOTETHER_PLUGINS"].split(os.pathsep) == [str(tmp_path / "own.py"), "some.module"]
    with pytest.raises(FileNotFoundError, match="none"):
        plugin_name("none.py")
