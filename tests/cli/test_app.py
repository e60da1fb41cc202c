"""Mirrors src/geotether/cli/app.py: what a user types, and what comes back, right and wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from geotether.cli.app import main
from geotether.loading import load
from geotether.tables.store import write_table
from geotether.tables.table import Table

TOWNS = "name,lon,lat\nWageningen,5.66,51.97\nNew York,-74.01,40.71\nSydney,151.21,-33.87\n"


def write_planet(folder, rows=200):
    """Two small modalities of a planet on which the north differs from the south."""
    rng = np.random.default_rng(0)
    for name, width in (("colour", 5), ("sound", 3)):
        lonlat = np.stack([rng.uniform(-180, 180, rows), rng.uniform(-80, 80, rows)], -1)
        features = np.sin(np.radians(lonlat[:, 1:])) + 0.1 * rng.standard_normal((rows, width))
        split = np.where(np.arange(rows) % 5 == 0, "validation", "train")
        write_table(Table.single(name, lonlat, features.astype(np.float32), split=split), folder / f"{name}.parquet")
    config = folder / "run.yaml"
    config.write_text(
        "tables: {colour: colour.parquet, sound: sound.parquet}\n"
        "encoder:\n  positional: {name: spherical_harmonics, l_max: 3}\n  network: {name: siren, hidden_dim: 16}\n"
        "  embed_dim: 8\nsteps: 12\nbatch_size: 32\nwarmup_steps: 2\nvalidate_every: 6\n"
    )
    return config


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    sys_argv, sys.argv = sys.argv, ["geotether", "pretrain", str(write_planet(folder)), "--out", str(folder / "out")]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
    finally:
        sys.argv = sys_argv
    return folder / "out"


def test_pretrain_leaves_a_model_metrics_and_curves(run_folder):
    assert {"model", "metrics.jsonl", "losses.png", "config.yaml"} <= {file.name for file in run_folder.iterdir()}
    lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    assert sum("loss/colour" in line for line in lines) == 12
    assert load(run_folder / "model").dim > 0


@pytest.mark.parametrize(
    "rows, arguments, wanted",
    [
        ("-33.87,151.21\n-30,140\n", ["encode", "world", "{}", "--out", "o.csv"], "--lon COLUMN --lat COLUMN"),
        (",\n5,50\n", ["encode", "world", "{}", "--out", "o.csv"], "--on-bad-row reject"),
        ("155000,463000\n", ["encode", "world", "{}", "--out", "o.csv"], "--crs EPSG:"),
        ("", ["search", "world", "--near", 51, 151], "--near LON LAT"),
        ("-33.87,151.21,1\n-30,140,2\n", ["table", "build", "{}", "--out", "o.parquet"], "--set lon=COLUMN"),
    ],
)
def test_advice_names_the_options_of_the_command(geotether, tmp_path, monkeypatch, rows, arguments, wanted):
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text(("lon,lat,v\n" if "table" in arguments else "lon,lat\n") + rows)
    status, _, errors = geotether(*(str(one).format("p.csv") for one in arguments))
    assert (status, wanted in errors, "lon=" in errors.replace("--set lon=", "")) == (1, True, False), errors


def test_advice_in_output_is_for_the_command_too(geotether, tmp_path):
    (tmp_path / "p.csv").write_text("lon,lat,v\n-33.87,151.21,1\n-30,140,2\n")
    status, said, _ = geotether("describe", tmp_path / "p.csv")
    assert (status, "other way round" in said, "exchange" in said) == (0, False, True)


def test_a_finished_run_is_unchanged(geotether, run_folder):
    config, model = run_folder.parent / "run.yaml", run_folder / "model" / "model.safetensors"
    before = model.stat().st_mtime_ns
    (run_folder / "losses.png").unlink()  # as after a kill in the last moment
    status, said, _ = geotether("pretrain", config, "--out", run_folder)
    assert (run_folder / "losses.png").is_file()
    assert (status, "it is finished" in said, "--fresh" in said) == (0, True, True)
    status, _, errors = geotether("pretrain", config, "--out", run_folder, "--set", "steps=3")
    assert status == 1
    assert "steps: the run had 12, now 3" in errors
    assert model.stat().st_mtime_ns == before


def test_set_overrides_the_file(geotether, tmp_path):
    status, _, errors = geotether(
        "pretrain", write_planet(tmp_path), "--out", tmp_path / "o", "--set", "steps=3", "--set", "schedule.name=salt"
    )
    assert status == 0, errors
    lines = [json.loads(line) for line in (tmp_path / "o" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [0, 1, 2]
    assert all(("loss/colour" in line) != ("loss/sound" in line) for line in lines if "loss" in line)


def test_encode_gives_the_model_s_embeddings(geotether, run_folder, tmp_path):
    (tmp_path / "towns.csv").write_text(TOWNS)
    status, said, _ = geotether("encode", run_folder / "model", tmp_path / "towns.csv", "--out", tmp_path / "t.parquet")
    assert (status, "3 points" in said) == (0, True)
    want = load(run_folder / "model").encode(lon=[5.66, -74.01, 151.21], lat=[51.97, 40.71, -33.87])
    np.testing.assert_array_equal(np.stack(pq.read_table(tmp_path / "t.parquet")["embedding"].to_numpy()), want)
    status, _, errors = geotether("encode", tmp_path, tmp_path / "towns.csv", "--out", tmp_path / "o.parquet")
    assert (status, str(tmp_path) in errors) == (1, True)


def test_describe_a_model_and_a_table(geotether, run_folder, tmp_path):
    status, said, _ = geotether("describe", run_folder / "model")
    assert status == 0
    assert "spherical_harmonics (l_max 3" in said
    assert "colour: 200 rows (160 train, 40 validation) of 5 features" in said
    write_planet(tmp_path)
    status, said, _ = geotether("describe", tmp_path / "sound.parquet")
    assert status == 0
    assert "A feature table, sound: 200 rows of 3 features." in said
    status, _, errors = geotether("describe", tmp_path / "sound.parquet", "--beside", tmp_path / "x.geojson")
    assert status == 1
    assert "--beside takes another feature table" in errors
    assert f"geotether table build {tmp_path / 'x.geojson'} --out x.parquet" in errors


def test_evaluate_on_a_users_file(geotether, run_folder, tmp_path):
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-180, 180, 900), np.degrees(np.arcsin(rng.uniform(-0.98, 0.98, 900)))
    lines = [
        f"{x:.4f},{y:.4f},{np.sin(np.radians(y)):.4f},{'north' if y > 0 else 'south'}"
        for x, y in zip(lon, lat, strict=True)
    ]
    (tmp_path / "sites.csv").write_text("\n".join(["lon,lat,warmth,half", *lines]))
    status, said, errors = geotether(
        "evaluate", run_folder / "model", "--points", tmp_path / "sites.csv", "--label", "warmth", "--label", "half",
        "--seeds", "2", "--out", tmp_path / "judged",
    )  # fmt: skip
    assert status == 0, errors
    assert "this model" in said
    assert "nearest in space" in said
    assert {"scores.csv", "report.html", "figures"} <= {file.name for file in (tmp_path / "judged").iterdir()}
    page = (tmp_path / "judged" / "report.html").read_text()
    assert f"<h1>{run_folder.name}, evaluated on sites.csv</h1>" in page
    assert "sites.csv has no column &#39;split&#39;" in page
    assert "demo planet" not in page.split("How it was made")[0]


@pytest.mark.parametrize(
    ("options", "known"),
    [
        (["--set", "learning_rte=0.1"], "learning_rate"),
        (["--set", "objective.reading=melt"], "within_modality"),
        (["--set", "encoder.positional.name=harmonics"], "spherical_harmonics"),
        (["--set", "schedule.name=sald"], "salt"),
        (["--set", "batch_size=1"], "batch_size"),
        (["--set", "tables.sound=gone.parquet"], "gone.parquet"),
        (["--recipe", "papre"], "melt"),
    ],
)
def test_wrong_configurations_name_what_is_known(geotether, tmp_path, options, known):
    status, _, errors = geotether("pretrain", write_planet(tmp_path), "--out", tmp_path / "o", *options)
    assert status == 1
    assert known in errors
    assert not (tmp_path / "o").exists()


def test_a_label_with_one_class(geotether, run_folder, tmp_path):
    rows = "\n".join(f"{x},{y},same" for x in range(-170, 170, 10) for y in range(-60, 60, 10))
    (tmp_path / "sites.csv").write_text("lon,lat,kind\n" + rows)
    options = ("--points", tmp_path / "sites.csv", "--label", "kind")
    status, _, errors = geotether("evaluate", run_folder / "model", *options)
    assert (status, "one class" in errors) == (1, True)


def test_an_output_folder_that_cannot_be_written(geotether, tmp_path):
    (tmp_path / "file").write_text("in the way")
    status, _, errors = geotether("pretrain", write_planet(tmp_path), "--out", tmp_path / "file" / "o")
    assert (status, "Traceback" in errors) == (1, False)
    assert (tmp_path / "file").read_text() == "in the way"


def test_an_unfinished_run_is_not_overwritten(geotether, tmp_path):
    (tmp_path / "o" / "state").mkdir(parents=True)
    (tmp_path / "o" / "state" / "state.json").write_text("{}")
    status, _, errors = geotether("pretrain", write_planet(tmp_path), "--out", tmp_path / "o")
    assert (status, "resume" in errors) == (1, True)


def test_a_limit_of_memory_is_not_spent_on_the_reserve_of_arrow():
    resource = pytest.importorskip("resource")
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("the system does not report the memory of a process")
    script = (
        "import sys; sys.argv = ['geotether', '--version']\n"
        "import contextlib, re; from pathlib import Path; from geotether.cli.app import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "import pyarrow; pyarrow.array([1.5]).cast('float32')\n"
        "print(re.search(r'VmData:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    limit = (2 * 10**9, 2 * 10**9)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, limit),
    )  # fmt: skip
    assert int(done.stdout.split()[-1]) < 500_000  # kB


@pytest.mark.parametrize(("given", "found"), [(None, ("PASSIVE", "3000")), ("ACTIVE", ("ACTIVE", None))])
def test_waiting_threads_spin_briefly_by_default(geotether, monkeypatch, given, found):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, given or "")  # so that what the command sets is undone
        monkeypatch.delenv(name)
    if given is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    geotether("--version")
    assert (os.environ["OMP_WAIT_POLICY"], os.environ.get("GOMP_SPINCOUNT")) == found
