"""Mirrors src/geotether/encoder.py."""

import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.readout import shorten
from geotether.files.points import PointRecords
from geotether.geodesy.distance import great_circle_km
from geotether.loading import load
from geotether.regions import Grid, grid_of, region_of
from geotether.tables.table import Table

SRC = Path(__file__).parents[1] / "src"
ENCODER = {
    "positional": {"name": "spherical_harmonics", "l_max": 4},
    "network": {"name": "siren", "hidden_dim": 8, "dropout": 0.5},
    "embed_dim": 4,
    "readout": "hidden_and_output",
}
LONLAT = np.array([[5.66, 51.97], [-74.01, 40.71], [151.21, -33.87], [0.0, 90.0]])


@pytest.fixture
def model():
    return Encoder(build_location_encoder(ENCODER, seed=0), {"a": 1}, {"seed": 0})


@pytest.fixture
def frame():
    geopandas = pytest.importorskip("geopandas")
    return geopandas.GeoDataFrame(
        {"town": list("abc")}, geometry=geopandas.points_from_xy(*LONLAT[:3].T), crs="OGC:CRS84", index=[10, 20, 30]
    )


@pytest.fixture
def wanted(model):
    with torch.no_grad():
        return model.module.handout(torch.tensor(LONLAT)).numpy()


def test_it_returns_the_output_of_the_encoder(model, wanted):
    got = model.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1])
    assert (got.dtype, got.shape, model.dim) == (np.float32, (4, 12), 12)
    np.testing.assert_array_equal(got, wanted)
    assert repr(model) == "Encoder(12 numbers per place, spherical_harmonics + siren)"
    assert (model.config, model.provenance) == ({"a": 1}, {"seed": 0})


def test_numbers_lists_and_null(model, wanted):
    np.testing.assert_allclose(model.encode(lon=5.66, lat=51.97), wanted[:1], atol=1e-6)
    np.testing.assert_allclose(model.encode(lon=[5.66], lat=[51.97]), wanted[:1], atol=1e-6)
    assert model.encode(lon=[], lat=[]).shape == (0, 12)
    np.testing.assert_allclose(model.encode(LONLAT[::-1]), wanted[::-1], atol=1e-6)


@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_chunks_do_not_matter(model, wanted, chunk_rows):
    got = model.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1], chunk_rows=chunk_rows)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_the_antimeridian_is_no_seam(model):
    west, east, around = model.encode(lon=[-180, 180, 540 - 360], lat=[10, 10, 10])
    np.testing.assert_allclose(west, east, atol=1e-5)
    np.testing.assert_allclose(west, around, atol=1e-5)
    np.testing.assert_allclose(model.encode(lon=286, lat=40), model.encode(lon=-74, lat=40), atol=1e-5)


def test_tensors_give_tensors_that_can_be_trained_on(model, wanted):
    places = torch.tensor(LONLAT, requires_grad=True)
    for found in (model.encode(places), model.encode(lon=places[:, 0], lat=places[:, 1])):
        assert not found.is_inference()
        assert not found.requires_grad
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert model.encode(places.detach()[:0]).shape == (0, 12)
    one = model.encode(lon=places.detach()[0, 0], lat=places.detach()[0, 1])
    np.testing.assert_allclose(one, wanted[:1], atol=1e-6)
    assert model.encode(torch.tensor([[5, 51], [-74, 40]])).dtype == torch.float32  # whole degrees
    np.testing.assert_allclose(model.similarity(found, places), model.similarity(LONLAT, LONLAT), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"places": torch.tensor([[5.0, 51.0], [151.0, -95.0]])}, ValueError, "row 1 is"),
        ({"places": torch.zeros(2, 3)}, ValueError, "the shape"),
        ({"places": torch.zeros(2, 2, dtype=torch.bool)}, TypeError, "numbers in degrees"),
        ({"lon": torch.zeros(3), "lat": torch.zeros(2)}, ValueError, "equally long"),
        ({"lon": torch.zeros(3)}, TypeError, "needs lon= and lat="),
        ({"places": torch.zeros(3, 2), "lon": torch.zeros(3)}, TypeError, "not both"),
    ],
)
def test_wrong_tensors_are_named(model, arguments, error, message):
    with pytest.raises(error, match=message):
        model.encode(**arguments)


def test_precision(model, wanted):
    assert np.abs(Encoder(model.module, precision="bf16").encode(LONLAT) - wanted).max() < 0.05 * np.abs(wanted).max()
    np.testing.assert_array_equal(Encoder(model.module, precision="tf32").encode(LONLAT), model.encode(LONLAT))
    with pytest.raises(ValueError, match="one of float32, tf32, bf16, got 'half'"):
        Encoder(model.module, precision="half")


def test_an_encoder_with_a_context_is_pickled_to_spawned_processes(make_context_encoder):
    encoder = Encoder(make_context_encoder())
    expected = encoder.encode(LONLAT)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(encoder.encode, (LONLAT,)), expected)
    joblib = pytest.importorskip("joblib")
    (found,) = joblib.Parallel(n_jobs=1)([joblib.delayed(pickle.loads(pickle.dumps(encoder)).encode)(LONLAT)])
    np.testing.assert_array_equal(found, expected)


def test_vectors_of_every_length(make_context_encoder, model):
    encoder = Encoder(make_context_encoder())
    whole = encoder.encode(LONLAT, dim="full")
    assert (encoder.dim, encoder.full_dim, whole.shape) == (40, 80, (4, 80))
    np.testing.assert_allclose(encoder.encode(LONLAT), shorten(whole, 40), atol=1e-5)
    np.testing.assert_allclose(encoder.encode(LONLAT, dim=64, chunk_rows=1), shorten(whole, 64), atol=1e-5)
    np.testing.assert_allclose(encoder.similarity(LONLAT, shorten(whole, 40)).diagonal(), 1, atol=1e-5)
    np.testing.assert_array_equal(model.encode(LONLAT, dim="full"), model.encode(LONLAT, dim=12))
    for one, dim, message in (
        (encoder, 81, "from 1 to 80 .* got 81"),
        (encoder, "all", "got 'all'"),
        (model, 8, "not 8"),
    ):
        with pytest.raises(ValueError, match=message):
            one.encode(LONLAT, dim=dim)


def test_coverage_of_a_model_that_does_not_say_where_it_was_trained(make_context_encoder, model):
    encoder = Encoder(make_context_encoder())
    found = encoder.coverage(LONLAT)
    assert list(found.columns) == encoder.module.context.level_names
    assert len(found.columns) == 3
    assert list(found.columns.values())[2].tolist() == [1, 0, 0, 0]
    assert all(((share >= 0) & (share <= 1)).all() for share in found.context.values())
    assert found.outside is found.dissimilarity is model.coverage(LONLAT).outside is None
    assert (model.coverage(LONLAT).columns, encoder.coverage(LONLAT[:0]).table().num_rows) == ({}, 0)


def test_coverage_is_near_where_the_model_was_trained(model):
    rng = np.random.default_rng(0)
    north = np.stack([rng.uniform(-180, 180, 5000), rng.uniform(20, 80, 5000)], axis=1)
    model.learn_coverage({"rain": north, "soil": north[:300]})
    found = model.coverage(np.concatenate([north, -north]))
    assert (found.nearest_km[:5000] < 5).mean() > 0.4
    assert found.nearest_km[:5000].max() <= 10
    assert (found.km["soil"] >= found.km["rain"]).all()
    south = found.nearest_km[5000:]
    want = great_circle_km(-north[::50, None], north[None]).min(axis=1)
    np.testing.assert_allclose(south[::50], want, atol=10)
    assert found.outside[:5000].mean() < 0.02
    assert found.outside[5000:][south > 4000].mean() > 0.95
    assert found.dissimilarity[5000:].mean() > 3 * found.dissimilarity[:5000].mean()
    one = model.coverage(lon=north[7, 0], lat=north[7, 1])
    np.testing.assert_allclose(one.dissimilarity, found.dissimilarity[7:8], atol=1e-4)
    again = pickle.loads(pickle.dumps(model)).coverage(north, embeddings=model.encode(torch.from_numpy(north)))
    np.testing.assert_allclose(again.dissimilarity, found.dissimilarity[:5000], atol=1e-5)
    assert {name: values.shape for name, values in model.coverage(north[:0]).columns.items()} == {
        "outside": (0,),
        "dissimilarity": (0,),
        "km_to_rain": (0,),
        "km_to_soil": (0,),
    }


def test_tables_and_records_are_encoded(model, wanted):
    table = Table.single("t", LONLAT, np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(model.encode(table), wanted, atol=1e-6)
    np.testing.assert_allclose(model.encode(PointRecords(LONLAT, pa.table({"a": range(4)}))), wanted, atol=1e-6)


@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:4326", "EPSG:3857", "EPSG:8857"])
def test_geodataframes_of_any_crs_are_encoded(model, wanted, frame, crs):
    for places in (frame.to_crs(crs), frame.to_crs(crs).geometry):
        found = model.encode(places)
        assert (found.crs, found.index.tolist()) == (places.crs, [10, 20, 30])
        np.testing.assert_allclose(found.drop(columns="geometry"), wanted[:3], atol=1e-5)
    np.testing.assert_allclose(model.similarity(frame, wanted[:3]).diagonal(), 1, atol=1e-5)


def test_the_row_that_is_not_a_point_is_named(model, frame):
    from shapely import LineString, Point

    for geometry, message in (
        (LineString([(0, 0), (1, 1)]), r"1 of 3 rows are not points; row 1 \(index 20\) is a LineString"),
        (None, r"row 1 \(index 20\) has no geometry"),
        (Point(), r"row 1 \(index 20\) is an empty Point"),
    ):
        broken = frame.copy()
        broken.loc[20, "geometry"] = geometry
        with pytest.raises(ValueError, match=message):
            model.encode(broken)


def test_a_frame_without_a_crs_is_an_error(model, frame):
    with pytest.raises(ValueError, match=r"no CRS; set it with \.set_crs\('OGC:CRS84'\)"):
        model.encode(frame.set_crs(None, allow_override=True))


@pytest.mark.parametrize(
    "lon, lat, message",
    [
        ([5.66, -33.87], [51.97, 151.21], r"row 1 is \(-33\.87, 151\.21\).*pass lon= and lat= the other way round"),
        ([0.0, np.nan], [0.0, 0.0], r"row 1 is \(nan, 0\)"),
        ([0.0, np.inf], [0.0, 0.0], r"row 1 is \(inf, 0\)"),
        ([0.0, 400.0], [0.0, 0.0], r"row 1 is \(400, 0\)"),
        ([0.0], [0.0, 1.0], "lon has 1 values and lat has 2"),
    ],
)
def test_wrong_coordinates_are_named(model, lon, lat, message):
    with pytest.raises(ValueError, match=message):
        model.encode(lon=lon, lat=lat)


def test_other_misuse_is_named(model):
    import pandas as pd

    for arguments, options, message in (
        ((), {}, "needs lon= and lat="),
        ((), {"lon": 5.0}, "needs lon= and lat="),
        (({"lon": [1.0]},), {}, "cannot tell longitude from latitude in a dict"),
        (("Paris",), {}, r"in a str; pass lon= and lat=.*table\['lon'\]"),
        ((LONLAT,), {"lon": 1.0}, "not both"),
    ):
        with pytest.raises(TypeError, match=message):
            model.encode(*arguments, **options)
    for method in (model.encode, model.coverage):
        with pytest.raises(TypeError, match=rf"{method.__name__}\(lon=\.\.\., lat=\.\.\.\)"):
            method([5.66], [51.97])
    with pytest.raises(TypeError, match="2 arrays"):
        model.similarity([5.66], [51.97], [5.0], [52.0])
    for places in (LONLAT.T, LONLAT.ravel(), np.zeros((2, 3)), [1.0, 2.0]):
        with pytest.raises(ValueError, match=r"the shape \(n, 2\), longitude first"):
            model.encode(places)
    with pytest.raises(ValueError, match="there is no column for lat"):
        model.encode(pd.DataFrame({"lon": [1.0], "height": [2.0]}))
    with pytest.raises(ValueError, match="chunk_rows must be 1"):
        model.encode(lon=1.0, lat=2.0, chunk_rows=0)


def test_a_loaded_model_gives_the_same(model, wanted, tmp_path):
    Encoder(model.module, {"a": 1}, {"seed": 0}, card="# Card").save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1]), wanted)
    assert (loaded.config, loaded.provenance) == ({"a": 1}, {"seed": 0})


def test_a_folder_is_loaded_as_a_folder_and_nothing_else(model, wanted, tmp_path):
    Encoder(model.module).save(tmp_path / "model")
    np.testing.assert_array_equal(Encoder.load(tmp_path / "model").encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1]), wanted)
    (tmp_path / "x.ckpt").write_bytes(b"PK")
    with pytest.raises(ValueError, match="is a file; give the model's folder"):
        Encoder.load(tmp_path / "x.ckpt")


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*satclip\.ckpt"):
        load(tmp_path / "satclip.ckpt")
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load(tmp_path / "model")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match="neither a PyTorch file nor safetensors"):
        load(tmp_path / "notes.txt")


def test_loading_and_encoding_needs_no_training_code(model, tmp_path):
    """Neither the training code nor the libraries that only preparing data needs."""
    Encoder(model.module).save(tmp_path / "model")
    program = (
        "import sys; from geotether.loading import load\n"
        "assert load(sys.argv[1]).encode(lon=[5.66, 4.9], lat=[51.97, 52.4]).shape == (2, 12)\n"
        "rooms = ('training', 'objectives', 'batches', 'tables', 'probes', 'benchmark', 'maps', 'report', 'cli')\n"
        "unwanted = [f'geotether.{room}' for room in rooms] + ['pyarrow', 'pandas', 'sklearn', 'geopandas']\n"
        "print([name for name in unwanted if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(SRC), "PYTHONDONTWRITEBYTECODE": "1"}
    child = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.stdout.strip() == "[]", child.stderr


@pytest.mark.parametrize(
    ("given", "resolution"), [("170 -50 -170 60", 5), ("world", 30), ("world", "4000km"), ("170 -50 -170 60", "500km")]
)
def test_a_grid_is_encoded_as_its_places(model, given, resolution):
    grid = grid_of(region_of(given), resolution)
    vectors = model.encode_grid(grid)
    assert vectors.shape == (grid.rows, grid.columns, model.dim)
    want = model.encode(grid.lonlat(slice(None), slice(None)).reshape(-1, 2)).reshape(vectors.shape)
    np.testing.assert_allclose(vectors, want, atol=1e-5)
    assert (grid.axes(slice(None), slice(None)) is None) == (resolution == "500km")
    part = model.encode_grid(grid, slice(1, 3), slice(2, 4))
    np.testing.assert_allclose(part, want[1:3, 2:4], atol=1e-5)


def test_pixels_without_a_place_are_nan(model):
    grid = Grid("EPSG:6933", 17_000_000.0, 1_000_000.0, 500_000.0, rows=2, columns=3)
    vectors = model.encode_grid(grid)
    assert np.isfinite(vectors[:, 0]).all()
    assert np.isnan(vectors[:, 1:]).all()


def test_what_decides_the_vectors_has_a_hash():
    one, again, other = (Encoder(build_location_encoder(ENCODER, seed)) for seed in (0, 0, 1))
    rounded = Encoder(one.module, precision="bf16")
    assert one.content_hash == again.content_hash
    assert len({one.content_hash, other.content_hash, rounded.content_hash}) == 3
