"""Mirrors src/geotether/encoders/sensors/encoder.py."""

import numpy as np
import pytest
import torch

from geotether.encoders.sensors.build import build_sensor_encoder
from geotether.encoders.sensors.encoder import SensorEncoder, whitening_axes
from geotether.encoders.sensors.networks import ResNet

ROWS = {"vector": (50, 6), "series": (50, 4, 3), "chip": (50, 3, 8, 8)}
BAND_AXIS = {"vector": 1, "series": 2, "chip": 1}


@pytest.fixture(params=list(ROWS))
def observed(request):
    """A kind and rows of it: bands of very different sizes, a tenth of the numbers missing."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(ROWS[request.param])
    bands = np.moveaxis(values, BAND_AXIS[request.param], -1)
    bands *= 10.0 ** np.arange(bands.shape[-1])
    bands += 1000.0
    values[rng.random(values.shape) < 0.1] = np.nan
    return request.param, values.astype(np.float32)


def encoder_of(kind, values, **config):
    names = {"vector": "mlp", "series": "tempcnn", "chip": "resnet"}
    return build_sensor_encoder({"name": names[kind], **config}, kind, values.shape[1:], out_dim=5)


def test_standardisation_is_that_of_numpy_without_the_missing(observed):
    kind, values = observed
    encoder = encoder_of(kind, values)
    encoder.fit(values)
    bands = np.moveaxis(values, BAND_AXIS[kind], -1).reshape(-1, encoder.num_bands)
    want = (bands - np.nanmean(bands, axis=0, dtype=float)) / np.nanstd(bands, axis=0, dtype=float)
    got = np.moveaxis(encoder.standardise(torch.from_numpy(values)).numpy(), BAND_AXIS[kind], -1)
    np.testing.assert_allclose(got.reshape(want.shape), np.nan_to_num(want), atol=1e-3)


def test_fitting_in_parts_is_fitting_at_once(observed, monkeypatch):
    kind, values = observed
    whole, parts = encoder_of(kind, values), encoder_of(kind, values)
    whole.fit(values)
    monkeypatch.setattr("geotether.encoders.sensors.encoder._NUMBERS", 7 * values[0].size)
    parts.fit(values)
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(parts.scale, whole.scale)


def test_the_missing_channel_says_which_share_of_the_bands_is_missing(observed):
    kind, values = observed
    encoder = encoder_of(kind, values, missing_channel=True)
    got = encoder.standardise(torch.from_numpy(values))
    share = np.isnan(values).mean(axis=BAND_AXIS[kind])
    np.testing.assert_allclose(got.select(BAND_AXIS[kind], -1).numpy(), share, atol=1e-6)
    assert encoder(torch.from_numpy(values)).shape == (50, 5)


def test_components_are_of_training_rows_and_uncorrelated(monkeypatch):
    rng = np.random.default_rng(0)
    values = (rng.standard_normal((80, 6)) @ rng.standard_normal((6, 6)) * 50 + 1000).astype(np.float32)
    whole, parts = (encoder_of("vector", values, components=4) for _ in range(2))
    whole.fit(values)
    monkeypatch.setattr("geotether.encoders.sensors.encoder._NUMBERS", 7 * 6)
    parts.fit(values)
    torch.testing.assert_close(parts.axes, whole.axes)
    got = whole.standardise(torch.from_numpy(values))
    torch.testing.assert_close(got.T @ got / 80, torch.eye(4), atol=1e-3, rtol=0)
    # A row that lacks everything is the mean row, of which all components are 0; the channel says so.
    told = encoder_of("vector", values, components=4, missing_channel=True)
    told.fit(values)
    assert told.standardise(torch.full((1, 6), float("nan")))[0].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_a_nearly_constant_number_cannot_dominate_other_rows():
    values = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    values[:, 2] = 0.0
    values[0, 2] = 1e-3
    encoder = encoder_of("vector", values)
    encoder.fit(values)
    # 0.2 is 2,800 standard deviations from the mean of that number.
    odd = encoder.standardise(torch.tensor([[0.0, 0.0, 0.2], [0.0, 0.0, -0.2]]))
    assert odd[:, 2].tolist() == [10.0, -10.0]
    assert encoder.standardise(torch.from_numpy(values))[1:, :2].abs().max() < 10
    # Bands of series are standardised over all steps: they are left as they are.
    series = build_sensor_encoder({"name": "tempcnn"}, "series", (2, 1), 3)
    assert series.standardise(torch.full((1, 2, 1), 99.0)).flatten().tolist() == [99.0, 99.0]


def test_rows_do_not_depend_on_each_other(observed):
    kind, values = observed
    encoder = encoder_of(kind, values).eval()
    encoder.fit(values)
    together, alone = encoder(torch.from_numpy(values)), encoder(torch.from_numpy(values[7:8]))
    torch.testing.assert_close(together[7:8], alone, atol=1e-5, rtol=1e-5)
    assert together.isfinite().all()


@pytest.mark.parametrize("rows", [0, 1])
def test_a_batch_may_have_one_row_or_none(observed, rows):
    kind, values = observed
    assert encoder_of(kind, values).train()(torch.from_numpy(values[:rows])).shape == (rows, 5)


def test_whole_numbers_and_floats_are_the_same():
    chips = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    encoder = build_sensor_encoder(None, "chip", (3, 8, 8), 4).eval()
    encoder.fit(chips)
    np.testing.assert_allclose(encoder.scale.numpy(), chips.std(axis=(0, 2, 3)), rtol=1e-5)
    torch.testing.assert_close(encoder(torch.from_numpy(chips)), encoder(torch.from_numpy(chips).float()))


def test_the_logarithm_of_nothing_is_missing():
    decibels = torch.tensor([[[-12.0], [float("-inf")]], [[-10.0], [-14.0]]])
    encoder = build_sensor_encoder({"name": "tempcnn", "missing_channel": True}, "series", (2, 1), 3)
    encoder.fit(decibels.numpy())
    assert encoder.mean.item() == pytest.approx(-12.0)
    assert encoder.standardise(decibels)[0].tolist() == [[0.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(("band", "scale"), [(7.0, 1.0), (np.nan, 1.0)])
def test_a_constant_or_absent_band_is_unchanged(band, scale):
    values = np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32)
    values[:, 1] = band
    encoder = build_sensor_encoder(None, "vector", (2,), 3)
    encoder.fit(values)
    assert encoder.scale[1].item() == scale
    assert encoder.standardise(torch.from_numpy(values))[:, 1].eq(0).all()


def test_a_short_series_is_completed_with_missing_steps():
    values = torch.randn(4, 12, 2, generator=torch.Generator().manual_seed(0))
    encoder = build_sensor_encoder({"name": "tempcnn", "missing_channel": True}, "series", (12, 2), 8).eval()
    encoder.fit(values.numpy())
    completed = values.clone()
    completed[:, 9:] = float("nan")
    torch.testing.assert_close(encoder(values[:, :9]), encoder(completed))


@pytest.mark.parametrize(
    ("kind", "shape", "came", "message"),
    [
        ("vector", (6,), (3, 5), "5 numbers, but the encoder was built for 6"),
        ("series", (12, 9), (3, 12, 10), "10 bands, but the encoder was built for 9"),
        (
            "series",
            (12, 9),
            (3, 24, 9),
            "24 steps, but the encoder was trained for up to 12: cut it to 12 steps, or",
        ),
        ("chip", (12, 16, 16), (3, 2, 16, 16), "2 bands, but the encoder was built for 12"),
        ("chip", (12, 16, 16), (12, 16, 16), r"Need rows of shape \(12, 16, 16\) \(chip\), got values of shape"),
    ],
)
def test_values_that_do_not_fit_are_refused(kind, shape, came, message):
    with pytest.raises(ValueError, match=message):
        build_sensor_encoder(None, kind, shape, 4)(torch.zeros(came))


def test_a_network_without_positions_accepts_chips_of_another_size():
    assert build_sensor_encoder({"name": "resnet"}, "chip", (2, 16, 16), 4)(torch.zeros(3, 2, 37, 20)).shape == (3, 4)
    with pytest.raises(ValueError, match=r"37 x 20 pixels, .* takes only 16 x 16.*'resnet'"):
        build_sensor_encoder({"name": "mlp"}, "chip", (2, 16, 16), 4)(torch.zeros(3, 2, 37, 20))


def test_a_network_for_something_else_is_refused():
    with pytest.raises(ValueError, match=r"takes chip of shape \(2, 16, 16\), not chip of shape \(3, 16, 16\)"):
        SensorEncoder(ResNet((2, 16, 16), 4), {"name": "resnet"}, "chip", (2, 16, 16), missing_channel=True)


def test_components_are_those_of_scikit_learn_but_for_their_sign():
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 7)) @ rng.standard_normal((7, 7))
    axes = whitening_axes(np.cov(rows.T, bias=True), 4)
    got = (rows - rows.mean(0)) @ axes
    # Theirs divides by n - 1.
    want = PCA(4, whiten=True).fit_transform(rows) * np.sqrt(200 / 199)
    np.testing.assert_allclose(np.abs(got), np.abs(want), atol=1e-9)


def test_whitening_does_not_amplify_rounding_noise():
    # Three columns that are one: a single component has variance, and noise is not blown up to variance 1.
    rows = np.random.default_rng(2).standard_normal((30, 1)) @ np.ones((1, 3))
    axes = whitening_axes(np.cov(rows.T, bias=True), 3)
    np.testing.assert_allclose(axes[:, 1:], 0.0)
    np.testing.assert_allclose(axes[:, 0], axes[0, 0])
    assert axes[0, 0] > 0
