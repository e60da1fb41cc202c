"""Features of images from any backbone of timm, frozen, with the preprocessing that its weights were trained with."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geotether.features.frozen import FrozenBackbone, Network, cached_file, import_timm, load_local

if TYPE_CHECKING:
    import torch

POOLS = ("avg", "token", "model")


class BackboneFeatures(FrozenBackbone):
    """Pooled features of a frozen timm backbone, without its head.

    Pixels are whole numbers (0 to 255, or 0 to 65,535 for uint16) or floating-point numbers from 0 to 1. Grey images
    are repeated as red, green and blue. Resizing, cropping and normalisation are those of the weights' own
    configuration (`timm.data.resolve_data_config`). All batches have the same size, so the features
    of an image do not depend on the other images.

    Args:
        model: Name of a timm model, such as "resnet50", or with a tag of weights, "vit_base_patch16_clip_224.openai".
        weights: A local file (.safetensors, or .pth of tensors only). None: the pretrained weights of that name, from
            the local cache of Hugging Face.
        pool: "avg": mean over all places or patch tokens; "token": the class token; "model": as the model itself
            pools before its head.
        batch: Number of images per batch.
        device: "cpu", "cuda" or "cuda:1".
        in_chans: Number of bands. None: 3. With other bands, timm adapts the pretrained weights of the first layer,
            and mean and standard deviation of the bands are the averages over the colours.
        download: Whether pretrained weights may be fetched from the network.

    Attributes:
        out_dim: Number of features.

    Raises:
        ImportError: If timm is missing or torchvision does not fit torch; the install command is in the message.
        ValueError: If there is no such model, or an option is out of range.
        FileNotFoundError: If the weights are missing; the message says where to get them and where to put them.
    """

    def __init__(
        self,
        model: str = "resnet50",
        weights: str | None = None,
        pool: str = "avg",
        batch: int = 32,
        device: str = "cpu",
        in_chans: int | None = None,
        download: bool = False,
    ) -> None:
        if pool not in POOLS:
            raise ValueError(f"pool must be {', '.join(map(repr, POOLS))}, got {pool!r}.")
        if in_chans is not None and in_chans < 1:
            raise ValueError(f"in_chans must be 1 or more, got {in_chans}.")
        timm = import_timm()
        if not timm.is_model(model.partition(".")[0]):
            close = timm.list_models(f"*{model.partition('.')[0]}*")[:5]
            hint = f" Did you mean {', '.join(close)}?" if close else " timm.list_models() lists them."
            raise ValueError(f"timm has no model {model!r}.{hint}")
        self.pool, self.in_chans = pool, in_chans
        super().__init__(model, weights, batch, device, download, label=model)

    def _reason(self, image: np.ndarray) -> str:
        bands = self.in_chans or 3
        if image.ndim != 3 or image.shape[-1] not in ({1, 3} if bands == 3 else {bands}):
            got = image.shape[-1] if image.ndim == 3 else f"shape {image.shape}"
            return f"{got} bands, the backbone takes {bands}; make it with in_chans for others"
        if image.dtype.kind not in "uf":
            return f"pixels of type {image.dtype}; uint8, uint16 or floating-point numbers from 0 to 1"
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            return "a pixel is missing (NaN) or infinite"
        beyond = image.dtype.kind == "f" and (image.min() < 0 or image.max() > 1)
        return "floating-point pixels outside 0 to 1" if beyond else ""

    def _cached_weights(self) -> Path:
        config = import_timm().models.get_pretrained_cfg(self.model)
        if config is None or not (config.hf_hub_id or config.url):
            raise ValueError(f"timm has no pretrained weights for {self.model!r}; give weights=FILE.")
        return cached_file(str(config.hf_hub_id or ""), str(config.url or ""), self.model, self.download)

    def _load(self) -> Network:
        timm = import_timm()
        bands = self.in_chans or 3
        if self.weights is None:
            # The weights that timm would fetch, from the local file.
            overlay = {"file": str(self._file)}
            model = timm.create_model(
                self.model, pretrained=True, num_classes=0, in_chans=bands, pretrained_cfg_overlay=overlay
            )
        else:
            model = timm.create_model(self.model, num_classes=0, in_chans=bands)
            load_local(model, self._file)
        model = model.eval().to(self.device)
        prepare = self._preparation(model, bands)
        dim = model.head_hidden_size if self.pool == "model" else model.num_features
        return Network(lambda image: prepare(self._input(image)), lambda pixels: self._pooled(model, pixels), dim)

    def _preparation(self, model: Any, bands: int) -> Any:
        import_timm()
        from timm.data import create_transform, resolve_data_config

        config = resolve_data_config({}, model=model)
        if bands != len(config["mean"]):
            for name in ("mean", "std"):
                config[name] = (sum(config[name]) / len(config[name]),) * bands
        config["input_size"] = (bands, *config["input_size"][1:])
        return create_transform(**config, is_training=False)

    def _input(self, image: np.ndarray) -> Any:
        """Return what timm's transform takes: a picture of uint8, or else a tensor from 0 to 1."""
        import torch
        from PIL import Image

        bands = self.in_chans or 3
        if bands == 3 and image.shape[-1] == 1:
            image = np.repeat(image, 3, axis=-1)
        if bands == 3 and image.dtype == np.uint8:
            return Image.fromarray(np.ascontiguousarray(image))
        top = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(top))

    def _pooled(self, model: Any, pixels: "torch.Tensor") -> "torch.Tensor":
        features = model.forward_features(pixels)
        if self.pool == "model":
            return model.forward_head(features, pre_logits=True)
        extra = getattr(model, "num_prefix_tokens", 0)
        if self.pool == "token":
            if features.ndim != 3 or extra == 0:
                raise ValueError(f"{self.model} has no class token; use pool='avg'.")
            return features[:, 0]
        if features.ndim == 3:
            return features[:, extra:].mean(dim=1)
        return features.mean(dim=(1, 2) if getattr(model, "output_fmt", "NCHW") == "NHWC" else (2, 3))
