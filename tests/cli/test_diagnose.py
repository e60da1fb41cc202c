"""Mirrors src/geotether/cli/diagnose.py and report/diagnosis.py."""

import csv
import json

import numpy as np
import pytest

from geotether.cli.diagnose import diagnose
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.tables.store import write_table
from geotether.tables.table import Table

ENCODER = {
    "positional": {"name": "spherical_harmonics", "l_max": 4}, "network": {"name": "siren", "hidden_dim": 8},
    "embed_dim": 6,
}  # fmt: skip


def scattered(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-180, 180, count), rng.uniform(-60, 80, count)], axis=1).round(4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, two tables and a file of test places with two labels."""
    folder = tmp_path_factory.mktemp("diagnosis")
    model = Encoder(build_location_encoder(ENCODER, seed=0), {}, {"tables": {"soil": {}}}, card="# Card")
    model.save(folder / "run" / "model")
    for seed, name in enumerate(("soil", "birds")):
        split = np.where(np.arange(60) < 40, "train", "test")
        lonlat = scattered(60, seed)
        write_table(Table.single(name, lonlat, lonlat.astype(np.float32), split=split), folder / f"{name}.parquet")
    lines = ["lon,lat,warmth,half,split"]
    for row, (lon, lat) in enumerate(scattered(240, 7)):
        part = "test" if row % 2 else "train"
        lines.append(f"{lon},{lat},{np.cos(np.radians(lat)):.4f},{'north' if lat > 0 else 'south'},{part}")
    (folder / "sites.csv").write_text("\n".join(lines))
    return folder


def test_diagnose_with_all_options(folder, tmp_path):
    said = diagnose(
        str(folder / "run" / "model"),
        out=tmp_path / "out",
        table=[folder / "soil.parquet", folder / "birds.parquet"],
        points=folder / "sites.csv",
        label=["warmth", "half"],
        places=120,
    )
    assert {f.name for f in (tmp_path / "out").iterdir()} == {
        "diagnosis.json", "places.csv", "figures", "diagnosis.html",
    }  # fmt: skip
    assert "coverage: soil" in said
    assert "of one of 40 places" in said  # rows marked test were not trained on
    assert "leakage: any modality" in said
    assert "geo-bias: warmth" in said
    assert str(tmp_path / "out" / "diagnosis.html") in said
    numbers = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
    assert numbers["leakage"]["birds"]["places"] == 120  # test rows of the points only
    assert set(numbers["geo_bias"]) == {"warmth", "half"}
    assert numbers["embedding_dim"] == 6
    page = (tmp_path / "out" / "diagnosis.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<img") == 6 + sum(one["centers"] > 0 for one in numbers["geo_bias"].values())
    assert "<h1>Diagnosis of run</h1>" in page
    with (tmp_path / "out" / "places.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    assert float(rows[3]["km_to_soil"]) >= float(rows[3]["km_to_any_modality"])


def test_without_an_output_folder_only_the_table_is_given(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = diagnose(str(folder / "run" / "model"), points=folder / "sites.csv", places=60)
    assert said.startswith("intrinsic dimension")
    assert "coverage" not in said  # its table, soil, is not one of the demo planet's
    assert "geo-bias" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_the_demo_planet_is_compared_with_its_places(folder, tmp_path):
    provenance = {"tables": {"night_lights": {}, "place_texts": {}}}
    Encoder(build_location_encoder(ENCODER, seed=0), {}, provenance).save(tmp_path / "model")
    said = diagnose(str(tmp_path / "model"), points=folder / "sites.csv", places=60)
    assert "coverage: night_lights" in said
    assert "coverage: place_texts" in said
    assert "satellite" not in said


def test_the_tolerance_decides_what_counts_as_correct(folder):
    shares = []
    for tolerance in (0.0, 100.0):
        said = diagnose(
            str(folder / "run" / "model"), points=folder / "sites.csv", label=["warmth"], tolerance=tolerance, places=30
        )
        shares.append(said.split("geo-bias: warmth")[1].split("\n")[0].rsplit("; ", 1)[1])
    assert shares == ["0.0% right", "100.0% right"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label": ["warmth"]}, ValueError, "give --points as well"),
        ({"points": "sites.csv", "label": ["wormth"]}, ValueError, "Did you mean 'warmth'"),
        ({"points": "none.csv"}, FileNotFoundError, "There is no file"),
        ({"table": ["none.parquet"]}, FileNotFoundError, "There is no file"),
        ({"model": "none"}, FileNotFoundError, "none"),
        ({"table": ["soil.parquet", "soil.parquet"]}, ValueError, "soil.parquet have the same name"),
        ({"points": "sites.csv", "split_column": "half"}, ValueError, "no row is marked 'test' in its column 'half'"),
    ],
)
def test_misuse_is_named(folder, options, error, message):
    if "points" in options:
        options = {**options, "points": folder / options["points"]}
    if "table" in options:
        options = {**options, "table": [folder / name for name in options["table"]]}
    with pytest.raises(error, match=message):
        diagnose(**{"model": str(folder / "run" / "model"), "places": 30, **options})
