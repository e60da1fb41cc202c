"""Location ties: modalities that share no samples, each tied to the places of its rows (MELT, SALT, pairwise)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from geotether.batches.batch import assemble
from geotether.batches.schedule import build_schedule
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.heads import FeatureDecoder, ProjectionHead, SpecificParts
from geotether.encoders.memory import PlaceMemory, merged_places
from geotether.encoders.model import TiedModel
from geotether.geodesy.jitter import jitter_lonlat
from geotether.moments import CHUNK_ROWS
from geotether.objectives.disentangling import disentangling_terms, join_parts
from geotether.objectives.info_nce import info_nce
from geotether.objectives.masks import NearbyPairs
from geotether.objectives.negatives import NEGATIVES, OBJECTIVES
from geotether.objectives.retrieval import recall_at_k
from geotether.objectives.supervised import regression_loss
from geotether.objectives.tying import mean_over_rows, sigmoid_tying_loss, tying_loss
from geotether.tables.table import Table
from geotether.training.card import model_card, plain_settings, run_provenance
from geotether.training.config import ObjectiveConfig, RunConfig
from geotether.training.loop import in_precision
from geotether.training.metrics import read_scalars
from geotether.training.randomness import derived_seed, step_generator
from geotether.training.state import RunState


class LocationMethod:
    """MELT, SALT or pairwise ties between feature tables and their places; a `Method`.

    Args:
        config: The run's configuration.
        tables: Modality to its whole feature table.
        card_notes: Markdown for the model card.

    Raises:
        ValueError: If the schedule's modality has no table.
    """

    def __init__(self, config: RunConfig, tables: Mapping[str, Table], card_notes: str = "") -> None:
        self.config = config
        self.tables = taking_part(config, tables)
        self.card_notes = card_notes

    @property
    def identity(self) -> dict[str, Any]:
        """Configuration and content of the tables."""
        hashes = {modality: table.content_hash for modality, table in self.tables.items()}
        return {"config": self.config.model_dump(mode="json"), "tables": hashes}

    def check(self) -> None:
        """Check that every table has training rows and, where they are needed, validation rows."""
        check_tables(self.config, self.tables)

    def build(self, device: torch.device) -> nn.Module:
        """Select training and validation rows, make the schedule, and build encoder, heads and decoders."""
        config, self.device = self.config, device
        self.training = {modality: table.part("train") for modality, table in self.tables.items()}
        watched = config.validate_every is not None
        self.held_out = held_out_batch(self.tables, config.validation_rows, config.seed, device) if watched else {}
        sizes = {modality: len(table) for modality, table in self.training.items()}
        self.schedule = build_schedule(config.schedule.name, sizes, config.batch_size, **config.schedule.options)
        return build_model(config, self.training).to(device).train()

    def steps_in(self, epochs: int) -> int:
        """Count as the schedule does."""
        return self.schedule.steps_in(epochs)

    def epoch_of(self, step: int) -> int:
        """Count as the schedule does."""
        return self.schedule.epoch_of(step)

    def losses(self, model: nn.Module, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Contrast places with what was observed there and, if the objective says so, regress it on the place."""
        assert isinstance(model, TiedModel)
        config = self.config
        batch = assemble(self.training, self.schedule, step, config.seed).to(self.device)
        jitter = step_generator(config.seed, step, "jitter", self.device)
        lonlat = jitter_lonlat(batch.lonlat, config.jitter_m, jitter)
        with in_precision(config, self.device):
            location = model.location(lonlat)
            observed = torch.cat([model.encode_modality(name, rows) for name, rows in batch.features.items()])
        location, observed = location.float(), observed.float()
        loss, losses = batch_loss(model, location, observed, batch.lonlat, batch.groups, config.objective)
        errors = batch_regression(model, location, batch.features, batch.groups) if model.decoders else []
        if errors:
            loss = loss + config.objective.regression_weight * mean_regression(errors)

        values: dict[str, Tensor] = {}
        if model.specific is not None:
            own = batch_specific(model.specific, observed, batch.features, batch.groups)
            loss = loss + config.objective.discrimination_weight * own["discrimination"]
            loss = loss + config.objective.reconstruction_weight * own["reconstruction"]
            values |= own
        for (name, rows), modality_loss in zip(batch.groups.items(), losses, strict=True):
            values[f"loss/{name}"] = modality_loss
            candidates = candidate_count(config.objective.reading, rows.stop - rows.start, len(location))
            if candidates:
                values[f"chance/{name}"] = loss.new_tensor(math.log(candidates))
            values[f"recall@10/{name}"] = pool_recall(location[rows], observed[rows])
            values[f"logit_scale/{name}"] = model.logit_scale(name)
        return loss, values | {f"regression/{name}": e for name, e in zip(batch.groups, errors, strict=False)}

    def has_validation(self) -> bool:
        """Return whether a table has validation rows."""
        return bool(self.held_out)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Retrieve held-out observations from places and places from observations."""
        assert isinstance(model, TiedModel)
        return validate(model, self.held_out)

    def finish(self, model: nn.Module, state: RunState) -> Encoder:
        """Fill the memory with training rows, fix the mixed readout, and describe the encoder."""
        assert isinstance(model, TiedModel)
        location = model.location
        location.remember(build_memory(self.config, self.training))
        location.settle()
        settings, provenance = plain_settings(self.config), run_provenance(self.config, self.tables, state)
        card = model_card(settings, provenance, {"handout_dim": location.handout_dim}, self.card_notes)
        parts: dict[str, Any] = {"heads": model.heads, "decoders": model.decoders, "specific": model.specific}
        encoder = Encoder(location, settings, provenance, str(self.device), card=card, **parts)
        encoder.tables = dict(self.tables)
        return encoder


def candidate_count(reading: str, rows: int, batch: int) -> int | None:
    """Return how many candidates a modality's softmax has in a batch; None for a loss without candidates.

    A model that knows nothing has a loss of the logarithm of this number; less where `ignore_km` removes candidates.
    """
    counts = {"within_modality": rows, "all_pairs": 2 * batch - 1}
    return counts.get(reading, batch if reading in NEGATIVES else None)


def check_tables(config: RunConfig, tables: Mapping[str, Table]) -> None:
    """Raise if a run cannot be made from these tables.

    Raises:
        ValueError: If no table is given, one has fewer than two training rows, or validation is needed and
            no table has validation rows.
    """
    if not tables:
        raise ValueError("There is no feature table to train on; give at least one, as `tables: {name: path}`.")
    held_out = 0  # of the table with most validation rows
    for modality, table in tables.items():
        split = None if table.split is None else table.split.astype(str)
        rows = len(table) if split is None else int((split == "train").sum())
        held_out = max(held_out, 0 if split is None else int((split == "validation").sum()))
        if rows < 2:
            found = "none" if split is None else sorted(set(split.tolist()))
            raise ValueError(
                f"The table {modality} has {rows} rows whose split is 'train' (of {len(table)}); "
                f"a contrast needs two or more. Its split column contains {found}."
            )
    if held_out < 2 and (config.keep == "best" or config.patience is not None):
        raise ValueError(
            "keep: best and patience need validation rows, but no table has two rows whose split is 'validation'; "
            "assign splits (geotether.tables.splits) or set keep: last and patience: null."
        )


def taking_part(config: RunConfig, tables: Mapping[str, Table]) -> dict[str, Table]:
    """Select the tables that the schedule uses, in their order.

    Raises:
        ValueError: If the schedule's modality has no table.
    """
    modality = config.schedule.modality
    if modality is None:
        return dict(tables)
    if modality not in tables:
        raise ValueError(f"schedule.modality is {modality!r}, but the tables are {', '.join(tables)}.")
    return {modality: tables[modality]}


def batch_loss(
    model: TiedModel,
    location: Float[Tensor, "n d"],
    modality: Float[Tensor, "m d"],
    lonlat: Float64[Tensor, "n 2"],
    groups: Mapping[str, slice],
    objective: ObjectiveConfig,
) -> tuple[Float[Tensor, ""], list[Float[Tensor, ""]]]:
    """Compute the loss of a batch and of each modality in it, in float32.

    Returns:
        The mean over all rows, and the mean over each modality's rows in the order of `groups`.
    """
    rows = list(groups.values())
    scales = [model.logit_scale(name) for name in groups]
    ignore = None if objective.ignore_km is None else NearbyPairs(lonlat, objective.ignore_km)
    if objective.reading == "sigmoid":
        biases = [model.sigmoid_bias[name] for name in groups]
        losses = sigmoid_tying_loss(location, modality, rows, scales, biases, ignore, objective.chunk_rows)
    elif objective.reading not in NEGATIVES:  # of a plug-in
        own = OBJECTIVES[objective.reading]
        losses = [own(modality[part], location[part], scale) for part, scale in zip(rows, scales, strict=True)]
    else:
        losses = tying_loss(location, modality, rows, scales, objective.reading, ignore, objective.chunk_rows)
    return mean_over_rows(losses, rows), losses


def batch_regression(
    model: TiedModel,
    location: Float[Tensor, "n d"],
    features: Mapping[str, Float[Tensor, "_ _"]],
    groups: Mapping[str, slice],
) -> list[Float[Tensor, ""]]:
    """Compute the error of each modality's features as predicted from their places, in float32.

    Returns:
        One squared error per modality, in the order of `groups`; predicting the mean gives 1.
    """
    errors = []
    for name, rows in groups.items():
        decoder = model.decoders[name]
        errors.append(regression_loss(decoder(location[rows]), decoder.targets(features[name])))  # type: ignore[operator]
    return errors


def batch_specific(
    parts: SpecificParts,
    shared: Float[Tensor, "n d"],
    features: Mapping[str, Float[Tensor, "_ _"]],
    groups: Mapping[str, slice],
) -> dict[str, Float[Tensor, ""]]:
    """Compute the terms of the modality-specific parts, in float32; places do not enter.

    Returns:
        "discrimination" and "reconstruction"; see `disentangling_terms`.
    """
    own = {name: parts.specific(name, rows).float() for name, rows in features.items()}
    return disentangling_terms(
        shared,
        shared,
        list(groups.values()),
        [1.0] * len(groups),
        "within_modality",
        modality_of_specific=parts.classifier(torch.cat(list(own.values()))).float(),
        rebuilt=[parts.rebuilt(name, join_parts(shared[rows], own[name])).float() for name, rows in groups.items()],
        features=[parts.targets(name, features[name]) for name in groups],
        modality=[parts.number(name) for name in groups],
        terms=("discrimination", "reconstruction"),
    )


def mean_regression(errors: list[Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """Average over modalities: each has equal weight, whatever its number of rows in the batch."""
    return torch.stack(errors).mean()


def build_model(config: RunConfig, tables: Mapping[str, Table]) -> TiedModel:
    """Build the model with weights that depend on the configuration alone.

    The initial weights of a head or decoder depend on the seed and the name of its modality, so adding a modality does
    not change those of others.
    """
    location = build_location_encoder(config.encoder.model_dump(), config.seed)
    heads: dict[str, ProjectionHead] = {}
    for modality, table in tables.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(config.seed, 0, f"head of {modality}"))
            heads[modality] = ProjectionHead(
                table.dim, config.encoder.embed_dim, config.heads.hidden_dim, config.heads.dropout
            )
        heads[modality].fit_standardisation(table.features)
    decoders: dict[str, FeatureDecoder] = {}
    for modality, table in tables.items() if config.objective.regression_weight else ():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(config.seed, 0, f"decoder of {modality}"))
            decoders[modality] = FeatureDecoder(
                config.encoder.embed_dim, table.dim, config.objective.regression_components
            )
        decoders[modality].fit(table.features)
    specific = build_specific(config, tables) if config.objective.specific_dim else None
    return TiedModel(location, heads, config.objective.init_temperature, decoders=decoders, specific=specific)


def build_specific(config: RunConfig, tables: Mapping[str, Table]) -> SpecificParts:
    """Build the modality-specific branches."""
    objective = config.objective
    in_dims = {modality: table.dim for modality, table in tables.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(config.seed, 0, "specific parts"))
        parts = SpecificParts(
            in_dims, config.encoder.embed_dim, objective.specific_dim, objective.regression_components
        )
    for modality, table in tables.items():
        parts.fit(modality, table.features)
    return parts


def build_memory(config: RunConfig, tables: Mapping[str, Table]) -> PlaceMemory | None:
    """Build a memory of the leading components of training rows, each place once; None if it is switched off."""
    if not config.memory.components:
        return None
    kept: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for modality, table in tables.items():
        with torch.random.fork_rng(devices=[]):  # it draws initial weights, though only its components are used
            components = FeatureDecoder(1, table.dim, config.memory.components)
        components.fit(table.features)
        values = np.concatenate(
            [
                components.targets(torch.tensor(table.features[start : start + CHUNK_ROWS])).numpy()
                for start in range(0, len(table), CHUNK_ROWS)
            ]
        )
        kept[modality] = merged_places(table.lonlat, values)
    sizes = {modality: values.shape for modality, (_, values) in kept.items()}
    memory = PlaceMemory(sizes, config.memory.neighbors, config.memory.reach_km)
    for modality, (lonlat, values) in kept.items():
        memory.fill(modality, lonlat, values)
    return memory


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
    """Measure the retrieval between places and held-out observations, each modality by itself.

    The loss is the symmetric softmax within a modality whatever the run's objective is, so that runs with different
    objectives and schedules can be compared. An uninformed model scores `chance`.

    Args:
        model: Model, put into evaluation mode temporarily: no dropout, no jitter.
        batch: From `held_out_batch`.

    Returns:
        `validation/loss/M`, `validation/chance/M` (the natural logarithm of the number of rows),
        `validation/recall@10/M`, with decoders `validation/regression/M` (predicting the mean gives 1), for every
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

    A pool of fixed size makes the number comparable across modalities, batch sizes and schedules (chance is
    10 / 256 = 3.9 %).
    """
    return recall_at_k(location[:RECALL_ROWS].detach(), observed[:RECALL_ROWS].detach(), RECALL_AT)
