"""Mirrors experiments/coverage_and_error.py."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from geotether.diagnostics import even_places
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.maps.figure import save_figure
from geotether.tables.table import Table
from geotether.tasks.task import Task

PARTS = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 4}


@pytest.fixture(scope="module")
def numbers(script):
    lonlat = even_places(3000)
    rng = np.random.default_rng(0)
    blocks = script.block_id(lonlat, script.BLOCK_KM)
    values = rng.uniform(size=3000)
    return blocks, values, rng.exponential(0.5 + values)


def test_relative_errors_are_group_means_over_the_mean(script, numbers):
    blocks, values, error = numbers
    group = script.groups_of(values)
    assert np.bincount(group).tolist() == [600, 600, 600, 600, 450, 150]
    found = script.relative_errors(error, group, blocks)
    want = [error[group == one].mean() / error.mean() for one in range(6)]
    np.testing.assert_allclose(found[0], want)
    low, high = np.quantile(found[1:, 0], (0.025, 0.975))
    assert low < want[0] < high < 1 < want[5]


def test_correlations_are_those_of_ranks(script, numbers):
    blocks, values, error = numbers
    found = script.rank_correlations(error, values, blocks)
    assert found[0] == pytest.approx(spearmanr(error, values).statistic)
    # Places are independent here, so that blocks vary as places do.
    assert found[1:].std() == pytest.approx(1 / np.sqrt(3000), rel=0.3)


def test_a_continent_that_is_left_out_is_outside(script):
    lonlat = even_places(1200)
    x, y = np.radians(lonlat).T
    features = np.stack([np.sin(y), np.cos(y) * np.cos(x), np.cos(y) * np.sin(x)], axis=1).astype(np.float32)
    table = Table.single("climate", lonlat, features, split=np.full(1200, "train"))
    parts = {"positional": {"l_max": 3}, "network_degree": 3, "network": {"hidden_dim": 16}, "embed_dim": 8, "dim": 8}
    settings = {"steps": 3, "batch_size": 64, "encoder": parts}
    settings["context"] = {"observations": {"components": 0}}
    asked = even_places(600, seed=1)
    tasks = [Task("warmth", "regression", asked, np.sin(np.radians(asked[:, 1])))]
    lines = script.continent_left_out({"climate": table}, tasks, **settings)
    americas, elsewhere = (float(line.split("|")[3].strip(" %")) for line in lines[2:])
    assert americas > 40
    assert elsewhere < 5


def test_growth_is_the_ratio_of_means(script, numbers):
    blocks, values, error = numbers
    chosen = values > 0.3
    found = script.growth(2 * error, error, chosen, blocks)
    np.testing.assert_allclose(found, 2)
    assert script.growth(values, error, chosen, blocks)[0] == pytest.approx(values[chosen].sum() / error[chosen].sum())


def test_error_grows_where_places_are_unlike_the_labelled_ones(script, tmp_path):
    lonlat = even_places(900)
    north = lonlat[:, 1] > 0
    noise = np.where(north, 0.01, 1.0) * np.random.default_rng(0).standard_normal(900)
    tasks = [
        Task("warmth", "regression", lonlat, np.sin(np.radians(lonlat[:, 1])) + noise),
        Task("half", "classification", lonlat, np.where(lonlat[:, 0] > 0, "east", "west")),
    ]
    encoder = Encoder(build_location_encoder(PARTS, seed=0))
    encoder.learn_coverage({"rain": lonlat[north]})
    errors, measures, inside = script.measured(encoder, tasks)
    assert all(np.isfinite(values).all() for values in (*errors.values(), *measures.values()))
    blocks = script.block_id(lonlat, script.BLOCK_KM)
    remote = measures["distance to the nearest training place"]
    assert script.rank_correlations(errors["warmth"], remote, blocks)[0] > 0.4
    assert remote[north].max() < 10
    assert (~inside["what the model saw"][~north]).mean() > 0.5
    assert len(script.table(errors, measures, blocks)) == 2 + 4 * 2
    assert script.inside_lines(errors, inside, blocks)[2].startswith("| what the model saw | ")
    save_figure(script.figure(errors, measures, blocks), tmp_path / "error.png")
