"""Frozen backbones: networks whose weights are read from a file and not trained here."""

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float32

from geotether.features.featurizer import ImageFeatures

if TYPE_CHECKING:
    import torch

_FITTING_TORCHVISION = "pip install torchvision --index-url https://download.pytorch.org/whl/cpu"


class Network(NamedTuple):
    """A network on its device: functions from an image to its input and from a batch to `dim` features."""

    prepare: Callable[[np.ndarray], "torch.Tensor"]
    run: Callable[["torch.Tensor"], "torch.Tensor"]
    dim: int


class FrozenBackbone(ImageFeatures, ABC):
    """Features of images from a frozen network without its head; see `Featurizer`.

    All batches have the same size, so the features of an image do not depend on the other images. A subclass checks
    its options, finds the weights, makes the network, and refuses images that the network was not trained for. Each
    argument of its constructor is an attribute of the same name; `label` is the prefix of the features' names, and
    `published` a name for the published weights beside None.
    """

    published: ClassVar[str | None] = None

    fit_rows: ClassVar[int] = 1  # nothing is learned

    def __init__(self, model: str, weights: str | None, batch: int, device: str, download: bool, label: str) -> None:
        self.model, self.weights = model, None if weights is None else str(weights)
        self.batch, self.device, self.download, self.label = batch, device, download, label
        if batch < 1:
            raise ValueError(f"batch must be 1 or more, got {batch}.")
        if weights in (None, self.published):
            self._file = self._cached_weights()
        elif Path(weights).is_file():
            self._file = Path(weights)
        else:
            also = f"; {self.published!r} names the published ones" if self.published else ""
            raise FileNotFoundError(f"There is no file of weights {weights}{also}.")
        self._network: Network | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Omit the network when pickled: a worker loads it from the file."""
        return self.__dict__ | {"_network": None}

    @property
    def out_dim(self) -> int:
        """Number of features."""
        return self._loaded().dim

    def fit(self, images: Sequence[np.ndarray]) -> "FrozenBackbone":
        """Load the weights, so that a wrong file is an error at once; nothing is fitted."""
        self._loaded()
        return self

    def transform(self, images: Sequence[np.ndarray]) -> Float32[np.ndarray, "n d"]:
        """Compute the features of images (height, width, bands) of any sizes, shape (n, out_dim)."""
        self.check_usable(images)
        network = self._loaded()
        inputs = (network.prepare(image) for image in images)
        return in_equal_batches(network.run, inputs, len(images), self.batch, self.device, network.dim)

    def fitted(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the SHA-256 of the weights, so that other weights are noticed."""
        return {"weights_sha256": weights_digest(self._file)}, {}

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "FrozenBackbone":
        """Check that the weights are those of the fitted state."""
        if values["weights_sha256"] != weights_digest(self._file):
            raise ValueError(f"{self._file} contains other weights than those that made these features.")
        return self

    def names(self) -> list[str]:
        """Return the names of the features: "resnet50 0", "resnet50 1", ..."""
        return [f"{self.label} {number}" for number in range(self.out_dim)]

    def _loaded(self) -> Network:
        if self._network is None:
            self._network = self._load()
        return self._network

    @abstractmethod
    def _cached_weights(self) -> Path:
        """Find published weights, or raise a FileNotFoundError that says where to get them and where to put them."""

    @abstractmethod
    def _load(self) -> Network:
        """Make the network with its weights; called once per process."""


def import_timm() -> Any:
    """Import timm, or raise an ImportError with the install command."""
    return _import("timm", "Backbones are read with timm: pip install 'geotether[vision]'.")


def import_torchgeo_models() -> Any:
    """Import `torchgeo.models`, or raise an ImportError with the install command."""
    return _import("torchgeo.models", "SSL4EO-S12's backbones are read with torchgeo: pip install 'geotether[eo]'.")


def _import(name: str, advice: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(f"{advice} ({error})") from None
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        raise ImportError(
            f"torchvision does not fit this torch ({error}). If torch is built for CPUs, torchvision must be too"
            f": {_FITTING_TORCHVISION}"
        ) from error


def weights_digest(path: Path) -> str:
    """Return the SHA-256 of a file of weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_file(hub: str, url: str, model: str, download: bool) -> Path:
    """Find pretrained weights (at Hugging Face, or else at a URL) in the caches, and fetch them if allowed."""
    if hub:
        from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

        for name in ("model.safetensors", "pytorch_model.bin"):
            found = try_to_load_from_cache(hub, name)
            if isinstance(found, str):
                return Path(found)
        if download:
            return Path(hf_hub_download(hub, "model.safetensors"))
        raise FileNotFoundError(
            f"The weights of {model!r} are not on this machine. Allow the download (download: true), or get "
            f"model.safetensors from https://huggingface.co/{hub} and give its path as weights, or copy a cache of "
            f"Hugging Face that contains it to {constants.HF_HUB_CACHE}."
        )
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    if not download:
        raise FileNotFoundError(
            f"The weights of {model!r} are not on this machine. Allow the download (download: true), or get "
            f"{url} and put it at {path}, or give its path as weights."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(url, str(path), progress=False)
    return path


def read_weights(path: Path) -> dict[str, "torch.Tensor"]:
    """Read a file of weights without running any code in it.

    It is .safetensors, or else a file of `torch.save` with tensors only; tensors may be under "state_dict" or "model",
    and their names may begin with "module.".
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except SafetensorError as error:
        raise ValueError(f"{path} is corrupt or not a safetensors file: {error}") from error
    except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is corrupt or contains more than tensors; save its state dict ({error})") from None
    for name in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not found or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ValueError(f"{path} contains no state dict of tensors.")
    return {name.removeprefix("module."): value for name, value in found.items()}


def load_local(model: Any, path: Path, optional: tuple[str, ...] = ()) -> None:
    """Load weights of a file, except those of heads, into a timm model; the `optional` ones may be missing."""
    found, wanted = read_weights(path), model.state_dict()
    heads = (model.pretrained_cfg or {}).get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    heads = tuple({head.split(".")[0] for head in heads} | {"fc", "head", "classifier"})
    missing = sorted(set(wanted) - set(found) - set(optional))
    extra = sorted(name for name in set(found) - set(wanted) if name.split(".")[0] not in heads)
    odd = sorted(name for name in set(found) & set(wanted) if found[name].shape != wanted[name].shape)
    if missing or extra or odd:
        said = [
            f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for names, what in ((missing, "missing"), (extra, "unknown"), (odd, "of another shape"))
            if names
        ]
        raise ValueError(f"{path} does not fit the model: of its weights {', '.join(said)}. Is it another model's?")
    model.load_state_dict({name: found.get(name, values) for name, values in wanted.items()})


def in_equal_batches(
    run: Callable[["torch.Tensor"], "torch.Tensor"],
    inputs: Iterable["torch.Tensor"],
    count: int,
    batch: int,
    device: str,
    dim: int,
) -> Float32[np.ndarray, "n d"]:
    """Run `count` images through a network in batches of one size, the last one padded with zeros.

    The kernels that a library chooses depend on the batch size; with one size, the features of an image do not depend
    on the number of images.
    """
    import torch

    features = np.empty((count, dim), dtype=np.float32)
    inputs = iter(inputs)
    with torch.inference_mode():
        for start in range(0, count, batch):
            pixels = torch.stack(list(itertools.islice(inputs, batch)))
            full = pixels.new_zeros((batch, *pixels.shape[1:]))
            full[: len(pixels)] = pixels
            features[start : start + batch] = run(full.to(device))[: len(pixels)].float().cpu().numpy()
    return features
