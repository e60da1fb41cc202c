"""Anything that can encode places, opened as the benchmark sees it: a function of lonlat (n, 2)."""

import functools
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from geotether.benchmark.encoding import Encoder
from geotether.embed import load

FORMS = "a model folder, a checkpoint, a .parquet of embeddings, package.module:function or path/to/file.py:function"


def as_encoder(thing: Any) -> Encoder:
    """See a model, or your own function, as the benchmark does.

    Args:
        thing: An object with `encode(lon=, lat=)`, such as `geotether.load` returns; a function f(lon, lat) of two
            arrays of shape (n,) in degrees (arguments with the names of both are given by name, in whichever order);
            or a function f(lonlat) of one array of shape (n, 2). Functions return arrays, tensors or data frames of
            shape (n, d). Attributes such as `probes` are kept.

    Returns:
        Function of lonlat (n, 2), float64, that returns an array.

    Raises:
        TypeError: If it is none of these; the message says what to write.

    Example:
        >>> as_encoder(lambda lon, lat: np.stack([lat, lon], axis=1))(np.array([[5.66, 51.97]]))
        array([[51.97,  5.66]])
    """
    if inspect.isclass(thing):
        raise TypeError(f"{thing.__name__} is a class; build an object of it first, such as {thing.__name__}().")
    if callable(getattr(thing, "encode", None)) and not isinstance(thing, str):  # a str encodes itself

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
    # Asked for its arguments, the result must not answer with those of `thing`: it may be opened once more.
    lonlat = inspect.Parameter("lonlat", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    encoder.__signature__ = inspect.Signature([lonlat])  # type: ignore[attr-defined]
    if hasattr(thing, "probes"):  # of an object's class, which the line above does not see
        encoder.probes = thing.probes  # type: ignore[attr-defined]
    return encoder


def open_encoder(spec: str) -> tuple[str, Encoder]:
    """Open an encoder named on the command line. For `...:function` this runs the Python code that it names.

    Args:
        spec: `[NAME=]PATH` of a model folder, a published checkpoint or a Parquet file of embeddings (nothing in them
            is executed), or your own code: `[NAME=]package.module:function` or `[NAME=]path/to/file.py:function`.

    Returns:
        A name (the file's, folder's or function's where none is given) and the encoder.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ImportError: If the module cannot be imported.
        ValueError: If the file cannot be read, or the form is none of these.
        TypeError: If the function takes other arguments than places.
    """
    name, target = None, spec
    named = re.fullmatch(r"([^=/\\:]+)=(.*)", spec)
    if named and not Path(spec).exists():
        name, target = named[1].strip(), named[2]
    if not target.strip():
        raise ValueError(f"{spec!r} names no encoder; give [NAME=] and {FORMS}.")
    path = Path(target)
    if path.exists():
        return name or _name_of(path), as_encoder(load(path))
    source, colon, function = target.rpartition(":")
    if colon and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", function):
        return name or function, as_encoder(_imported(source, function))
    if path.suffix == ".py":
        raise FileNotFoundError(f"There is no file {path}; your own code is given as path/to/file.py:function.")
    raise FileNotFoundError(f"There is no file or folder {target}; give {FORMS}.")


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


def _name_of(path: Path) -> str:
    resolved = path.resolve()
    return resolved.name if path.is_dir() else resolved.stem


def _imported(source: str, function: str) -> Any:
    """Import a module by its name or its file, running it, and take the function out of it."""
    if source.endswith(".py"):
        file = Path(source)
        if not file.is_file():
            raise FileNotFoundError(f"There is no file {file}.")
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
