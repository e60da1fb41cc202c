"""Mirrors src/geotether/cli/table.py, and a source of another package from its installation to a table."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import geotether as package
from geotether.features.catalogue import FEATURES
from geotether.sources.catalogue import SOURCES
from geotether.tables.store import read_table

TOYS = Path(__file__).parents[1] / "featurizing" / "toys"
SRC = Path(package.__file__).parents[1]
DOCS = SRC.parent / "docs" / "building.md"


@pytest.fixture
def run(monkeypatch, geotether):
    """Run `geotether table` with the toys."""
    monkeypatch.syspath_prepend(TOYS)
    monkeypatch.setitem(SOURCES, "toy", "toy_places:ToySource")
    monkeypatch.setitem(FEATURES, "toy", "toy_places:ToyFeatures")
    return lambda *arguments: geotether("table", *arguments)


@pytest.fixture
def places(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "places.npy", np.stack([rng.uniform(-180, 180, 300), rng.uniform(-80, 80, 300)], axis=1))
    return tmp_path / "places.npy"


def test_a_file_and_options(run, places, tmp_path):
    status, out, errors = run(
        "build", places, "--out", tmp_path / "t.parquet", "--source", "toy", "--features", "toy", "--set", "broken=30",
        "--set", "features.width=3", "--set", "split.block_km=1e3", "--tolerance", 0.2, "--licence", "CC0",
        "--origin", "me", "--citation", "Me (2026)", "--name", "toys", "--workers", 1,
    )  # fmt: skip
    assert status == 0, errors
    assert "toys: 290 rows of 4 features" in out
    assert "10 rows rejected" in errors
    assert "corrupt image (10)" in errors
    table = read_table(tmp_path / "t.parquet")
    assert (table.origin.licence, table.origin.source, table.origin.citation) == ("CC0", "me", "Me (2026)")
    assert table.origin.made["specification"]["split"]["block_km"] == 1000
    assert run("build", places, "--out", tmp_path / "t.parquet", "--source", "toy", "--fresh")[0] == 0


def test_overrides_take_precedence_over_a_specification(run, places, tmp_path):
    (tmp_path / "toys.yaml").write_text(
        "path: places.npy\nsource: toy\nfeatures: toy\nbroken: 30\ntolerance: 5e-1\nlicence: CC0\n"
    )
    status, out, errors = run(
        "build", tmp_path / "toys.yaml", "--out", tmp_path / "t.parquet", "--licence", "CC BY 4.0", "--set",
        "features.width=2",
    )  # fmt: skip
    assert status == 0, errors
    assert "290 rows of 3 features" in out
    assert read_table(tmp_path / "t.parquet").origin.licence == "CC BY 4.0"
    np.save(places, np.load(places)[:100])
    status, out, errors = run("apply", tmp_path / "t.parquet", places, "--out", tmp_path / "new.parquet")
    assert status == 0, errors
    assert "96 rows of 3 features" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["places.npy", "--source", "toi"], "There is no source 'toi'"),
        (["places.npy", "--source", "toy", "--set", "brokn=1"], "no option 'brokn'"),
        (["places.npy", "--source", "toy", "--features", "tyo"], "no features 'tyo'"),
        (["places.npy", "--source", "toy", "--features", "toy", "--set", "kind=texts"], "'toy' take images"),
        (["places.npy", "--source", "toy", "--set", "broken=2"], "more than the tolerated 5%: corrupt image"),
        (["gone.csv"], "There is no file or folder gone.csv"),
        (["gone.yaml"], "There is no configuration file gone.yaml"),
        (["empty.yaml"], "needs `path`"),
        (["letter.docx"], "cannot infer a source"),
        (["places.npy", "--set", "seed"], "written key=value"),
    ],
)
def test_wrong_input_is_an_error(run, places, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("empty.yaml").touch()
    Path("letter.docx").touch()
    status, _, errors = run("build", *arguments, "--out", "t.parquet", "--workers", 1)
    assert status == 1
    assert message in errors
    assert "Traceback" not in errors
    assert not Path("t.parquet").exists()


def test_sources_are_listed_with_their_options(run, monkeypatch):
    monkeypatch.setitem(SOURCES, "broken", "nowhere.to.be.found:Source")
    status, out, _ = run("sources")
    assert status == 0
    assert "toy\n    Small images with the number of their row in every pixel" in out
    assert "log=None, pause=0.0, broken=0" in out
    assert "toy [images]" in out
    assert "num_filters=256" in out
    assert "broken\n    not available: No module named 'nowhere'" in out


def blocks_of(text, language):
    return [part.split("\n```", 1)[0] for part in text.split(f"```{language}\n")[1:]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The example of docs/building.md as an installer would lay it down."""
    site = tmp_path_factory.mktemp("site")
    text = DOCS.read_text(encoding="utf-8")
    project = tomllib.loads(next(b for b in blocks_of(text, "toml") if "entry-points" in b))["project"]
    (site / "geotether_gpx.py").write_text(next(b for b in blocks_of(text, "python") if "class GpxSource" in b))
    info = site / f"geotether_gpx-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"[{group}]\n{name} = {value}\n" for group, entries in project["entry-points"].items()
             for name, value in entries.items()]  # fmt: skip
    (info / "entry_points.txt").write_text("".join(lines))
    return site


def geotether_with(site, *arguments):
    environment = {**os.environ, "PYTHONPATH": f"{SRC}{os.pathsep}{site}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "geotether", "table", *map(str, arguments)], capture_output=True, text=True,
        env=environment,
    )  # fmt: skip


def write_track(path, points):
    inner = "".join(f'<trkpt lat="{lat}" lon="{lon}"><ele>{ele}</ele></trkpt>' for lon, lat, ele in points)
    path.write_text(f'<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{inner}</trkseg></trk></gpx>')


def test_a_source_of_another_package_builds_a_table(installed, tmp_path):
    rng = np.random.default_rng(0)
    points = np.stack([rng.uniform(-180, 180, 80), rng.uniform(-80, 80, 80), rng.normal(100, 30, 80)], axis=1)
    points[5, 1] = 191
    write_track(tmp_path / "walk.gpx", points)
    out = tmp_path / "walk.parquet"
    what = ("build", tmp_path / "walk.gpx", "--source", "gpx")
    done = geotether_with(installed, *what, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "79 rows of 1 features" in done.stdout
    table = read_table(out)
    usable = np.delete(points, 5, axis=0)
    np.testing.assert_allclose(table.lonlat, usable[:, :2])
    np.testing.assert_allclose(table.features[:, 0], usable[:, 2], rtol=1e-6)
    assert table.origin.made["specification"]["source"] == "gpx"
    assert table.origin.made["rejected"] == {"latitude outside [-90, 90]": 1}
    assert "gpx\n    Heights along the tracks of a GPS receiver." in geotether_with(installed, "sources").stdout
    (tmp_path / "walk.gpx").write_text("no XML")
    done = geotether_with(installed, *what, "--out", tmp_path / "w.parquet")
    assert (done.returncode, "is not GPX" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
