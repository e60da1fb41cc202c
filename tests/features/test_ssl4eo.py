"""Mirrors src/geotether/features/ssl4eo.py: the real backbone with random weights, as torchgeo publishes them."""

import numpy as np
import pytest

from geotether.features.ssl4eo import Ssl4eoFeatures
from geotether.sources.pictures.sentinel2 import reflectance

pytestmark = pytest.mark.usefixtures("torchvision_imports")


@pytest.fixture
def digits() -> list[np.ndarray]:
    """Level 2A digital numbers of 12 bands."""
    return [np.random.default_rng(s).integers(0, 6000, (256, 256, 12), dtype=np.uint16) for s in range(3)]


def by_torchgeo(model, digits):
    """torchgeo's transform of digital numbers with a zero B10, then its features before the head, averaged."""
    import torch
    from torchgeo.models import ResNet18_Weights

    bands = np.insert(np.stack(digits).astype(np.float32), 10, 0, axis=-1).transpose(0, 3, 1, 2)
    with torch.inference_mode():
        prepared = ResNet18_Weights.SENTINEL2_ALL_MOCO.transforms(torch.from_numpy(bands.copy()))
        assert prepared.max() < 1  # divided once
        return model.forward_features(prepared).mean(dim=(2, 3)).numpy()


def test_equals_torchgeo_with_the_division_done_once(published, digits):
    path, model = published
    want = by_torchgeo(model, digits)
    features = Ssl4eoFeatures("resnet18", str(path), batch=2)
    seen = [reflectance(image) for image in digits]
    before = [image.copy() for image in seen]
    np.testing.assert_allclose(features.transform(seen), want, rtol=1e-3, atol=1e-4)
    whole = [np.insert(image, 10, 0, axis=-1) for image in digits]
    np.testing.assert_allclose(features.transform(whole), want, rtol=1e-3, atol=1e-4)
    assert want.std() > 0.01  # the tolerance means something
    for image, copy in zip(seen, before, strict=True):  # torchgeo's transform works in place
        np.testing.assert_array_equal(image, copy)


def test_vit_small_takes_a_state_dict_without_its_last_norm(tmp_path):
    import torch
    from torchgeo.models import vit_small_patch16_224

    model = vit_small_patch16_224(in_chans=13)
    state = {name: value for name, value in model.state_dict().items() if not name.startswith(("norm.", "head."))}
    torch.save(state, tmp_path / "vit.pth")
    features = Ssl4eoFeatures("vit_small", str(tmp_path / "vit.pth"), batch=1)
    assert features.transform([np.full((64, 64, 13), 0.2, np.float32)]).shape == (1, 384)


def test_images_it_cannot_read_are_named(published, digits):
    features = Ssl4eoFeatures("resnet18", str(published[0]))
    good = reflectance(digits[0])[:8, :8]
    holed = good.copy()
    holed[0, 0, 0] = np.nan
    reasons = features.refuse([good, digits[0], good * 10_000, holed, good > 0])
    assert list(reasons) == [1, 2, 3, 4]
    assert reasons[1] == "12 bands, not the 13 of Sentinel-2 (zeros for a missing B10)"
    assert reasons[2] == "floating-point pixels above 10 are not reflectance; divide by 10,000"
    assert reasons[3] == "a pixel is missing (NaN) or infinite"
    assert reasons[4] == "pixels of type bool are not numbers"
    with pytest.raises(ValueError, match="Image 0: 12 bands"):
        features.transform(digits)


def test_weights_that_are_not_there_are_asked_for(tmp_path, monkeypatch, published):
    import torch

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    for weights in (None, "moco"):
        with pytest.raises(FileNotFoundError, match=r"download: true\), or get https://hf.co/torchgeo/.*put it at"):
            Ssl4eoFeatures("resnet18", weights)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / published[0].name).write_bytes(published[0].read_bytes())
    assert Ssl4eoFeatures("resnet18", "moco").out_dim == 512
    with pytest.raises(FileNotFoundError, match=r"no file of weights none.pth; 'moco' names"):
        Ssl4eoFeatures("resnet18", "none.pth")
    with pytest.raises(ValueError, match="does not fit the model"):
        Ssl4eoFeatures("resnet50", str(published[0])).fit([])
    with pytest.raises(ValueError, match="other weights"):
        Ssl4eoFeatures("resnet18", str(published[0])).restore({"weights_sha256": "0"}, {})


def test_a_torchvision_for_another_torch_is_explained(monkeypatch):
    import importlib

    from geotether.features import frozen

    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ImportError, match=r"pip install torchvision --index-url https://download.pytorch.org/whl/cpu"):
        frozen.import_timm()

    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[vision\]'"):
        frozen.import_timm()
    with pytest.raises(ImportError, match=r"pip install 'geotether\[eo\]'"):
        frozen.import_torchgeo_models()
