"""Extension from outside the package: registries that user code, plug-in files and installed packages fill by name."""

import hashlib
import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

from geotether.suggestions import closest

ENVIRONMENT = "GEOTETHER_PLUGINS"
"""Environment variable with plug-ins, separated as in PATH; child processes inherit it."""


class Registry(dict[str, Any]):
    """Name to class or function: a dict that also finds the names of plug-ins.

    A name that is not in the dict is looked for in the plug-ins of the environment variable GEOTETHER_PLUGINS, then
    among the entry points of installed packages.

    Args:
        kind: What is registered, for messages and model folders, such as "positional".
        group: Entry-point group of other packages, such as "geotether.positional".
        builtin: The names of the package; a value may also be "module:name", imported by whoever uses it.

    Example:
        >>> shapes = Registry("shape", "geotether.shapes", {"square": float})
        >>> @shapes.register("circle")
        ... class Circle: ...
        >>> sorted(shapes), shapes.origin("square")
        (['circle', 'square'], None)
    """

    all: ClassVar[dict[str, "Registry"]] = {}

    def __init__(self, kind: str, group: str, builtin: Mapping[str, Any]) -> None:
        super().__init__(builtin)
        self.kind = kind
        self.group = group
        self._builtin = frozenset(builtin)
        Registry.all[kind] = self

    def register(self, name: str) -> Callable[[Any], Any]:
        """Return a decorator that registers a class or function under `name`.

        Raises:
            ValueError: If something else has this name; raised by the decorator.
        """

        def decorate(thing: Any) -> Any:
            self._add(name, thing)
            return thing

        return decorate

    def names(self) -> list[str]:
        """List all names, those of installed packages included, without importing anything."""
        return sorted({*self, *(entry.name for entry in entry_points(group=self.group))})

    def load(self, name: str) -> Any:
        """Return what has a name, importing "module:name"; ValueError for an unknown name lists the known ones."""
        if name not in self:
            known = self.names()
            raise ValueError(f"There is no {self.kind} {name!r}; known: {', '.join(known)}.{closest(name, known)}")
        found = self[name]
        if not isinstance(found, str):
            return found
        module, _, attribute = found.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def make(self, name: str, options: Mapping[str, Any] | None = None, **given: Any) -> Any:
        """Make an object of a named class from given arguments and options; ValueError for an unknown option."""
        kind = self.load(name)
        known = [option for option in inspect.signature(kind).parameters if option not in given]
        for option in options or {}:
            if option not in known:
                raise ValueError(
                    f"The {self.kind} {name!r} has no option {option!r}; known: {', '.join(known) or 'none'}."
                    f"{closest(option, known)}"
                )
        return kind(**given, **dict(options or {}))

    def origin(self, name: str) -> dict[str, Any] | None:
        """Return where a registered name comes from, as plain values; None for a part of the package.

        Returns:
            `kind`, `name`, `module`, and the `file` with its `sha256` where there is one.
        """
        if name in self._builtin or name not in self or isinstance(self[name], str):
            return None
        thing = self[name]
        file = _file_of(thing)
        origin = {"kind": self.kind, "name": name, "module": thing.__module__, "file": str(file) if file else None}
        return {**origin, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()} if file else origin

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (super().__contains__(name) or self._find(name))

    def __missing__(self, name: str) -> Any:
        if self._find(name):
            return self[name]
        raise KeyError(name)

    def _find(self, name: str) -> bool:
        for plugin in plugins_in_use():
            load_plugin(plugin)
        if not super().__contains__(name):
            for entry in entry_points(group=self.group, name=name):
                try:
                    thing = entry.load()
                except (ImportError, AttributeError) as error:
                    raise ImportError(
                        f"The {self.kind} {name!r} is registered as {entry.value}, which fails: {error}"
                    ) from error
                if not super().__contains__(name):  # the module may have registered it itself
                    self._add(name, thing)
        return super().__contains__(name)

    def _add(self, name: str, thing: Any) -> None:
        known = self.get(name)
        if known is not None:
            same = not isinstance(known, str) and known.__qualname__ == thing.__qualname__
            if name in self._builtin or not same or _file_of(known) != _file_of(thing):
                raise ValueError(f"The {self.kind} {name!r} is registered already, by {known!r}; choose another name.")
            if known.__module__ != thing.__module__:  # a file that runs as __main__ and is a plug-in as well
                return
        self[name] = thing


def load_plugin(plugin: str | Path) -> Any:
    """Import a plug-in, which runs it; what it registers is then known here and in child processes.

    Args:
        plugin: A Python file, or the dotted name of an importable module.

    Returns:
        The module.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the module cannot be imported, or another module has the name of the file.
    """
    text = plugin_name(plugin)
    if not text.endswith(".py"):
        return importlib.import_module(text)
    file = Path(text)
    loaded = sys.modules.get(file.stem)
    if loaded is None:
        if str(file.parent) not in sys.path:
            sys.path.append(str(file.parent))  # by its name, so that child processes can unpickle its classes
        importlib.invalidate_caches()
        loaded = importlib.import_module(file.stem)
    if Path(getattr(loaded, "__file__", None) or "").resolve() != file:
        raise ImportError(f"{file} cannot be imported: another module is called {file.stem!r}; rename the file.")
    return loaded


def use_plugins(plugins: Iterable[str | Path]) -> None:
    """Add plug-ins to GEOTETHER_PLUGINS; they are imported when a name that they may register is needed.

    Raises:
        FileNotFoundError: If a file does not exist.
    """
    known = plugins_in_use()
    for plugin in plugins:
        name = plugin_name(plugin)
        if name not in known:
            known.append(name)
    if known:
        os.environ[ENVIRONMENT] = os.pathsep.join(known)


def plugins_in_use() -> list[str]:
    """List the plug-ins of GEOTETHER_PLUGINS: absolute paths of files, and names of modules."""
    return [one for one in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if one]


def plugin_name(plugin: str | Path) -> str:
    """Return the absolute path of a plug-in file, or the dotted name of a module as it is.

    Raises:
        FileNotFoundError: If the file does not exist.
    """
    text = str(plugin)
    if not text.endswith(".py"):
        return text
    file = Path(text).expanduser().resolve()
    if not file.is_file():
        raise FileNotFoundError(f"There is no plug-in file {file}.")
    return str(file)


def constructor_arguments(kind: Any) -> dict[str, inspect.Parameter]:
    """Return the named parameters of a class's constructor; `*args` and `**kwargs` do not count."""
    parameters = inspect.signature(kind).parameters
    return {k: p for k, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def origins(parts: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the origin of every part that a plug-in registered.

    Args:
        parts: Pairs of kind and name, such as ("positional", "mine").
    """
    found = (Registry.all[kind].origin(name) for kind, name in dict.fromkeys(parts))
    return [origin for origin in found if origin is not None]


def require(needed: Iterable[Mapping[str, Any]], what: str, made: str = "") -> None:
    """Raise if a plug-in is missing that a saved thing needs, and warn if its code has changed.

    Args:
        needed: Origins, as `origins` returned them when it was saved.
        what: What needs them, for messages.
        made: How it was made, a sentence for the message.

    Raises:
        ImportError: If a name is not registered; the message says who registered it and how to load it.
    """
    for one in needed:
        registry = Registry.all[one["kind"]]
        if one["name"] not in registry:
            source = f"{one['module']} ({one['file']})" if one.get("file") else one["module"]
            plugin = one.get("file") or one["module"]
            raise ImportError(
                f"{what} needs the {one['kind']} {one['name']!r}, which is not part of geotether: it was registered by "
                f"the plug-in {source}. Import that module first, or write geotether --plugin {plugin} ... on the "
                f"command line.{' ' + made if made else ''}"
            )
        now = registry.origin(one["name"])
        if now and one.get("sha256") and now.get("sha256") != one["sha256"]:
            warnings.warn(
                f"The plug-in of the {one['kind']} {one['name']!r}, {now.get('file') or now['module']}, has changed "
                f"since {what} was saved; embeddings may differ.",
                stacklevel=3,
            )


def _file_of(thing: Any) -> Path | None:
    file = getattr(sys.modules.get(getattr(thing, "__module__", "")), "__file__", None)
    return Path(file).resolve() if file and Path(file).is_file() else None
