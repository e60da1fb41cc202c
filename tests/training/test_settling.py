"""Mirrors src/geotether/training/settling.py."""

import numpy as np

from geotether.context.build import build_context
from geotether.geodesy.blocks import block_id
from geotether.tables.table import Table
from geotether.training.location import build_model
from geotether.training.settling import responses, settling_places


def test_responses_never_contain_observations(planet, small):
    """The field at a training place contains what was observed there, so a regression on it would learn to copy."""
    config = small("context.observations.components=3", "objective.regression_weight=0")
    training = {name: table.part("train") for name, table in planet.items()}
    context = build_context(config.context, training, None, 0)
    model = build_model(config, training, context).eval()
    at = model.location.part_names.index("observations")
    noise = np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32)
    satellite = planet["satellite"]
    tables = planet | {"satellite": Table.single("satellite", satellite.lonlat, noise, split=satellite.split)}
    found = list(responses(model, tables, seed=0))
    assert [one.targets_train.shape for one in found] == [(240, 8), (150, 5), (180, 3)]
    assert [one.targets_validation.shape for one in found] == [(80, 8), (50, 5), (60, 3)]
    for one in found:
        assert not one.parts_train[at].any()
        assert not one.parts_validation[at].any()
        assert one.parts_train[0].any()


def test_settling_places_are_even_by_area():
    rng = np.random.default_rng(0)
    crowd = np.stack([rng.uniform(5, 5.2, 5000), rng.uniform(52, 52.2, 5000)], axis=1)
    lonely = np.stack([np.linspace(-170, 170, 50), np.linspace(-60, 60, 50)], axis=1)
    places = settling_places([crowd, lonely], seed=0, count=4000)
    assert places.shape == (4000, 2)
    share = np.isin(places[:, 0], crowd[:, 0]).mean()
    assert 0.005 < share < 0.1  # of about 50 blocks, the crowd fills one to four
    assert np.isin(lonely[:, 0], places[:, 0]).all()
    np.testing.assert_array_equal(places, settling_places([crowd, lonely], seed=0, count=4000))


def test_with_rasters_places_are_nodes_near_observations(make_context_encoder):
    context = make_context_encoder().context
    lonlat = context.places(50, seed=3).numpy()
    places = settling_places([lonlat[:1]], 0, context, count=4000)
    assert 1 < len(places) < 4000
    assert len(set(block_id(places, 500.0)) | set(block_id(lonlat[:1], 500.0))) == 1
