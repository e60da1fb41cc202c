"""What the readout of a location encoder is fitted to after training: places, and what should be predicted there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from geotether.encoders.context import LocalContext
from geotether.encoders.heads import FeatureDecoder
from geotether.encoders.location import LocationEncoder
from geotether.encoders.model import TiedModel
from geotether.encoders.readout import Response
from geotether.geodesy.blocks import block_id
from geotether.tables.table import Table
from geotether.training.held_out import validation_rows
from geotether.training.randomness import derived_seed

SETTLING_PLACES = 20_000
SETTLING_BLOCK_KM = 100.0
_SEEN_BLOCK_KM = 500.0
# Enough for a linear map from some thousand numbers; each costs memory and time.
RESPONSE_ROWS = 8000
RESPONSE_COMPONENTS = 64


def settling_places(
    places: Sequence[Float64[np.ndarray, "_ 2"]],
    seed: int,
    context: LocalContext | None = None,
    count: int = SETTLING_PLACES,
) -> Float64[np.ndarray, "n 2"]:
    """Draw places evenly by area, at which the readout is fitted.

    With rasters, from the nodes that they store (usually land), in all blocks of 500 km in which something was
    observed: observations are dense where people live, and places are wanted everywhere. Without rasters, from the
    training places, every occupied block of 100 km equally likely.

    Args:
        places: Of each modality, in degrees.
        seed: The run's seed.
        context: Local context, or None.
        count: Number of places; fewer if there are fewer rows or nodes. A place can occur more than once.
    """
    lonlat = np.concatenate(places)
    if context is not None and context.levels_of("rasters"):
        nodes = context.places(count, derived_seed(seed, 0, "settling nodes"))
        if nodes is not None:
            seen = np.isin(block_id(nodes.numpy(), _SEEN_BLOCK_KM), block_id(lonlat, _SEEN_BLOCK_KM))
            if seen.sum() > 1:
                return nodes.numpy()[seen]
    blocks = block_id(lonlat, SETTLING_BLOCK_KM)
    order = np.argsort(blocks, kind="stable")
    _, first, rows = np.unique(blocks[order], return_index=True, return_counts=True)
    generator = np.random.default_rng(derived_seed(seed, 0, "settling places"))
    drawn = generator.integers(len(first), size=min(count, len(lonlat)))
    return lonlat[order[first[drawn] + (generator.random(len(drawn)) * rows[drawn]).astype(np.int64)]]


def responses(
    model: TiedModel, tables: Mapping[str, Table], seed: int, device: torch.device | str = "cpu"
) -> Iterator[Response]:
    """Yield what the readout should be able to predict: the leading components of each modality's features.

    Observations around a training place include the row's own, so a regression on them would learn to copy. Their part
    is therefore 0 in every response, and gets no weight from the regressions.

    Args:
        model: Model with its final weights, in evaluation mode.
        tables: Modality to its whole table.
        seed: The run's seed.
        device: Device of the model.
    """
    for name, table in tables.items():
        training = np.arange(len(table)) if table.split is None else np.flatnonzero(table.split == "train")
        if name in model.decoders:
            decoder: Any = model.decoders[name]
        else:
            decoder = FeatureDecoder.of(table.part("train").features, RESPONSE_COMPONENTS).to(device)
        sides: list[Any] = []
        for part, rows in (("training", training), ("validation", validation_rows(table))):
            generator = np.random.default_rng(derived_seed(seed, 0, f"{part} responses of {name}"))
            chosen = np.sort(generator.choice(rows, min(len(rows), RESPONSE_ROWS), replace=False))
            features = torch.tensor(table.features[chosen], device=device)
            sides += [_parts_at(model.location, table.lonlat[chosen]), decoder.targets(features)]
        yield Response(*sides)


def _parts_at(location: LocationEncoder, lonlat: np.ndarray) -> list[Tensor]:
    """Return the parts of the readout at places, the observations as zeros."""
    parts = location.parts_of_many(torch.tensor(lonlat))
    return [
        torch.zeros_like(part) if name == "observations" else part
        for name, part in zip(location.part_names, parts, strict=True)
    ]
