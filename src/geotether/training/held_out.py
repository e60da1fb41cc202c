"""The validation rows of a location run: one fixed batch, losses and retrieval on it."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geotether.encoders.model import TiedModel
from geotether.objectives.info_nce import info_nce
from geotether.objectives.retrieval import recall_at_k
from geotether.objectives.supervised import regression_loss
from geotether.objectives.tying import equal_groups
from geotether.tables.table import Table
from geotether.training.metrics import read_scalars
from geotether.training.randomness import derived_seed, step_generator

RECALL_AT = 10
RECALL_ROWS = 256
RECALL_EVERY = 10
"""Steps between two measurements of recall on the training batch, each of which takes time."""


class HeldOut(NamedTuple):
    """The validation rows of one modality, on the run's device: degrees, float64, (n, 2), and features, (n, d)."""

    lonlat: Tensor
    features: Tensor


def validation_rows(table: Table) -> np.ndarray:
    """Return the numbers of the rows whose split is `validation`."""
    return np.flatnonzero(table.split == "validation") if table.split is not None else np.arange(0)


def held_out_batch(
    tables: Mapping[str, Table], rows: int, seed: int, device: torch.device | str = "cpu"
) -> dict[str, HeldOut]:
    """Draw the fixed batch that every validation uses.

    Returns:
        Modality to its rows; a modality with fewer than two validation rows is left out.
    """
    batch = {}
    for modality, table in tables.items():
        numbers = validation_rows(table)
        if len(numbers) < 2:
            continue
        generator = step_generator(derived_seed(seed, 0, modality), 0, "validation")
        chosen = numbers[torch.randperm(len(numbers), generator=generator)[:rows].sort().values.numpy()]
        batch[modality] = HeldOut(
            torch.tensor(table.lonlat[chosen], device=device), torch.tensor(table.features[chosen], device=device)
        )
    return batch


def validate(model: TiedModel, batch: Mapping[str, HeldOut]) -> dict[str, float]:
    """Measure the retrieval between places and held-out observations, each modality by itself.

    The loss is the symmetric softmax within a modality whatever the run's objective is, so that runs with different
    objectives and schedules can be compared. An uninformed model scores `chance`.

    Args:
        model: Model in evaluation mode.
        batch: From `held_out_batch`.

    Returns:
        `validation/loss/M`, `validation/chance/M` (the natural logarithm of the number of rows),
        `validation/recall@10/M`, with decoders `validation/regression/M` (predicting the mean gives 1), for every
        modality M, and `validation/loss`, the mean of the first.
    """
    values: dict[str, Tensor] = {}
    for modality, held_out in batch.items():
        location = model.location(held_out.lonlat)
        observed = model.encode_modality(modality, held_out.features)
        values[f"validation/loss/{modality}"] = info_nce(location, observed, model.logit_scale(modality))
        values[f"validation/recall@{RECALL_AT}/{modality}"] = pool_recall(location, observed)
        if model.decoders:
            decoder = model.decoders[modality]
            error = regression_loss(decoder(location), decoder.targets(held_out.features))  # type: ignore[operator]
            values[f"validation/regression/{modality}"] = error
    line = read_scalars(values)
    line |= {f"validation/chance/{modality}": math.log(len(part.lonlat)) for modality, part in batch.items()}
    line["validation/loss"] = sum(line[f"validation/loss/{modality}"] for modality in batch) / len(batch)
    return line


def group_recalls(
    location: Float[Tensor, "n d"], observed: Float[Tensor, "n d"], group: Sequence[slice]
) -> Float[Tensor, " g"]:
    """Compute the recall of each group by itself."""
    parts = equal_groups(location, observed, group, None)
    return torch.cat([pool_recall(places, seen) for places, seen, _ in parts])


def pool_recall(location: Float[Tensor, "*g n d"], observed: Float[Tensor, "*h m d"]) -> Float[Tensor, "*g"]:
    """Compute recall at 10 among the first 256 rows.

    A pool of fixed size makes the number comparable across modalities, batch sizes and schedules (chance is
    10 / 256 = 3.9 %).
    """
    return recall_at_k(location[..., :RECALL_ROWS, :], observed[..., :RECALL_ROWS, :], RECALL_AT)
