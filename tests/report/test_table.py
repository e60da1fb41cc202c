"""Mirrors src/geotether/report/table.py and cli/describe.py."""

import json

import numpy as np
import pytest

from geotether.cli.describe import describe, describe_table
from geotether.tables.store import write_table
from geotether.tables.table import Table


@pytest.fixture
def tables(tmp_path):
    """Two tables of one region, one with an awkward name."""
    for seed, name in enumerate(("soil", "<rain>")):
        rng = np.random.default_rng(seed)
        lonlat = np.stack([rng.uniform(3, 7, 80), rng.uniform(50, 54, 80)], 1)
        split = np.where(np.arange(80) % 4 == 0, "test", "train")
        features = rng.standard_normal((80, 4)).astype(np.float32)
        labels = {"crop": np.array(["<maize>", "wheat"] * 40)}
        write_table(Table.single(name, lonlat, features, split=split, targets=labels), tmp_path / f"t{seed}.parquet")
    return tmp_path / "t0.parquet", tmp_path / "t1.parquet"


def test_page_figures_and_numbers(tables, tmp_path):
    said = describe_table(tables[0], tmp_path / "out", tables[1])
    assert "Beside <rain>, 80 rows:" in said
    assert "the splits contradict" in said
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"describe.html", "describe.json", "figures"}
    assert {file.name for file in (tmp_path / "out" / "figures").iterdir()} == {
        "places.png", "spread.png", "overlap.png", "nearness.png",
    }  # fmt: skip
    page = (tmp_path / "out" / "describe.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert [text in page for text in ("<rain>", "&lt;rain&gt;", "&lt;maize&gt;", "http")] == [False, True, True, False]
    numbers = json.loads((tmp_path / "out" / "describe.json").read_text())
    assert numbers["split"] == {"train": 60, "test": 20}
    assert numbers["beside"]["names"] == ["soil", "<rain>"]
    assert numbers["features"]["rows_looked_at"] == 80


def test_wide_tables_list_some_features(tables, tmp_path):
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(3, 7, 30), rng.uniform(50, 54, 30)], 1)
    write_table(Table.single("wide", lonlat, rng.standard_normal((30, 300)).astype(np.float32)), tmp_path / "w.parquet")
    describe_table(tmp_path / "w.parquet", tmp_path / "out")
    page = (tmp_path / "out" / "describe.html").read_text()
    assert "100 of 300 are omitted" in page


def test_wrong_files(tables, tmp_path):
    (tmp_path / "bad.parquet").write_text("not parquet")
    (tmp_path / "soil.csv").write_text("lon,lat,clay\n5,52,3\n")
    for given, options, message in (
        ("nowhere.parquet", {}, "There is no file"),
        ("model", {"out": tmp_path / "out"}, r"are for tables \(.parquet\)"),
        ("t0.parquet", {"beside": tmp_path / "bad.parquet"}, "not a Parquet file"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            describe(str(tmp_path / given), **{"out": None, "beside": None, **options})
