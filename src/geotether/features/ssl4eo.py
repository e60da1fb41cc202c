"""Features of Sentinel-2 images from the SSL4EO-S12 backbones of torchgeo."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32

from geotether.features.weights import (
    cached_file,
    import_timm,
    import_torchgeo_models,
    in_equal_batches,
    load_local,
    weights_digest,
)

# Model to torchgeo's enumeration of its weights; all were trained by MoCo on the 13 bands of level 1C.
MODELS = {"resnet18": "ResNet18_Weights", "resnet50": "ResNet50_Weights", "vit_small": "ViTSmall16_Weights"}
_BANDS = 13
_DIGITS = 10_000  # what torchgeo's transform divides by
_BRIGHTEST = 10.0  # snow and glint reach 2; digital numbers begin at hundreds


class Ssl4eoFeatures:
    """Pooled features of a backbone trained by MoCo on the 13 bands of Sentinel-2, without its head.

    The transform is that of torchgeo's weights: to 256 x 256 pixels, the middle 224 x 224, divided by 10,000. Since the
    source `sentinel2` gives reflectance, that division has been done for floating-point images, and it is done exactly
    once for either kind: floating-point numbers are taken as reflectance, whole numbers as the digital numbers of the
    product. Every image is computed in a batch of the same size, so its numbers do not depend on its neighbours.

    Args:
        model: "resnet18" (512 features), "resnet50" (2,048) or "vit_small" (384).
        weights: A local file as torchgeo publishes it (.pth, or .safetensors). None or "moco": the published weights,
            from torch's local cache.
        batch: Images at once.
        device: "cpu", "cuda" or "cuda:1".
        download: Whether the published weights may be fetched from the network.

    Attributes:
        out_dim: Number of features.

    Raises:
        ImportError: If torchgeo is missing or torchvision does not fit torch; the install command is in the message.
        ValueError: If there is no such model, or `batch` is below 1.
        FileNotFoundError: If the weights are not there; the message says where to get them and where to put them.

    Source:
        Wang et al. (2023), SSL4EO-S12, arXiv:2211.07044; weights and transform: torchgeo, SENTINEL2_ALL_MOCO.
    """

    takes: ClassVar[str] = "images"
    fit_rows: ClassVar[int] = 1  # nothing is learned

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
        if batch < 1:
            raise ValueError(f"batch must be 1 or more, got {batch}.")
        self.model = model
        self.weights = None if weights is None else str(weights)
        self.batch = batch
        self.device = device
        self.download = download
        published = self._published()
        if self.weights not in (None, "moco"):
            if not Path(str(self.weights)).is_file():
                raise FileNotFoundError(f"There is no file of weights {self.weights}; 'moco' takes the published ones.")
            self._file = Path(str(self.weights))
        else:
            self._file = cached_file("", published.url, model, download)
        self._loaded: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the model behind: a worker loads it from the file."""
        return self.__dict__ | {"_loaded": None}

    @property
    def out_dim(self) -> int:
        """Number of features."""
        return self._load().num_features

    def fit(self, images: Sequence[np.ndarray]) -> "Ssl4eoFeatures":
        """Learn nothing, but load the weights, so that a wrong file is found out at once."""
        self._load()
        return self

    def transform(self, images: Sequence[np.ndarray]) -> Float32[np.ndarray, "n d"]:
        """Compute the features of images.

        Args:
            images: Arrays (height, width, 13): reflectance as floating-point, or digital numbers as whole numbers.

        Returns:
            Shape (n, out_dim).

        Raises:
            ValueError: If an image cannot be taken; see `refuse`.
        """
        reasons = self.refuse(images)
        if reasons:
            row, reason = next(iter(reasons.items()))
            raise ValueError(f"Image {row}: {reason}.")
        model, prepare = self._load(), self._published().transforms
        return in_equal_batches(
            model, (prepare(_digits(image)) for image in images), len(images), self.batch, self.device, self.out_dim
        )

    def refuse(self, images: Sequence[np.ndarray]) -> dict[int, str]:
        """Say which images `transform` cannot take: other bands, missing pixels, floating-point digital numbers."""
        reasons = {}
        for row, image in enumerate(images):
            if image.ndim != 3 or image.shape[-1] != _BANDS:
                got = image.shape[-1] if image.ndim == 3 else f"shape {image.shape}"
                reasons[row] = f"{got} bands, not the {_BANDS} of Sentinel-2 (zeros for a missing B10)"
            elif image.dtype.kind not in "uif":
                reasons[row] = f"pixels of type {image.dtype} are no numbers"
            elif image.dtype.kind == "f" and not np.isfinite(image).all():
                reasons[row] = "a pixel is missing (NaN) or infinite"
            elif image.dtype.kind == "f" and image.max() > _BRIGHTEST:
                reasons[row] = f"floating-point pixels above {_BRIGHTEST:g} are no reflectance; divide by 10,000"
        return reasons

    def settings(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {name: getattr(self, name) for name in ("model", "weights", "batch", "device", "download")}

    def fitted(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Give the SHA-256 of the weights, so that others are noticed."""
        return {"weights_sha256": weights_digest(self._file)}, {}

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Ssl4eoFeatures":
        """Check that the weights are those that were used.

        Raises:
            ValueError: If they are others.
        """
        if values["weights_sha256"] != weights_digest(self._file):
            raise ValueError(f"{self._file} holds other weights than those that made these features.")
        return self

    def names(self) -> list[str]:
        """Name the features: "ssl4eo 0", "ssl4eo 1", ..."""
        return [f"ssl4eo {number}" for number in range(self.out_dim)]

    def _published(self) -> Any:
        return getattr(import_torchgeo_models(), MODELS[self.model]).SENTINEL2_ALL_MOCO

    def _load(self) -> Any:
        if self._loaded is None:
            meta = self._published().meta
            model = import_timm().create_model(meta["model"], in_chans=meta["in_chans"], num_classes=0)
            load_local(model, self._file, optional=("norm.weight", "norm.bias"))
            self._loaded = model.eval().to(self.device)
        return self._loaded


def _digits(image: np.ndarray) -> Any:
    """Bands first and as digital numbers: torchgeo's transform divides them, in place, so this is a copy of ours."""
    import torch

    digits = np.array(image.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(digits * np.float32(_DIGITS) if image.dtype.kind == "f" else digits)
