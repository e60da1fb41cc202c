"""Mirrors src/geotether/features/backbone.py: a small real backbone, its weights in files."""

import numpy as np
import pytest
from PIL import Image

from geotether.features.backbone import BackboneFeatures

pytestmark = pytest.mark.usefixtures("torchvision_imports")


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ((200, 300), (160, 160), (500, 90))]


def by_timm(model, images):
    """timm's own evaluation: its transform of the picture, then the features before the head."""
    import torch
    from timm.data import create_transform, resolve_data_config

    prepare = create_transform(**resolve_data_config(model.pretrained_cfg, model=model), is_training=False)
    with torch.inference_mode():
        return [model.forward_features(prepare(Image.fromarray(image))[None])[0] for image in images]


def test_equals_timms_own_evaluation(small, images):
    folder, models = small
    got = BackboneFeatures("test_resnet", str(folder / "resnet.safetensors"), batch=2).fit(images).transform(images)
    want = [features.mean(dim=(1, 2)).numpy() for features in by_timm(models["resnet"], images)]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    tokens = by_timm(models["vit"], images)
    for pool, pooled in [("avg", lambda t: t[1:].mean(0)), ("token", lambda t: t[0])]:
        got = BackboneFeatures("test_vit", str(folder / "vit.safetensors"), pool=pool, batch=2).transform(images)
        np.testing.assert_allclose(got, [pooled(t).numpy() for t in tokens], rtol=1e-4, atol=1e-5)


def test_the_models_own_pooling_is_its_head_without_the_classifier(small, images):
    import torch

    folder, models = small
    got = BackboneFeatures("test_resnet", str(folder / "resnet.safetensors"), pool="model").transform(images)
    with torch.inference_mode():
        heads = [models["resnet"].forward_head(f[None], pre_logits=True)[0] for f in by_timm(models["resnet"], images)]
    np.testing.assert_allclose(got, torch.stack(heads).numpy(), rtol=1e-4, atol=1e-5)


def test_safetensors_and_pth_are_the_same(small, images):
    folder, _ = small
    ours = BackboneFeatures("test_resnet", str(folder / "resnet.safetensors")).transform(images)
    np.testing.assert_array_equal(BackboneFeatures("test_resnet", str(folder / "r.pth")).transform(images), ours)


def test_grey_images_equal_colour_images_in_any_number_type(small):
    folder, models = small
    features = BackboneFeatures("test_resnet", str(folder / "resnet.safetensors"))
    grey = np.random.default_rng(1).integers(0, 256, (160, 160, 1), dtype=np.uint8)
    one, three = features.transform([grey]), features.transform([np.repeat(grey, 3, axis=-1)])
    np.testing.assert_array_equal(one, three)
    # The crop of an image of just the size involves no resizing, so that all number types give the same pixels.
    side = round(160 / models["resnet"].pretrained_cfg["crop_pct"])
    colour = np.random.default_rng(2).integers(0, 256, (side, side, 3), dtype=np.uint8)
    want = features.transform([colour])
    for same in (colour / np.float32(255), colour.astype(np.uint16) * np.uint16(257)):
        np.testing.assert_allclose(features.transform([same]), want, rtol=1e-3, atol=1e-4)


def test_other_bands_need_in_chans(small, tmp_path):
    import timm
    from safetensors.torch import save_file

    folder, _ = small
    five = np.random.default_rng(0).random((170, 170, 5), dtype=np.float32)
    features = BackboneFeatures("test_resnet", str(folder / "resnet.safetensors"))
    assert features.refuse([five]) == {0: "5 bands, the backbone takes 3; make it with in_chans for others"}
    with pytest.raises(ValueError, match="Image 0: 5 bands"):
        features.transform([five])
    save_file(timm.create_model("test_resnet", in_chans=5, num_classes=0).state_dict(), tmp_path / "five.safetensors")
    features = BackboneFeatures("test_resnet", str(tmp_path / "five.safetensors"), in_chans=5)
    assert np.isfinite(features.transform([five])).all()
    assert "3 bands, the backbone takes 5" in features.refuse([five[..., :3]])[0]


def test_invalid_pixels_are_named(small):
    features = BackboneFeatures("test_resnet", str(small[0] / "resnet.safetensors"))
    holed = np.zeros((9, 9, 3), np.float32)
    holed[0, 0, 0] = np.nan
    bad = [holed, np.full((9, 9, 3), 2.0), np.zeros((9, 9, 3), np.int32), np.zeros((9, 9), np.uint8)]
    reasons = features.refuse(bad)
    assert reasons[0] == "a pixel is missing (NaN) or infinite"
    assert reasons[1] == "floating-point pixels outside 0 to 1"
    assert reasons[2].startswith("pixels of type int32")
    assert reasons[3].startswith("shape (9, 9) bands")


def test_named_weights_come_from_the_cache_or_are_asked_for(small, images, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"download: true\), or get .*huggingface.co/timm/test_resnet.*weights"):
        BackboneFeatures("test_resnet")
    # The layout of the cache: a reference to a snapshot that holds the file.
    hub = tmp_path / "models--timm--test_resnet.r160_in1k"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs" / "main").write_text("abc")
    (hub / "snapshots" / "abc").mkdir(parents=True)
    import timm
    from safetensors.torch import save_file

    whole = timm.create_model("test_resnet")
    save_file(whole.state_dict(), hub / "snapshots" / "abc" / "model.safetensors")
    from functools import partial

    import huggingface_hub

    found = partial(huggingface_hub.try_to_load_from_cache, cache_dir=tmp_path)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", found)
    got = BackboneFeatures("test_resnet").transform(images)
    want = [features.mean(dim=(1, 2)).numpy() for features in by_timm(whole.eval(), images)]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    bands = np.zeros((160, 160, 4), np.uint8)
    assert np.isfinite(BackboneFeatures("test_resnet", in_chans=4).transform([bands])).all()


def test_wrong_weights_and_options_are_named(small, tmp_path, images):
    import torch

    folder, _ = small
    with pytest.raises(ValueError, match=r"does not fit the model: .* missing .*Is it another model's"):
        BackboneFeatures("test_resnet", str(folder / "vit.safetensors")).fit(images)
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        BackboneFeatures("test_resnet", str(folder / "none.pth"))
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ValueError, match="not a safetensors"):
        BackboneFeatures("test_resnet", str(tmp_path / "text.safetensors")).fit(images)
    torch.save({"model": images}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match="contains more than tensors"):
        BackboneFeatures("test_resnet", str(tmp_path / "code.pth")).fit(images)
    torch.save([1.0], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="no state dict"):
        BackboneFeatures("test_resnet", str(tmp_path / "list.pth")).fit(images)
    with pytest.raises(ValueError, match="no class token"):
        BackboneFeatures("test_resnet", str(folder / "resnet.safetensors"), pool="token").transform(images)


def test_other_weights_than_the_fitted_ones_are_refused(small, images):
    folder, _ = small
    values, arrays = BackboneFeatures("test_resnet", str(folder / "resnet.safetensors")).fit(images).fitted()
    with pytest.raises(ValueError, match="other weights than those"):
        BackboneFeatures("test_vit", str(folder / "vit.safetensors")).restore(values, arrays)
