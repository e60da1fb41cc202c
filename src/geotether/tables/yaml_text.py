"""YAML of configuration files, and `key=value` overrides on the command line."""

import re
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML 1.1, except that `1e-4` is a number, not a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML (safe subset; `1e-4` is a number).

    Args:
        text: The YAML text.
        source: Name for error messages, such as the file's name.

    Raises:
        ValueError: If the text is not YAML.

    Example:
        >>> parse_yaml("{steps: 500, learning_rate: 1e-3}", "example")
        {'steps': 500, 'learning_rate': 0.001}
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a safe loader with one more pattern
    except yaml.YAMLError as error:
        raise ValueError(f"{source} is not valid YAML: {error}") from error


def read_layer(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, or holds something other than a mapping.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no configuration file {path}.")
    layer = parse_yaml(path.read_text(encoding="utf-8"), str(path))
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
