"""Mirrors src/geotether/encoders/tied_sensors.py."""

import json

import numpy as np
import pytest
import torch

from geotether.encoders.build import build_location_encoder
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


def test_users_get_the_encoding_and_contrasts_its_projection(values):
    model = TiedSensors(SENSORS, dim=10, proj_dim=6, hidden_dim=4).eval()
    encoded = model.encode("rgb", values["rgb"])
    torch.testing.assert_close(encoded, model.encoders["rgb"](values["rgb"]))
    first, norm, _, last = model.projections["rgb"]
    torch.testing.assert_close(model.project("rgb", encoded), last(norm(first(encoded)).relu()))


@pytest.mark.parametrize("hidden_dim", [0, 4])
def test_a_projection_is_linear_unless_asked(values, hidden_dim):
    model = TiedSensors(SENSORS, dim=10, proj_dim=6, hidden_dim=hidden_dim).eval()
    a, b = torch.randn(2, 5, 10, generator=torch.Generator().manual_seed(0))
    middle = (model.project("rgb", a) + model.project("rgb", b)) / 2
    assert torch.allclose(model.project("rgb", (a + b) / 2), middle, atol=1e-5) == (hidden_dim == 0)


def test_nothing_but_the_shared_part_is_projected(values):
    model = TiedSensors(SENSORS, dim=10, proj_dim=6, specific_dim=4)
    encoded = model.encode("rgb", values["rgb"]).detach().requires_grad_()
    model.project("rgb", encoded).square().sum().backward()
    assert encoded.grad[:, :6].ne(0).any()
    assert encoded.grad[:, 6:].eq(0).all()
    torch.testing.assert_close(model.specific(encoded), encoded[:, 6:])
    assert model.discriminate(model.specific(encoded)).shape == (7, 2)


def test_without_a_specific_part_there_is_nothing_to_tell_modalities_by(values):
    model = TiedSensors(SENSORS, dim=10, proj_dim=6)
    specific = model.specific(model.encode("rgb", values["rgb"]))
    assert specific.shape == (7, 0)
    with pytest.raises(ValueError, match="build it with specific_dim"):
        model.discriminate(specific)


@pytest.mark.parametrize("location", [None, LOCATION])
@pytest.mark.parametrize("specific_dim", [0, 4])
def test_is_rebuilt_from_json_with_equal_outputs(values, location, specific_dim):
    encoder = None if location is None else build_location_encoder(location, seed=5)
    model = TiedSensors(SENSORS, dim=10, proj_dim=6, location=encoder, specific_dim=specific_dim)
    for name, rows in values.items():
        model.fit(name, 50 + 9 * rows.numpy())
        model.project(name, model.encode(name, 50 + 9 * rows))
    rebuilt = TiedSensors(**json.loads(json.dumps(model.config)))
    rebuilt.load_state_dict(model.state_dict())
    assert rebuilt.config == model.config
    places = torch.tensor([[5.66, 51.97], [-74.0, 40.7]], dtype=torch.float64)
    for name, rows in values.items():
        got, want = (m.eval().project(name, m.encode(name, 50 + 9 * rows)) for m in (rebuilt, model))
        torch.testing.assert_close(got, want, rtol=0, atol=0)
    if location is not None:
        torch.testing.assert_close(rebuilt.location(places), model.location(places), rtol=0, atol=0)


def test_ties_to_the_location_have_learned_temperatures():
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 4, "specific_dim": 4}, "specific_dim 0 to dim - 1"),
        ({"hidden_dim": -1}, "hidden_dim 0"),
        ({"init_temperature": 0.0}, "init_temperature must be more than 0"),
        (
            {"proj_dim": 8, "location": LOCATION},
            "projections return 8 numbers, the location encoder 6; set proj_dim",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TiedSensors(SENSORS, **options)


def test_wrong_input_is_named(values):
    model = TiedSensors(SENSORS, dim=10, proj_dim=6, location=LOCATION)
    for call in (
        lambda: model.encode("radar", values["rgb"]),
        lambda: model.project("radar", torch.zeros(2, 10)),
        lambda: model.logit_scale("radar"),
        lambda: model.fit("radar", np.zeros((2, 3, 8, 8), np.float32)),
    ):
        with pytest.raises(ValueError, match="was not trained with the modality 'radar'; known: lights, rgb"):
            call()
    with pytest.raises(ValueError, match="'rgb': got 1 bands, but the encoder was built for 3"):
        model.encode("rgb", values["lights"])
