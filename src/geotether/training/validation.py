"""Validation on held-out blocks: the same rows every time, so that the numbers can be compared."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geotether.encoders.model import TiedModel
from geotether.objectives.info_nce import info_nce
from geotether.objectives.retrieval import recall_at_k
from geotether.objectives.supervised import regression_loss
from geotether.tables.table import Table
from geotether.training.randomness import derived_seed, step_generator

RECALL_AT = 10
RECALL_ROWS = 256


@dataclass(frozen=True)
class HeldOut:
    """The validation rows of one modality, on the run's device.

    Attributes:
        lonlat: Longitude and latitude in degrees, float64, shape (n, 2).
        features: Shape (n, d).
    """

    lonlat: Tensor
    features: Tensor


def held_out_batch(
    tables: Mapping[str, Table], rows: int, seed: int, device: torch.device | str = "cpu"
) -> dict[str, HeldOut]:
    """Draw the fixed batch that every validation uses.

    Args:
        tables: Modality to its whole table; only rows whose split is `validation` are looked at.
        rows: At most so many rows of each modality.
        seed: The run's seed.
        device: Where they are kept.

    Returns:
        Modality to its rows; a modality with fewer than two validation rows is left out.
    """
    batch = {}
    for modality, table in tables.items():
        if table.split is None:
            continue
        numbers = np.flatnonzero(table.split == "validation")
        if len(numbers) < 2:
            continue
        generator = step_generator(derived_seed(seed, 0, modality), 0, "validation")
        chosen = numbers[torch.randperm(len(numbers), generator=generator)[:rows].sort().values.numpy()]
        batch[modality] = HeldOut(
            torch.tensor(table.lonlat[chosen], device=device), torch.tensor(table.features[chosen], device=device)
        )
    return batch


def validate(model: TiedModel, batch: Mapping[str, HeldOut]) -> dict[str, float]:
    """Measure how well places and held-out observations find each other, each modality by itself.

    The measure is the symmetric softmax within a modality whatever the run's objective is, so runs with
    different readings and schedules can be laid side by side. A model that knows nothing scores `chance`.

    Args:
        model: Put into evaluation mode for the while: no dropout, no jitter.
        batch: From `held_out_batch`.

    Returns:
        `validation/loss/M`, `validation/chance/M` (the natural logarithm of the number of rows),
        `validation/recall@10/M`, with decoders `validation/regression/M` (1 is that of knowing nothing), for every
        modality M, and `validation/loss`, the mean of the first.
    """
    was_training = model.training
    model.eval()
    values: dict[str, Tensor] = {}
    with torch.no_grad():
        for modality, held_out in batch.items():
            location = model.location(held_out.lonlat)
            observed = model.encode_modality(modality, held_out.features)
            values[f"validation/loss/{modality}"] = info_nce(location, observed, model.logit_scale(modality))
            values[f"validation/recall@{RECALL_AT}/{modality}"] = pool_recall(location, observed)
            if model.decoders:
                decoder = model.decoders[modality]
                error = regression_loss(decoder(location), decoder.targets(held_out.features))  # type: ignore[operator]
                values[f"validation/regression/{modality}"] = error
    model.train(was_training)
    line = read_scalars(values)
    line |= {f"validation/chance/{modality}": math.log(len(part.lonlat)) for modality, part in batch.items()}
    line["validation/loss"] = sum(line[f"validation/loss/{modality}"] for modality in batch) / len(batch)
    return line


def pool_recall(location: Float[Tensor, "n d"], observed: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """Compute recall at 10 among the first 256 rows.

    A pool of one size makes the number comparable across modalities, batch sizes and schedules (chance
    is 10 / 256 = 3.9 %), and costs next to nothing.

    Args:
        location: Embeddings of places; they search.
        observed: Embeddings of observations in the same order; they are found.
    """
    return recall_at_k(location[:RECALL_ROWS].detach(), observed[:RECALL_ROWS].detach(), RECALL_AT)


def read_scalars(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Bring many scalars to Python in one transfer; one at a time would stall a GPU each time."""
    stacked = torch.stack([value.detach().float() for value in values.values()]).tolist()
    return dict(zip(values, stacked, strict=True))
