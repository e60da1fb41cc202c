"""Mirrors src/geotether/encoders/tied_sensors.py."""

import pytest
import torch

from geotether.encoders.tied_sensors import TiedSensors

SENSORS = {
    "lights": {"config": {"name": "resnet", "width": 8}, "kind": "chip", "shape": [1, 8, 8]},
    "rgb": {"config": {"name": "resnet", "width": 8}, "kind": "chip", "shape": [3, 8, 8]},
}
LOCATION = {"positional": {"name": "cartesian"}, "network": {"name": "mlp", "hidden_dim": 8}, "embed_dim": 6}


@pytest.fixture
def values():
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(7, *sensor["shape"], generator=generator) for name, sensor in SENSORS.items()}


def test_users_get_the_encoding_and_the_contrast_uses_its_projection(values):
    model = TiedSensors(SENSORS, dim=10, proj_dim=6, hidden_dim=4).eval()
    encoded = model.encode("rgb", values["rgb"])
    torch.testing.assert_close(encoded, model.encoders["rgb"](values["rgb"]))
    first, norm, _, last = model.projections["rgb"]
    torch.testing.assert_close(model.project("rgb", encoded), last(norm(first(encoded)).relu()))


def test_nothing_but_the_shared_part_is_projected(values):
    model = TiedSensors(SENSORS, dim=10, proj_dim=6, specific_dim=4)
    encoded = model.encode("rgb", values["rgb"]).detach().requires_grad_()
    model.project("rgb", encoded).square().sum().backward()
    assert encoded.grad[:, :6].ne(0).any()
    assert encoded.grad[:, 6:].eq(0).all()
    torch.testing.assert_close(model.specific(encoded), encoded[:, 6:])
    assert model.discriminate(model.specific(encoded)).shape == (7, 2)


def test_without_a_specific_part_discrimination_is_an_error(values):
    model = TiedSensors(SENSORS, dim=10, proj_dim=6)
    specific = model.specific(model.encode("rgb", values["rgb"]))
    assert specific.shape == (7, 0)
    with pytest.raises(ValueError, match="build it with specific_dim"):
        model.discriminate(specific)


def test_location_ties_have_learned_temperatures():
    model = TiedSensors(SENSORS, proj_dim=6, location=LOCATION, init_temperature=0.07)
    assert model.logit_scale("rgb").item() == pytest.approx(1 / 0.07)
    model.logit_scale("rgb").backward()
    assert model.log_logit_scale["rgb"].grad.item() == pytest.approx(1 / 0.07, rel=1e-4)
    with torch.no_grad():
        model.log_logit_scale["rgb"].fill_(9.0)
    assert model.logit_scale("rgb").item() == 100.0
    alone = TiedSensors(SENSORS, proj_dim=6)
    assert len(alone.log_logit_scale) == 0
    with pytest.raises(ValueError, match="no location encoder"):
        alone.logit_scale("rgb")
