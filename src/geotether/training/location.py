"""Location ties: modalities that share no samples, each tied to the places of its rows (MELT, SALT, pairwise)."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from geotether.batches.batch import Batch, jitter_lonlat
from geotether.batches.resident import batches
from geotether.batches.schedule import build_schedule
from geotether.checkpoint.folder import state_hash
from geotether.context.build import build_context, check_rasters
from geotether.devices import products_in
from geotether.draws import Draws
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.context import LocalContext
from geotether.encoders.heads import FeatureDecoder, ProjectionHead, SpecificParts
from geotether.encoders.location import LocationEncoder
from geotether.encoders.model import TiedModel
from geotether.featurizing.transform import fitted_features
from geotether.geodesy.coordinates import checked_places
from geotether.objectives.disentangling import disentangling_terms, join_parts
from geotether.objectives.masks import NearbyPairs
from geotether.objectives.negatives import NEGATIVES, OBJECTIVES
from geotether.objectives.pairs import WHOLE_ENTRIES
from geotether.objectives.supervised import regression_loss
from geotether.objectives.tying import mean_over_rows, sigmoid_tying_loss, tying_loss
from geotether.processes import Part, Processes, Split
from geotether.regions.region import Region
from geotether.tables.table import Table, drawn_hash
from geotether.training.card import model_card, plain_settings, run_provenance
from geotether.training.config import ObjectiveConfig, RunConfig
from geotether.training.held_out import RECALL_EVERY, group_recalls, held_out_batch, validate, validation_rows
from geotether.training.randomness import derived_seed, step_generator
from geotether.training.recording import StepInputs
from geotether.training.settling import responses, settling_places
from geotether.training.state import RunState


class LocationMethod:
    """MELT, SALT or pairwise ties between feature tables and their places; a `Method`.

    Args:
        config: The run's configuration.
        tables: Modality to its whole feature table.
        card_notes: Markdown for the model card.
        raster_context: What rasters show around a place; None: made of the rasters that the configuration names.

    Raises:
        ValueError: If the schedule's modality has no table, or rasters are given twice.
    """

    def __init__(
        self,
        config: RunConfig,
        tables: Mapping[str, Table],
        card_notes: str = "",
        raster_context: LocalContext | None = None,
    ) -> None:
        self.config, self.tables, self.card_notes = config, dict(tables), card_notes
        self.given = raster_context
        # Name to content hash; those of files are added by `check`, so that they are read once.
        self.files: dict[str, str] | None = None
        self.rasters = {} if raster_context is None else {"given": state_hash(raster_context)}
        if raster_context is not None and config.context.rasters:
            raise ValueError("give either raster_context or context.rasters, not both.")
        modality = config.schedule.modality
        if modality is not None:
            if modality not in tables:
                raise ValueError(f"schedule.modality is {modality!r}, but the tables are {', '.join(tables)}.")
            self.tables = {modality: tables[modality]}

    @property
    def identity(self) -> dict[str, Any]:
        """Configuration, and content of tables and rasters."""
        hashes = {modality: drawn_hash(table.content_hash, table.block_rows) for modality, table in self.tables.items()}
        return {"config": plain_settings(self.config), "tables": hashes, "rasters": self.rasters}

    def check(self) -> None:
        """Check that rasters exist, and that tables have training rows and, where needed, validation rows."""
        if not self.tables:
            raise ValueError("There is no feature table to train on; give at least one, as `tables: {name: path}`.")
        for modality, table in self.tables.items():
            rows = table.split_counts.get("train", 0)
            if rows < 2:
                found = "none" if table.split is None else sorted(table.split_counts)
                raise ValueError(
                    f"The table {modality} has {rows} rows whose split is 'train' (of {len(table)}); "
                    f"a contrast needs two or more. Its split column contains {found}."
                )
        self.files = check_rasters(self.config.context, self.config.data)
        self.rasters |= self.files
        held_out = [table for table in self.tables.values() if len(validation_rows(table)) >= 2]
        if not held_out and (self.config.keep == "best" or self.config.patience is not None):
            raise ValueError(
                "keep: best and patience need validation rows, but no table has two rows whose split is 'validation'; "
                "assign splits (geotether.tables.splits) or set keep: last and patience: null."
            )

    def build(self, device: torch.device) -> nn.Module:
        """Select training and validation rows, make schedule and context, and build encoder, heads and decoders."""
        config, self.device = self.config, device
        self.processes = Processes.current()
        self.splits: dict[tuple[str, ...], Split] = {}
        self.training = {modality: table.part("train") for modality, table in self.tables.items()}
        watched = config.validate_every is not None
        self.held_out = held_out_batch(self.tables, config.validation_rows, config.seed, device) if watched else {}
        sizes = {modality: len(table) for modality, table in self.training.items()}
        self.schedule = build_schedule(config.schedule.name, sizes, config.batch_size, **config.schedule.options)
        self.batches = batches(self.training, self.schedule, config.seed, device, self.processes.share)
        return self.build_model().to(device).train()

    def build_model(self) -> TiedModel:
        """Build the model with its initial weights."""
        self.context = self.build_context()
        return build_model(self.config, self.training, self.context)

    def build_context(self, region: Region | None = None) -> LocalContext | None:
        """Make the context of the configuration, and join it to the one that was given."""
        config = self.config
        built = build_context(config.context, self.training, config.data, config.seed, config.cache, self.files, region)
        parts = [part for part in (self.given, built) if part is not None]
        context = LocalContext.join(*parts) if parts else None
        if context is not None and self.given is not None:
            context.provenance["given"] = self.rasters["given"]
        return context

    def steps_in(self, epochs: int) -> int:
        """Count as the schedule does."""
        return self.schedule.steps_in(epochs)

    def epoch_of(self, step: int) -> int:
        """Count as the schedule does."""
        return self.schedule.epoch_of(step)

    @property
    def recordable(self) -> bool:
        """Whether steps on a GPU are recorded.

        Plug-ins may read values, so they are computed as they are written; and large batches keep a GPU busy anyway.
        """
        is_ours = not self.config.plugins and self.config.objective.reading in (*NEGATIVES, "sigmoid")
        return is_ours and self.config.batch_size**2 <= WHOLE_ENTRIES

    def location_of(self, model: Any, step: int, lonlat: Tensor, disturbance: Mapping[str, Tensor]) -> Tensor:
        """Embed places of a step."""
        return model.location(lonlat, **disturbance)

    def losses(self, model: Any, step: int) -> tuple[Tensor, dict[str, Tensor | float]]:
        """Contrast places with what was observed there and, if the objective says so, regress it on the place."""
        return self.losses_of(model, self.inputs(step))

    def inputs(self, step: int) -> StepInputs:
        """Return the rows of a step, their places with jitter, and what is done to the raster context."""
        batch = self.batches(step)
        jitter = step_generator(self.config.seed, step, "jitter", self.device)
        lonlat = jitter_lonlat(batch.lonlat, self.config.jitter_m, jitter)
        return StepInputs(step, batch, lonlat, self.disturbance(step, len(lonlat)), step % RECALL_EVERY == 0)

    def losses_of(self, model: Any, inputs: StepInputs) -> tuple[Tensor, dict[str, Tensor | float]]:
        """Return the loss of a step and its metrics."""
        with checked_places():
            split = self.split(inputs.batch)
            location, observed = self.embed(model, inputs, split)
            return self.loss_of(model, inputs, split, location, observed)

    def loss_of(
        self,
        model: Any,
        inputs: StepInputs,
        split: Split,
        location: Float[Tensor, "r d"],
        observed: Float[Tensor, "r d"],
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """Return the loss of a step and its metrics, given the embeddings of the rows that are here."""
        batch = inputs.batch
        objective, groups = self.config.objective, batch.groups
        several = split if self.processes.count > 1 else None
        with self.processes.dividing():
            half = self.config.precision == "bf16" and self.device.type == "cuda"
            loss, losses = batch_loss(model, location, observed, batch.lonlat, groups, objective, several, half)
        errors: dict[str, Tensor] = {}
        parts = location.split([rows.stop - rows.start for rows in split.local.values()])
        for name, part in zip(split.local, parts, strict=True) if model.decoders else ():
            decoder = model.decoders[name]
            targets = decoder.targets(batch.features[name])  # type: ignore[operator]
            errors[f"regression/{name}"] = split.mean(regression_loss(decoder(part), targets), name)
        if errors:  # each modality has equal weight, whatever its number of rows
            loss = loss + objective.regression_weight * torch.stack(list(errors.values())).mean()

        values: dict[str, Tensor | float] = {}
        if model.specific is not None:
            own = batch_specific(model.specific, observed, batch.features, split.local)
            own = {name: split.mean(term) for name, term in own.items()}
            loss = loss + objective.discrimination_weight * own["discrimination"]
            loss = loss + objective.reconstruction_weight * own["reconstruction"]
            values |= own
        with torch.no_grad():
            # Each process measures recall among its own rows.
            local = list(split.local.values())
            recalls = group_recalls(location, observed, local) if inputs.measures else None
            scales = model.logit_scales(groups)
        for k, (name, rows) in enumerate(groups.items()):
            values[f"loss/{name}"] = losses[k]
            candidates = candidate_count(objective.reading, rows.stop - rows.start, len(batch))
            if candidates:
                values[f"chance/{name}"] = math.log(candidates)
            values[f"logit_scale/{name}"] = scales[k]
            if recalls is not None:
                values[f"recall@10/{name}"] = recalls[k]
        for name, (weight, term) in self.further_terms(model, inputs, split).items():
            loss = loss + weight * term
            values[name] = term
        return loss, values | errors

    def split(self, batch: Batch) -> Split:
        """Return which rows of a batch are here; batches of the same modalities have the same rows."""
        key = tuple(batch.groups)
        if key not in self.splits:
            self.splits[key] = Split(self.processes, batch.groups, self.device)
        return self.splits[key]

    def embed(self, model: Any, inputs: StepInputs, split: Split) -> tuple[Float[Tensor, "r d"], Float[Tensor, "r d"]]:
        """Embed places, and what was observed there, of the rows that are here.

        With `gradient_parts` the rows are embedded part by part, and again for the gradient, so that the hidden layers
        of only one part are in memory at a time.

        Source:
            Gao et al. (2021), Scaling deep contrastive learning batch size under memory limited setup, RepL4NLP,
            arXiv:2101.06983.
        """
        parts = split.parts(self.config.gradient_parts)
        batch, lonlat, draws = inputs.batch, inputs.lonlat, Draws(keep=len(parts) > 1)

        def embed_part(part: Part) -> tuple[Tensor, Tensor]:
            draws.begin()
            # Here as well, because the gradient embeds parts again after the step's block has ended.
            with checked_places(), products_in(self.config.precision, self.device):
                with draws.of(part.rows, len(lonlat)):
                    drawn = {name: values[part.rows] for name, values in inputs.disturbance.items()}
                    location = self.location_of(model, inputs.step, lonlat[part.rows], drawn)
                observed = []
                for name, group in batch.groups.items():
                    with draws.of(part.in_group[name], group.stop - group.start):
                        observed.append(model.encode_modality(name, batch.features[name][part.here[name]]))
            return location.float(), torch.cat(observed).float()

        if len(parts) == 1:
            return embed_part(parts[0])
        pairs = [checkpoint(embed_part, part, use_reentrant=False, preserve_rng_state=False) for part in parts]
        return split.joined([place for place, _ in pairs]), split.joined([observed for _, observed in pairs])

    def further_terms(self, model: Any, inputs: StepInputs, split: Split) -> dict[str, tuple[float, Tensor]]:
        """Return further terms of a step's loss by name, each with its weight."""
        return {}

    def disturbance(self, step: int, rows: int) -> dict[str, Tensor]:
        """Draw what training does to the raster context of a step.

        Returns:
            `keep`, 0 or 1 by row and scale, and `noise`, by row and column; what is switched off is left out.
        """
        config, context, drawn = self.config.context, self.context, {}
        if context is None or not context.dim_of("rasters"):
            return {}
        if config.dropout:
            generator = step_generator(self.config.seed, step, "context dropout", self.device)
            shape = (rows, len(context.levels_of("rasters")))
            drawn["keep"] = torch.rand(shape, generator=generator, device=self.device).ge(config.dropout).float()
        if config.noise:
            generator = step_generator(self.config.seed, step, "context noise", self.device)
            shape = (rows, context.dim_of("rasters"))
            drawn["noise"] = config.noise * torch.randn(shape, generator=generator, device=self.device)
        return drawn

    def has_validation(self) -> bool:
        """Return whether a table has validation rows."""
        return bool(self.held_out)

    def validate(self, model: Any) -> dict[str, float]:
        """Retrieve held-out observations from places and places from observations."""
        return validate(model, self.held_out)

    def settle(self, model: Any) -> None:
        """Fit the readout to the final weights."""
        seed, seen = self.config.seed, [table.lonlat for table in self.training.values()]
        places = torch.from_numpy(settling_places(seen, seed, model.location.context)).to(self.device)
        model.location.settle(places, responses(model, self.tables, seed, self.device))

    def lineage(self) -> dict[str, Any]:
        """Return further entries of the provenance."""
        return {}

    def seen_places(self) -> dict[str, Float64[np.ndarray, "_ 2"]]:
        """Return the places of the training rows of each modality, for `Encoder.coverage`."""
        return {modality: table.lonlat for modality, table in self.training.items()}

    def finish(self, model: Any, state: RunState) -> Encoder:
        """Settle the readout, and describe the encoder."""
        self.settle(model)
        location, seen = model.location, [table.lonlat for table in self.training.values()]
        observed = torch.from_numpy(settling_places(seen, self.config.seed)).to(self.device)
        context = {} if location.context is None else context_facts(location.context, observed)
        settings, provenance = plain_settings(self.config), run_provenance(self.config, self.tables, state, context)
        provenance |= self.lineage()
        card = model_card(settings, provenance, {"handout_dim": location.handout_dim}, self.card_notes)
        parts: dict[str, Any] = {"heads": model.heads, "decoders": model.decoders, "specific": model.specific}
        encoder = Encoder(location, settings, provenance, str(self.device), card=card, **parts)
        encoder.tables = dict(self.tables)
        fitted = {name: fitted_features(table) for name, table in self.tables.items()}
        encoder.transforms = {name: content for name, content in fitted.items() if content is not None}
        if self.config.seen_cell_km is not None:
            encoder.learn_coverage(self.seen_places(), self.config.seen_cell_km)
        return encoder


def context_facts(context: LocalContext, places: Float64[Tensor, "n 2"]) -> dict[str, Any]:
    """Return the provenance of a context, with the share of places that have data at each scale."""
    shares = context.coverage(places).mean(0).tolist()
    levels = [
        {"source": level["source"], "scale_km": level["scale_km"], "share": round(share, 4)}
        for level, share in zip(context.levels, shares, strict=True)
    ]
    return {**context.provenance, "coverage": levels}


def candidate_count(reading: str, rows: int, batch: int) -> int | None:
    """Return how many candidates a modality's softmax has in a batch; None for a loss without candidates.

    A model that knows nothing has a loss of the logarithm of this number; less where `ignore_km` removes candidates.
    """
    counts = {"within_modality": rows, "all_pairs": 2 * batch - 1}
    return counts.get(reading, batch if reading in NEGATIVES else None)


def batch_loss(
    model: TiedModel,
    location: Float[Tensor, "n d"],
    modality: Float[Tensor, "m d"],
    lonlat: Float64[Tensor, "n 2"],
    groups: Mapping[str, slice],
    objective: ObjectiveConfig,
    split: Split | None = None,
    half: bool = False,
) -> tuple[Float[Tensor, ""], list[Float[Tensor, ""]]]:
    """Compute the loss of a batch and of each modality in it, in float32.

    With `split`, `location` and `modality` contain the rows that are here, and the losses are estimates. With `half`,
    factors of products are rounded to bfloat16.

    Returns:
        The mean over all rows, and the mean over each modality's rows in the order of `groups`.
    """
    rows = list(groups.values())
    scales = model.logit_scales(groups)
    ignore = None if objective.ignore_km is None else NearbyPairs(lonlat, objective.ignore_km)
    options: dict[str, Any] = {"ignore": ignore, "chunk_rows": objective.chunk_rows, "split": split, "half": half}
    if objective.reading == "sigmoid":
        biases = torch.stack([model.sigmoid_bias[name] for name in groups])
        losses = sigmoid_tying_loss(location, modality, rows, scales, biases, **options)
    elif objective.reading not in NEGATIVES:  # of a plug-in
        own = OBJECTIVES[objective.reading]
        if split is not None:
            location, modality = split.gather_all(location, modality)
        losses = [own(modality[part], location[part], scale) for part, scale in zip(rows, scales, strict=True)]
    else:
        losses = tying_loss(location, modality, rows, scales, objective.reading, **options)
    return mean_over_rows(losses, rows), losses


def batch_specific(
    parts: SpecificParts,
    shared: Float[Tensor, "n d"],
    features: Mapping[str, Float[Tensor, "_ _"]],
    groups: Mapping[str, slice],
) -> dict[str, Float[Tensor, ""]]:
    """Compute the terms of the modality-specific parts, in float32; places do not enter. See `disentangling_terms`."""
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


def build_model(
    config: RunConfig,
    tables: Mapping[str, Table],
    context: LocalContext | None = None,
    location: LocationEncoder | None = None,
) -> TiedModel:
    """Build the model with weights that depend on the configuration alone, or around a given location encoder.

    The initial weights of a head or decoder depend on the seed and the name of its modality, so adding a modality does
    not change those of others.
    """
    objective = config.objective
    if location is None:
        location = build_location_encoder(config.encoder.model_dump(), config.seed, context, settle=False)
    embed_dim = location.embed_dim
    heads: dict[str, ProjectionHead] = {}
    decoders: dict[str, FeatureDecoder] = {}
    for modality, table in tables.items():
        with seeded(config, f"head of {modality}"):
            heads[modality] = ProjectionHead(table.dim, embed_dim, config.heads.hidden_dim, config.heads.dropout)
        heads[modality].fit_standardisation(table.features)
        if objective.regression_weight:
            with seeded(config, f"decoder of {modality}"):
                decoders[modality] = FeatureDecoder(embed_dim, table.dim, objective.regression_components)
            decoders[modality].fit(table.features)
    specific = None
    if objective.specific_dim:
        widths = {modality: table.dim for modality, table in tables.items()}
        with seeded(config, "specific parts"):
            specific = SpecificParts(widths, embed_dim, objective.specific_dim, objective.regression_components)
        for modality, table in tables.items():
            specific.fit(modality, table.features)
    return TiedModel(location, heads, objective.init_temperature, decoders=decoders, specific=specific)


@contextmanager
def seeded(config: RunConfig, purpose: str) -> Iterator[None]:
    """Draw initial weights by the run's seed and a purpose; the caller's stream does not change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(config.seed, 0, purpose))
        yield
