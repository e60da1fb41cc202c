"""Mirrors src/geotether/encoders/sensors/backbone.py: small real networks of timm, their weights in files."""

import sys

import pytest
import torch

from geotether.encoders.sensors.backbone import TimmBackbone
from geotether.encoders.sensors.build import build_sensor_encoder


@pytest.fixture(scope="module")
def weights(torchvision_imports, tmp_path_factory):
    """A residual network of timm with random weights and a head, as published files have."""
    import timm
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=7)
    save_file(model.state_dict(), folder / "w.safetensors")
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, folder / "w.pth")
    return folder, model


def test_any_bands_and_sizes(torchvision_imports):
    network = TimmBackbone((12, 32, 32), 8, model="test_resnet").eval()
    assert network.any_size
    assert network(torch.zeros(2, 12, 32, 32)).shape == network(torch.zeros(2, 12, 48, 40)).shape == (2, 8)


def test_a_transformer_is_made_for_the_size_of_the_chips(torchvision_imports):
    encoder = build_sensor_encoder({"name": "timm", "model": "test_vit"}, "chip", (2, 32, 32), 8).eval()
    assert encoder(torch.zeros(3, 2, 32, 32)).shape == (3, 8)
    with pytest.raises(ValueError, match=r"64 x 64 pixels, .* takes only 32 x 32"):
        encoder(torch.zeros(3, 2, 64, 64))


@pytest.mark.parametrize("file", ["w.safetensors", "w.pth"])
def test_starts_from_weights_of_a_file(weights, file):
    folder, model = weights
    network = TimmBackbone((3, 32, 32), 8, model="test_resnet", weights=str(folder / file)).eval()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    want = network.output(model.eval().forward_head(model.forward_features(x), pre_logits=True))
    torch.testing.assert_close(network(x), want)


def test_the_first_layer_is_adapted_to_other_bands(weights):
    folder, _ = weights
    network = TimmBackbone((6, 32, 32), 8, model="test_resnet", weights=str(folder / "w.safetensors"))
    first = next(module for module in network.backbone.modules() if isinstance(module, torch.nn.Conv2d))
    torch.testing.assert_close(first.weight[:, :3], first.weight[:, 3:])  # the colours, repeated


def test_a_saved_encoder_is_built_again_without_the_file(weights):
    folder, _ = weights
    config = {"name": "timm", "model": "test_resnet", "weights": str(folder / "w.pth")}
    encoder = build_sensor_encoder(config, "chip", (3, 32, 32), 8)
    assert encoder.config == {"name": "timm", "model": "test_resnet", "weights": None, "missing_channel": False}
    rebuilt = build_sensor_encoder(encoder.config, "chip", (3, 32, 32), 8)
    rebuilt.load_state_dict(encoder.state_dict())
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rebuilt.eval()(x), encoder.eval()(x))


def test_weights_that_do_not_fit_are_refused(weights, tmp_path):
    folder, model = weights
    with pytest.raises(ValueError, match=r"\d+ weights are missing.* Is it another model's"):
        TimmBackbone((3, 32, 32), 8, model="test_vit", weights=str(folder / "w.safetensors"))
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        TimmBackbone((3, 32, 32), 8, model="test_resnet", weights=str(tmp_path / "none.pth"))
    (tmp_path / "cut.safetensors").write_bytes((folder / "w.safetensors").read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged"):
        TimmBackbone((3, 32, 32), 8, model="test_resnet", weights=str(tmp_path / "cut.safetensors"))
    torch.save({"state_dict": model}, tmp_path / "pickle.pth")
    with pytest.raises(ValueError, match="more than tensors"):
        TimmBackbone((3, 32, 32), 8, model="test_resnet", weights=str(tmp_path / "pickle.pth"))


def test_an_error_about_an_unknown_model_suggests_similar_ones(torchvision_imports):
    with pytest.raises(ValueError, match=r"no model 'test_resne'. Did you mean test_resnet"):
        TimmBackbone((3, 32, 32), 8, model="test_resne")


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[vision\]'"):
        build_sensor_encoder({"name": "timm"}, "chip", (3, 32, 32), 8)
