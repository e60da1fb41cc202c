"""Mirrors src/geotether/prediction/job.py and cli/map.py."""

import re
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from typer.testing import CliRunner

import geotether
from geotether.cli.app import app

pytest.importorskip("rasterio")


@pytest.fixture
def folder(planet, tmp_path, monkeypatch, quick):
    for kind in ("regression", "classification"):
        task = planet.task_of(kind)
        columns = {"lon": task.lonlat[:, 0], "lat": task.lonlat[:, 1], "yield": task.target.tolist()}
        pyarrow.csv.write_csv(pa.table(columns), tmp_path / f"{kind}.csv")
    (tmp_path / "waves.py").write_text(
        "import numpy as np\nfrom geotether.geodesy.coordinates import unit_vectors\n"
        f"WAVES = np.array({planet.waves.tolist()})\n"
        "def encode(lonlat):\n    return np.sin(unit_vectors(lonlat) @ WAVES).astype(np.float32)\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_command_writes_raster_picture_and_page(folder, kind):
    words = (
        f"map waves.py:encode {kind}.csv --label yield --unit t/ha --region Iceland --resolution 0.5 --out made/map.tif"
    )
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    said = done.stdout.splitlines()
    assert said[0].startswith("With 400 labels")
    assert "encode is clearly better than every baseline" in said[0]
    names = {path.name for path in (folder / "made").iterdir()}
    extra = {"map_details.tif", "map.tif.aux.xml"} if kind == "classification" else set()
    assert names == {"map.tif", "map.png", "map.html", "map_figures"} | extra
    page = (folder / "made" / "map.html").read_text()
    assert said[0] in page
    assert page.count("data:image/png;base64,") == 6
    assert not re.search(r"(src|href)=\"https?:", page)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"region": "Icelnd"}, "Iceland"),
        ({"out": "map.png"}, r"written as \.tif"),
        ({"resolution": "fine"}, "is not a length"),
        ({"label": "yeld"}, "yield"),
    ],
)
def test_wrong_input_is_an_error_before_the_work(folder, changed, said):
    given = {"label": "yield", "out": "map.tif", "region": "Iceland", "resolution": "0.5"} | changed
    with pytest.raises((ValueError, OSError), match=said):
        geotether.prediction_map("waves.py:encode", "regression.csv", **given)
    assert not list(folder.glob("map*"))


def test_a_missing_rasterio_is_an_error_before_the_work(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    monkeypatch.setattr("geotether.prediction.job.fit_predictor", lambda *_: pytest.fail("It was fitted."))
    with pytest.raises(ImportError, match=r"pip install 'geotether\[geo\]'"):
        geotether.prediction_map("waves.py:encode", "regression.csv", "map.tif", label="yield", resolution=1)


def test_python_takes_a_task_and_warns_of_labels_that_are_all_elsewhere(planet, quick, tmp_path, caplog):
    task = planet.task_of()
    south = np.flatnonzero(task.lonlat[:, 1] < 0)
    part = geotether.Task("yield", "regression", task.lonlat[south], task.target[south])
    made = geotether.prediction_map(planet.encode, part, tmp_path / "map.tif", region=(10, 40, 12, 42), resolution=0.5)
    assert made.predictor.predict(lon=[11.0], lat=[41.0]).value.shape == (1,)
    assert made.layers.mapped.pixels == 16
    assert str(made).startswith(made.summary[0])
    assert "None of the" in made.summary[-1]
    assert "lies in 10 40 12 42" in caplog.text
