"""Mirrors src/geotether/embedder.py."""

import multiprocessing
import pickle
import shutil

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from geotether import BlockKFold, LocationEmbedder, load
from geotether.encoder import Encoder
from geotether.geodesy.blocks import block_id

WIDE = "the check has 3 to 10 columns; longitude and latitude are 2"
FAR = "the check has numbers beyond 90; they are no latitudes"
# Checks of scikit-learn that an estimator of two columns in degrees cannot pass.
EXPECTED = {
    **dict.fromkeys(("check_fit_score_takes_y", "check_dont_overwrite_parameters", "check_dict_unchanged"), WIDE),
    **dict.fromkeys(("check_n_features_in_after_fitting", "check_pipeline_consistency", "check_fit2d_1sample"), WIDE),
    **dict.fromkeys(("check_positive_only_tag_during_fit", "check_estimators_dtypes", "check_dtype_object"), WIDE),
    **dict.fromkeys(("check_estimators_nan_inf", "check_estimators_pickle", "check_fit2d_predict1d"), WIDE),
    **dict.fromkeys(("check_f_contiguous_array_estimator", "check_transformer_data_not_an_array"), WIDE),
    **dict.fromkeys(("check_transformer_general", "check_methods_sample_order_invariance"), WIDE),
    **dict.fromkeys(("check_methods_subset_invariance",), WIDE),
    **dict.fromkeys(("check_fit_idempotent", "check_fit_check_is_fitted", "check_n_features_in"), FAR),
}  # fmt: skip


class AnyColumns(LocationEmbedder):
    """Makes two columns in degrees out of what the checks of scikit-learn pass."""

    def fit(self, X, y=None):
        validate_data(self, X, dtype=np.float64)
        width = self.n_features_in_
        super().fit(X)
        self.n_features_in_ = width
        return self

    def _places(self, X):
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return super()._places(np.stack([180 * np.sin(X[:, 0]), 90 * np.sin(X[:, -1])], axis=1))


@pytest.fixture(scope="module")
def places():
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(-180, 180, 300), np.degrees(np.arcsin(rng.uniform(-1, 1, 300)))], axis=1)


@pytest.fixture
def folder(make_context_encoder, tmp_path):
    Encoder(make_context_encoder()).save(tmp_path / "model")
    return tmp_path / "model"


def warmth(lonlat):
    return 30 - np.abs(lonlat[:, 1]) / 2


def test_contract_of_scikit_learn(folder):
    outcomes = check_estimator(
        LocationEmbedder(folder, dim=8), expected_failed_checks=EXPECTED, on_fail=None, on_skip=None
    )
    said = {one["check_name"]: str(one["exception"]) for one in outcomes if one["status"] in ("failed", "xfail")}
    assert not [one["check_name"] for one in outcomes if one["status"] == "failed"]
    assert {*said} == {*EXPECTED}
    wanted = {WIDE: ("expecting 2 features", "negative input"), FAR: ("not (longitude, latitude) in degrees",)}
    assert not [name for name, text in said.items() if not any(part in text for part in wanted[EXPECTED[name]])]


def test_contract_of_scikit_learn_apart_from_two_columns_in_degrees(folder):
    check_estimator(AnyColumns(folder, dim=8), on_skip=None)


def test_it_returns_what_encode_returns(folder, places):
    embedder = LocationEmbedder(folder, dim=8)
    with pytest.raises(NotFittedError):
        embedder.transform(places)
    found = embedder.fit_transform(places)
    np.testing.assert_array_equal(found, load(folder).encode(places, dim=8))
    assert (embedder.dim_, embedder.n_features_in_, found.dtype) == (8, 2, np.float32)
    assert LocationEmbedder(folder, dim=None).fit(places).dim_ == 40
    assert LocationEmbedder(folder, dim="full").fit(places).dim_ == 80
    function = LocationEmbedder(lambda lon, lat: np.stack([lon, lat, lat], axis=1), dim=None)
    assert function.fit_transform(places).shape == (300, 3)


def test_frames_in_and_out(folder, places):
    pd = pytest.importorskip("pandas")
    geopandas = pytest.importorskip("geopandas")
    plain = LocationEmbedder(folder, dim=3).fit_transform(places)
    frame = pd.DataFrame({"crop": "rye", "lat": places[:, 1], "lon": places[:, 0]}, index=np.arange(300)[::-1])
    points = geopandas.GeoDataFrame(frame[["crop"]], geometry=geopandas.points_from_xy(*places.T), crs=4326).to_crs(
        3395
    )
    for X in (frame, frame[["lon", "lat"]], points):
        found = LocationEmbedder(folder, dim=3).set_output(transform="pandas").fit_transform(X)
        assert found.columns.tolist() == ["e0", "e1", "e2"]
        assert found.index.equals(frame.index)
        np.testing.assert_allclose(found, plain, atol=2e-4)
    beside = ColumnTransformer([("place", LocationEmbedder(folder, dim=2), ["lon", "lat"])], remainder="passthrough")
    assert beside.set_output(transform="pandas").fit_transform(frame).columns.tolist() == [
        "place__e0", "place__e1", "remainder__crop",
    ]  # fmt: skip


def test_a_search_in_blocks(folder, places):
    pipeline = make_pipeline(LocationEmbedder(folder), Ridge())
    grid = {"locationembedder__dim": [2, 40], "ridge__alpha": [1e-3, 1e3]}
    cv = BlockKFold(3, block_km=2000)
    search = GridSearchCV(clone(pipeline), grid, cv=cv).fit(places, warmth(places))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(search.best_estimator_.predict, (places,))
    np.testing.assert_allclose(there, search.predict(places), rtol=1e-6)
    assert search.best_params_["locationembedder__dim"] == 40
    blocks = block_id(places, 2000)
    for train, test in cv.split(places):
        assert not {*blocks[train]} & {*blocks[test]}


def test_splits_of_embeddings_by_groups_of_places(folder, places):
    pd = pytest.importorskip("pandas")
    vectors = LocationEmbedder(folder).fit_transform(places)
    cv = BlockKFold(3, block_km=2000)
    wanted = cross_val_predict(make_pipeline(LocationEmbedder(folder), Ridge()), places, warmth(places), cv=cv)
    for groups in (places, pd.DataFrame(places, columns=["lon", "lat"])):
        found = cross_val_predict(Ridge(), vectors, warmth(places), cv=cv, groups=groups)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_pickle_names_the_model_and_refuses_another(folder, places, tmp_path, make_context_encoder):
    pipeline = make_pipeline(LocationEmbedder(folder, dim=8), Ridge()).fit(places, warmth(places))
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    assert (tmp_path / "pipeline.joblib").stat().st_size < 10_000
    again = joblib.load(tmp_path / "pipeline.joblib")
    np.testing.assert_array_equal(again.predict(places), pipeline.predict(places))
    other = make_context_encoder()
    with np.errstate(all="ignore"):
        next(other.network.parameters()).data.mul_(1.5)
    shutil.rmtree(folder)
    Encoder(other).save(folder)
    with pytest.raises(ValueError, match="weights have changed"):
        again.predict(places)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError):
        again.predict(places)


def test_a_model_as_an_object_is_pickled_with_its_weights(folder, places):
    embedder = LocationEmbedder(load(folder), dim=8).fit(places)
    wanted = embedder.transform(places)
    shutil.rmtree(folder)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(embedder)).transform(places), wanted)
    assert clone(embedder).fit(places).dim_ == 8


def test_wrong_places_and_models_are_named(folder, places):
    for X, message in (
        (places[:, ::-1] * 2, "other way round|not .longitude, latitude"),
        (places[:0], "minimum of 1"),
        (np.full((2, 2), np.nan), "contains NaN"),
        (places.ravel(), "Expected 2D array"),
    ):
        with pytest.raises(ValueError, match=message):
            LocationEmbedder(folder).fit(X)
    for model, dim, error, message in (
        ("wrld", 64, FileNotFoundError, "'?world"),
        (folder, 81, ValueError, "from 1 to 80"),
        (lambda lon, lat: lon, 3, ValueError, "no projected readout; leave out dim"),
    ):
        with pytest.raises(error, match=message):
            LocationEmbedder(model, dim=dim).fit(places)
