"""Features of Sentinel-2 images from the SSL4EO-S12 backbones of torchgeo."""

from pathlib import Path
from typing import Any

import numpy as np

from geotether.features.frozen import (
    FrozenBackbone,
    Network,
    cached_file,
    import_timm,
    import_torchgeo_models,
    load_local,
)

# Model to torchgeo's enumeration of its weights; all were trained by MoCo on the 13 bands of level 1C.
MODELS = {"resnet18": "ResNet18_Weights", "resnet50": "ResNet50_Weights", "vit_small": "ViTSmall16_Weights"}
_BANDS = 13
_DIGITS = 10_000  # divisor in torchgeo's transform
_BRIGHTEST = 10.0  # snow and glint reach 2; digital numbers are in the hundreds


class Ssl4eoFeatures(FrozenBackbone):
    """Pooled features of a backbone trained by MoCo on the 13 bands of Sentinel-2, without its head.

    The transform is that of torchgeo's weights: resize to 256 x 256 pixels, crop to the central 224 x 224, divide by
    10,000. Floating-point images are taken as reflectance, which the source `sentinel2` gives and which is divided
    already; whole numbers are taken as the digital numbers of the product. All batches have the same size, so the
    features of an image do not depend on the other images.

    Args:
        model: "resnet18" (512 features), "resnet50" (2,048) or "vit_small" (384).
        weights: A local file as torchgeo publishes it (.pth, or .safetensors). None or "moco": the published weights,
            from torch's local cache.
        batch: Number of images per batch.
        device: "cpu", "cuda" or "cuda:1".
        download: Whether the published weights may be fetched from the network.

    Attributes:
        out_dim: Number of features.

    Raises:
        ImportError: If torchgeo is missing or torchvision does not fit torch; the install command is in the message.
        ValueError: If there is no such model, or `batch` is below 1.
        FileNotFoundError: If the weights are missing; the message says where to get them and where to put them.

    Source:
        Wang et al. (2023), SSL4EO-S12, arXiv:2211.07044; weights and transform: torchgeo, SENTINEL2_ALL_MOCO.
    """

    published = "moco"

    def __init__(
        self,
        model: str = "resnet18",
        weights: str | None = None,
        batch: int = 32,
        device: str = "cpu",
        download: bool = False,
    ) -> None:
        if model not in MODELS:
            raise ValueError(f"model must be {', '.join(map(repr, MODELS))}, got {model!r}.")
        super().__init__(model, weights, batch, device, download, label="ssl4eo")

    def _reason(self, image: np.ndarray) -> str:
        if image.ndim != 3 or image.shape[-1] != _BANDS:
            got = image.shape[-1] if image.ndim == 3 else f"shape {image.shape}"
            return f"{got} bands, not the {_BANDS} of Sentinel-2 (zeros for a missing B10)"
        if image.dtype.kind not in "uif":
            return f"pixels of type {image.dtype} are not numbers"
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            return "a pixel is missing (NaN) or infinite"
        bright = image.dtype.kind == "f" and image.max() > _BRIGHTEST
        return f"floating-point pixels above {_BRIGHTEST:g} are not reflectance; divide by 10,000" if bright else ""

    def _cached_weights(self) -> Path:
        return cached_file("", self._published().url, self.model, self.download)

    def _published(self) -> Any:
        return getattr(import_torchgeo_models(), MODELS[self.model]).SENTINEL2_ALL_MOCO

    def _load(self) -> Network:
        published = self._published()
        model = import_timm().create_model(published.meta["model"], in_chans=published.meta["in_chans"], num_classes=0)
        load_local(model, self._file, optional=("norm.weight", "norm.bias"))
        model = model.eval().to(self.device)
        return Network(lambda image: published.transforms(_digits(image)), model, model.num_features)


def _digits(image: np.ndarray) -> Any:
    """Return a copy with bands first, as digital numbers, which torchgeo's transform divides in place."""
    import torch

    digits = np.array(image.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(digits * np.float32(_DIGITS) if image.dtype.kind == "f" else digits)
