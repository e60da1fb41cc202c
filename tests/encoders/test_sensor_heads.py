"""Mirrors src/geotether/encoders/sensor_heads.py."""

import pytest
import torch

from geotether.encoders.sensor_heads import SensorClassifier
from geotether.encoders.tied_sensors import TiedSensors

SENSORS = {
    "s1": {"config": {"name": "tempcnn", "channels": 8}, "kind": "series", "shape": [6, 2]},
    "dem": {"config": {"name": "mlp", "hidden_dim": 8}, "kind": "vector", "shape": [3]},
}


@pytest.fixture
def values():
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(9, *sensor["shape"], generator=generator) for name, sensor in SENSORS.items()}


def test_is_the_joined_encodings_and_a_linear_head(values):
    model = SensorClassifier(SENSORS, 4, dim=8).eval()
    joined = torch.cat([model.encoders["s1"](values["s1"]), model.encoders["dem"](values["dem"])], dim=1)
    torch.testing.assert_close(model(values), joined @ model.head.weight.T + model.head.bias)
    torch.testing.assert_close(model(dict(reversed(values.items()))), model(values))


def test_fine_tuning_starts_from_trained_encoders(values):
    tied = TiedSensors(SENSORS, dim=8, proj_dim=4)
    tied.fit("dem", 5 + values["dem"].numpy())
    model = SensorClassifier({"dem": SENSORS["dem"]}, 4, dim=8)
    model.start_from(tied)
    torch.testing.assert_close(model.eval().encode("dem", values["dem"]), tied.eval().encode("dem", values["dem"]))
    with torch.no_grad():
        model.encoders["dem"].network.output.bias.add_(1.0)
    assert not torch.equal(model.encoders["dem"].network.output.bias, tied.encoders["dem"].network.output.bias)


def test_fine_tuning_needs_the_same_architecture():
    tied = TiedSensors(SENSORS, dim=8, proj_dim=4)
    wider = {"dem": {**SENSORS["dem"], "config": {"name": "mlp", "hidden_dim": 16}}}
    with pytest.raises(ValueError, match="give both the same settings"):
        SensorClassifier(wider, 4, dim=8).start_from(tied)
    with pytest.raises(ValueError, match="dim=8"):
        SensorClassifier({"dem": SENSORS["dem"]}, 4, dim=16).start_from(tied)


def test_wrong_input_is_named(values):
    model = SensorClassifier(SENSORS, 4, dim=8)
    with pytest.raises(ValueError, match="needs s1, dem together; dem is missing"):
        model({"s1": values["s1"]})
    with pytest.raises(ValueError, match="unequal rows: s1 9, dem 4"):
        model({"s1": values["s1"], "dem": values["dem"][:4]})
    with pytest.raises(ValueError, match="num_outputs and dim must be 1 or more"):
        SensorClassifier(SENSORS, 0)
