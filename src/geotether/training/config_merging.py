"""Configuration layers, laid one over the other."""

from collections.abc import Mapping
from typing import Any


def overlay(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another; neither is changed.

    Mappings merge key by key, with two exceptions that keep leftovers out: a mapping
    whose `name` changes is replaced whole (options of `spherical_harmonics` mean nothing to
    `grid`), and of `steps` and `epochs` the upper layer's one removes the other.

    Args:
        under: The lower layer, such as a recipe.
        over: The upper layer; it wins.

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
        else:
            merged[key] = dict(value) if isinstance(value, Mapping) else value
    return merged


def flatten(layer: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give every leaf of a nested mapping its dotted key.

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
