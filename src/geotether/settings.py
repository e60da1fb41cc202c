"""Settings of users: YAML files, `key=value` overrides, and models that refuse unknown keys."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from geotether.suggestions import closest

# Plain words for pydantic's errors by type, and for parts of its other messages.
_MAPPING, _WHOLE, _NUMBER = "must be a mapping of names to values", "must be a whole number", "must be a number"
_WORDS = {
    "missing": "is missing",
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "string_type": "must be text",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
_PARTS = (
    (r"^Value error, ", ""),
    (r"^[A-Z]\w* should ", "must "),
    ("greater than or equal to ", "at least "),
    ("less than or equal to ", "at most "),
    (" after validation", ""),
)
_MOST_VALUES = 1_000_000  # more come from aliases that multiply or contain themselves


class _Loader(yaml.SafeLoader):
    """YAML 1.1, except that `1e-4` is a number, not a string, and that a key must not be repeated."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else key
            if name in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is repeated", problem_mark=key.start_mark)
            seen.add(name)
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML (safe subset; `1e-4` is a number; a repeated key is an error).

    Args:
        text: The YAML text.
        source: Name for error messages, such as the file's name.

    Raises:
        ValueError: If the text is not YAML, or is nested too deeply.

    Example:
        >>> parse_yaml("{steps: 500, learning_rate: 1e-3}", "example")
        {'steps': 500, 'learning_rate': 0.001}
    """
    try:
        value = yaml.load(text, Loader=_Loader)  # a safe loader with one more pattern
    except yaml.YAMLError as error:
        raise ValueError(f"{source} is not valid YAML: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{source} is nested too deeply.") from error
    except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:  # such as `!!int ''`
        raise ValueError(
            f"{source} has a value that is not of the type it is marked with, or not real: {error}."
        ) from error
    left, count = [value], 0
    while left:
        one = left.pop()
        count += 1
        if isinstance(one, dict | list):
            left.extend(one.values() if isinstance(one, dict) else one)
        if count + len(left) > _MOST_VALUES:
            raise ValueError(f"{source} has more than {_MOST_VALUES:,} values, perhaps by aliases that multiply.")
    return value


def read_yaml(path: str | Path, what: str = "file") -> Any:
    """Read a YAML file, as `parse_yaml`.

    Args:
        path: The file.
        what: What it is, for the message that it is missing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8 or not YAML.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no {what} {path}." if not path.exists() else f"{path} is not a file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8."
        ) from error
    return parse_yaml(text, str(path))


def read_layer(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; an empty one holds none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, or holds something other than a mapping.
    """
    layer = read_yaml(path, "configuration file")
    if layer is None:
        return {}
    if not isinstance(layer, dict):
        raise ValueError(f"{path} must hold `key: value` lines, got a {type(layer).__name__}.")
    return layer


def parse_override(override: str) -> dict[str, Any]:
    """Convert `dotted.key=value` to a nested mapping; the value is parsed as YAML.

    Raises:
        ValueError: If there is no `=` or no key.

    Example:
        >>> parse_override("encoder.positional.l_max=39")
        {'encoder': {'positional': {'l_max': 39}}}
    """
    key, equals, value = override.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise ValueError(f"An override is written key=value, such as learning_rate=1e-3; got {override!r}.")
    layer = parse_yaml(value, f"the value in {override!r}")
    for name in reversed(names):
        layer = {name: layer}
    return layer


def unknown_name(
    what: str, name: Any, known: Iterable[str], where: str = "", given: Iterable[str] = ()
) -> PydanticCustomError:
    """Make the error for an unknown name: the most similar known one, preferably not given too, and all known ones.

    Example:
        >>> str(unknown_name("key", "stpes", ["steps", "seed"]))
        "unknown key 'stpes'. Did you mean 'steps'? Known: steps, seed."
    """
    known = [str(one) for one in known]
    hint = closest(name, [one for one in known if one not in given]) or closest(name, known)
    text = f"unknown {what} {str(name)!r}{where}.{hint} Known: {', '.join(known)}."
    return PydanticCustomError("unknown_name", "{text}", {"text": text, "key": str(name) if what == "key" else ""})


class Section(BaseModel):
    """A group of settings that refuses unknown keys.

    Options in `later` are left out of the written settings where they have their default: keys of stored results are
    made from these, and must not change when an option is added.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
    later: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, Mapping) else ():
            if key not in cls.model_fields:
                raise unknown_name("key", key, cls.model_fields, given=data)
        return data

    @model_serializer(mode="wrap")
    def _without_unset(self, write: Any) -> dict[str, Any]:
        unset = {key: type(self).model_fields[key].default for key in self.later}
        return {key: value for key, value in write(self).items() if key not in unset or value != unset[key]}


def worded(error: Mapping[str, Any]) -> str:
    """Say what is wrong with a value, as a predicate or as the sentence of a check, without a full stop.

    Args:
        error: One of the errors that pydantic lists.

    Example:
        >>> worded({"type": "greater_than_equal", "msg": "Input should be greater than or equal to 2", "input": 0})
        'must be at least 2'
        >>> worded({"type": "float_parsing", "msg": "Input should be a valid number", "input": "5,66"})
        'must be a number with a decimal point, such as 5.66'
    """
    words = _WORDS.get(error["type"], error["msg"])
    if words == _NUMBER and re.fullmatch(r"\s*[-+]?\d+,\d+\s*", str(error["input"])):
        return f"{words} with a decimal point, such as {error['input'].strip().replace(',', '.')}"
    for part, plain in _PARTS:
        words = re.sub(part, plain, words)
    return words


def error_lines(error: ValidationError, root: str) -> list[str]:
    """List the errors of settings, one line each, with the dotted key and the value that was given.

    Args:
        error: The error of pydantic.
        root: Name of the settings as a whole; put in front of keys if it ends in a dot.
    """
    lines = []
    for one in error.errors():
        key = one.get("ctx", {}).get("key", "")
        path = ".".join(str(part) for part in (*one["loc"], key) if part != "")
        plain = one["type"] == "unknown_name" or isinstance(one["input"], Mapping | BaseModel)
        got = "" if plain else f" (got {one['input']!r})"
        path = f"{root}{path}".rstrip(".") if root.endswith(".") else path or root
        lines.append(f"  {path}: {worded(one)}{got}")
    return lines


def overlay(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two layers of a configuration; neither is changed.

    Mappings merge key by key, with two exceptions: a mapping whose `name` changes is replaced as a whole (options of
    `spherical_harmonics`, `network_degree` among them, do not apply to `grid`), and `steps` and `epochs` of the upper
    layer replace each other.

    Example:
        >>> overlay({"a": {"b": 1, "c": 2}, "epochs": 5}, {"a": {"b": 3}, "steps": 9})
        {'a': {'b': 3, 'c': 2}, 'steps': 9}
        >>> overlay({"network": {"name": "siren", "omega_0": 30}}, {"network": {"name": "mlp"}})
        {'network': {'name': 'mlp'}}
    """
    merged = dict(under)
    for this, other in (("steps", "epochs"), ("epochs", "steps")):
        if over.get(this) is not None and over.get(other) is None:
            merged.pop(other, None)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            renamed = "name" in value and value["name"] != below.get("name")
            merged[key] = dict(value) if renamed else overlay(below, value)
            if renamed and key == "positional" and "network_degree" not in over:
                merged.pop("network_degree", None)
        else:
            merged[key] = dict(value) if isinstance(value, Mapping) else value
    return merged


def flatten(layer: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a nested mapping by dotted key.

    Example:
        >>> flatten({"encoder": {"embed_dim": 256}, "seed": 0})
        {'encoder.embed_dim': 256, 'seed': 0}
    """
    leaves: dict[str, Any] = {}
    for key, value in layer.items():
        if isinstance(value, Mapping) and value:
            leaves.update(flatten(value, f"{prefix}{key}."))
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
