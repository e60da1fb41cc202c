"""Weights of frozen backbones: where they lie, how they are read safely, and how images run through."""

import hashlib
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

if TYPE_CHECKING:
    import torch

_FITTING_TORCHVISION = "pip install torchvision --index-url https://download.pytorch.org/whl/cpu"


def import_timm() -> Any:
    """Import timm.

    Raises:
        ImportError: If it is missing, or torchvision is built for another torch; the install command is named.
    """
    return _import("timm", "Backbones are read with timm: pip install 'geotether[vision]'.")


def import_torchgeo_models() -> Any:
    """Import `torchgeo.models`.

    Raises:
        ImportError: If it is missing, or torchvision is built for another torch; the install command is named.
    """
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
            f"torchvision does not fit this torch ({error}). Where torch is built for CPUs, torchvision must be as "
            f"well: {_FITTING_TORCHVISION}"
        ) from error


def weights_digest(path: Path) -> str:
    """Name the content of a file of weights: its SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_file(hub: str, url: str, model: str, download: bool) -> Path:
    """Find pretrained weights where their libraries keep them, and fetch them only if that is allowed.

    Args:
        hub: Repository at Hugging Face, or empty.
        url: Address of a file, or empty; used where there is no repository.
        model: Name for the messages.
        download: Whether the network may be used.

    Returns:
        The local file.

    Raises:
        FileNotFoundError: If it is not there and may not be fetched; the message says what to put where.
    """
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
            f"Hugging Face that has it to {constants.HF_HUB_CACHE}."
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

    Args:
        path: .safetensors, or else a file of `torch.save` with tensors only; tensors may lie under "state_dict" or
            "model", and their names may begin with "module.".

    Raises:
        ValueError: If it is damaged, holds more than tensors, or no tensors at all.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from error
    except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged or holds more than tensors; save its state dict ({error})") from None
    for name in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not found or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ValueError(f"{path} holds no state dict of tensors.")
    return {name.removeprefix("module."): value for name, value in found.items()}


def load_local(model: Any, path: Path, optional: tuple[str, ...] = ()) -> None:
    """Put weights of a file into a model that has no head.

    Args:
        model: Made by timm with `num_classes=0`.
        path: See `read_weights`; weights of the head in it are left out.
        optional: Weights that may be missing; they stay as they are made.

    Raises:
        ValueError: If weights are missing, too many, or of other shapes; the first ones are named.
    """
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
    """Run images through a network in batches of one size, the last one filled up with zeros.

    Which kernels a library takes depends on the size of the batch; with one size only, the numbers of an image do not
    depend on how many come with it.

    Args:
        run: The network.
        inputs: One tensor an image, all of one shape.
        count: How many.
        batch: Images at once.
        device: Where the network is.
        dim: Numbers it gives an image.

    Returns:
        Shape (count, dim).
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
