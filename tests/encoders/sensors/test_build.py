"""Mirrors src/geotether/encoders/sensors/build.py."""

import json

import numpy as np
import pytest
import torch

from geotether.encoders.sensors import build_sensor_encoder, build_sensor_encoders, default_sensor_encoder, sensor_of
from geotether.encoders.sensors.build import encode_sensor, sensors_of

CASES = [
    ({"name": "tempcnn", "channels": 16, "missing_channel": True}, "series", (12, 2)),
    ({"name": "mlp", "hidden_dim": 32}, "vector", (7,)),
    ({"name": "mlp", "num_layers": 1}, "series", (12, 2)),
    ({"name": "mlp", "num_layers": 0, "components": 3, "missing_channel": True}, "vector", (8,)),
    ({"name": "resnet", "width": 8, "num_blocks": 2}, "chip", (3, 16, 16)),
    (None, "chip", (3, 16, 16)),
]


@pytest.mark.parametrize(("config", "kind", "shape"), CASES)
def test_an_encoder_is_rebuilt_from_json_with_equal_outputs(config, kind, shape):
    values = np.random.default_rng(0).normal(100, 9, (20, *shape)).astype(np.float32)
    encoder = build_sensor_encoder(config, kind, shape, 6)
    encoder.fit(values)
    encoder(torch.from_numpy(values))  # running statistics become those of something
    settings = json.loads(json.dumps(encoder.config))
    rebuilt = build_sensor_encoder(settings, kind, list(shape), 6)
    rebuilt.load_state_dict(encoder.state_dict())
    assert rebuilt.config == encoder.config
    torch.testing.assert_close(
        rebuilt.eval()(torch.from_numpy(values)), encoder.eval()(torch.from_numpy(values)), rtol=0, atol=0
    )


@pytest.mark.parametrize(("kind", "name"), [("vector", "mlp"), ("series", "tempcnn"), ("chip", "resnet")])
def test_every_kind_has_a_usual_encoder(kind, name):
    assert default_sensor_encoder(kind) == {"name": name}


@pytest.mark.parametrize(
    ("config", "kind", "shape", "message"),
    [
        ({"name": "tempcn"}, "series", (12, 2), "Unknown sensor encoder 'tempcn'; did you mean 'tempcnn'"),
        ({"name": "tempcnn", "kernels": 5}, "series", (12, 2), "Unknown keyword 'kernels'.*did you mean 'kernel'"),
        ({"name": "tempcnn", "kernel": 4}, "series", (12, 2), "kernel odd"),
        ({"name": "resnet", "width": 12}, "chip", (2, 16, 16), "width must be a multiple of 8"),
        ({"name": "resnet", "dropout": 1.0}, "chip", (2, 16, 16), "dropout must be 0 or more and less than 1"),
        ({"name": "mlp", "num_layers": -1}, "vector", (3,), "num_layers must be 0 or more and hidden_dim 1 or more"),
        ({"name": "mlp", "components": 4}, "vector", (3,), "components must be an integer from 1 to 3, got 4"),
        ({"name": "mlp", "components": 2}, "series", (3, 4), "components are for vectors; a series"),
        ({"name": "tempcnn"}, "chip", (2, 16, 16), "'tempcnn' does not take a chip; choose mlp, resnet, timm"),
        ({"name": "mlp", "missing_channel": 1}, "vector", (3,), "missing_channel must be true or false"),
        ({"hidden_dim": 3}, "vector", (3,), "must be a mapping with a 'name'"),
        (None, "picture", (3,), "Unknown kind 'picture'"),
        (None, "series", (12,), r"A row of kind 'series' has the shape \(steps, bands\), each 1 or more, got \(12,\)"),
        (None, "vector", (0,), "each 1 or more"),
    ],
)
def test_what_cannot_be_built_is_named(config, kind, shape, message):
    with pytest.raises(ValueError, match=message):
        build_sensor_encoder(config, kind, shape, 6)


def test_the_size_of_the_output_is_checked():
    with pytest.raises(ValueError, match="out_dim must be an integer of 1 or more, got 0"):
        build_sensor_encoder(None, "vector", (3,), 0)
    with pytest.raises(ValueError, match="Unknown kind of observation 'picture'"):
        default_sensor_encoder("picture")


def test_training_rows_say_whether_a_missing_channel_is_needed():
    whole = np.zeros((4, 12, 2), np.float32)
    gaps = whole.copy()
    gaps[3, 4] = np.nan
    assert sensor_of(whole, "series")["config"] == {"name": "tempcnn", "missing_channel": False}
    assert sensor_of(gaps, "series")["config"] == {"name": "tempcnn", "missing_channel": True}
    assert not sensor_of(gaps, "series", {"name": "mlp", "missing_channel": False})["config"]["missing_channel"]
    assert sensor_of(np.zeros((4, 3, 8, 8), np.uint8), "chip")["shape"] == [3, 8, 8]


SENSORS = {"s1": {"kind": "series", "shape": [12, 2]}, "dem": {"kind": "vector", "shape": [3]}}


def test_several_encoders_are_read_back_and_rebuilt():
    encoders = build_sensor_encoders(SENSORS, 8)
    settings = json.loads(json.dumps(sensors_of(encoders)))
    rebuilt = build_sensor_encoders(settings, 8)
    rebuilt.load_state_dict(encoders.state_dict())
    assert sensors_of(rebuilt) == settings
    values = torch.ones(2, 3)
    torch.testing.assert_close(encode_sensor(rebuilt.eval(), "dem", values), encoders.eval()["dem"](values))


@pytest.mark.parametrize(
    ("sensors", "message"),
    [
        ({}, "At least one modality is needed"),
        ({"a.b": SENSORS["dem"]}, "'a.b' is not a valid name"),
        ({"keys": SENSORS["dem"]}, "'keys' is not a valid name"),
        ({"s1": {"kind": "series"}}, "'s1' needs kind and shape"),
        ({"s1": {"kind": "series", "shape": [12, 2], "bands": 3}}, "got kind, shape, bands"),
        ({"s1": {"kind": "series", "shape": [12]}}, "Modality 's1': A row of kind 'series'"),
    ],
)
def test_sensors_that_cannot_be_built_are_named(sensors, message):
    with pytest.raises(ValueError, match=message):
        build_sensor_encoders(sensors, 8)


def test_errors_name_the_modality():
    encoders = build_sensor_encoders(SENSORS, 8)
    with pytest.raises(ValueError, match="Modality 's1': got 3 bands, but the encoder was built for 2"):
        encode_sensor(encoders, "s1", torch.zeros(2, 12, 3))
    with pytest.raises(ValueError, match=r"was not trained with the modality 's2'.*s1, dem"):
        encode_sensor(encoders, "s2", torch.zeros(2, 12, 3))
