"""One way to open anything that encodes places: objects, model folders, checkpoints, files and functions."""

import functools
import importlib
import importlib.util
import inspect
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from geotether.checkpoint.hub import PREFIX, hub_folder, hub_name, looks_like_hub_name
from geotether.checkpoint.named import model_path, name_of, names_hint
from geotether.files.disk import check_file
from geotether.geodesy.coordinates import check_lonlat

if TYPE_CHECKING:
    from geotether.encoder import Encoder
    from geotether.peers.embedding_file import EmbeddingFile
    from geotether.predict import PairedModel

EncoderFunction = Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n d"]]
"""A function of lonlat (degrees, shape (n, 2)) that returns numbers of shape (n, d)."""

_log = logging.getLogger(__name__)
FORMS = (
    "a model folder, a checkpoint, a .parquet of embeddings, a name of `geotether models`, "
    "hf:user/name of the Hub, "
    "package.module:function or path/to/file.py:function"
)


def load(
    path: str | Path,
    device: str = "cpu",
    *,
    precision: str = "float32",
    revision: str | None = None,
    local_files_only: bool = False,
) -> "Encoder | PairedModel | EmbeddingFile":
    """Load a model of geotether or of others. Nothing in it is executed.

    Args:
        path: The name of a model that comes with the package, such as "world", or is in the user's data folder
            (`geotether models` lists both); a model folder (`model.safetensors`, `config.json`, `provenance.json`); a
            published checkpoint of SatCLIP or GeoCLIP (PyTorch or safetensors), recognised by the names of its
            arrays; or a Parquet file of embeddings, which can only be looked up. A file or folder of a
            model in the working directory comes before a name, with a warning; "./world" is always a path. Or a model
            of the Hugging Face Hub, "hf:user/name" or "hf:user/name@revision", which is downloaded into the Hub's cache
            unless it is there; "user/name" is one too if there is neither such a path nor a folder `user`.
        device: Device for an encoder to compute on, such as "cpu" or "cuda".
        precision: Of the products of an encoder: "float32", "tf32" or "bf16"; see `geotether.encoder.Encoder`.
        revision: Of a model of the Hub: branch, tag or commit; by default `main`.
        local_files_only: Of a model of the Hub: use the cache only, without a network.

    Returns:
        An `Encoder`; for a model of paired sensors a `PairedModel`; for a Parquet file an `EmbeddingFile`.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If it is not a model of geotether, is of a newer format, truncated, or damaged; if a file has no
            known layout, or would need foreign code to be read; or if a Parquet file has no embeddings.
        ImportError, PermissionError, OSError: Of a model of the Hub, as `geotether.checkpoint.hub.hub_folder`.
    """
    from geotether.encoder import Encoder

    path = _hub_path(path, revision, local_files_only) or model_path(path)
    if path.suffix and not path.exists():
        raise FileNotFoundError(f"There is no file {path}.{names_hint(path)}")
    if not path.is_file():
        from geotether.checkpoint.model import load_model

        parts = load_model(path)
        if parts.paired is None:
            return Encoder.of(parts, device, precision)
        from geotether.predict import PairedModel

        _refuse_device(f"{path} is a model of paired sensors, which computes on a CPU", device, precision)
        return PairedModel.of(parts)
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    if not is_parquet:
        from geotether.peers.checkpoint_layouts import open_checkpoint

        return Encoder(*open_checkpoint(path), device=device, precision=precision)
    _refuse_device(f"{path} is a file of embeddings, where nothing is computed", device, precision)
    from geotether.peers.embedding_file import EmbeddingFile

    return EmbeddingFile(path)


def _refuse_device(said: str, device: str, precision: str) -> None:
    for name, value, usual in (("device", device, "cpu"), ("precision", precision, "float32")):
        if value != usual:
            raise ValueError(f"{said}; leave out {name}={value!r}.")


def _hub_path(path: str | Path, revision: str | None, local_files_only: bool) -> Path | None:
    """Return the folder of a model of the Hub; None if `path` is not one."""
    if not hub_name(path) and looks_like_hub_name(path) and importlib.util.find_spec("huggingface_hub"):
        _log.info("There is no folder %s here; looking for %s%s on the Hub.", path, PREFIX, path)
        path = f"{PREFIX}{path}"
    named = hub_name(path)
    if named is None:
        if revision is not None or local_files_only:
            raise ValueError(f"revision and local_files_only are for models of the Hub, and {path} is not one.")
        return None
    if revision is not None and named[1] not in (None, revision):
        raise ValueError(f"{path} has a revision, and revision={revision!r} is another; give one.")
    return hub_folder(named[0], revision or named[1], local_files_only)


def load_encoder(thing: Any, dim: int | str | None = None) -> EncoderFunction:
    """Turn anything that encodes places into a function of lonlat (n, 2).

    Args:
        thing: An object with `encode(lon=, lat=)`, such as `pretrain` and `load` return; the torch module of one; a
            path or specification as for `named_encoder`, without its name; a function f(lon, lat) of two arrays of
            shape (n,) in degrees (parameters called like both are passed by name, in either order); or a function
            f(lonlat) of one array of shape (n, 2). Functions return arrays, tensors or data frames of shape (n, d).
            Attributes such as `probes` are kept.
        dim: Numbers per place, or "full", of a model of geotether whose readout is projected; None for its default.

    Returns:
        Function of lonlat (n, 2), float64, that returns an array. Its attribute `model` is the object, if there is
        one.

    Raises:
        TypeError: If it is none of these; the message says what to write.
        FileNotFoundError, ImportError, ValueError: As `named_encoder` for paths and specifications; ValueError also if
            the model does not have vectors of `dim` numbers.

    Example:
        >>> load_encoder(lambda lon, lat: np.stack([lat, lon], axis=1))(np.array([[5.66, 51.97]]))
        array([[51.97,  5.66]])
    """
    if dim is not None:
        return _of_dim(load_encoder(thing), thing, dim)
    if inspect.isclass(thing):
        raise TypeError(f"{thing.__name__} is a class; build an object of it first, such as {thing.__name__}().")
    if isinstance(thing, str | Path):
        return named_encoder(str(thing))[1]
    if hasattr(thing, "handout") and hasattr(thing, "parameters"):  # a torch module of ours
        from geotether.encoder import Encoder

        thing = Encoder(thing)
    if hasattr(thing, "predicts_from"):  # a model of paired sensors, which may have a location encoder
        thing = thing.encoder
    if callable(getattr(thing, "encode", None)):

        def encode_places(lonlat: Any) -> Any:
            return thing.encode(lon=lonlat[:, 0], lat=lonlat[:, 1])

        encode_places.model = thing  # type: ignore[attr-defined]  # for baselines of its architecture
        return encode_places
    if not callable(thing):
        raise TypeError(
            f"{thing!r:.60} is a {type(thing).__name__}, which cannot encode places; give a function f(lon, lat) that "
            "returns (n, d), or a model from geotether.load(...)."
        )
    call = _calling_convention(thing)

    def encoder(lonlat: Any) -> Any:
        return _as_array(call(lonlat))

    functools.update_wrapper(encoder, thing)
    # The signature of the result must not be that of `thing`: it may be passed in again.
    lonlat = inspect.Parameter("lonlat", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    encoder.__signature__ = inspect.Signature([lonlat])  # type: ignore[attr-defined]
    if hasattr(thing, "probes"):  # an attribute of the object's class, which update_wrapper does not copy
        encoder.probes = thing.probes  # type: ignore[attr-defined]
    return encoder


def _of_dim(function: EncoderFunction, thing: Any, dim: int | str) -> EncoderFunction:
    from geotether.encoder import Encoder

    encoder = getattr(function, "model", None)
    if not isinstance(encoder, Encoder):
        raise ValueError(f"{thing} has no projected readout; leave out dim={dim!r} (--dim).")
    width = encoder.module.check_dim(dim)
    return lambda lonlat: encoder.encode(lonlat, dim=width)


def load_encoders(encoders: Any) -> dict[str, EncoderFunction]:
    """Open several encoders by name.

    Args:
        encoders: Name to anything that `load_encoder` takes; a sequence of specifications as for `named_encoder`; or
            one encoder alone, which is called "encoder" where it has no name.

    Raises:
        TypeError: As `load_encoder`.
        ValueError: If there are none, or two have the same name.
    """
    if isinstance(encoders, Mapping):
        found = {str(name): load_encoder(thing) for name, thing in encoders.items()}
    elif isinstance(encoders, Sequence) and not isinstance(encoders, str):
        found = {}
        for spec in encoders:
            name, function = named_encoder(str(spec))
            if name in found:
                raise ValueError(f"two encoders are called {name!r}; name them: NAME={spec}.")
            found[name] = function
    elif isinstance(encoders, str | Path):
        found = dict([named_encoder(str(encoders))])
    else:
        found = {"encoder": load_encoder(encoders)}
    if not found:
        raise ValueError("there are no encoders; give at least one, such as {'mine': geotether.load(...)}.")
    return found


def encode_places(
    encoder: Any, lonlat: Float[np.ndarray, "n 2"], name: str = "", chunk_rows: int | None = None
) -> Float[np.ndarray, "n d"]:
    """Encode places and check the result.

    Args:
        encoder: An `EncoderFunction`.
        lonlat: Places, degrees, shape (n, 2), n at least 1.
        name: Name of the encoder, for messages.
        chunk_rows: Number of places passed at once; None passes all.

    Returns:
        Shape (n, d), float32 or float64 as returned; other numbers become float64.

    Raises:
        TypeError: If `encoder` is not a function, or its result is not numbers.
        ValueError: If a place is not a coordinate, there are none, or the result has another shape or contains NaN or
            infinite values.
    """
    title = f"encoder {name!r}" if name else "the encoder"
    if not callable(encoder):
        raise TypeError(f"{title} is a {type(encoder).__name__}; give a function of lonlat (n, 2) -> (n, d).")
    check_lonlat(lonlat)
    if not len(lonlat):
        raise ValueError("there are no places to encode.")
    parts = []
    for start in range(0, len(lonlat), chunk_rows or len(lonlat)):
        chunk = lonlat[start : start + (chunk_rows or len(lonlat))]
        part: Any = np.asarray(encoder(chunk))
        if part.ndim != 2 or len(part) != len(chunk) or part.shape[1] == 0:
            raise ValueError(f"{title} returned shape {part.shape} for {len(chunk)} places; wanted (n, d).")
        if part.dtype.kind not in "fiu":
            raise TypeError(f"{title} returned {part.dtype}; wanted real numbers.")
        bad = np.flatnonzero(~np.isfinite(part).all(axis=1))
        if len(bad):
            lon, lat = chunk[bad[0]]
            raise ValueError(
                f"{title} returned NaN or infinity for {len(bad)} of {len(chunk)} places, "
                f"first for row {start + bad[0]} at lon={lon:g}, lat={lat:g}."
            )
        parts.append(part if part.dtype in (np.float32, np.float64) else part.astype(np.float64))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def named_encoder(spec: str) -> tuple[str, EncoderFunction]:
    """Open an encoder from a specification with a name. `...:function` imports and runs the code that it names.

    Args:
        spec: `[NAME=]PATH` of a model folder, a published checkpoint or a Parquet file of embeddings (nothing in them
            is executed), or the name of a model as for `load`; or your own code: `[NAME=]package.module:function` or
            `[NAME=]path/to/file.py:function`.

    Returns:
        A name (if none is given: that of the file, function or folder, or of the run around a folder called `model`)
        and the encoder.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ImportError: If the module cannot be imported.
        ValueError: If the file cannot be read, or the form is none of these.
        TypeError: If the function takes other arguments than places.
    """
    name, target = name_and_target(spec)
    if not target.strip():
        raise ValueError(f"{spec!r} names no encoder; give [NAME=] and {FORMS}.")
    path = model_path(target)
    if path.exists():
        return name or name_of(path), load_encoder(load(path))
    source, colon, function = target.rpartition(":")
    if colon and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", function):
        return name or function, load_encoder(_imported(source, function))
    if path.suffix == ".py":
        raise FileNotFoundError(f"There is no file {path}; your own code is given as path/to/file.py:function.")
    raise FileNotFoundError(f"There is no file or folder {target}; give {FORMS}.{names_hint(target)}")


def name_and_target(spec: str) -> tuple[str | None, str]:
    """Split `NAME=PATH`; without a name, or if the whole is a path, the name is None.

    Example:
        >>> name_and_target("mine=runs/first/model"), name_and_target("world")
        (('mine', 'runs/first/model'), (None, 'world'))
    """
    named = re.fullmatch(r"([^=/\\:]+)=(.*)", spec)
    return (named[1].strip(), named[2]) if named and not Path(spec).exists() else (None, spec)


def _calling_convention(function: Callable[..., Any]) -> Callable[[Any], Any]:
    """How the function wants its places, read from its arguments."""
    title = getattr(function, "__name__", type(function).__name__)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise TypeError(f"{title} does not say what it takes; wrap it: lambda lon, lat: {title}(...).") from None
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [p for p in parameters if p.default is p.empty and p.kind not in variadic]
    axes = {axis: p for p in parameters if (axis := _axis(p.name)) in ("lon", "lat")}
    if len(axes) == 2 and all(p in axes.values() for p in required):
        if all(p.kind is not p.POSITIONAL_ONLY for p in axes.values()):
            lon, lat = axes["lon"].name, axes["lat"].name
            return lambda lonlat: function(**{lon: lonlat[:, 0], lat: lonlat[:, 1]})
        if list(axes) == ["lon", "lat"]:
            return lambda lonlat: function(lonlat[:, 0], lonlat[:, 1])
        return lambda lonlat: function(lonlat[:, 1], lonlat[:, 0])
    if not axes and all(p.kind is not p.KEYWORD_ONLY for p in required):
        if len(required) == 1 and _axis(required[0].name) != "latlon":
            return function
        if len(required) == 2:
            return lambda lonlat: function(lonlat[:, 0], lonlat[:, 1])
    listed = ", ".join(p.name for p in parameters) or "nothing"
    raise TypeError(
        f"{title} takes ({listed}); an encoder takes f(lon, lat), two arrays of shape (n,), or f(lonlat), one of "
        f"shape (n, 2). Wrap it: lambda lon, lat: {title}(...)."
    )


def _axis(argument: str) -> str | None:
    """Which coordinates an argument's name promises: "lon", "lat", "latlon" (the wrong order), or nothing known."""
    plain = argument.lower().replace("_", "")
    if plain.startswith(("latlon", "latlng")):
        return "latlon"
    if plain.startswith(("lonlat", "lnglat")):
        return None
    return "lon" if plain.startswith(("lon", "lng")) else "lat" if plain.startswith("lat") else None


def _as_array(answer: Any) -> Any:
    """Arrays of tensors, also of those that carry a gradient or lie on an accelerator; anything else as it is."""
    if not hasattr(answer, "detach"):
        return np.asarray(answer)
    tensor = answer.detach().cpu()
    return (tensor.float() if str(tensor.dtype) in ("torch.bfloat16", "torch.float16") else tensor).numpy()


def _imported(source: str, function: str) -> Any:
    """Import a module by its name or its file, running it, and take the function out of it."""
    if source.endswith(".py"):
        file = Path(source)
        check_file(file)
        module = _run_file(file.resolve())
    elif re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", source):
        with _importable(Path.cwd()):
            module = importlib.import_module(source)
    else:
        raise ValueError(f"{source!r} is neither a module nor a .py file; give {FORMS}.")
    found: Any = module
    for part in function.split("."):
        if not hasattr(found, part):
            public = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
            raise ValueError(f"{source} has no {function!r}; it has {', '.join(public[:10]) or 'nothing to call'}.")
        found = getattr(found, part)
    return found


def _run_file(file: Path) -> Any:
    specification = importlib.util.spec_from_file_location(f"geotether_user_{file.stem}", file)
    if specification is None or specification.loader is None:
        raise ImportError(f"{file} cannot be imported as Python.")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses and pickles look their module up
    with _importable(file.parent):
        specification.loader.exec_module(module)
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let user code import its neighbours, as `python file.py` would."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):  # the code may have tidied up itself
            sys.path.remove(str(folder))
