"""Behaviour that a refactoring must keep: tables, weights, scores and files of earlier versions.

Everything goes through the command line and is compared with numbers recorded in tests/data/golden. A change that is
meant to alter them records them again, and its commit says which and why:

    GEOTETHER_RECORD=1 python -m pytest tests/contracts/test_golden.py
"""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import load_file

from geotether.cli.app import main

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
RECORDED = GOLDEN / "recorded.json"
RECORD = bool(os.environ.get("GEOTETHER_RECORD"))
# Machines and thread counts differ in the last bits of float32 sums; twenty steps of Adam let that grow.
TOLERANCE = 5e-3

SMALL = """
encoder: {positional: {name: spherical_harmonics, l_max: 4}, network: {hidden_dim: 16}, embed_dim: 8}
steps: 20
epochs: null
batch_size: 32
warmup_steps: 2
validate_every: null
device: cpu
"""
LOCATION = {
    "default": ["context.observations.components=2", "objective.regression_components=2"],
    "default, SALT": [
        "schedule={name: salt}",
        "context.observations.components=2",
        "objective.regression_components=2",
    ],
    "default, pairwise": ["schedule={name: pairwise, modality: colour}", "objective.regression_components=2"],
    "satclip": ["schedule.modality=colour"],
    "paper": [],
    "paper, sigmoid": ["objective.reading=sigmoid"],
    "paper, averaged": ["objective.reading=all_pairs", "ema_decay=0.9"],
}
PAIRED = ("mdico", "single", "shared", "fused", "distilled", "mosaic", "simclr", "clip")
TEMPCNN = {"name": "tempcnn", "channels": 8, "num_layers": 1, "kernel": 3}


def run(*arguments):
    """Run the command line in this process; raises for a fault."""
    before, sys.argv = sys.argv, ["geotether", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = before
    assert not stop.value.code, arguments


def recorded(key, found):
    """Compare with what was recorded under a key; with GEOTETHER_RECORD=1, record it."""
    known = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if RECORD:
        RECORDED.write_text(json.dumps(known | {key: found}, indent=1, sort_keys=True) + "\n")
        return
    assert key in known, f"nothing is recorded for {key}"
    assert found.keys() == known[key].keys()
    for name, values in known[key].items():
        if isinstance(values, list) and values and isinstance(values[0], float):
            scale = max(map(abs, values))
            np.testing.assert_allclose(found[name], values, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=name)
        else:
            assert found[name] == values, name


def numbers_of(array):
    """Shape is left to the caller: the sum, the length and a random projection of an array."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    direction = np.random.default_rng(len(flat)).standard_normal(len(flat))
    return [float(flat.sum()), float(np.sqrt((flat**2).sum())), float(flat @ direction / np.sqrt(max(len(flat), 1)))]


def weights_of(folder):
    """The matrices of a model folder: gradients of biases before a normalisation are rounding errors.

    Not those of the readout: where variances are equal, as in one degree of harmonics, directions are arbitrary.
    """
    weights = load_file(folder / "model.safetensors")
    kept = {name: values for name, values in weights.items() if values.ndim > 1 and "location.projection." not in name}
    return {f"{name} {list(values.shape)}": numbers_of(values) for name, values in sorted(kept.items())}


def table_of(path):
    """Every column of a table: numbers by their sums, texts as they are."""
    found = {}
    for name, column in zip(pq.read_schema(path).names, pq.read_table(path).columns, strict=True):
        rows = column.to_pylist()
        if name == "geometry":
            continue
        if isinstance(rows[0], list | float):
            found[name] = numbers_of(np.array(rows, dtype=np.float64))
        else:
            found[name] = [str(row) for row in rows[:5]]
    return found | {"rows": len(rows)}


def make_places(rows, seed):
    rng = np.random.default_rng(seed)
    lonlat = np.stack([rng.uniform(-175, 175, rows), rng.uniform(-60, 75, rows)], -1).round(4)
    return lonlat, rng


def make_inputs(folder):
    """Write one small file of rows for each reader of such files."""
    lonlat, rng = make_places(40, 0)
    kinds = np.array(["oak", "beech", "pine"])[rng.integers(0, 3, 40)]
    heights, counts = rng.uniform(1, 30, 40).round(2), rng.integers(0, 9, 40)
    days = [f"20{18 + row % 6}-0{1 + row % 9}-1{row % 9}" for row in range(40)]
    rows = list(zip(lonlat.tolist(), kinds, heights.tolist(), counts.tolist(), days, strict=True))
    lines = [f"{x},{y},{kind},{height},{count},{day}" for (x, y), kind, height, count, day in rows]
    (folder / "trees.csv").write_text("\n".join(["lon,lat,kind,height,count,seen", *lines]) + "\n")
    lines = [f"{x};{y};{kind};{height}".replace(".", ",") for (x, y), kind, height, *_ in rows]
    (folder / "trees_de.csv").write_text("\n".join(["lon;lat;kind;height", *lines]) + "\n")
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": place},
            "properties": {"kind": str(kind), "height": height},
        }
        for place, kind, height, *_ in rows
    ]
    (folder / "trees.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    lines = [json.dumps({"lon": x, "lat": y, "kind": str(k), "height": h}) for (x, y), k, h, *_ in rows]
    (folder / "trees.jsonl").write_text("\n".join(lines) + "\n")
    head = "gbifID\tdecimalLongitude\tdecimalLatitude\tspecies\teventDate"
    lines = [f"{n}\t{x}\t{y}\t{kind}\t{day}" for n, ((x, y), kind, _, _, day) in enumerate(rows)]
    (folder / "occurrence.txt").write_text("\n".join([head, *lines]) + "\n")
    texts = [f"{x},{y},A {kind} of {height} m seen on {day}" for (x, y), kind, height, _, day in rows]
    (folder / "notes.csv").write_text("\n".join(["lon,lat,text", *texts]) + "\n")
    vectors = rng.standard_normal((40, 3)).round(3)
    lines = [f"{x},{y},{a},{b},{c}" for ((x, y), *_), (a, b, c) in zip(rows, vectors.tolist(), strict=True)]
    (folder / "vectors.csv").write_text("\n".join(["lon,lat,A00,A01,A02", *lines]) + "\n")


BUILT = {
    "trees.csv": ["--source", "columns", "--set", "labels=[kind]", "--set", "time=seen"],
    "trees_de.csv": ["--source", "columns"],
    "trees.geojson": ["--source", "columns"],
    "trees.jsonl": ["--source", "columns"],
    "occurrence.txt": ["--source", "darwin_core"],
    "notes.csv": ["--source", "texts", "--features", "ngrams", "--set", "features.dim=6"],
    "vectors.csv": ["--source", "vectors", "--set", "column=A??"],
}


@pytest.mark.parametrize("name", BUILT)
def test_tables_of_files(tmp_path, name):
    make_inputs(tmp_path)
    out = tmp_path / "table.parquet"
    run("table", "build", tmp_path / name, "--out", out, "--name", "trees", "--workers", 1, *BUILT[name])
    recorded(f"table of {name}", table_of(out))


def test_a_table_of_places_in_a_raster(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    values = np.random.default_rng(1).uniform(0, 9, (2, 18, 36)).astype(np.float32)
    grid = rasterio.Affine(10, 0, -180, 0, -10, 90)
    options = {"driver": "GTiff", "width": 36, "height": 18, "count": 2, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(tmp_path / "rain.tif", "w", transform=grid, **options) as raster:
        raster.write(values)
    make_inputs(tmp_path)
    out = tmp_path / "table.parquet"
    given = ["--source", "raster", "--set", f"places={tmp_path / 'trees.csv'}"]
    run("table", "build", tmp_path / "rain.tif", "--out", out, "--name", "rain", "--workers", 1, *given)
    recorded("table of a raster", table_of(out))


@pytest.fixture(scope="module")
def planet(tmp_path_factory):
    """The recorded tables and a configuration over them."""
    folder = tmp_path_factory.mktemp("planet")
    for name in ("colour.parquet", "sound.parquet", "fields.npz"):
        if not (GOLDEN / name).exists():
            record_tables()
        shutil.copyfile(GOLDEN / name, folder / name)
    tables = "tables: {colour: colour.parquet, sound: sound.parquet}\n"
    (folder / "run.yaml").write_text(tables + SMALL)
    return folder


def record_tables():
    """Write the tables that all runs here start from; done once, by the version that recorded them."""
    from geotether.tables.modality import Modality
    from geotether.tables.store import write_table
    from geotether.tables.table import Table
    from geotether.tables.target import Target

    for seed, (name, width) in enumerate({"colour": 4, "sound": 3}.items()):
        lonlat, rng = make_places(120, seed)
        features = np.sin(np.radians(lonlat[:, 1:])) + 0.1 * rng.standard_normal((120, width))
        split = np.where(np.arange(120) % 5 == 0, "validation", "train")
        labels = {"half": np.where(lonlat[:, 1] > 0, "north", "south"), "warmth": features[:, 0].round(3)}
        table = Table.single(name, lonlat, features.astype(np.float32), split=split, targets=labels)
        write_table(table, GOLDEN / f"{name}.parquet")
    lonlat, rng = make_places(60, 2)
    crop = rng.integers(0, 3, 60)
    radar = (rng.standard_normal((60, 6, 2)) + crop[:, None, None]).round(3)
    optical = (rng.standard_normal((60, 6, 3)) - 2 * crop[:, None, None]).round(3)
    optical[5] = np.nan
    flags = np.stack([crop == 0, crop >= 1], axis=1).astype(float)
    flags[9] = np.nan
    targets = {"crop": Target("classes", crop, ("maize", "rye", "wheat")), "flags": Target("labels", flags, ("a", "b"))}
    split = np.array(["train", "train", "train", "validation", "test"])[np.arange(60) % 5]
    sensors = {"radar": Modality("series", radar), "optical": Modality("series", optical)}
    write_table(Table("fields", sensors, targets, lonlat=lonlat, split=split), GOLDEN / "fields.npz")


@pytest.mark.parametrize("name", LOCATION)
def test_weights_of_location_recipes_after_twenty_steps(planet, tmp_path, name):
    changes = [part for change in LOCATION[name] for part in ("--set", change)]
    recipe = name.split(",")[0]
    run("pretrain", planet / "run.yaml", "--out", tmp_path / "run", "--recipe", recipe, *changes)
    recorded(f"weights of {name}", weights_of(tmp_path / "run" / "model"))
    if name == "default" and RECORD and not (GOLDEN / "model").exists():
        shutil.copytree(tmp_path / "run" / "model", GOLDEN / "model")


def paired_config(folder, recipe):
    layer = {"paired": "fields.npz", "target": "flags" if recipe == "mosaic" else "crop", "dim": 8, "batch_size": 24}
    layer |= {"encoders": {"radar": TEMPCNN, "optical": TEMPCNN}, "steps": 20, "epochs": None, "device": "cpu"}
    layer |= {"validate_every": None, "keep": "last", "patience": None}
    layer |= {"modality": "radar"} if recipe in ("single", "distilled") else {}
    (folder / f"{recipe}.yaml").write_text(yaml.safe_dump(layer))
    return folder / f"{recipe}.yaml"


@pytest.mark.parametrize("recipe", PAIRED)
def test_weights_of_paired_recipes_after_twenty_steps(planet, tmp_path, recipe):
    config = paired_config(planet, recipe)
    run("paired", "train", config, "--out", tmp_path / "run", "--recipe", recipe)
    recorded(f"weights of {recipe}", weights_of(tmp_path / "run" / "model"))
    if recipe == "mdico" and RECORD and not (GOLDEN / "paired_model").exists():
        shutil.copytree(tmp_path / "run" / "model", GOLDEN / "paired_model")


def test_a_model_folder_of_an_earlier_version_encodes_equally(planet, tmp_path):
    run("encode", GOLDEN / "model", planet / "colour.parquet", "--out", tmp_path / "out.parquet")
    recorded("embeddings of the recorded model", table_of(tmp_path / "out.parquet"))
    run("describe", GOLDEN / "model")


def test_a_paired_model_folder_of_an_earlier_version_predicts_equally(planet, tmp_path):
    out = tmp_path / "out.parquet"
    run("predict", GOLDEN / "paired_model", planet / "fields.npz", "--modality", "radar", "--out", out)
    recorded("predictions of the recorded model", table_of(out))
    run("describe", GOLDEN / "paired_model")


def test_a_table_of_an_earlier_version_is_read(planet, capsys):
    run("describe", planet / "sound.parquet")
    said = capsys.readouterr().out
    recorded("content hash", {"sound": [line.split()[-1] for line in said.splitlines() if "content hash" in line]})


def scores_of(path, keys):
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {" ".join(row[key] for key in keys): [float(row["value"])] for row in rows}


def test_scores_of_a_comparison(planet, tmp_path):
    lonlat, rng = make_places(300, 7)
    lines = [f"{x},{y},{np.sin(np.radians(y)) + 0.1 * rng.standard_normal():.4f}" for x, y in lonlat.tolist()]
    (tmp_path / "sites.csv").write_text("\n".join(["lon,lat,warmth", *lines]) + "\n")
    (tmp_path / "tasks.yaml").write_text("- {name: warmth, table: sites.csv, label: warmth}\n")
    given = ["--tasks", tmp_path / "tasks.yaml", "--out", tmp_path / "out", "--split", "blocks-20", "--labels", 60]
    run("compare", f"old={GOLDEN / 'model'}", *given, "--probe", "ridge", "--probe", "neighbors", "--seeds", 2)
    keys = ("encoder", "task", "probe", "split", "labels", "seed")
    recorded("scores of compare", scores_of(tmp_path / "out" / "scores.csv", keys))


def test_scores_of_a_paired_comparison(planet, tmp_path):
    config, out = paired_config(planet, "mdico"), tmp_path / "out"
    given = ["--method", "linear", "--method", "mdico", "--seeds", 2, "--no-fine-tune"]
    run("paired", "compare", config, "--out", out, *given)
    keys = ("method", "how", "source", "measure", "labels", "rows", "repeat")
    recorded("scores of paired compare", scores_of(out / "outcomes.csv", keys))
