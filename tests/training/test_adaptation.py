"""Mirrors src/geotether/training/adaptation.py."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from geotether.checkpoint.folder import licence_of
from geotether.context.build import raster_context
from geotether.context.config import ContextConfig
from geotether.context.rasters import ArrayRaster
from geotether.encoder import Encoder
from geotether.regions.region import region_of
from geotether.tables.modality import Modality
from geotether.tables.table import Table
from geotether.training.adaptation import AdaptMethod, border_places, fitting_block_km
from geotether.training.card import earlier_tables
from geotether.training.config import load_config
from geotether.training.pretraining import pretrain
from geotether.training.state import RunInterrupted

BOX = "20 -10 50 20"
REGION = region_of(BOX)


@pytest.fixture(scope="module")
def base(planet, tmp_path_factory):
    """A small trained model with a projected readout, in a folder."""
    folder = tmp_path_factory.mktemp("base")
    settings = ["steps=20", "batch_size=96", "validate_every=null", "encoder.positional.l_max=4", "device=cpu"]
    settings += ["encoder.network.hidden_dim=32", "encoder.embed_dim=16", "context.observations.components=0"]
    pretrain(planet, config=load_config(overrides=settings), progress="none").save(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def pixels():
    """Pixels of a degree in and around the region, which no harmonic of degree 4 follows."""
    values = np.random.default_rng(3).standard_normal((40, 40, 1))
    return ArrayRaster(values, 15.0, 25.0, 1.0)


@pytest.fixture(scope="module")
def fine(pixels):
    """The context of these pixels in the region."""
    raster = {"path": "pixels", "filters": 0, "components": 2}
    settings = ContextConfig.model_validate({"rasters": {"pixels": raster}, "scales_km": [60]})
    return raster_context({"pixels": [pixels]}, settings, region=REGION)


@pytest.fixture(scope="module")
def own(pixels):
    """Observations in the region that tell the value of the pixel, and a few elsewhere."""
    rng = np.random.default_rng(4)
    lonlat = np.stack([rng.uniform(20, 50, 600), rng.uniform(-10, 20, 600)], axis=1)
    row, column = (25 - lonlat[:, 1]).astype(int), (lonlat[:, 0] - 15).astype(int)
    seen = pixels.values[row, column, 0]
    features = np.stack([seen, -seen, 0.1 * rng.standard_normal(600)], axis=1)
    lonlat[:50] += [60, 0]
    return {"sites": Table.single("sites", lonlat, features.astype(np.float32))}


@pytest.fixture
def settings(base):
    def make(*overrides):
        fixed = ["steps=12", "batch_size=64", "device=cpu", "adapt.heads_steps=4", "validate_every=4", "save_every=5"]
        start = {"adapt": {"model": str(base), "region": BOX, "keep_rows": 64}}
        return load_config(overrides=[start, *fixed, "learning_rate=3e-3", *overrides], recipe="adapt")

    return make


def grid_of_places(region=True):
    lon, lat = np.meshgrid(np.arange(21, 50, 2.0), np.arange(-9, 20, 2.0))
    lonlat = np.stack([lon.ravel(), lat.ravel()], axis=1)
    return lonlat if region else (lonlat + [60, 0] + 180) % 360 - 180


def test_the_encoder_is_the_old_one_until_it_learns(base, own, fine, settings):
    method = AdaptMethod(settings(), own, raster_context=fine)
    model = method.build(torch.device("cpu"))
    old, new = Encoder.load(base), Encoder(model.location)
    places = np.concatenate([grid_of_places(), grid_of_places(False), [[0, 90], [0, -90], [180, 0], [-180, 0]]])
    assert new.dim == old.dim
    assert new.module.network.in_dim == old.module.network.in_dim + 1
    np.testing.assert_allclose(new.encode(places), old.encode(places), atol=1e-6)
    np.testing.assert_allclose(method.lost(model.location, torch.from_numpy(places)).item(), 0, atol=1e-10)


def test_heads_learn_first_and_the_readout_never(base, own, fine, settings):
    method = AdaptMethod(settings(), own, raster_context=fine)
    model = method.build(torch.device("cpu"))
    for step, learns in ((3, False), (4, True)):
        loss, values = method.losses(model, step)
        model.zero_grad()
        loss.backward()
        gradients = {name: weight.grad is not None for name, weight in model.named_parameters()}
        assert gradients["heads.sites.projection.1.weight"]
        assert gradients["location.network.layers.0.weight"] is learns
        assert ("lost/outside" in values) is learns
    trained = pretrain(own, config=settings(), raster_context=fine, progress="none")
    before, after = (encoder.module.projection for encoder in (Encoder.load(base), trained))
    torch.testing.assert_close(after.directions[-32:, : before.out_dim], before.directions[-32:], rtol=0, atol=0)


def test_rows_outside_the_region_are_left_out_and_whole_blocks_held_out(own, settings):
    method = AdaptMethod(settings(), own)
    table = method.tables["sites"]
    assert len(table) == 550
    assert REGION.contains(table.lonlat).all()
    assert set(table.split.tolist()) == {"train", "validation", "buffer"}
    again = method.parts_of(table.lonlat)
    assert again.tolist() == table.split.tolist()
    reserved = Table.single("sites", own["sites"].lonlat, own["sites"].features, split=np.full(600, "test"))
    kept = AdaptMethod(settings(), {"sites": reserved, "more": own["sites"]}).tables["sites"]
    assert set(kept.split.tolist()) == {"test"}


def test_kept_places_depend_on_seed_and_step_and_lie_on_their_side(own, settings):
    method = AdaptMethod(settings("adapt.keep_rows=2000"), own)
    method.build(torch.device("cpu"))
    outside, inside = (method.places_of(7, side).numpy() for side in ("outside", "inside"))
    assert not REGION.contains(outside).any()
    assert REGION.contains(inside).all()
    assert np.array_equal(method.places_of(7, "outside").numpy(), outside)
    assert not np.array_equal(method.places_of(8, "outside").numpy()[:50], outside[:50])
    from geotether.geodesy.distance import nearest_km

    assert 0.4 < (nearest_km(outside, border_places(REGION)) < 1100).mean() < 0.7


def test_the_same_seed_gives_the_same_bits_also_after_an_interruption(
    own, fine, settings, tmp_path, monkeypatch, default_sigint
):
    class StopAt:
        def on_step(self, step, values):
            if step == 6:
                raise RunInterrupted("stopped")

    whole = pretrain(own, config=settings(), raster_context=fine, out=tmp_path / "whole", progress="none")
    with pytest.raises(RunInterrupted):
        pretrain(
            own, config=settings(), raster_context=fine, out=tmp_path / "cut", progress="none", callbacks=[StopAt()]
        )
    pretrain(own, config=settings(), raster_context=fine, out=tmp_path / "cut", resume=True, progress="none")
    one, other = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "cut"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    loaded = Encoder.load(tmp_path / "whole" / "model")
    np.testing.assert_array_equal(loaded.encode(grid_of_places()), whole.encode(grid_of_places()))
    facts = loaded.provenance["adapted"]
    assert facts["bounds"] == [20, -10, 50, 20]
    assert len(facts["weights_sha256"]) == 64
    assert set(facts["from"]["tables"]) == {"satellite", "text", "lights"}
    assert "sites" in loaded.provenance["tables"]
    named = earlier_tables(loaded.provenance)
    assert set(named) == {f"{name} ({facts['model']})" for name in ("satellite", "text", "lights")}
    assert set(loaded.heads) == set(loaded.seen.cells) == {"satellite", "text", "lights", "sites"}


def test_it_learns_inside_and_stays_outside(base, own, fine, settings):
    """Vectors follow the pixels in held-out blocks of the region, and elsewhere are the old ones."""
    config = settings("steps=150", "adapt.heads_steps=30", "validate_every=null", "context.dropout=0")
    trained = pretrain(own, config=config, raster_context=fine, progress="none")
    old = Encoder.load(base)
    method = AdaptMethod(config, own)
    table = method.tables["sites"]
    held = table.split == "validation"
    half = table.lonlat[:, 0] < 35

    def explained(encoder):
        vectors, target = encoder.encode(table.lonlat), table.features[:, 0]
        fit, judged = held & half, held & ~half
        x = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1).astype(np.float64)
        weights = np.linalg.solve(x[fit].T @ x[fit] + 0.1 * np.eye(x.shape[1]), x[fit].T @ target[fit])
        return 1 - np.var(target[judged] - x[judged] @ weights) / np.var(target[judged])

    before, after = explained(old), explained(trained)
    assert before < 0.15
    assert after > before + 0.3, (before, after)
    a, b = (one.encode(grid_of_places(False)) for one in (old, trained))
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert np.quantile(cosine, 0.05) > 0.98, np.quantile(cosine, [0.05, 0.5])


def test_wrong_input_is_refused_before_training(base, own, pixels, settings, tmp_path):
    faults = {
        "whole Earth": lambda: AdaptMethod(settings("adapt.region=world"), own),
        "0 rows in -60": lambda: AdaptMethod(settings("adapt.region='-60 -10 -50 0'"), own),
        "Did you mean 'Kenya'": lambda: AdaptMethod(settings("adapt.region=Kenia"), own),
        "leave out encoder": lambda: AdaptMethod(settings("encoder.embed_dim=8"), own),
        "keep: last": lambda: AdaptMethod(settings("keep=best"), own).check(),
    }
    two = Table(
        "two", {"a": Modality("vector", np.eye(3)), "b": Modality("vector", np.eye(3))}, lonlat=np.full((3, 2), 30.0)
    )
    faults["one modality with a place"] = lambda: AdaptMethod(settings(), {"two": two})
    for said, call in faults.items():
        with pytest.raises(ValueError, match=said):
            call()
    with pytest.raises(ValueError, match="heads_steps is 12"):
        settings("adapt.heads_steps=12")


def test_blocks_and_borders_fit_the_region():
    assert fitting_block_km(region_of("Kenya")) == 77
    assert fitting_block_km(region_of("Africa")) == 500
    edge = border_places(REGION)
    assert np.abs(np.abs(edge - [35, 5]).max(1) - 15).max() < 1e-9


def test_the_licences_of_both_data_count():
    own, before = ({name: {"origin": {"licence": licence}}} for name, licence in (("a", "CC0"), ("b", "ODbL")))
    assert licence_of({"tables": own, "adapted": {"from": {"tables": before}}}) == "data: CC0, ODbL"
