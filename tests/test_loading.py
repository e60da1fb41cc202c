"""Mirrors src/geotether/loading.py."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import geotether
from geotether.benchmark.baselines import judged_only, xyz
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.geodesy.coordinates import unit_vectors
from geotether.loading import encode_places, load_encoder, named_encoder
from geotether.tasks.task import Task

CORNERS = np.array(
    [[0.0, 0.0], [179.9, 10.0], [-180.0, -45.0], [30.0, 89.9], [0.0, 90.0], [120.0, -90.0], [359.0, 60.0]]
)
LONLAT = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
MODEL = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 4}
CODE = """
from neighbour import SHIFT
import dataclasses

@dataclasses.dataclass
class Shifted:
    by: float = 1.0
    def encode(self, lon, lat):
        import numpy
        return numpy.stack([lon + self.by, lat], axis=1)

def swap(lon, lat):
    import numpy
    return numpy.stack([lat, lon + SHIFT], axis=1)

shifted = Shifted()
NUMBER = 3
"""


class Together:
    """An object that is called with one array."""

    probes = ("neighbors",)

    def __call__(self, lonlat):
        return 2 * lonlat


def two(lon, lat):
    return np.stack([lon, lat], axis=1)


@pytest.mark.parametrize(
    "thing",
    [
        two,
        lambda latitude, longitude: np.stack([longitude, latitude], axis=1),
        lambda lat, lon, /: np.stack([lon, lat], axis=1),
        lambda lon, lat, /: np.stack([lon, lat], axis=1),
        lambda x, y: np.stack([x, y], axis=1),
        lambda *, lat, lon, scale=1.0: np.stack([lon, lat], axis=1) * scale,
        lambda lonlat: lonlat,
        lambda places, batch=3: places,
        lambda lonlat: torch.tensor(lonlat),
        lambda lonlat: torch.tensor(lonlat, requires_grad=True),
        lambda lonlat: torch.tensor(lonlat).to(torch.bfloat16),
        lambda lonlat: pytest.importorskip("pandas").DataFrame(lonlat),
        lambda lonlat: lonlat.tolist(),
    ],
)
def test_every_form_of_function_gets_its_places(thing):
    encoder = load_encoder(thing)
    np.testing.assert_array_equal(encode_places(encoder, LONLAT, "mine"), LONLAT)
    np.testing.assert_array_equal(encode_places(load_encoder(encoder), LONLAT, "again"), LONLAT)


def test_attributes_are_kept():
    assert load_encoder(Together()).probes == ("neighbors",)
    assert load_encoder(judged_only(xyz, ("neighbors_in_space",))).probes == ("neighbors_in_space",)
    two.probes = ("ridge",)
    assert load_encoder(two).probes == ("ridge",)
    assert load_encoder(two).__name__ == "two"
    assert not hasattr(load_encoder(lambda lonlat: lonlat), "probes")


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (3.5, r"3\.5 is a float, which cannot encode places; give a function f\(lon, lat\)"),
        (Together, r"Together is a class; build an object of it first, such as Together\(\)"),
        (lambda: LONLAT, r"takes \(nothing\); an encoder takes f\(lon, lat\)"),
        (lambda lon, lat, time: LONLAT, r"takes \(lon, lat, time\).*Wrap it: lambda lon, lat"),
        (lambda lon: LONLAT, r"takes \(lon\)"),
        (lambda latlon: LONLAT, r"takes \(latlon\)"),
        (lambda *values: LONLAT, r"takes \(values\)"),
        (lambda *, places: LONLAT, r"takes \(places\)"),
        (max, "max does not say what it takes; wrap it"),
    ],
)
def test_an_object_that_is_not_an_encoder_is_named(thing, message):
    with pytest.raises(TypeError, match=message):
        load_encoder(thing)


@pytest.fixture
def code(tmp_path):
    (tmp_path / "neighbour.py").write_text("SHIFT = 10\n")
    (tmp_path / "their_code.py").write_text(CODE)
    yield tmp_path / "their_code.py"
    for name in ("neighbour", "their_code", "geotether_user_their_code"):
        sys.modules.pop(name, None)


SHIFTED = LONLAT + np.array([1.0, 0.0])
SWAPPED = np.array([[2.0, 11.0], [4.0, 13.0], [6.0, 15.0]])


@pytest.mark.parametrize(
    ("spec", "name", "want"),
    [
        ("{file}:swap", "swap", SWAPPED),
        ("their name={file}:swap", "their name", SWAPPED),
        ("{file}:shifted", "shifted", SHIFTED),
        ("{file}:shifted.encode", "shifted.encode", SHIFTED),
        ("their_code:swap", "swap", SWAPPED),
    ],
)
def test_code_is_opened(code, monkeypatch, spec, name, want):
    monkeypatch.chdir(code.parent)
    path = list(sys.path)
    got, encoder = named_encoder(spec.format(file=code))
    assert got == name
    np.testing.assert_array_equal(encode_places(encoder, LONLAT, got), want)
    assert sys.path == path


def test_models_and_files_are_opened(tmp_path):
    model = Encoder(build_location_encoder(MODEL, seed=0))
    want = model.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1])
    Encoder(model.module).save(tmp_path / "run" / "model")
    columns = {"lon": LONLAT[:, 0], "lat": LONLAT[:, 1], "embedding": pa.array(list(want))}
    pq.write_table(pa.table(columns), tmp_path / "a=b.parquet")
    for spec, name in (
        (f"{tmp_path}/run/model", "run"),
        (f"ours={tmp_path}/run/model/", "ours"),
        (f"{tmp_path}/a=b.parquet", "a=b"),
        (f"theirs={tmp_path}/a=b.parquet", "theirs"),
    ):
        got, encoder = named_encoder(spec)
        assert got == name
        np.testing.assert_array_equal(encode_places(encoder, LONLAT, got), want)


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("", ValueError, r"names no encoder; give \[NAME=\] and a model folder"),
        ("mine=", ValueError, "names no encoder"),
        (
            "mine=no/such/folder",
            FileNotFoundError,
            r"no/such/folder; give a model folder, a checkpoint",
        ),
        ("no_such.py:f", FileNotFoundError, r"There is no file no_such\.py"),
        ("no_such.py", FileNotFoundError, r"given as path/to/file\.py:function"),
        ("no_such_module:f", ImportError, "no_such_module"),
        ("a folder/model:f", ValueError, "is neither a module nor a .py file"),
        ("{file}:swop", ValueError, "has no 'swop'; it has Shifted, swap"),
        ("{file}:NUMBER", TypeError, "3 is a int, which cannot encode places"),
        ("{file}", ValueError, r"neither a PyTorch file nor safetensors"),
    ],
)
def test_an_error_about_a_wrong_form_says_what_to_type(code, spec, error, message):
    with pytest.raises(error, match=message):
        named_encoder(spec.format(file=code))


@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_chunks_do_not_matter(chunk_rows):
    asked = []

    def encoder(lonlat):
        asked.append(len(lonlat))
        return unit_vectors(lonlat)

    np.testing.assert_array_equal(encode_places(encoder, CORNERS, chunk_rows=chunk_rows), unit_vectors(CORNERS))
    assert encode_places(lambda p: np.ones((len(p), 2), dtype=int), CORNERS).dtype == np.float64
    assert encode_places(lambda p: np.ones((len(p), 2), dtype=np.float32), CORNERS).dtype == np.float32
    assert max(asked) <= chunk_rows


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda p: np.ones(len(p)), r"shape \(7,\) for 7 places"),
        (lambda p: np.ones((3, 2)), r"shape \(3, 2\) for 7 places"),
        (lambda p: np.ones((len(p), 0)), r"shape \(7, 0\)"),
        (lambda p: None, r"shape \(\) for 7 places"),
        (lambda p: np.full((len(p), 2), "a"), "returned <U1"),
        (
            lambda p: np.where(p == 89.9, np.nan, p),
            "1 of 7 places, first for row 3 at lon=30, lat=89.9",
        ),
    ],
)
def test_invalid_predictions_are_named(answer, message):
    with pytest.raises((TypeError, ValueError), match=message):
        encode_places(answer, CORNERS)


@pytest.mark.parametrize(
    ("encoder", "places", "error"),
    [
        ("model", CORNERS, TypeError),
        (unit_vectors, np.empty((0, 2)), ValueError),
        (unit_vectors, np.array([[-33.87, 151.21]]), ValueError),  # the other way round
    ],
)
def test_wrong_places_and_encoders_are_refused(encoder, places, error):
    with pytest.raises(error):
        encode_places(encoder, places)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """One encoder in every form in which it can be given, and a task at places that all of them know."""
    folder = tmp_path_factory.mktemp("kinds")
    encoder = Encoder(build_location_encoder(MODEL, seed=0))
    encoder.save(folder / "model")
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 300), rng.uniform(-60, 60, 300)], axis=1)
    embedding = list(encoder.encode(lonlat))
    pq.write_table(pa.table({"lon": lonlat[:, 0], "lat": lonlat[:, 1], "embedding": embedding}), folder / "e.parquet")
    forms = {
        "object": encoder,
        "module": encoder.module,
        "folder": folder / "model",
        "specification": f"its name={folder / 'model'}",
        "f(lon, lat)": lambda lon, lat: encoder.encode(lon=lon, lat=lat),
        "f(lonlat)": lambda lonlat: encoder.encode(lonlat),
        "file": folder / "e.parquet",
    }
    split = np.where(np.arange(300) % 3 == 0, "test", "train")
    task = Task.from_labels({"warmth": np.cos(np.radians(lonlat[:, 1]))}, "warmth", lonlat, split)
    return forms, task


def test_every_kind_of_encoder_is_evaluated_and_compared_alike(kinds, tmp_path):
    forms, task = kinds
    found = geotether.evaluate(forms, [task], probes=("ridge",), splits=("own",), labels=(100,), seeds=(0,))
    assert {one.encoder for one in found} == set(forms)
    assert len({one.value for one in found}) == 1
    study = geotether.compare(forms, [task], tmp_path, ("ridge",), ("own",), (100,), (0,))
    assert {one.value for one in study.outcomes if one.encoder in forms} == {found[0].value}


@pytest.mark.parametrize("form", ["object", "module", "folder", "specification", "f(lon, lat)", "f(lonlat)"])
def test_every_kind_of_encoder_is_diagnosed(kinds, form):
    forms, _ = kinds
    found = geotether.diagnose(forms[form], num_places=40, resolution_places=5)
    assert found.dimensionality.dim == 4
