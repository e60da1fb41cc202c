"""Location ties: modalities that share no samples, each tied to the places of its rows (MELT, SALT, pairwise)."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from geotether.batches.batch import assemble
from geotether.batches.schedule import build_schedule
from geotether.encoder import Encoder
from geotether.encoders.model import TiedModel
from geotether.encoders.specific import SpecificParts
from geotether.geodesy.jitter import jitter_lonlat
from geotether.objectives.disentangling import disentangling_terms, join_parts
from geotether.objectives.masks import NearbyPairs
from geotether.objectives.supervised import regression_loss
from geotether.objectives.tying import mean_over_rows, sigmoid_tying_loss, tying_loss
from geotether.tables.table import Table
from geotether.training.card import model_card
from geotether.training.config import ObjectiveConfig, RunConfig
from geotether.training.device import in_precision
from geotether.training.model import build_memory, build_model
from geotether.training.provenance import plain_settings, run_provenance
from geotether.training.randomness import step_generator
from geotether.training.state import RunState
from geotether.training.validation import held_out_batch, pool_recall, validate


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
        card = model_card(settings, provenance, location.handout_dim, self.card_notes)
        parts: dict[str, Any] = {"heads": model.heads, "decoders": model.decoders, "specific": model.specific}
        return Encoder(location, settings, provenance, str(self.device), card=card, **parts)


def check_tables(config: RunConfig, tables: Mapping[str, Table]) -> None:
    """Raise if a run cannot be made from these tables.

    Args:
        config: The run's configuration.
        tables: Modality to its whole table.

    Raises:
        ValueError: If there is no table, one has fewer than two training rows, or validation is needed and
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

    Args:
        config: The pairwise schedule ties one modality; the other schedules tie all.
        tables: Modality to its table.

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

    Args:
        model: Model with the logit scale and bias of every modality.
        location: Embeddings of the places.
        modality: Embeddings of what was observed there, in the same row order.
        lonlat: The places, degrees; used by the mask of false negatives only.
        groups: Modality to its slice of rows.
        objective: The loss and its mask of false negatives.

    Returns:
        The mean over all rows, and the mean over each modality's rows in the order of `groups`.
    """
    rows = list(groups.values())
    scales = [model.logit_scale(name) for name in groups]
    ignore = None if objective.ignore_km is None else NearbyPairs(lonlat, objective.ignore_km)
    if objective.reading == "sigmoid":
        biases = [model.sigmoid_bias[name] for name in groups]
        losses = sigmoid_tying_loss(location, modality, rows, scales, biases, ignore, objective.chunk_rows)
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

    Args:
        model: Model with decoders.
        location: Embeddings of the places.
        features: Modality to observed features, as in the tables.
        groups: Modality to its slice of `location`.

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

    Args:
        parts: The modality-specific parts.
        shared: Outputs of the heads, all groups in sequence.
        features: Modality to its rows, as in the tables.
        groups: Modality to its slice of `shared`.

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
