"""Mirrors src/geotether/cli/compare.py and tasks.py."""

import csv
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from geotether.cli.app import app
from geotether.cli.compare import named_tasks

CODE = """
import numpy as np
def good(lon, lat):
    return np.stack([lat, np.cos(np.radians(lat))], axis=1)
def swapped(lat, lon):
    return np.stack([lat, np.cos(np.radians(lat))], axis=1)
def noise(lonlat):
    return np.sin(50 * lonlat)
"""


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))], axis=1)
    warmth = np.cos(np.radians(lonlat[:, 1])) + 0.05 * rng.standard_normal(500)
    rows = ["lon,lat,warmth,zone"]
    for (lon, lat), value in zip(lonlat, warmth, strict=True):
        rows.append(f"{lon:.6f},{lat:.6f},{value:.4f},{'hot' if abs(lat) < 30 else 'cold'}")
    (tmp_path / "sites.csv").write_text("\n".join(rows))
    (tmp_path / "tasks.yaml").write_text(
        "- {name: warmth, table: sites.csv, label: warmth}\n- {name: zone, table: sites.csv, label: zone}\n"
    )
    (tmp_path / "code.py").write_text(CODE)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_two_functions_are_compared_on_tasks_of_a_table(folder):
    code = folder / "code.py"
    done = run(
        "compare", f"{code}:good", f"bad={code}:noise", "--tasks", folder / "tasks.yaml", "--out", folder / "out",
        "--probe", "ridge", "--split", "blocks-20", "--labels", 100, "--seeds", 5,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "ridge probe, split blocks-20, 100 labels, mean of 5 seeds" in done.output
    assert "* good is better than bad by" in done.output
    summary = re.search(r"With 100 labels, .* every baseline on \d of 2 tasks\.", done.output)
    assert summary
    assert summary[0] in (folder / "out" / "report.html").read_text()
    assert (folder / "out" / "report.html").is_file()
    with (folder / "out" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["seed"] for row in rows} == set("01234")
    assert {"good", "bad", "mean", "inverse distance", "good + Fourier features"} <= {row["encoder"] for row in rows}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("code.py:good", "code.py:good"), "two encoders are called 'good'; name them: NAME="),
        (("code.py:fine",), "fine"),
        (("nowhere",), "There is no file or folder"),
        (("code.py:good", "--tasks", "none.yaml"), "none.yaml"),
        (("code.py:good", "--split", "block"), "splits are own, random, continents"),
        (("code.py:good", "--probe", "rigde"), "Did you mean 'ridge'"),
        (("xyz=code.py:good",), "'xyz' is the name of a baseline"),
    ],
)
def test_wrong_input_is_named(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    tasks = () if "--tasks" in arguments else ("--tasks", "tasks.yaml")
    done = run("compare", *arguments, *tasks, "--out", "out", "--labels", 50, "--seeds", 1)
    assert done.exit_code != 0
    assert message in str(done.exception)


def test_a_folder_of_published_files_gives_the_papers_four(shared_data):
    tasks = named_tasks(str(shared_data / "downstream"))
    assert len(tasks) == 4
    assert all(np.array_equal(task.lonlat, tasks[0].lonlat) for task in tasks)


def test_the_planet_is_the_usual_set():
    assert len(named_tasks("planet")) == 4
