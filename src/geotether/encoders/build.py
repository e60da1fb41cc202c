"""Location encoders from plain configurations."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from geotether.encoders.context import LocalContext
from geotether.encoders.location import LocationEncoder, network_input_dim
from geotether.encoders.networks import NETWORKS
from geotether.encoders.positional import POSITIONAL
from geotether.plugins import constructor_arguments
from geotether.suggestions import closest


def build_location_encoder(
    config: Mapping[str, Any], seed: int, context: LocalContext | None = None, *, settle: bool = True
) -> LocationEncoder:
    """Build a location encoder whose initial weights depend on `seed` alone.

    Args:
        config: {"positional": {"name": ..., ...}, "network": {"name": ..., ...},
            "embed_dim": 256, "readout": "output"}; the last two are optional, as are the other arguments of
            `LocationEncoder`. {"context": {"levels": [...]}} adds an empty context, to be filled from a file.
        seed: Seed of the network's initial weights. The global generators of torch are unchanged.
        context: A filled context, instead of one in `config`.
        settle: Fit a projected readout to the initial weights, which takes seconds; not needed before training or
            loading.

    Returns:
        The encoder, on the CPU, in float32.

    Raises:
        ValueError: If a name or keyword is unknown (with the known ones), missing, or out of range.

    Example:
        >>> config = {"positional": {"name": "cartesian"}, "network": {"name": "mlp", "hidden_dim": 64}}
        >>> build_location_encoder(config, seed=0).embed_dim
        256
    """
    own = ("readout", "network_degree", "dim")
    known = ("positional", "network", "embed_dim", *own, "context")
    if config.get("memory") or str(config.get("readout")).startswith("mixed_"):
        raise ValueError(
            "The encoder was made by an older version of geotether, with a memory or a mixed readout; train again with "
            "readout: projected."
        )
    for key in config:
        if key not in known:
            raise ValueError(f"Unknown key {key!r} of the encoder; {known_names(key, known)}")
    for key, registry in (("positional", POSITIONAL), ("network", NETWORKS)):
        if key not in config:
            raise ValueError(f"The encoder needs a {key!r}, such as {{'name': {next(iter(registry))!r}}}.")
    embed_dim = config.get("embed_dim", 256)
    if not isinstance(embed_dim, int) or embed_dim < 1:
        raise ValueError(f"embed_dim must be an integer of 1 or more, got {embed_dim!r}.")
    if context is None and config.get("context") is not None:
        context, settle = LocalContext(**config["context"]), False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        positional = build_named("positional", POSITIONAL, config["positional"], {})
        in_dim = network_input_dim(positional, config.get("network_degree"), context)
        sizes = {"in_dim": in_dim, "out_dim": embed_dim}
        network = build_named("network", NETWORKS, config["network"], sizes)
    options = {key: config[key] for key in own if config.get(key) is not None}
    encoder = LocationEncoder(positional, network, context=context, **options)
    if settle:
        encoder.settle()
    return encoder


def build_named(kind: str, registry: Mapping[str, type[nn.Module]], config: Any, given: dict[str, Any]) -> nn.Module:
    """Build a module from {"name": ..., argument: value, ...}.

    Args:
        kind: Kind of part, for messages: "positional", "network".
        registry: Name to class.
        config: The name, and the constructor's arguments other than `given`.
        given: Arguments that are not part of the configuration.

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
    """Return a hint for an unknown name, the second half of a message: the closest known one, and all others.

    Example:
        >>> known_names("siern", ["siren", "mlp"])
        "did you mean 'siren'? Known: siren, mlp."
    """
    listed = ", ".join(known) or "none"
    hint = closest(name, known).replace(" Did", "did")
    return f"{hint} Known: {listed}." if hint else f"known: {listed}."
