"""Location encoders from plain configurations."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from geotether.encoders.location import LocationEncoder
from geotether.encoders.memory import PlaceMemory
from geotether.encoders.networks import NETWORKS
from geotether.encoders.positional import POSITIONAL
from geotether.plugins import constructor_arguments
from geotether.suggestions import closest


def build_location_encoder(config: Mapping[str, Any], seed: int) -> LocationEncoder:
    """Build a location encoder whose initial weights depend on `seed` alone.

    Args:
        config: {"positional": {"name": ..., ...}, "network": {"name": ..., ...},
            "embed_dim": 256, "readout": "output"}; the last two are optional. {"memory": ...} adds an empty
            memory, to be filled from a file.
        seed: Seed of the network's initial weights. The global generators of torch are unchanged.

    Returns:
        The encoder, on the CPU, in float32.

    Raises:
        ValueError: If a name or keyword is unknown (with the known ones), missing, or out of range.

    Example:
        >>> config = {"positional": {"name": "cartesian"}, "network": {"name": "mlp", "hidden_dim": 64}}
        >>> build_location_encoder(config, seed=0).embed_dim
        256
    """
    known = ("positional", "network", "embed_dim", "readout", "memory")
    for key in config:
        if key not in known:
            raise ValueError(f"Unknown key {key!r} of the encoder; {known_names(key, known)}")
    for key, registry in (("positional", POSITIONAL), ("network", NETWORKS)):
        if key not in config:
            raise ValueError(f"The encoder needs a {key!r}, such as {{'name': {next(iter(registry))!r}}}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        positional = build_positional(config["positional"])
        network = build_network(config["network"], positional.out_dim, config.get("embed_dim", 256))  # type: ignore[arg-type]
    memory = PlaceMemory(**config["memory"]) if config.get("memory") else None
    encoder = LocationEncoder(positional, network, config.get("readout", "output"), memory)
    if memory is None:  # an empty memory cannot be settled on
        encoder.settle()
    return encoder


def build_positional(config: Any) -> nn.Module:
    """Build a positional encoding.

    Args:
        config: {"name": one of `POSITIONAL`, and its constructor's arguments}.

    Returns:
        The encoding.

    Raises:
        ValueError: If a name or keyword is unknown (with the known ones), missing, or out of range.

    Example:
        >>> build_positional({"name": "spherical_harmonics", "l_max": 9}).out_dim
        100
    """
    return build_named("positional", POSITIONAL, config, {})


def build_network(config: Any, in_dim: int, out_dim: int) -> nn.Module:
    """Build a network; its weights come from torch's global generator.

    Args:
        config: {"name": one of `NETWORKS`, and its constructor's arguments except the two below}.
        in_dim: Size of the positional encoding.
        out_dim: Size of the output.

    Returns:
        The network.

    Raises:
        ValueError: If a name or keyword is unknown (with the known ones), missing, or out of range.

    Example:
        >>> build_network({"name": "siren", "hidden_dim": 64}, in_dim=100, out_dim=32).hidden_dim
        64
    """
    if not isinstance(out_dim, int) or out_dim < 1:
        raise ValueError(f"embed_dim must be an integer of 1 or more, got {out_dim!r}.")
    return build_named("network", NETWORKS, config, {"in_dim": in_dim, "out_dim": out_dim})


def build_named(kind: str, registry: Mapping[str, type[nn.Module]], config: Any, given: dict[str, Any]) -> nn.Module:
    """Look up a name in a registry and call its class with the rest of the configuration.

    Args:
        kind: Kind of part, for messages: "positional", "network".
        registry: Name to class.
        config: {"name": ..., argument: value, ...}.
        given: Arguments that are not part of the configuration.

    Returns:
        The module.

    Raises:
        ValueError: If a name or keyword is unknown (with the known ones), missing, or out of range.
    """
    if not isinstance(config, Mapping) or "name" not in config:
        raise ValueError(f"{kind} must be a mapping with a 'name', got {config!r}; known: {', '.join(registry)}.")
    arguments = {key: value for key, value in config.items() if key != "name"}
    name = config["name"]
    if name not in registry:
        raise ValueError(f"Unknown {kind} {name!r}; {known_names(name, registry)}")
    parameters = {k: p for k, p in constructor_arguments(registry[name]).items() if k not in given}
    for key in arguments:
        if key not in parameters:
            raise ValueError(f"Unknown keyword {key!r} of {kind} {name!r}; {known_names(key, parameters)}")
    missing = [k for k, p in parameters.items() if p.default is p.empty and k not in arguments]
    if missing:
        raise ValueError(f"{kind} {name!r} needs {', '.join(missing)}.")
    try:
        module = registry[name](**given, **arguments)
    except TypeError as error:
        raise ValueError(f"{kind} {name!r} cannot be built from {arguments}: {error}") from error
    lost = [key for key in parameters if not hasattr(module, key)]
    if lost:  # a plug-in; found here and not when the trained model is saved
        raise ValueError(
            f"{kind} {name!r} does not keep its argument {lost[0]!r}, so that a saved model could not be built again; "
            f"write `self.{lost[0]} = {lost[0]}` in its constructor."
        )
    return module


def known_names(name: Any, known: Collection[str]) -> str:
    """Return a hint for an unknown name: the closest known one, and all others.

    Args:
        name: The unknown name.
        known: The known names.

    Returns:
        The second half of a message.

    Example:
        >>> known_names("siern", ["siren", "mlp"])
        "did you mean 'siren'? Known: siren, mlp."
    """
    listed = ", ".join(known) or "none"
    hint = closest(name, known).replace(" Did", "did")
    return f"{hint} Known: {listed}." if hint else f"known: {listed}."
