"""Mirrors src/geotether/cli/search.py: asked by a place, a text, an image and columns, and wrong options."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from geotether.cli.app import app, region_joined


@pytest.fixture
def ask(folder, tmp_path, monkeypatch):
    """Run `geotether search`; returns what is printed, or the error."""
    monkeypatch.setattr("geotether.user_folders.user_cache", lambda: tmp_path / "cache")

    def run(*options):
        words = ["search", str(folder), *map(str, options)]
        found = CliRunner().invoke(app, region_joined(words))
        return str(found.exception) if found.exception else found.output

    return run


def test_places_like_a_place_are_listed_written_and_drawn(ask, tmp_path):
    out = tmp_path / "alike.parquet"
    said = ask("--near", "-60", "-15", "--places", 3000, "--top", 25, "--out", out)
    table = pq.read_table(out)
    assert table.num_rows == 25
    assert {"alike_town", "alike_chip", "alike_climate"} <= set(table.column_names)
    assert "places like -60 -15" in said
    assert "and 5 more" in said
    rows = [line.split("  ") for line in said.splitlines()[3:23]]
    assert {row[-1].count(" 0.") + row[-1].count(" 1.") + row[-1].count(" -") for row in rows} == {3}  # each once
    assert (tmp_path / "cache" / "search").is_dir()
    again = ask("--near", "-60", "-15", "--places", 3000, "--top", 25, "--out", tmp_path / "map.png")
    assert again.splitlines()[:6] == said.splitlines()[:6]
    with Image.open(tmp_path / "map.png") as drawn:
        assert drawn.size[0] > 800


def test_texts_images_columns_regions_and_files(ask, tmp_path):
    inside = ask("--text", "kangaroo reef", "--within", 100, -45, 160, 0, "--places", 500, "--top", 3)
    assert "places for town 'kangaroo reef'" in inside
    assert "Australia" in inside
    assert any(f"{words} match" in inside for words in ("strong", "fair", "weak"))
    chip = np.full((8, 8, 3), 90, dtype=np.uint8)
    chip[::2] += 40
    Image.fromarray(chip).save(tmp_path / "chip.png")
    (tmp_path / "towns.csv").write_text("name,lon,lat\nLyon,4.8,45.8\nPerth,115.9,-31.9\nNice,7.3,43.7\n")
    found = ask("--image", tmp_path / "chip.png", "--among", tmp_path / "towns.csv", "--out", tmp_path / "found.csv")
    assert "of 3 points of towns.csv" in found
    assert sorted(line.split(",")[-1] for line in (tmp_path / "found.csv").read_text().split()[1:]) == [
        "Lyon",
        "Nice",
        "Perth",
    ]
    warm = ask("--column", "warmth=29", "--column", "side=south", "--places", 500, "--top", 2)
    assert "places for climate warmth=29.0, side=south" in warm


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of --near"),
        (["--near", 1, 2, "--text", "a"], "got --near and --text"),
        (["--near", 1, 2, "--evaluate"], "got --near"),
        (["--near", 1, 95, "--places", 100], "degrees"),
        (["--near", 1, 2, "--modality", "town"], "leave it out"),
        (["--text", ""], "empty"),
        (["--text", "reef", "--top", 0, "--places", 100], "1 or more, got 0"),
        (["--text", "reef", "--places", 0], "1 or more, got 0"),
        (["--text", "reef", "--within", "Frence"], "Did you mean 'France'"),
        (["--column", "warmth"], "NAME=VALUE"),
        (["--near", 1, 2, "--out", "found.txt"], "ends in '.txt'"),
        (["--near", 1, 2, "--among", "towns.csv", "--places", 9], "leave it out with --among"),
        (["--evaluate", "--places", 100], "needs the tables"),
    ],
)
def test_wrong_options_are_errors(ask, options, message):
    assert message in ask(*options)


def test_an_encoder_without_heads_is_an_error(tmp_path):
    (tmp_path / "own.py").write_text("def encode(lon, lat):\n    return lon\n")
    found = CliRunner().invoke(app, ["search", f"{tmp_path}/own.py:encode", "--near", "1", "2"])
    assert "is not a model of geotether" in str(found.exception)
