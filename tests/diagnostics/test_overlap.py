"""Mirrors src/geotether/diagnostics/overlap.py and table_words.py: the distances of all pairs know the answers."""

import numpy as np
import pytest

from geotether.diagnostics.overlap import overlap
from geotether.diagnostics.table_words import origin_lines, overlap_lines
from geotether.geodesy.blocks import block_id
from geotether.geodesy.distance import great_circle_km
from geotether.tables.table import Table


def scattered(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-180, 180, count), rng.uniform(-80, 80, count)], axis=1)


@pytest.fixture
def soil():
    features = np.random.default_rng(0).standard_normal((400, 2)).astype(np.float32)
    split = np.array(["train", "train", "validation", "test"] * 100)
    return Table.single("soil", scattered(400), features, split=split)


def test_the_overlap_is_that_of_every_pair(soil):
    other = Table.single("rain", scattered(150, 5), np.ones((150, 2), np.float32) * np.arange(150)[:, None])
    found = overlap(soil, other)
    km = great_circle_km(soil.lonlat[:, None], other.lonlat[None])  # every pair
    np.testing.assert_allclose(found.forth.km, km.min(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.back.km, km.min(axis=0), rtol=1e-6)
    assert found.forth.within == {limit: float((km.min(axis=1) <= limit).mean()) for limit in (1.0, 10.0, 100.0)}
    held = np.isin(soil.split, ["validation", "test"])
    np.testing.assert_allclose(found.seen_back.km, km[held].min(axis=1), rtol=1e-6)
    assert len(found.seen_forth.km) == 0, "a table without a split holds nothing out"
    mine, theirs = (set(block_id(one.lonlat, 500.0).tolist()) for one in (soil, other))
    assert found.blocks == (len(mine), len(theirs), len(mine & theirs))
    assert len(overlap(soil, other, asked=40).forth.km) == 40


@pytest.mark.parametrize(
    ("shift_km", "near_rows", "verdict"),
    [(5.0, 400, "the splits contradict"), (5.0, 4, "they agree but for borders"), (5.0, 0, "the splits agree")],
)
def test_splits_that_contradict(soil, shift_km, near_rows, verdict):
    lonlat = np.tile([[0.0, -89.9]], (400, 1))
    lonlat[:near_rows] = soil.lonlat[:near_rows] + np.array([0.0, shift_km / 111.2])
    far = Table.single("far", lonlat, soil.features, split=np.full(400, "train"))
    lines = [words for name, words in overlap_lines(overlap(soil, far)) if name == "splits"]
    assert len(lines) == 1
    assert lines[0].endswith(verdict)


def test_where_a_table_comes_from():
    made = {"rows": {"read": 1200, "used": 1000, "rejected": 200}, "rejected": {"empty text": 200}, "geotether": "0.4"}
    origin = {"licence": "CC0", "citation": "Nobody (2024)", "made": made}
    assert origin_lines(origin) == [
        ("licence", "CC0"),
        ("citation", "Nobody (2024)"),
        ("made of", "1,000 of 1,200 rows; 200 rejected: 200 empty text"),
        ("made by", "geotether 0.4"),
    ]
    assert origin_lines({}) == []
