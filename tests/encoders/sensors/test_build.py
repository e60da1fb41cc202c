"""Mirrors src/geotether/encoders/sensors/build.py."""

import json

import numpy as np
import pytest
import torch

from geotether.encoders.colearner import WIRINGS, CoLearner
from geotether.encoders.sensor_heads import SensorClassifier
from geotether.encoders.sensors.build import build_sensor_encoder, build_sensor_encoders
from geotether.encoders.tied_sensors import TiedSensors

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
def test_an_unbuildable_specification_is_named(config, kind, shape, message):
    with pytest.raises(ValueError, match=message):
        build_sensor_encoder(config, kind, shape, 6)


SENSORS = {"s1": {"kind": "series", "shape": [12, 2]}, "dem": {"kind": "vector", "shape": [3]}}


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


LOCATION = {"positional": {"name": "cartesian"}, "network": {"name": "mlp", "hidden_dim": 8}, "embed_dim": 6}
MODELS = [
    (SensorClassifier, {"num_outputs": 4}),
    *((CoLearner, {"num_outputs": 4, "wiring": wiring, "layer_norm": wiring == "code"}) for wiring in WIRINGS),
    (TiedSensors, {"proj_dim": 6, "location": LOCATION}),
    (TiedSensors, {"proj_dim": 6, "specific_dim": 4}),
]


@pytest.mark.parametrize(("kind", "options"), MODELS)
def test_models_of_several_sensors_are_rebuilt_from_json_with_equal_outputs(kind, options):
    rows = {name: 50 + 9 * torch.randn(9, *sensor["shape"]) for name, sensor in SENSORS.items()}
    model = kind(SENSORS, dim=8, **options)

    def outputs(model, name):
        if isinstance(model, SensorClassifier):
            return model(rows)
        if isinstance(model, TiedSensors):
            return model.project(name, model.encode(name, rows[name]))
        return model.predict(name, rows[name])

    for name, values in rows.items():
        model.fit(name, values.numpy())
        outputs(model, name)  # moves the running statistics
    rebuilt = kind(**json.loads(json.dumps(model.config)))
    rebuilt.load_state_dict(model.state_dict())
    assert rebuilt.config == model.config
    assert model.config["sensors"]["dem"]["shape"] == [3]
    for name in rows:
        torch.testing.assert_close(outputs(rebuilt.eval(), name), outputs(model.eval(), name), rtol=0, atol=0)
    for call in (lambda: model.encode("s2", rows["s1"]), lambda: model.fit("s2", rows["s1"].numpy())):
        with pytest.raises(ValueError, match=r"not trained with the modality 's2'.*s1, dem"):
            call()
    with pytest.raises(ValueError, match="Modality 's1': got 3 bands, but the encoder was built for 2"):
        model.encode("s1", torch.zeros(2, 12, 3))
