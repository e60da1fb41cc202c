"""Location encoders with further levels of context, which change nothing until they are trained."""

import copy

import torch
from torch import nn

from geotether.encoders.context import LocalContext
from geotether.encoders.location import LocationEncoder, named_arguments
from geotether.encoders.networks import NETWORKS
from geotether.encoders.readout import Readout


def widened(location: LocationEncoder, context: LocalContext | None) -> LocationEncoder:
    """Return a copy of an encoder that also reads further levels of rasters.

    The new inputs of the network have the weight 0 and the new rows of the readout are 0, so the copy returns what the
    original returns, up to rounding. The readout gives the new levels no weight of their own: they reach the vectors
    through the hidden layer.

    Args:
        location: The encoder; it is not changed.
        context: Levels of rasters, appended to those that it has. None returns a plain copy.

    Returns:
        An encoder in evaluation mode, with vectors of the same default length.

    Raises:
        ValueError: If the network's first layer is not a linear map of the whole input, or the context has levels of
            observations.
    """
    location = copy.deepcopy(location).eval()
    if context is None:
        return location
    if context.dim_of("rasters") != context.out_dim:
        raise ValueError("Only levels of rasters can be added to a trained encoder, not observations.")
    network = _widened_network(location.network, context.out_dim)
    joined = context if location.context is None else LocalContext.join(location.context, context)
    projected = location.projection is not None
    wider = LocationEncoder(
        location.positional,
        network,
        location.readout,
        joined,
        location.network_degree,
        location.handout_dim if projected else None,
    )
    if location.projection is not None and wider.projection is not None:
        _copy_readout(location, wider)
    return wider.to(next(location.parameters()).device).eval()


def _widened_network(network: nn.Module, columns: int) -> nn.Module:
    """Return a network with further inputs, whose weights are 0 for them."""
    arguments = named_arguments(network, NETWORKS)
    name, in_dim = arguments.pop("name"), arguments.pop("in_dim")
    with torch.random.fork_rng(devices=[]):  # the weights are replaced
        wider = NETWORKS[name](in_dim=in_dim + columns, **arguments)
    old, new = network.state_dict(), wider.state_dict()
    grown = [key for key in new if new[key].shape != old[key].shape]
    if wider.hidden_dim != network.hidden_dim or [new[key].shape[-1] - old[key].shape[-1] for key in grown] != [
        columns
    ]:
        raise ValueError(
            f"The network {name} cannot take further inputs: its first layer is not one linear map of its whole input. "
            "Adapt without context.rasters, or start from a model whose network is mlp, residual_mlp or siren."
        )
    weight = torch.zeros_like(new[grown[0]], dtype=old[grown[0]].dtype)
    weight[..., : old[grown[0]].shape[-1]] = old[grown[0]]
    wider.load_state_dict(old | {grown[0]: weight}, assign=True)
    for parameter in wider.parameters():
        parameter.requires_grad_(True)
    return wider


def _copy_readout(narrow: LocationEncoder, wide: LocationEncoder) -> None:
    """Copy the directions of a readout, with rows of 0 for columns that the narrow encoder does not have."""
    before, after = narrow.projection, wide.projection
    assert isinstance(before, Readout)
    assert isinstance(after, Readout)
    widths = dict(zip(narrow.part_names, before.dims, strict=True))
    state = {name: torch.zeros_like(tensor) for name, tensor in after.state_dict().items()}
    state["unit"] += 1
    state["offset"][: before.out_dim] = before.offset
    row, old_row = 0, 0
    for name, width in zip(wide.part_names, after.dims, strict=True):
        own = widths.get(name, 0)
        state["rounded"][row : row + own, : before.out_dim] = before.rounded[old_row : old_row + own]
        state["unit"][row : row + own] = before.unit[old_row : old_row + own]
        row, old_row = row + width, old_row + own
    after.load_state_dict(state)
