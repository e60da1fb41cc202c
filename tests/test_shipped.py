"""The model that comes with the package: src/geotether/models/world, made by experiments/ship_world.py."""

from pathlib import Path

import numpy as np
import pytest

import geotether
from geotether.checkpoint.named import SHIPPED
from geotether.diagnostics.places import even_places, land_places
from geotether.encoders.readout import shorten

GOLDEN = Path(__file__).parent / "data" / "golden" / "world.npz"
MOST_BYTES, MOST_GOLDEN_BYTES = 25_000_000, 300_000
TOLERANCE = 1e-4  # columns have a standard deviation of about 1

pytestmark = pytest.mark.skipif(not (SHIPPED / "world").is_dir(), reason="no weights are in geotether/models/world yet")


@pytest.fixture(scope="module")
def world():
    return geotether.load("world")


@pytest.fixture(scope="module")
def vectors(world):
    """Vectors at 10,000 seeded places, the same as experiments/ship_world.py draws."""
    corners = np.array([[0.0, 90.0], [0.0, -90.0], [180.0, 0.0], [-180.0, 50.0], [0.0, 0.0]])
    return world.encode(np.concatenate([corners, even_places(9_995, seed=14)]))


def test_embeddings_are_those_that_were_stored(vectors):
    with np.load(GOLDEN, allow_pickle=False) as golden:
        np.testing.assert_allclose(vectors[: len(golden["first"])], golden["first"], rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(vectors.mean(axis=0, dtype=np.float64), golden["mean"], rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(vectors.std(axis=0, dtype=np.float64), golden["spread"], rtol=0, atol=TOLERANCE)


def test_vectors_can_be_shortened_are_finite_and_have_no_seam(world, vectors):
    assert vectors.shape == (10_000, 256)
    assert np.isfinite(vectors).all()
    short = world.encode(lon=[5.66, -74.01], lat=[51.97, 40.71], dim=64)
    whole = world.encode(lon=[5.66, -74.01], lat=[51.97, 40.71])
    np.testing.assert_allclose(shorten(whole, 64), short, atol=1e-4)
    seam = world.encode(lon=[180.0, -180.0, 10.0, -70.0], lat=[52.0, 52.0, 90.0, 90.0])
    np.testing.assert_allclose(seam[::2], seam[1::2], atol=1e-4)


def test_it_knows_where_it_was_trained(world):
    assert set(world.seen.cells) == set(world.modalities)
    rows = {name: facts["split"]["train"] for name, facts in world.provenance["tables"].items()}
    assert all(0.1 * rows[name] < len(cells) <= rows[name] for name, cells in world.seen.cells.items())
    found = world.coverage(
        lon=[5.66, -74.01, 78.0, 90.0], lat=[51.97, 40.71, 24.0, -30.0]
    )  # the last in the Indian Ocean
    assert found.outside.tolist() == [False, False, False, True]
    assert (found.nearest_km[:3] < 30).all()
    land = world.coverage(land_places(500))
    assert land.outside.mean() < 0.02
    assert np.median(land.km["satellite"]) < 50  # 40,000 places spread evenly over land
    assert np.median(land.dissimilarity) < 0.5 * world.seen.threshold


def test_the_folder_is_small(world):
    files = [file for file in (SHIPPED / "world").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    assert GOLDEN.stat().st_size <= MOST_GOLDEN_BYTES


def test_the_card_and_the_provenance_tell_where_it_comes_from(world):
    for heading in ("Scores", "Coverage", "Effective resolution", "Licences", "Not for", "How it was made"):
        assert f"## {heading}\n" in world.card
    made = world.provenance
    assert made["command"] in world.card
    assert all(facts["sha256"] and facts["origin"]["licence"] for facts in made["tables"].values())
    assert all(len(sha256) == 64 for sha256 in made["files"].values())
    assert "seed" in made
    assert not any(mark in world.card.split("Left out")[0] for mark in ("BY-SA", "ODbL"))
    assert set(world.modalities) == set(made["tables"])
