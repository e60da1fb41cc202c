"""Mirrors src/geotether/batches/batch.py."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from geotether.batches.batch import assemble, gather_samples, jitter_lonlat, permutation, rows_at
from geotether.batches.schedule import build_schedule
from geotether.geodesy.distance import great_circle_km


@dataclass(frozen=True)
class Table:
    lonlat: np.ndarray
    features: np.ndarray


@pytest.fixture
def tables() -> dict[str, Table]:
    """Tables whose features say which row they are and whose longitude says which table."""
    sizes = {"image": (90, 3), "text": (40, 5), "light": (7, 1)}
    made = {}
    for number, (name, (rows, width)) in enumerate(sizes.items()):
        row = np.arange(rows, dtype=np.float64)
        lonlat = np.stack([np.full(rows, 10.0 * number), row / 10], axis=1)
        made[name] = Table(lonlat, np.repeat(row[:, None], width, axis=1).astype(np.float32))
    return made


def schedule_for(tables, name, **options):
    return build_schedule(name, {name: len(table.lonlat) for name, table in tables.items()}, 20, **options)


def test_rows_keep_their_places(tables):
    batch = assemble(tables, schedule_for(tables, "melt"), step=3, seed=0)
    assert len(batch) == 20
    assert batch.lonlat.dtype == torch.float64
    assert list(batch.groups) == list(batch.features) == ["image", "text", "light"]
    end = 0
    for number, (name, rows) in enumerate(batch.groups.items()):
        features = batch.features[name]
        assert rows.start == end
        assert features.shape == (rows.stop - rows.start, tables[name].features.shape[1])
        assert features.dtype == torch.float32
        assert (batch.lonlat[rows, 0] == 10.0 * number).all()
        torch.testing.assert_close(batch.lonlat[rows, 1] * 10, features[:, 0].double())
        end = rows.stop
    assert end == 20


def test_salt_batches_contain_only_the_active_table(tables):
    batch = assemble(tables, schedule_for(tables, "salt"), step=4, seed=0)
    assert batch.groups == {"text": slice(0, 20)}
    assert list(batch.features) == ["text"]


@pytest.mark.parametrize("name, options", [("melt", {}), ("salt", {}), ("salt", {"switch": "step"})])
def test_a_fresh_run_at_any_step_gives_the_same_batch(tables, name, options):
    schedule = schedule_for(tables, name, **options)
    run = [assemble(tables, schedule, step, seed=5) for step in range(12)]
    for step in (0, 7, 11):
        permutation.cache_clear()
        again = assemble(tables, schedule_for(tables, name, **options), step, seed=5)
        assert torch.equal(again.lonlat, run[step].lonlat)
        assert again.groups == run[step].groups
        assert all(torch.equal(again.features[m], run[step].features[m]) for m in again.features)


@pytest.mark.parametrize("name, options", [("melt", {}), ("salt", {}), ("salt", {"switch": "step"})])
def test_every_row_is_seen_as_often_as_any_other(tables, name, options):
    """Over any number of steps the rows of one table differ by one visit at most."""
    schedule = schedule_for(tables, name, **options)
    seen = {m: np.zeros(len(table.lonlat), dtype=int) for m, table in tables.items()}
    for step in range(30):
        for m, features in assemble(tables, schedule, step, seed=1).features.items():
            np.add.at(seen[m], features[:, 0].int().numpy(), 1)
    assert all(visits.max() - visits.min() <= 1 for visits in seen.values())
    assert all(visits.sum() == schedule.rows_before(m, 30) for m, visits in seen.items())


def test_the_batch_is_a_copy(tables):
    batch = assemble(tables, schedule_for(tables, "melt"), step=0, seed=0)
    batch.features["image"].fill_(-1)
    batch.lonlat.fill_(0)
    assert (tables["image"].features >= 0).all()


def test_memory_maps_and_other_precisions_are_read(tables, tmp_path):
    np.save(tmp_path / "features.npy", tables["image"].features.astype(np.float16))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    schedule = build_schedule("pairwise", {"image": 90}, 20)
    batch = assemble({"image": Table(tables["image"].lonlat, mapped)}, schedule, step=2, seed=0)
    want = assemble({"image": tables["image"]}, schedule, step=2, seed=0)
    torch.testing.assert_close(batch.features["image"], want.features["image"], rtol=0, atol=0)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("count", [1, 3, 250])
def test_every_row_comes_once_an_epoch(size, count):
    """Read in batches of any size, the stream is one whole shuffle after another."""
    steps = -(-3 * size // count)
    stream = np.concatenate([rows_at(size, step * count, count, seed=4, modality="text") for step in range(steps)])
    for epoch in range(3):
        assert sorted(stream[epoch * size : (epoch + 1) * size]) == list(range(size))


def test_rows_from_any_start_equal_the_stream():
    stream = rows_at(10, 0, 60, seed=1, modality="image")
    for start in range(45):
        permutation.cache_clear()
        np.testing.assert_array_equal(rows_at(10, start, 15, seed=1, modality="image"), stream[start : start + 15])


def test_seeds_modalities_and_epochs_are_shuffled_apart():
    streams = [
        tuple(rows_at(50, start, 50, seed, modality))
        for start in (0, 50)
        for seed in (0, 1, 10)
        for modality in ("text", "image", "0")
    ]
    assert len(set(streams)) == len(streams)


def test_orders_are_evenly_spread():
    """Each of the 24 orders of four rows comes about as often: chi-square with 23 degrees of freedom."""
    orders = [tuple(permutation(4, 0, "text", epoch)) for epoch in range(2400)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 24
    assert ((counts - 100) ** 2 / 100).sum() < 49.7  # the 99.9 % quantile


def test_the_order_never_changes():
    """Changing it would change every published run: these numbers may not move."""
    assert permutation(6, 0, "text", 0).tolist() == [0, 3, 4, 1, 5, 2]
    assert not permutation(6, 0, "text", 0).flags.writeable


def test_rows_come_in_order_and_what_is_lacking_is_nan(make_fields):
    table = make_fields()
    batch = gather_samples(table, np.array([7, 5, 0]), ["optical", "radar"])
    assert list(batch.values) == ["optical", "radar"]
    np.testing.assert_array_equal(batch.values["radar"].numpy(), table.modality("radar").values[[7, 5, 0]])
    assert batch.present["optical"].tolist() == [True, False, True]
    assert batch.values["optical"][1].isnan().all()
    np.testing.assert_array_equal(batch.lonlat.numpy(), table.lonlat[[7, 5, 0]])
    batch.values["radar"].zero_()
    assert np.nansum(np.abs(table.modality("radar").values[7])) > 0  # copies


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda tables: assemble({"image": tables["image"]}, schedule_for(tables, "melt"), 0, 0),
            "'text'; known: image",
        ),
        (lambda tables: assemble(tables, schedule_for(tables, "melt"), -1, 0), "step must be 0 or more, got -1"),
        (lambda tables: rows_at(0, 0, 4, 0, "text"), "table of 'text' has 0 rows"),
        (lambda tables: rows_at(5, -1, 4, 0, "text"), "start=-1 and count=4"),
        (lambda tables: rows_at(5, 0, -4, 0, "text"), "start=0 and count=-4"),
    ],
)
def test_wrong_input_is_named(tables, call, message):
    with pytest.raises(ValueError, match=message):
        call(tables)


PLACES = [(0.0, 0.0), (5.66, 51.97), (180.0, 0.0), (-180.0, 65.0), (0.0, 90.0), (77.0, -90.0), (30.0, 89.99)]


def jittered(place: tuple[float, float], sigma_m: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    lonlat = torch.tensor([place], dtype=torch.float64).repeat(n, 1)
    moved = jitter_lonlat(lonlat, sigma_m, torch.Generator().manual_seed(0))
    return lonlat.numpy(), moved.numpy()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sigma_m", [1.0, 20_000.0])
def test_steps_are_as_long_everywhere(place, sigma_m):
    start, moved = jittered(place, sigma_m)
    steps = 1000 * great_circle_km(start, moved)
    # Two independent Gaussian axes: a Rayleigh distribution.
    assert np.sqrt((steps**2).mean()) == pytest.approx(math.sqrt(2) * sigma_m, rel=0.02)
    assert np.median(steps) == pytest.approx(sigma_m * math.sqrt(2 * math.log(2)), rel=0.03)


@pytest.mark.parametrize("place", PLACES[:4])
def test_no_direction_is_preferred(place):
    """On the ground, not in degrees; measured in a plane computed by hand around the place."""
    _, moved = jittered(place, 1000.0)
    east = np.radians((moved[:, 0] - place[0] + 180) % 360 - 180) * math.cos(math.radians(place[1])) * 6_371_008.8
    north = np.radians(moved[:, 1] - place[1]) * 6_371_008.8
    covariance = np.cov(east, north) / 1000.0**2
    np.testing.assert_allclose(covariance, np.eye(2), atol=0.04)
    np.testing.assert_allclose([east.mean(), north.mean()], 0, atol=30)


def test_every_longitude_occurs_around_the_pole():
    _, moved = jittered((0.0, 90.0), 1000.0)
    shares, _ = np.histogram(moved[:, 0], bins=8, range=(-180, 180))
    np.testing.assert_allclose(shares / len(moved), 1 / 8, atol=0.02)


@pytest.mark.parametrize("place", PLACES)
def test_the_result_is_valid_places(place):
    _, moved = jittered(place, 200_000.0)
    assert np.isfinite(moved).all()
    assert (np.abs(moved[:, 1]) <= 90).all()
    assert ((moved[:, 0] >= -180) & (moved[:, 0] < 180)).all()


def test_edges():
    empty = torch.empty(0, 2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    assert jitter_lonlat(empty, 5.0, generator).shape == (0, 2)
    one = torch.tensor([[181.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(jitter_lonlat(one, 0, generator), one)
    for bad in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="sigma_m must be 0 metres or more"):
            jitter_lonlat(one, bad, generator)
