"""The model folder: weights, description, provenance and card; loading one executes no code from it."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of_bytes
from safetensors.torch import save as bytes_of_tensors
from torch import Tensor, nn

from geotether.checkpoint.named import names_hint
from geotether.files.disk import replacing_folder
from geotether.files.rounding import restored
from geotether.plugins import Registry, origins, require
from geotether.version import __version__

FORMAT = "geotether-model"
FORMAT_VERSION = 1
WEIGHTS, CONFIG, PROVENANCE, CARD = "model.safetensors", "config.json", "provenance.json", "README.md"


def write_folder(
    folder: Path,
    description: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    card: str,
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Write a model folder, which replaces an older one only when complete; raises as `save_model` does.

    `files` are further files by name, whose hashes are in the description, so that `read_folder` checks them.
    """
    if folder.is_dir() and any(folder.iterdir()) and _format_of(folder) != FORMAT:
        raise FileExistsError(f"{folder} contains other files than a model; choose a new or empty folder.")
    if broken := _not_finite(weights):
        raise ValueError(f"The weights {broken} are not finite; nothing was saved.")
    # Clones, because the format refuses tensors that share memory.
    data = bytes_of_tensors({name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()})
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "geotether": __version__,
        **description,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        "config": dict(config),
    }
    if files:
        about["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    about["config_sha256"] = _hash_of(_plain(about, CONFIG))
    texts = {CONFIG: _json(about, CONFIG), PROVENANCE: _json(provenance, PROVENANCE), CARD: card}
    with replacing_folder(folder) as part:
        for name, content in {WEIGHTS: data, **(files or {})}.items():
            (part / name).write_bytes(content)
        for name, text in texts.items():
            (part / name).write_text(text, encoding="utf-8")


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, bytes]]:
    """Read the description, the weights and further files, and check that they belong together.

    Only numbers and JSON are read. Weights that were saved as integers with a unit per row come back as numbers.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If it is not a model of geotether, of a newer format, truncated, or its files do not match.
    """
    if folder.is_file():
        raise ValueError(f"{folder} is a file; give the model's folder, such as {folder.parent}.")
    missing = [name for name in (CONFIG, WEIGHTS, PROVENANCE) if not (folder / name).is_file()]
    if missing:
        inner = folder / "model"
        hint = f" Did you mean {inner}?" if (inner / CONFIG).is_file() else names_hint(folder)
        what = f"it has no {missing[0]}" if folder.is_dir() else "there is no such folder"
        raise FileNotFoundError(f"{folder} is not a model folder: {what}.{hint}")
    about = read_json(folder / CONFIG)
    if about.get("format") != FORMAT:
        raise ValueError(
            f"{folder / CONFIG} is not from geotether: its format is {about.get('format')!r}, not {FORMAT!r}."
        )
    version = about.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ValueError(
            f"{folder} has format version {version}, written by geotether {about.get('geotether')}; this is "
            f"{__version__} and reads up to {FORMAT_VERSION}. Upgrade: pip install -U geotether."
        )
    absent = [key for key in ("encoder", "heads", "weights_sha256", "config") if key not in about]
    if absent:
        raise ValueError(f"{folder / CONFIG} has no {', '.join(absent)}; copy the model folder again.")
    known = isinstance(about["config"], dict) and isinstance(about.get("plugins", []), list)
    listed = about.get("files", {})
    known &= isinstance(listed, dict) and all(Path(name).name == name for name in listed)
    if not known or not all(_is_origin(one) for one in about.get("plugins", [])):
        raise ValueError(
            f"{folder / CONFIG} is damaged: `config`, `plugins` or `files` is malformed; copy the folder again."
        )
    if about.get("config_sha256", "") not in ("", _hash_of(about)):  # older folders have no such hash
        raise ValueError(f"{folder / CONFIG} was edited or is damaged; copy the model folder again.")
    data = (folder / WEIGHTS).read_bytes()
    try:
        weights = tensors_of_bytes(data)
    except SafetensorError as error:
        pickled = " It looks like a pickle, which is never loaded." if data[:2] in (b"PK", b"\x80\x02") else ""
        raise ValueError(
            f"{folder / WEIGHTS} is truncated or not a safetensors file ({error}).{pickled} "
            "Copy the model folder again."
        ) from error
    if hashlib.sha256(data).hexdigest() != about["weights_sha256"]:
        raise ValueError(f"{folder / WEIGHTS} and {CONFIG} do not belong together; copy the model folder again.")
    if broken := _not_finite(weights):
        raise ValueError(f"{folder / WEIGHTS} contains NaN or infinite numbers, first in {broken}; train it again.")
    files = {}
    for name, digest in listed.items():
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}, which belongs to the model; copy the model folder again.")
        files[name] = (folder / name).read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise ValueError(f"{folder / name} and {CONFIG} do not belong together; copy the model folder again.")
    return about, restored(weights), files


def _is_origin(plugin: Any) -> bool:
    """Return whether an entry of `plugins` is what `plugin_record` writes."""
    return isinstance(plugin, dict) and {"kind", "name", "module"} <= plugin.keys() and plugin["kind"] in Registry.all


def _not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """Return the name of a tensor with NaN or infinite values."""
    floating = {name: tensor for name, tensor in weights.items() if tensor.is_floating_point()}
    return next((name for name, tensor in floating.items() if not tensor.isfinite().all()), None)


def _hash_of(about: Mapping[str, Any]) -> str:
    """Hash all that a description says, apart from this hash itself."""
    said = {key: value for key, value in about.items() if key != "config_sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def state_hash(module: nn.Module) -> str:
    """Return a hash of the values in a module's state."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def plugin_record(parts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the entry `plugins` of a description: origins of the parts, (kind, name), that plug-ins registered."""
    found = origins(parts)
    return {"plugins": found} if found else {}


def check_plugins(folder: Path, about: Mapping[str, Any]) -> None:
    """Raise ImportError if a plug-in that the model needs is not loaded, and warn if its code has changed."""
    needed = about.get("plugins", [])
    if needed:
        made = read_json(folder / PROVENANCE)
        facts = ", ".join(f"{key} {made[key]}" for key in ("recipe", "steps", "seed") if made.get(key) is not None)
        settings = {"encoder": about["encoder"]} if about.get("encoder") else {}
        require(
            needed, str(folder), f"The model was made with {facts or 'unknown settings'} and {json.dumps(settings)}."
        )


def fill_module(module: nn.Module, weights: Mapping[str, Tensor], prefix: str, folder: Path) -> None:
    """Load the weights whose names begin with `prefix`, in the saved precision; refuse other names, shapes or types."""
    mine = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    wanted = module.state_dict()
    wrong = sorted(wanted.keys() ^ mine.keys()) or [
        name for name, tensor in wanted.items() if tensor.shape != mine[name].shape or not alike(tensor, mine[name])
    ]
    if wrong:
        raise ValueError(f"{folder / WEIGHTS} does not fit the encoder in {CONFIG}: {prefix}{wrong[0]} differs.")
    try:
        module.load_state_dict(mine, assign=True)  # in the saved precision: SatCLIP's weights are float64
    except ValueError as error:  # of a context
        raise ValueError(f"{folder / WEIGHTS} is not usable: {error} Copy the model folder again.") from error


def alike(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same type, up to single or double precision."""
    return one.dtype == other.dtype or {one.dtype, other.dtype} == {torch.float32, torch.float64}


def _format_of(folder: Path) -> Any:
    try:
        return read_json(folder / CONFIG).get("format")
    except (OSError, ValueError):
        return None


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that contains a JSON object; raise ValueError if it is damaged or contains something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is truncated or not a JSON file ({error}); copy the model folder again.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} contains a {type(content).__name__}, not an object; is it from geotether?")
    return content


def licence_of(provenance: Mapping[str, Any]) -> str:
    """Return the licence of a model, or those of its training data without repetitions; "" if none is known.

    Of an adapted model, those of the data of the model that it started from count, too.
    """
    if provenance.get("licence"):
        return str(provenance["licence"])
    before = (provenance.get("adapted") or {}).get("from") or {}
    tables = [facts for made in (provenance, before) for facts in (made.get("tables") or {}).values()]
    origins = [facts.get("origin", {}) for facts in tables]
    known = dict.fromkeys(origin["licence"] for origin in origins if origin.get("licence"))
    return f"data: {', '.join(known)}" if known else ""


def _json(content: Mapping[str, Any], name: str) -> str:
    return json.dumps(_plain(content, name), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any, where: str) -> Any:
    """Convert values to JSON types. NaN becomes null, so that it does not end a long run."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}: {key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return _plain(value.tolist(), where)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{where} contains a {type(value).__name__}, which JSON cannot represent; use plain values.")
