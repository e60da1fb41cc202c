"""Training with local context: rasters and observations, from the configuration to the model folder."""

from pathlib import Path

import numpy as np
import pytest
import torch

from geotether.context.rasters import ArrayRaster
from geotether.encoder import Encoder
from geotether.sources.grids.cells import raster_fingerprint
from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.location import LocationMethod
from geotether.training.pretraining import pretrain
from geotether.training.state import RunInterrupted

WORLD = Path(__file__).parents[2] / "recipes" / "world.yaml"
rasterio = pytest.importorskip("rasterio")
READINGS = {
    "salt": ["schedule={name: salt, switch: step}"],
    "pairwise": ["schedule={name: pairwise, modality: text}"],
    "modality to location": ["objective.reading=modality_to_location"],
    "location to modality": ["objective.reading=location_to_modality"],
    "all pairs": ["objective.reading=all_pairs", "objective.ignore_km=100", "objective.chunk_rows=32"],
    "sigmoid": ["objective.reading=sigmoid"],
    "specific parts, bf16, averaged": ["objective.specific_dim=4", "precision=bf16", "ema_decay=0.9"],
    "output": ["encoder.readout=output", "objective.regression_weight=0"],
}


def write_raster(path, bands=2, seed=0, bounds=(-180, -90, 180, 90), step=4.0):
    """Write a raster of degrees whose bands are waves of about 2,000 km, finer than harmonics of low degree."""
    west, south, east, north = bounds
    rows, columns = round((north - south) / step), round((east - west) / step)
    rng = np.random.default_rng(seed)
    lat, lon = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    values = [np.sin(lat) * np.cos(9 * lon + seed + 2 * band) * np.sin(8 * lat) for band in range(bands)]
    values = [one + 0.1 * rng.standard_normal(lat.shape) for one in values]
    options = {"driver": "GTiff", "width": columns, "height": rows, "count": bands, "dtype": "float32"}
    place = rasterio.Affine(step, 0, west, 0, -step, north)
    with rasterio.open(path, "w", crs="EPSG:4326", transform=place, **options) as raster:
        raster.write(np.stack(values).astype(np.float32))


@pytest.fixture
def rasters(small, tmp_path, monkeypatch):
    """Make a configuration with two small rasters in the folder `data`."""
    monkeypatch.setenv("GEOTETHER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    write_raster(tmp_path / "data" / "land.tif")
    write_raster(tmp_path / "data" / "lights.tif", bands=1, seed=1)

    def make(*overrides):
        land = "context.rasters.land={path: land.tif, filters: 8, patch: 3, components: 4, licence: CC0, origin: us}"
        lights = "context.rasters.lights={path: lights.tif, filters: 0, components: 2}"
        scales = "context.scales_km=[500, 1500]"
        return small(f"data={tmp_path / 'data'}", land, lights, scales, *overrides)

    return make


def numbers(encoder, count=40):
    rng = np.random.default_rng(5)
    return encoder.encode(lon=rng.uniform(-180, 180, count), lat=rng.uniform(-90, 90, count))


def test_context_is_an_input_that_is_trained_saved_and_loaded_without_its_files(planet, rasters, tmp_path):
    overrides = ["steps=4", "jitter_m=1000", "context.observations.components=2"]
    trained = pretrain(planet, config=rasters(*overrides), out=tmp_path / "run", progress="none")
    location = trained.module
    assert location.network.in_dim == 25 + 2 * (4 + 2)
    assert [name for _, name, _ in location.context.groups] == ["land", "lights"] * 2 + list(planet)
    assert location.part_names[:3] == ("positional", "rasters", "observations")
    facts = trained.provenance["context"]
    assert (facts["rasters"]["land"]["file"], facts["rasters"]["land"]["licence"]) == ("land.tif", "CC0")
    assert len(facts["rasters"]["lights"]["sha256"]) == 64
    assert facts["observations"]["tables"] == list(planet)
    assert [(one["source"], one["scale_km"]) for one in facts["coverage"]][:2] == [("rasters", 500), ("rasters", 1500)]
    assert all(one["share"] > 0.99 for one in facts["coverage"])
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "| land | land.tif |" in card
    assert "| CC0 | us |" in card
    assert str(tmp_path) not in card + (tmp_path / "run" / "model" / "config.json").read_text()
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    loaded = Encoder.load(tmp_path / "run" / "model")
    np.testing.assert_array_equal(numbers(loaded), numbers(trained))
    training = {name: table.part("train").lonlat for name, table in planet.items()}
    for name, lonlat in training.items():
        assert loaded.coverage(lonlat).km[name].max() < 10
    assert loaded.seen.describe() == trained.seen.describe()
    assert loaded.seen.threshold > 0
    assert "cells of 10 km" in card


def test_where_it_was_trained_can_be_left_out(planet, small):
    trained = pretrain(planet, config=small("steps=1", "validate_every=null", "seen_cell_km=null"), progress="none")
    assert trained.seen is None
    assert "cells of" not in trained.card


@pytest.mark.parametrize("overrides", READINGS.values(), ids=READINGS.keys())
def test_every_schedule_and_reading_runs_with_context(planet, rasters, overrides):
    trained = pretrain(planet, config=rasters("steps=2", "validate_every=2", *overrides), progress="none")
    assert np.isfinite([line["loss"] for line in trained.history]).all()
    assert np.isfinite(numbers(trained)).all()


def test_a_resumed_run_ends_with_the_same_bits(planet, rasters, tmp_path):
    class Interrupting:
        def on_step(self, step, values):
            if step == 2:
                import signal

                signal.raise_signal(signal.SIGINT)

    config = rasters("steps=6", "keep=best", "validate_every=2", "jitter_m=500", "context.dropout=0.5")
    whole = pretrain(planet, config=config, progress="none")
    with pytest.raises(RunInterrupted):
        pretrain(planet, config=config, out=tmp_path / "run", callbacks=[Interrupting()], progress="none")
    resumed = pretrain(planet, config=config, out=tmp_path / "run", resume=True, progress="none")
    np.testing.assert_array_equal(numbers(resumed), numbers(whole))
    write_raster(tmp_path / "data" / "land.tif", seed=9)
    with pytest.raises(FileExistsError, match=r"context\.rasters\.land: it has changed"):
        pretrain(planet, config=config, out=tmp_path / "run", progress="none")
    with pytest.raises(ValueError, match=r"context\.rasters\.land: it has changed"):
        pretrain(planet, config=config, out=tmp_path / "run", resume=True, progress="none")


def test_dropout_and_noise_are_drawn_by_seed_and_step(planet, rasters):
    method = LocationMethod(rasters("context.dropout=0.3", "context.noise=0.5"), planet)
    method.build(torch.device("cpu"))
    drawn, again, later = (method.disturbance(step, 5000) for step in (7, 7, 8))
    keep, noise = drawn["keep"].double(), drawn["noise"].double()
    assert keep.shape == (5000, 2)  # whole scales are left out
    torch.testing.assert_close(keep.mean(0), torch.full((2,), 0.7).double(), atol=0.03, rtol=0)
    assert noise.shape == (5000, 12)
    torch.testing.assert_close(noise.std(0), torch.full((12,), 0.5).double(), atol=0.03, rtol=0)
    assert all(torch.equal(drawn[name], again[name]) and not torch.equal(drawn[name], later[name]) for name in drawn)
    calm = LocationMethod(rasters("context.dropout=0"), planet)
    calm.build(torch.device("cpu"))
    assert calm.disturbance(7, 5) == {}


def test_files_are_checked_before_anything_is_written(planet, rasters, tmp_path):
    missing = rasters("context.rasters.lights.path=gone.tif")
    with pytest.raises(FileNotFoundError, match=r"context\.rasters\.lights.*gone\.tif"):
        pretrain(planet, config=missing, out=tmp_path / "run", progress="none")
    assert not (tmp_path / "run" / "config.yaml").exists()
    assert list(rasters("context.rasters.lights=null").context.rasters) == ["land"]


def test_a_raster_that_covers_no_training_place_is_an_error(planet, rasters, tmp_path):
    north = {name: table.rows(table.lonlat[:, 1] > 0) for name, table in planet.items()}
    write_raster(tmp_path / "data" / "lights.tif", bounds=(0, -60, 40, -20))
    with pytest.raises(ValueError, match=r"context\.rasters\.lights: .*lights\.tif.*training places"):
        pretrain(north, config=rasters("steps=1"), progress="none")


def test_pixels_in_memory_are_a_context_too(planet, small, rasters):
    from geotether.context.build import raster_context

    settings = rasters().context
    array = np.random.default_rng(0).standard_normal((45, 90, 2)).astype(np.float32)
    context = raster_context({"land": [ArrayRaster(array, -180, 90, 4.0)]}, settings)
    trained = pretrain(planet, config=small("steps=2"), raster_context=context, progress="none")
    assert trained.module.network.in_dim == 25 + 2 * 4
    with pytest.raises(ValueError, match="either raster_context or"):
        pretrain(planet, config=rasters("steps=2"), raster_context=context, progress="none")


def test_the_files_of_rasters_are_hashed_once(planet, rasters, monkeypatch):
    hashed = []

    def counted(raster):
        hashed.append(raster.path.name)
        return raster_fingerprint(raster)

    monkeypatch.setattr("geotether.context.build.raster_fingerprint", counted)
    pretrain(planet, config=rasters("steps=1"), progress="none")
    assert sorted(hashed) == ["land.tif", "lights.tif"]


def test_the_world_recipe_in_miniature_uses_what_rasters_show(planet, tmp_path, monkeypatch):
    """Two hundred steps; each modality is what a raster shows at its places, which harmonics of degree 2 cannot say."""
    monkeypatch.setenv("GEOTETHER_CACHE", str(tmp_path / "cache"))
    for folder in ("pretrain", "downstream"):
        (tmp_path / folder).mkdir()
    write_raster(tmp_path / "pretrain" / "bluemarble_global_0p025deg.tif", bands=3)
    write_raster(tmp_path / "pretrain" / "nightlights_global_0p025deg.tif", bands=1, seed=1)
    names = list(load_config(WORLD).tables)
    none = [f"tables.{name}=null" for name in names]
    tables = {}
    with rasterio.open(tmp_path / "pretrain" / "bluemarble_global_0p025deg.tif") as raster:
        pixels = raster.read()
    for name, table in planet.items():
        column, row = (table.lonlat[:, 0] + 180) // 4 % 90, ((90 - table.lonlat[:, 1]) // 4).clip(0, 44)
        shown = pixels[:, row.astype(int), column.astype(int)].T
        tables[name] = Table.single(name, table.lonlat, shown, split=table.split)
    overrides = [
        "steps=200", "batch_size=96", "encoder.positional.l_max=2", "encoder.network.hidden_dim=32", "device=cpu",
        "encoder.network.dropout=0.1", "encoder.embed_dim=16", "validate_every=100", "context.scales_km=[250, 500]",
        "context.land=null", "context.noise=0", "context.rasters.land.filters=0", "context.rasters.land.components=4",
        "context.rasters.lights={filters: 0, components: 2, transform: null}",
    ]  # fmt: skip
    config = load_config(WORLD, [f"data={tmp_path}", *none, *overrides])
    with_rasters = pretrain(tables, config=config, progress="none")
    bare = load_config(WORLD, [f"data={tmp_path}", *none, *overrides, "context.rasters=null"])
    without = pretrain(tables, config=bare, progress="none")
    last, blind = (max(one.history, key=lambda line: line["step"]) for one in (with_rasters, without))
    for name in planet:
        assert last[f"validation/regression/{name}"] < 0.8 * blind[f"validation/regression/{name}"]
