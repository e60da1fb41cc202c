"""Mirrors src/geotether/encoders/context.py."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from geotether.encoders.context import LocalContext

PLANET = {"source": "rasters", "scale_km": 300.0, "west": -180.0, "north": 90.0, "step": 5.0, "rows": 37, "columns": 72}
COUNTRY = {
    "source": "observations",
    "scale_km": 9.0,
    "west": 3.0,
    "north": 54.0,
    "step": 0.25,
    "rows": 17,
    "columns": 21,
}


def fields(level, dim, seed=0):
    """Random values of a grid, half of it known."""
    generator = np.random.default_rng(seed)
    shape = (level["rows"], level["columns"])
    known = np.zeros(shape, bool)
    known[: shape[0] // 2] = True
    return generator.normal(2.0, 1.0, (*shape, dim)).astype(np.float32), known


@pytest.fixture
def context():
    """A planet of two groups, of which the northern half is known, and a country, wholly known."""
    levels = [{**PLANET, "groups": {"land": 5, "lights": 2}}, {**COUNTRY, "groups": {"rain": 3}}]
    context = LocalContext(levels)
    context.fill(0, *fields(PLANET, 7))
    context.fill(1, fields(COUNTRY, 3)[0], np.ones((17, 21), bool))
    return context


def degrees(*places):
    return torch.tensor(places, dtype=torch.float64)


def test_is_bilinear_between_the_nodes_of_a_planet():
    values, known = fields(PLANET, 3)[0], np.ones((37, 72), bool)
    context = LocalContext([{**PLANET, "groups": {"a": 3}}])
    context.fill(0, values, known)
    values[[0, -1]] = values[[0, -1]].mean(1, keepdims=True)
    wrapped = np.concatenate((values, values[:, :1]), 1)[::-1]
    scipy = RegularGridInterpolator((np.linspace(-90, 90, 37), np.linspace(-180, 180, 73)), wrapped)
    generator = np.random.default_rng(1)
    lonlat = np.stack((generator.uniform(-180, 180, 500), generator.uniform(-90, 90, 500)), 1)
    want = scipy(lonlat[:, ::-1])
    area = np.cos(np.radians(np.linspace(90, -90, 37))).clip(1e-6)[:, None, None] + 0 * values[..., :1]
    want = want - (values * area).sum((0, 1)) / area.sum()
    got = context(torch.from_numpy(lonlat)).numpy()
    half_a_unit = context.get_buffer("unit/0").numpy() / 2
    assert (np.abs(got - want) <= half_a_unit * 1.001 + 1e-5).all()
    assert (half_a_unit < 0.02 * context.spread().numpy()).all()  # 8 bits lose less than 2 % of the standard deviation


def test_one_value_at_a_pole_and_on_both_sides_of_the_antimeridian(context):
    lons = np.linspace(-180, 180, 9)
    north = context(degrees(*((lon, 90.0) for lon in lons)), "rasters")
    assert (north == north[0]).all()
    assert north[0].abs().max() > 0.01
    west, east, beyond = context(degrees((-180.0, 52.3), (180.0, 52.3), (180.0 - 1e-9, 52.3)))
    assert torch.equal(west, east)
    torch.testing.assert_close(beyond, east, atol=1e-6, rtol=0)


def test_coverage_is_the_share_of_known_nodes(context):
    # The known rows of the planet end at latitude 5; the next nodes lie at 0.
    got = context.coverage(degrees((10.0, 52.0), (10.0, 5.0), (10.0, 4.0), (10.0, 0.0), (5.0, 52.0), (2.9, 52.0)))
    torch.testing.assert_close(got[:4, 0], torch.tensor([1.0, 1.0, 0.8, 0.0]))
    torch.testing.assert_close(got[[0, 4, 5], 1], torch.tensor([0.0, 1.0, 0.6]))
    assert context(degrees((10.0, -30.0))).abs().max() == 0  # 0 where nothing is known
    # Of the known nodes alone, until less than half of the weight is known.
    edge, near, far = context(degrees((10.0, 5.0), (10.0, 3.0), (10.0, 1.0)), "rasters")
    torch.testing.assert_close(near, edge)
    torch.testing.assert_close(far, edge * 0.4, atol=1e-6, rtol=0)


def test_nodes_with_the_most_frequent_value_are_not_stored():
    values, known = np.full((37, 72, 2), 7.0, np.float32), np.ones((37, 72), bool)
    values[10:20, 30:40] = np.random.default_rng(0).normal(size=(10, 10, 2))
    context = LocalContext([{**PLANET, "groups": {"a": 2}}])
    context.fill(0, values, known)
    assert context.levels[0]["stored"] == 100 == len(context.get_buffer("values/0")) - 1
    sea, land = context(degrees((-170.0, 0.0), (-5.0, 15.0)))
    torch.testing.assert_close(sea - land, torch.from_numpy(7 - values[15, 35]), atol=0.05, rtol=0)
    inside = context.places(50)
    assert inside.shape == (50, 2)
    assert (context(inside) != sea).any(1).all()


def test_no_place_and_one_place(context):
    assert context(degrees((1.0, 2.0))[:0]).shape == (0, 10)
    assert context.coverage(degrees((1.0, 2.0))[:0]).shape == (0, 2)
    assert context(degrees((5.0, 52.0)), "observations").shape == (1, 3)
    assert [context.dim_of(source) for source in ("rasters", "observations", None)] == [7, 3, 10]
    assert context.groups == [(0, "land", slice(0, 5)), (0, "lights", slice(5, 7)), (1, "rain", slice(7, 10))]


def test_copies_and_saved_weights_give_the_same(context):
    places = degrees(*zip(np.linspace(-180, 180, 50), np.linspace(-90, 90, 50), strict=True), (5.0, 52.0))
    want = context(places)
    again = LocalContext(**context.config)
    again.load_state_dict(context.state_dict())
    split = [LocalContext([level]) for level in context.levels]
    for level, one in enumerate(split):
        one.load_state_dict({name[:-1] + "0": t for name, t in context.state_dict().items() if name[-1] == str(level)})
        one.provenance = {str(level): "file"}
    joined = LocalContext.join(*split)
    assert joined.provenance == {"0": "file", "1": "file"}
    assert joined.config == context.config
    for copied in (again, joined, copy.deepcopy(context), pickle.loads(pickle.dumps(context))):
        assert torch.equal(copied(places), want)
    assert not any("index" in name for name in context.state_dict())


@pytest.mark.parametrize("damage", ["cut", "bit", "unknown"])
def test_a_mask_that_does_not_fit_is_refused(context, damage):
    weights, config = context.state_dict(), context.config
    if damage == "cut":
        weights["values/1"] = weights["values/1"][:-1]
        config["levels"][1]["stored"] -= 1
    else:
        weights["mask/0" if damage == "bit" else "known/0"][50:55] ^= 255
    with pytest.raises(ValueError, match=f"level {int(damage == 'cut')} of the context has .* damaged"):
        LocalContext(**config).load_state_dict(weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "radar"}, "source 'radar'; known: rasters, observations"),
        ({"rows": 0}, "rows, columns and a step above 0"),
        ({"rows": 40}, "beyond a pole"),
        ({"north": 91.0}, "beyond a pole"),
        ({"columns": 80}, "80 columns of 5.0 degrees"),
        ({"groups": {}}, "at least one column"),
        ({"stored": 10**9}, "stored nodes"),
        ({"step": None}, "incomplete or malformed"),
        ({"columns": float("inf")}, "incomplete or malformed"),
    ],
)
def test_impossible_grids_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        LocalContext([{**PLANET, "groups": {"a": 1}, **change}])


def test_values_that_do_not_fit_the_level_are_refused(context):
    with pytest.raises(ValueError, match=r"17 x 21 nodes of 3 numbers; got values of shape \(17, 20, 3\)"):
        context.fill(1, np.zeros((17, 20, 3), np.float32), np.ones((17, 20), bool))
    with pytest.raises(ValueError, match="not finite"):
        context.fill(1, np.full((17, 21, 3), np.nan, np.float32), np.ones((17, 21), bool))
    context.fill(1, np.full((17, 21, 3), np.nan, np.float32), np.zeros((17, 21), bool))
    assert context(degrees((5.0, 52.0)), "observations").abs().max() == 0


def test_a_grid_is_sampled_as_its_places(context):
    """Across the antimeridian, at the poles, among unknown nodes, and around the edge of the country."""
    for lon, lat in (
        (np.linspace(170, 190, 17), np.linspace(90, -90, 19)),
        (np.linspace(0, 10, 41), np.linspace(55, 48, 50)),
        (np.array([8.0]), np.array([51.97])),
    ):
        lon, lat = torch.from_numpy(lon), torch.from_numpy(lat)
        lats, lons = torch.meshgrid(lat, lon, indexing="ij")
        places = torch.stack((lons, lats), dim=-1).flatten(0, 1)
        for source in ("rasters", "observations", None):
            torch.testing.assert_close(context.on_grid(lon, lat, source), context(places, source), rtol=0, atol=3e-6)
    assert context.on_grid(lon[:0], lat, "rasters").shape == (0, 7)
