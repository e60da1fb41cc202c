"""Pre-training by location ties: modalities that share no samples, each tied to the places it was seen at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from geotether.batches.batch import assemble
from geotether.batches.schedule import build_schedule
from geotether.checkpoint.location import save_model
from geotether.encoders.model import TiedModel
from geotether.geodesy.jitter import jitter_lonlat
from geotether.tables.table import FeatureTable
from geotether.training.card import model_card
from geotether.training.config import RunConfig
from geotether.training.course import in_precision
from geotether.training.door import check_tables, taking_part
from geotether.training.loop import run_course
from geotether.training.loss import batch_loss, batch_regression, batch_specific, mean_regression
from geotether.training.model import build_memory, build_model
from geotether.training.provenance import plain_settings, run_provenance
from geotether.training.randomness import step_generator
from geotether.training.state import RunState
from geotether.training.validation import held_out_batch, pool_recall, validate


def pretrain(
    config: RunConfig,
    tables: Mapping[str, FeatureTable],
    out: str | Path | None = None,
    *,
    resume: bool = False,
    fresh: bool = False,
    progress: str = "auto",
    card_notes: str = "",
) -> TiedModel:
    """Pre-train a location encoder on any number of modalities.

    Args:
        config: What to do; from `load_config`.
        tables: Modality to its feature table. Rows whose split is `train` are learned from (all rows of a
            table without a split), rows whose split is `validation` are watched, others are not touched.
        out: Folder of the run: `config.yaml`, `metrics.jsonl`, `state/` while it runs, `model/` at the end.
            None writes nothing.
        resume: Go on with the unfinished run in `out`.
        fresh: Begin anew, whatever is in `out`; its model stays until the new one is complete.
        progress: `auto` (a bar on a terminal, plain lines elsewhere), `bar`, `lines` or `none`.
        card_notes: Markdown for the model card, such as scores or a coverage map.

    Returns:
        The model that is handed out; see `geotether.training.loop.run_course`.

    Raises:
        ValueError: If tables and configuration do not fit, or the state belongs to another run.
        FinishedRunError: If `out` holds this very run, finished, and `fresh` is not set; a FileExistsError.
        FileExistsError: If `out` holds an unfinished run or another finished one, and neither is asked for.
        RunInterrupted: After Ctrl-C, once the state is saved.
        FloatingPointError: If the loss is no longer a number.
    """
    course = LocationCourse(config, tables, card_notes)
    return cast(TiedModel, run_course(course, out, resume=resume, fresh=fresh, progress=progress))


class LocationCourse:
    """MELT, SALT or pairwise tying of feature tables to their places; a `Course`.

    Args:
        config: The run's configuration.
        tables: Modality to its whole feature table.
        card_notes: Markdown for the model card.

    Raises:
        ValueError: If the schedule's modality has no table.
    """

    def __init__(self, config: RunConfig, tables: Mapping[str, FeatureTable], card_notes: str = "") -> None:
        self.config = config
        self.tables = taking_part(config, tables)
        self.card_notes = card_notes

    @property
    def identity(self) -> dict[str, Any]:
        """Configuration and content of the tables."""
        hashes = {modality: table.content_hash for modality, table in self.tables.items()}
        return {"config": self.config.model_dump(mode="json"), "tables": hashes}

    def check(self) -> None:
        """See that every table has rows to learn from, and that there are rows to watch where they are wanted."""
        check_tables(self.config, self.tables)

    def build(self, device: torch.device) -> nn.Module:
        """Set training rows, held-out rows and schedule, and build encoder, heads and decoders."""
        config, self.device = self.config, device
        self.training = {modality: table.training_rows() for modality, table in self.tables.items()}
        watched = config.validate_every is not None
        self.held_out = held_out_batch(self.tables, config.validation_rows, config.seed, device) if watched else {}
        sizes = {modality: len(table) for modality, table in self.training.items()}
        self.schedule = build_schedule(config.schedule.name, sizes, config.batch_size, **config.schedule.options)
        return build_model(config, self.training).to(device).train()

    def steps_in(self, epochs: int) -> int:
        """As the schedule counts."""
        return self.schedule.steps_in(epochs)

    def epoch_of(self, step: int) -> int:
        """As the schedule counts."""
        return self.schedule.epoch_of(step)

    def losses(self, model: nn.Module, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Contrast places with what was seen there, and predict it from the place where the objective says so."""
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
        """Whether a table has validation rows."""
        return bool(self.held_out)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Let places and held-out observations find each other."""
        assert isinstance(model, TiedModel)
        return validate(model, self.held_out)

    def finish(self, model: nn.Module) -> None:
        """Fill the memory with training rows and settle what is handed out."""
        assert isinstance(model, TiedModel)
        model.location.remember(build_memory(self.config, self.training))
        model.location.settle()

    def save(self, model: nn.Module, folder: Path, state: RunState) -> None:
        """Write the model folder."""
        assert isinstance(model, TiedModel)
        settings, provenance = plain_settings(self.config), run_provenance(self.config, self.tables, state)
        card = model_card(settings, provenance, model.location.handout_dim, self.card_notes)
        save_model(folder, model.location, settings, provenance, card, model.heads, model.decoders, model.specific)
