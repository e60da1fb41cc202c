"""Mirrors src/geotether/context/build.py."""

import logging

import numpy as np
import pytest
import torch

from geotether.context import build
from geotether.context.build import build_context, check_rasters, raster_context
from geotether.context.config import ContextConfig
from geotether.context.rasters import ArrayRaster
from geotether.files.disk import file_fingerprint
from geotether.regions import region_of
from geotether.sources.sampling import sample_sphere
from geotether.tables.table import Table

RASTER = {"filters": 0, "patch": 3, "components": 2, "licence": "CC0", "origin": "made up"}


def config(rasters=None, scales_km=(300, 900), land=None, components=0, reach_km=300.0, tables=None):
    named = {name: RASTER | options for name, options in (rasters or {}).items()}
    observations = {"components": components, "reach_km": reach_km, "tables": tables}
    return ContextConfig(rasters=named, scales_km=list(scales_km), land=land, observations=observations)


def table(name, lonlat, features):
    return Table.single(name, lonlat, np.asarray(features, dtype=np.float32))


def places(*pairs):
    return torch.tensor(pairs, dtype=torch.float64)


@pytest.fixture
def tables():
    lonlat = sample_sphere(400, seed=0)
    lat = np.radians(lonlat[:, 1])
    return {
        "heat": table("heat", lonlat, np.stack([np.cos(lat), np.cos(lat) ** 2, np.sin(lat)], axis=1)),
        "rain": table("rain", lonlat[:50], np.random.default_rng(0).standard_normal((50, 4))),
    }


@pytest.fixture
def data(tmp_path, write_geotiff):
    lon, lat = np.meshgrid(np.arange(-179, 180, 2), np.arange(89, -90, -2))
    rng = np.random.default_rng(0)
    write_geotiff(tmp_path / "data" / "height.tif", np.stack([lat + 0 * lon, rng.standard_normal(lat.shape)]))
    # Half of the planet, south of the equator without data.
    half = np.where(lat > 0, rng.standard_normal(lat.shape), np.nan)[:, :90].astype(np.float32)
    write_geotiff(tmp_path / "data" / "west.tif", half, (2, 0, -180, 0, -2, 90))
    return tmp_path / "data"


def test_levels_are_rasters_finest_first_then_observations(data, tables, tmp_path):
    wanted = config(
        {"height": {"path": "height.tif"}, "west": {"path": "west.tif", "components": [1, 2]}}, components=2
    )
    found = build_context(wanted, tables, data, seed=0, cache=tmp_path / "cache")
    levels = [(level["source"], level["scale_km"], level["step"], level["groups"]) for level in found.levels]
    assert levels == [
        ("rasters", 300.0, 5.0, {"height": 2, "west": 1}),
        ("rasters", 900.0, 15.0, {"height": 2, "west": 2}),
        ("observations", 300.0, 5.0, {"heat": 2, "rain": 2}),
    ]
    assert found.dims == [3, 4, 4]
    assert found.provenance["rasters"]["height"] == {
        "file": "height.tif", "sha256": file_fingerprint(data / "height.tif"), "bands": ["band 1", "band 2"],
        "licence": "CC0", "origin": "made up",
    }  # fmt: skip
    assert found.provenance["observations"]["tables"] == ["heat", "rain"]
    # The height follows the latitude; where `west` has no data, it has its mean, which is 0.
    lat = torch.arange(-80.0, 81, 10).double()
    values = found(torch.stack([torch.full_like(lat, 100.0), lat], dim=1))
    assert np.abs(np.corrcoef(values.T.numpy()[[0, 1, 3, 4]], lat))[-1].max() > 0.98
    assert values[:, 2].abs().max() < 0.02
    assert found(places([-90, 45]))[0, 2].abs() > 0
    # Continuous at 180 degrees, one value at a pole.
    for one, other in (([180, 10], [-180, 10]), ([20, 90], [-70, 90]), ([5, -90], [100, -90])):
        torch.testing.assert_close(found(places(one)), found(places(other)))
    assert found.coverage(places([0, 0]))[0].tolist() == [1, 1, 1]


def test_an_unchanged_context_is_read_from_the_cache(data, tables, tmp_path, monkeypatch):
    wanted = config({"height": {"path": "height.tif"}}, components=2)
    first = build_context(wanted, tables, data, seed=0, cache=tmp_path)
    calls = []
    for name in ("raster_field", "observation_field"):
        own = getattr(build, name)
        monkeypatch.setattr(build, name, lambda *a, own=own, name=name, **k: calls.append(name) or own(*a, **k))
    again = build_context(wanted, tables, data, seed=0, cache=tmp_path)
    assert not calls
    where = torch.tensor(sample_sphere(100, seed=1))
    assert torch.equal(first(where), again(where))
    assert first.provenance == again.provenance
    build_context(wanted, {"heat": tables["heat"]}, data, seed=0, cache=tmp_path)
    assert calls == ["observation_field"]  # rasters do not depend on tables
    (data / "height.tif").rename(data / "moved.tif")
    moved = config({"height": {"path": "moved.tif"}})
    build_context(moved, tables, data, seed=0, cache=tmp_path)
    assert calls == ["observation_field"]
    build_context(moved, tables, data, seed=1, cache=tmp_path)
    assert calls == ["observation_field", "raster_field"]
    for file in tmp_path.glob("*.safetensors"):  # as a full disk would have left it
        file.write_bytes(file.read_bytes()[:-9])
    build_context(moved, tables, data, seed=1, cache=tmp_path)
    assert calls == ["observation_field", "raster_field", "raster_field"]


def test_without_rasters_and_observations_there_is_none(tables):
    assert build_context(config(), tables, None, seed=0) is None
    assert check_rasters(config(), None) == {}


def test_observations_of_a_region_have_a_regional_grid(tmp_path):
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(178, 184, 60), rng.uniform(-20, -15, 60)], axis=1)
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180
    features = np.stack([lonlat[:, 1], rng.standard_normal(60)], axis=1)
    wanted = config(components=1, reach_km=30.0)
    found = build_context(wanted, {"fiji": table("fiji", lonlat, features)}, None, seed=0, cache=tmp_path)
    (level,) = found.levels
    assert level["columns"] < 30
    torch.testing.assert_close(found(places([180, -17])), found(places([-180, -17])))
    assert found.coverage(places([181 - 360, -17], [170, -17], [0, 50]))[:, 0].tolist() == [1, 0, 0]
    assert not found(places([0, 50])).any()


def test_a_raster_should_cover_the_training_places(data, tables, tmp_path, caplog):
    wanted = config({"west": {"path": "west.tif"}})
    with caplog.at_level(logging.WARNING):
        build_context(wanted, tables, data, seed=0, cache=tmp_path)
    assert "context.rasters.west covers" in caplog.text
    east = {"heat": table("heat", np.array([[50.0, 10.0], [-20.0, -30.0]]), np.eye(2))}
    with pytest.raises(
        ValueError, match=r"context\.rasters\.west: .*west\.tif has no data at any.*longitude -180 to 0"
    ):
        build_context(wanted, east, data, seed=0, cache=tmp_path)


@pytest.mark.parametrize(
    ("rasters", "options", "error", "words"),
    [
        ({"height": {"path": "hight.tif"}}, {}, FileNotFoundError, r"context\.rasters\.height: .*hight\.tif"),
        ({"height": {"path": "height.tif", "bands": [3]}}, {}, ValueError, r"context\.rasters\.height: .*no band 3"),
        (
            {"height": {"path": "height.tif", "components": [2]}},
            {},
            ValueError,
            r"components has 1 numbers",
        ),
        ({"height": {"path": "height.tif"}}, {"scales_km": [0.01]}, ValueError, "smallest scale"),
        ({"height": {"path": "height.tif", "transform": "sqrt"}}, {}, ValueError, r"rasters\.height: .*height\.tif"),
        ({}, {"components": 2, "tables": ["heatt"]}, ValueError, "Did you mean 'heat'"),
        ({"height": {"path": "height.tif"}}, {"land": {"path": "no.geojson"}}, FileNotFoundError, "land"),
    ],
)
def test_what_cannot_be_built_is_an_error_that_names_the_setting(
    data, tables, tmp_path, rasters, options, error, words
):
    with pytest.raises(error, match=words):
        build_context(config(rasters, **options), tables, data, seed=0, cache=tmp_path)


def test_a_raster_without_crs_whose_bounds_are_not_degrees_is_an_error(data, write_geotiff):
    write_geotiff(data / "metres.tif", np.eye(9, dtype=np.float32), (10, 0, 5e5, 0, -10, 5e6), crs=None)
    with pytest.raises(ValueError, match=r"context\.rasters\.metres: .*crs"):
        check_rasters(config({"metres": {"path": "metres.tif"}}), data)


def test_arrays_and_a_pattern_of_tiles_give_the_context_of_one_file(data, tmp_path, write_geotiff):
    rng = np.random.default_rng(0)
    cells = rng.standard_normal((90, 180)).astype(np.float32).cumsum(axis=0)
    for number, left in enumerate((0, 90)):
        write_geotiff(data / f"tile{number}.tif", cells[:, left : left + 90], (2, 0, -180 + 2 * left, 0, -2, 90))
    wanted = config({"one": {"path": "tile*.tif"}}, scales_km=[900])
    nowhere = {"one": table("one", sample_sphere(10, seed=0), np.eye(10))}
    tiles = build_context(wanted, nowhere, data, seed=0, cache=tmp_path)
    assert tiles.provenance["rasters"]["one"]["file"] == "tile*.tif (2 files)"
    array = raster_context({"one": [ArrayRaster(cells[..., None], -180.0, 90.0, 2.0)]}, wanted)
    where = torch.tensor(sample_sphere(500, seed=1))
    rest = np.linalg.lstsq(tiles(where).numpy(), array(where).numpy(), rcond=None)[1]
    assert (rest < 0.2 * (array(where) ** 2).sum(0).numpy()).all()  # components may be turned


@pytest.mark.parametrize("bounds", ["20 -10 50 20", "170 -20 -170 0"], ids=["plain", "antimeridian"])
def test_a_region_is_known_alone_and_values_fade_to_0_at_its_border(bounds):
    region, rng = region_of(bounds), np.random.default_rng(0)
    west, south, east, north = region.bounds
    lat = np.repeat(np.arange(89, -90, -2.0)[:, None], 180, axis=1)
    raster = ArrayRaster((lat + rng.standard_normal(lat.shape))[..., None], -180, 90, 2.0)
    wanted = config({"a": {"path": "a"}}, scales_km=(200,))
    found = raster_context({"a": [raster]}, wanted, region=region)
    assert found.levels[0]["columns"] * found.levels[0]["step"] < 90
    inside = np.stack([rng.uniform(west + 3, east - 3, 200), rng.uniform(south + 3, north - 3, 200)], axis=1)
    inside[:, 0] = (inside[:, 0] + 180) % 360 - 180
    assert found.coverage(torch.from_numpy(inside)).min() > 0.999
    columns = np.concatenate([found(torch.from_numpy(inside)).numpy(), np.ones((200, 1))], axis=1)
    rest = inside[:, 1] - columns @ np.linalg.lstsq(columns, inside[:, 1])[0]
    assert rest.var() < 0.1 * inside[:, 1].var()
    middle = (south + north) / 2
    outside = places(
        [west - 12, middle], [(east + 192) % 360 - 180, middle], [west + 2, north + 12], [west - 90, middle]
    )
    assert found.coverage(outside).max() == found(outside).abs().max() == 0
    elsewhere = ArrayRaster(raster.values[:20, :20], -80, 80, 2.0)
    with pytest.raises(ValueError, match=r"rasters\.a: array does not cover the region"):
        raster_context({"a": [elsewhere]}, wanted, region=region)
