"""Mirrors src/geotether/encoders/colearner.py."""

import numpy as np
import pytest
import torch

from geotether.encoders.colearner import WIRINGS, CoLearner
from geotether.objectives.colearning import SensorOutputs, colearning_terms

SENSORS = {
    "s1": {"config": {"name": "tempcnn", "channels": 8, "dropout": 0.0}, "kind": "series", "shape": [6, 2]},
    "s2": {"config": {"name": "tempcnn", "channels": 8, "dropout": 0.0}, "kind": "series", "shape": [6, 5]},
    "dem": {"config": {"name": "mlp", "hidden_dim": 8, "dropout": 0.0}, "kind": "vector", "shape": [3]},
}


@pytest.fixture
def values():
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(16, *sensor["shape"], generator=generator) for name, sensor in SENSORS.items()}


def model_of(wiring="figure", names=tuple(SENSORS), **options):
    torch.manual_seed(0)
    return CoLearner({name: SENSORS[name] for name in names}, num_outputs=4, dim=12, wiring=wiring, **options)


def terms(model, values):
    """The four terms of co-learning, and the parts they come from."""
    parts = {name: model.parts(name, values[name]) for name in model.modalities}
    for part in parts.values():
        for tensor in (part.specific, part.unused, part.shared):
            tensor.retain_grad()
    outputs = {
        name: SensorOutputs(
            task=model.logits(name, part),
            auxiliary_specific=model.auxiliary(part.specific),
            auxiliary_shared=model.auxiliary(part.shared),
            shared=part.shared,
            sensor_of_specific=model.sensor_logits(part)[0],
            sensor_of_other=model.sensor_logits(part)[1],
        )
        for name, part in parts.items()
    }
    return colearning_terms(outputs, "classes", torch.arange(16) % 4), parts


def reached(loss, model, parts):
    """Which parts, of every modality, a loss sends a gradient to."""
    model.zero_grad()
    for part in parts.values():
        part.specific.grad = part.unused.grad = part.shared.grad = None
    loss.backward(retain_graph=True)
    found = set()
    for kind in ("specific", "unused", "shared"):
        touched = [(g := getattr(part, kind).grad) is not None and bool(g.ne(0).any()) for part in parts.values()]
        assert len(set(touched)) == 1  # all modalities alike
        found |= {kind} if touched[0] else set()
    return found


@pytest.mark.parametrize("names", [("s1", "s2"), ("s1", "s2", "dem")])
@pytest.mark.parametrize(
    ("wiring", "discrimination"), [("figure", {"specific", "unused"}), ("code", {"specific", "shared"})]
)
def test_each_term_teaches_the_parts_that_the_wiring_says(values, names, wiring, discrimination):
    model = model_of(wiring, names)
    found, parts = terms(model, values)
    assert reached(found["task"], model, parts) == {"specific", "shared"}
    assert reached(found["auxiliary"], model, parts) == {"specific", "shared"}
    assert reached(found["contrast"], model, parts) == {"shared"}
    assert reached(found["discrimination"], model, parts) == discrimination


@pytest.mark.parametrize(("wiring", "learns"), [("figure", True), ("code", False)])
def test_weights_of_the_unused_part_learn_only_in_some_wirings(values, wiring, learns):
    model = model_of(wiring)
    sum(terms(model, values)[0].values()).backward()
    for encoder in model.unique.values():
        last = encoder.network.output.weight.grad
        assert last[:6].ne(0).any()
        assert last[6:].ne(0).any() == learns


def test_without_the_unused_part_the_unique_encoder_is_half_as_wide(values):
    model = model_of("no_unused")
    part = model.parts("s1", values["s1"])
    assert (part.specific.shape, part.unused.shape, part.shared.shape) == ((16, 6), (16, 0), (16, 6))
    assert model.sensor_logits(part)[1] is None
    assert model.predict("s1", values["s1"]).shape == (16, 4)


def test_with_only_the_shared_part_no_unique_encoder_is_built(values):
    model = model_of("shared_only")
    part = model.parts("s1", values["s1"])
    assert (part.specific.shape, part.shared.shape) == ((16, 0), (16, 6))
    torch.testing.assert_close(
        model.eval().predict("s1", values["s1"]), model.main["s1"](model.parts("s1", values["s1"]).shared)
    )
    assert not any(name.startswith("unique") for name, _ in model.named_parameters())
    assert model.sensor_logits(part) == (None, None)


def test_parts_are_those_of_the_published_architecture(values):
    model = model_of().eval()
    part = model.parts("s2", values["s2"])
    unique, common = model.unique["s2"](values["s2"]), model.common["s2"](values["s2"])
    linear, norm, _ = model.shared["s2"]
    torch.testing.assert_close(torch.cat([part.specific, part.unused], 1), unique)
    torch.testing.assert_close(part.shared, norm(linear(common)).relu())
    joined = torch.cat([part.specific, part.shared], dim=1)
    torch.testing.assert_close(model.logits("s2", part), model.main["s2"](joined))
    specific, other = model.sensor_logits(part)
    torch.testing.assert_close(specific, model.specific_classifier(part.specific))
    torch.testing.assert_close(other, model.other_classifier(part.unused))


def test_both_encoders_of_a_modality_start_equal_and_are_separate():
    model = model_of()
    torch.testing.assert_close(model.unique["s1"].state_dict(), model.common["s1"].state_dict())
    with torch.no_grad():
        model.unique["s1"].network.output.bias.add_(1.0)
    assert not torch.equal(model.unique["s1"].network.output.bias, model.common["s1"].network.output.bias)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_predicting_reads_no_other_modality(values, wiring):
    model = model_of(wiring).eval()
    want = model.predict("s1", values["s1"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "s1" not in name.split("."):
                parameter.fill_(float("nan"))
        for name, buffer in model.named_buffers():
            if "s1" not in name.split(".") and buffer.is_floating_point():
                buffer.fill_(float("nan"))
    torch.testing.assert_close(model.predict("s1", values["s1"]), want, rtol=0, atol=0)


def test_both_encoders_are_standardised_by_the_same_rows(values):
    sensors = {**SENSORS, "dem": {"config": {"name": "mlp", "components": 2}, "kind": "vector", "shape": [3]}}
    model = CoLearner(sensors, num_outputs=3, dim=8)
    for name in ("s1", "dem"):
        model.fit(name, values[name].numpy() * 7 + 3)
        want = (values[name] * 7 + 3).flatten(0, -2).mean(dim=0)
        for encoder in (model.unique[name], model.common[name]):
            np.testing.assert_allclose(encoder.mean, want, rtol=1e-5)
    assert model.common["dem"].axes.abs().sum() > 0
    assert torch.equal(model.unique["dem"].axes, model.common["dem"].axes)
    assert model.unique["s2"].mean.eq(0).all()


def test_a_layer_norm_is_at_the_encoders_output(values):
    model = model_of(layer_norm=True)
    part = model.parts("s1", values["s1"])
    unique = torch.cat([part.specific, part.unused], dim=1)
    torch.testing.assert_close(unique.mean(dim=1), torch.zeros(16), atol=1e-5, rtol=0)
