"""Mirrors src/geotether/diagnostics/contents.py: pandas knows the answers."""

import numpy as np
import pandas as pd
import pytest

from geotether.diagnostics import contents as contents_room
from geotether.diagnostics.contents import QUANTILES, bounds, contents, duplicated, spread
from geotether.diagnostics.places import even_places
from geotether.diagnostics.table_summary import contents_lines, headline, in_columns, origin_lines
from geotether.files.mapped_rows import MappedRows
from geotether.geodesy.blocks import block_id
from geotether.tables.store import read_table, write_table
from geotether.tables.table import Table


@pytest.fixture
def soil():
    rng = np.random.default_rng(0)
    columns = [rng.normal(100, 30, 400), rng.random(400) < 0.03, np.ones(400), rng.exponential(1, 400)]
    features = np.stack([*columns, rng.random(400) < 0.2], axis=1).astype(np.float32)
    return Table.single(
        "soil",
        even_places(400),
        features,
        time=np.append(np.datetime64("NaT"), np.datetime64("2020-01-01") + np.arange(399).astype("timedelta64[D]")),
        targets={
            "ph": np.where(np.arange(400) % 4 == 0, np.nan, np.linspace(4, 8, 400)),
            "crop": np.array(["maize", "wheat", "maize", ""] * 100),
            "wet": np.arange(400) < 150,
            "none": np.full(400, np.nan),
        },
        split=np.array(["train", "train", "validation", "test"] * 100),
    )


def test_the_spread_is_that_of_pandas(soil):
    found, frame = spread(soil), pd.DataFrame(soil.features.astype(np.float64))
    np.testing.assert_allclose(found.mean, frame.mean())
    np.testing.assert_allclose(found.deviation, frame.std(ddof=0))
    np.testing.assert_allclose(found.quantiles, frame.quantile(list(QUANTILES)))
    np.testing.assert_allclose(found.zero, (frame == 0).mean())
    assert found.nearly_constant == [2]
    assert found.mostly_zero == [1]
    assert found.names == ["0", "1", "2", "3", "4"]


def test_features_of_a_built_table_have_names_and_missing_values(soil):
    class Origin:
        made = {"features": ["ph", "rare", "one", "rain", "rain missing"]}  # noqa: RUF012

        def plain(self):
            return {"licence": "CC0", "made": self.made}

    object.__setattr__(soil, "origin", Origin())
    found = contents(soil)
    assert found.spread.missing == {"rain": pytest.approx(float(soil.features[:, 4].mean()))}
    said = dict(contents_lines(found))
    assert said["licence"] == "CC0"
    assert said["missing"].startswith("rain ")
    assert "(one)" in said["constant"]


def test_the_summary_of_a_table(soil):
    found = contents(soil)
    assert headline(found) == "A feature table, soil: 400 rows of 5 features."
    assert found.split == {"train": 200, "validation": 100, "test": 100}
    assert found.time == ("2020-01-01T00:00:00.000", "2021-02-02T00:00:00.000", 1)
    assert found.blocks[0] == len(set(block_id(soil.lonlat, 500.0).tolist()))
    assert found.labels["crop"] == {"classes": 2, "largest": "maize", "count": 200, "unknown": 100}
    assert found.labels["wet"]["count"] == 150
    assert found.labels["ph"]["unknown"] == 100
    text = in_columns(contents_lines(found))
    for words in ("1 rows without", "crop: 2 classes, most often maize (200), 100 unknown", "none: no value known"):
        assert words in text
    assert soil.content_hash in text


def test_a_table_on_disk_is_sampled(soil, tmp_path, monkeypatch):
    write_table(soil, tmp_path / "soil.parquet")
    mapped = read_table(tmp_path / "soil.parquet", memory_share=0, cache_dir=tmp_path)
    assert isinstance(mapped.features, MappedRows)
    some = contents(mapped, max_rows=50, seed=3).spread
    assert some.rows == 50
    rows = np.sort(np.random.default_rng(3).choice(400, 50, replace=False))
    np.testing.assert_allclose(some.mean, soil.features[rows].astype(np.float64).mean(axis=0))
    monkeypatch.setattr(contents_room, "_BYTES_AT_MOST", 8 * 5 * 120)
    assert spread(mapped).rows == 120


@pytest.mark.parametrize(
    ("lons", "west", "east"),
    [
        ([-10, 5, 20], -10, 20),
        ([170, -175], 170, -175),
        ([-180, 179.5], 179.5, -180),
        ([-170, -60, 60, 170], -170, 170),
        ([7], 7, 7),
    ],
)
def test_bounds_lie_across_the_antimeridian_where_half_the_earth_is_empty(lons, west, east):
    lonlat = np.array([[lon, lat] for lon, lat in zip(lons, range(len(lons)), strict=True)], dtype=np.float64)
    assert bounds(lonlat) == (west, 0.0, east, len(lons) - 1.0)


def test_duplicates_are_counted_as_pandas_does():
    lonlat = np.round(even_places(500, 1), -1) + 0.0
    frame = pd.DataFrame(lonlat)
    twice = frame.duplicated(keep=False)
    assert duplicated(lonlat) == (int(twice.sum()), len(frame[twice].drop_duplicates()))
    assert duplicated(np.array([[0.0, 0.0], [-0.0, 0.0]])) == (2, 1), "minus zero is zero"


def test_the_origin_of_a_table():
    made = {"rows": {"read": 1200, "used": 1000, "rejected": 200}, "rejected": {"empty text": 200}, "geotether": "0.4"}
    origin = {"licence": "CC0", "citation": "Nobody (2024)", "made": made}
    assert origin_lines(origin) == [
        ("licence", "CC0"),
        ("citation", "Nobody (2024)"),
        ("made of", "1,000 of 1,200 rows; 200 rejected: 200 empty text"),
        ("made by", "geotether 0.4"),
    ]
    assert origin_lines({}) == []
