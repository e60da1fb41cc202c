"""Mirrors src/geotether/coverage/cells.py."""

import zlib

import numpy as np
import pytest

from geotether.coverage.cells import OccupiedCells
from geotether.geodesy.blocks import block_count
from geotether.geodesy.distance import great_circle_km

CORNERS = np.array([[0, 90], [137, 90], [0, -90], [180, 0], [-180, 0], [0, 0], [179.999, 52], [-179.999, 52]], float)


def places(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))], axis=1)


@pytest.mark.parametrize("cell_km", [1, 10.0, 500.0])
def test_distances_are_those_to_the_places_up_to_the_side_of_a_cell(cell_km):
    seen, asked = np.concatenate([places(800), CORNERS]), np.concatenate([places(50, seed=1), CORNERS])
    near_poles = np.column_stack([np.arange(0, 360, 7.0) - 180, np.tile([89.99, -89.95, 88.0, 89.5], 13)])
    seen, asked = np.concatenate([seen, near_poles]), np.concatenate([asked, near_poles + np.array([20, -0.02])])
    asked[:, 0] = (asked[:, 0] + 180) % 360 - 180
    want = great_circle_km(asked[:, None], seen[None]).min(axis=1)
    assert np.abs(OccupiedCells.of(seen, cell_km).km_to(asked) - want).max() <= cell_km


def test_no_cell_reaches_further_than_its_side_from_its_centre():
    asked = np.concatenate(
        [CORNERS, places(20_000), np.column_stack([places(3000)[:, 0], 90 - places(3000)[:, 1] ** 2 / 8100])]
    )
    for cell_km in (10.0, 200.0):
        alone = np.array([OccupiedCells.of(one[None], cell_km).km_to(one[None])[0] for one in asked[::40]])
        assert alone.max() <= cell_km
    assert np.median(alone) < 0.5 * cell_km


@pytest.mark.parametrize("lonlat", [places(3000), CORNERS, CORNERS[:1], CORNERS[:0]], ids=["many", "corners", "1", "0"])
def test_bytes_restore_the_cells(lonlat):
    cells = OccupiedCells.of(lonlat, 10)
    again = OccupiedCells.unpack(cells.pack(), len(cells), 10.0)
    np.testing.assert_array_equal(again.ids, cells.ids)
    np.testing.assert_array_equal(again.km_to(CORNERS), cells.km_to(CORNERS))
    assert len(cells.pack()) <= 20 + 4 * len(cells)


def test_nothing_finer_than_a_cell_is_kept():
    lonlat = places(500)
    moved = lonlat + np.random.default_rng(2).uniform(-1e-5, 1e-5, lonlat.shape)
    one, other = OccupiedCells.of(lonlat, 10), OccupiedCells.of(moved, 10)
    assert (one.pack() == other.pack()).all()


@pytest.mark.parametrize(
    ("packed", "count"),
    [
        (b"not compressed", 3),
        (zlib.compress(bytes(12)), 3),  # the same number three times
        (zlib.compress(bytes(8)), 3),  # too short
        (zlib.compress(bytes(1000)), 3),  # too long
        (zlib.compress(b"\xff" * 4), 1),  # beyond the last cell
        (zlib.compress(bytes(4))[:-3], 1),  # cut
        (b"", -1),
        (b"", block_count(10.0) + 1),
    ],
    ids=["not_compressed", "repeated", "short", "long", "beyond", "cut", "negative", "too_many"],
)
def test_damaged_bytes_are_refused(packed, count):
    with pytest.raises(ValueError):
        OccupiedCells.unpack(np.frombuffer(packed, np.uint8), count, 10.0)
