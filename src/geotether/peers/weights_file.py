"""A file of weights, a PyTorch pickle or safetensors, read without running code in it."""

import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from geotether.files.disk import check_file

# Keys under which training frameworks store weights in a checkpoint, in order of preference.
NESTS = ("state_dict", "model_state_dict", "model")
SETTINGS = "hyper_parameters"

# Containers of settings that a Lightning checkpoint may contain besides plain values. None of these classes is
# imported or built: dictionaries are read as dictionaries, the others as a stand-in that only stores its state.
_DICTIONARIES = tuple(
    f"{package}.AttributeDict"
    for package in (
        "lightning.fabric.utilities.data",
        "lightning_fabric.utilities.data",
        "lightning.pytorch.utilities.parsing",
        "pytorch_lightning.utilities.parsing",
    )
)
_KEPT_ASIDE = (
    "argparse.Namespace",
    "jsonargparse._namespace.Namespace",
    "jsonargparse.namespace.Namespace",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
    "pathlib.PureWindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
)


class StandIn:
    """Replacement of a class of another package, which stores its state and does nothing.

    Args:
        arguments: Constructor arguments of the class, ignored.
    """

    def __init__(self, *arguments: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """The content of a file of weights.

    Attributes:
        path: Path of the file.
        tensors: The arrays by name, on the CPU.
        settings: Saved hyper-parameters, plain values by name; may be empty.
        sha256: Hash of the file.
    """

    path: Path
    tensors: dict[str, Tensor]
    settings: dict[str, Any]
    sha256: str

    def array(self, name: str, *shape: int | None) -> Tensor:
        """Return one array after checking it.

        Args:
            name: Name of the array.
            shape: The length of every axis; None allows any.

        Raises:
            ValueError: If it is missing, has another shape, or contains a number that is not finite.
        """
        if name not in self.tensors:
            raise ValueError(f"{self.path} has no array {name!r}, so it is incomplete; download it again.")
        tensor = self.tensors[name]
        if tensor.ndim != len(shape) or any(w not in (None, g) for w, g in zip(shape, tensor.shape, strict=True)):
            wanted = ", ".join("any" if length is None else str(length) for length in shape)
            raise ValueError(f"{self.path}: {name!r} has shape {tuple(tensor.shape)}; expected ({wanted}).")
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise ValueError(f"{self.path}: {name!r} contains a number that is not finite; download the file again.")
        return tensor


def read_weights(path: str | Path) -> WeightsFile:
    """Read a file of weights. Its kind is recognised by its first bytes, not its name, and nothing in it is executed.

    Args:
        path: PyTorch (`torch.save`: a state dict, or a checkpoint that contains one) or safetensors.

    Returns:
        Arrays and settings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is neither, is corrupt, contains no arrays, or could only be read by running foreign code.
        ImportError: If it is a pickle and torch is older than 2.6.
    """
    path = Path(path)
    check_file(path)
    with path.open("rb") as file:
        start = file.read(64)
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if start[8:9] == b"{":
        tensors, settings = _read_safetensors(path)
    elif start[:2] in (b"PK", b"\x80\x02"):
        tensors, settings = _read_torch(path)
    else:
        hint = ""
        if start.startswith(b"version https://git-lfs"):
            hint = " It is a Git LFS pointer: fetch the file itself with `git lfs pull`."
        elif start.lstrip().startswith(b"<"):
            hint = " It is a web page: download the raw file."
        raise ValueError(f"{path} is neither a PyTorch file nor safetensors.{hint}")
    return WeightsFile(path, tensors, settings, sha256)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            noted = json.loads((file.metadata() or {}).get(SETTINGS, "{}"))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file ({error}); download it again.") from error
    return tensors, _plain_settings(noted)


def _read_torch(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 6):
        raise ImportError(  # weights_only could be made to run code before: CVE-2025-32434
            f"Reading {path} safely needs torch 2.6 or newer; this is {torch.__version__}. pip install -U torch"
        )
    known: list[Any] = [(dict, name) for name in _DICTIONARIES] + [(StandIn, name) for name in _KEPT_ASIDE]
    try:
        with torch.serialization.safe_globals(known):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(_refusal(path, named[1] if named else None, str(error))) from error
    except Exception as error:  # a damaged pickle or archive can raise anything
        said = f" ({str(error).splitlines()[0]:.200})" if str(error) else ""
        raise ValueError(f"{path} is truncated or damaged{said}; download it again.") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} contains a {type(content).__name__}, not arrays by name; save a state dict.")
    nest = next((name for name in NESTS if isinstance(content.get(name), Mapping)), None)
    arrays = content if nest is None else content[nest]
    tensors = {str(name): value.detach() for name, value in arrays.items() if isinstance(value, Tensor)}
    return tensors, _plain_settings(content.get(SETTINGS, {}))


def _plain_settings(noted: Any) -> dict[str, Any]:
    """Return the hyper-parameters that are plain values."""
    if isinstance(noted, StandIn):
        noted = noted.state
    if not isinstance(noted, Mapping):
        return {}
    return {str(name): value for name, value in noted.items() if isinstance(value, str | int | float | bool | None)}


def _refusal(path: Path, name: str | None, said: str) -> str:
    what = f"the object {name}" if name else f"what only foreign code can read ({said.splitlines()[0]:.120})"
    return (
        f"{path} carries {what}, which would run code to be read, so it was refused. If you trust the file, "
        "convert it once, in an isolated environment:\n"
        "    import torch\n"
        "    from safetensors.torch import save_file\n"
        f"    content = torch.load({path.name!r}, map_location='cpu', weights_only=False)\n"
        "    arrays = content.get('state_dict', content)\n"
        f"    save_file({{k: v.contiguous().clone() for k, v in arrays.items()}}, {path.stem + '.safetensors'!r})\n"
        f"and load {path.stem}.safetensors instead; docs/peers.md says more."
    )
