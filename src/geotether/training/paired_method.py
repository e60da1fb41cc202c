"""The part that all methods for paired sensors share: rows, targets, epochs, and the description of the model."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from geotether.batches.batch import PairedBatch, gather_samples, rows_at
from geotether.batches.views import make_views
from geotether.checkpoint.folder import WEIGHTS
from geotether.draws import Draws
from geotether.encoders.sensors.build import default_sensor_encoder
from geotether.objectives.supervised import balanced_weights
from geotether.predict import PairedModel
from geotether.processes import Processes, Split
from geotether.tables.modality import Modality
from geotether.tables.table import Table
from geotether.tables.target import Target, TargetEncoding
from geotether.training.card import model_card, plain_settings, run_provenance
from geotether.training.config import PairedConfig
from geotether.training.randomness import derived_seed, step_generator
from geotether.training.state import RunState


class PairedMethod:
    """Rows, targets and views of a run on paired sensors; the methods add a model and its losses.

    Args:
        config: The run's configuration.
        table: All rows. Rows whose split is `train` are trained on (all rows of a table without a split), rows of
            `validation` are validated on, others are not used.

    Attributes:
        modalities: Sensors that take part.
        answer: The encoding of the target; None if no labels are used.

    Raises:
        ValueError: If the table lacks a modality or the target, or no target is known.
    """

    needs_all = False  # whether rows that lack a sensor are left out
    needs_labels = True

    def __init__(self, config: PairedConfig, table: Table) -> None:
        self.config, self.table = config, table
        self.modalities = tuple(config.modalities or table.modalities)
        if config.modality is not None and config.modality not in self.modalities:
            raise ValueError(f"modality is {config.modality!r}, but the table has {', '.join(self.modalities)}.")
        # Settings may name sensors of the table that do not take part in this run.
        for name in (*config.encoders, *config.views, *self.modalities):
            table.modality(name)
        self.answer: Any = None
        if config.target is not None:
            self.answer = TargetEncoding.fit(config.target, table.target(config.target), table.numbers("train"))

    @property
    def identity(self) -> dict[str, Any]:
        """Configuration and content hash of the table."""
        return {"config": self.settings, "tables": {self.table.name: self.table.content_hash}}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything that determines the run: its configuration, and the weights it starts from."""
        settings = plain_settings(self.config)
        start = self.config.start_from
        if start is not None and (start / WEIGHTS).is_file():  # loading explains what is missing
            settings["start_from_sha256"] = hashlib.sha256((start / WEIGHTS).read_bytes()).hexdigest()
        return settings

    def check(self) -> None:
        """Check that there are training rows and, where they are needed, validation rows."""
        count = len(self._training_rows[0])
        if count < 2:
            raise ValueError(
                f"{self.table.name} has {count} training rows that the method {self.config.method!r} can use"
                f"{' (it needs all of ' + ', '.join(self._wanted) + ')' if self.needs_all else ''}; two are needed."
            )
        if not self.has_validation() and (self.config.keep == "best" or self.config.patience is not None):
            raise ValueError(
                "keep: best and patience need rows whose split is 'validation', and there are none; "
                "assign splits or set keep=last and patience=null."
            )

    def prepare(self, device: torch.device) -> None:
        """Select training and validation rows, and encode targets."""
        config, self.device = self.config, device
        useful, labelled = self._training_rows
        self.training = self.table.rows(useful)
        self.batch_rows = min(config.batch_size, len(self.training))
        self.split = Split(Processes.current(), {"The table": slice(0, self.batch_rows)}, device)
        self.rows_here = self.split.own.numpy(force=True)
        self.targets: Any = None
        if self.answer is not None:
            known = np.flatnonzero(np.isin(useful, labelled))
            encoded = self.answer.encode(self.training.target(self.answer.target), known)
            self.targets = torch.from_numpy(encoded)
        self.held_out: Any = self.table.rows(self._held_out_rows) if self.has_validation() else None
        self.views: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
            name: make_views(config.views.get(name), self.training.modality(name).kind) for name in self._sensors
        }

    @property
    def _sensors(self) -> tuple[str, ...]:
        """Sensors that this method uses."""
        return self.modalities

    @property
    def _wanted(self) -> tuple[str, ...]:
        """Sensors that a usable row has."""
        return self._sensors

    @cached_property
    def _training_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the training rows, and of those whose labels may be used.

        A method that needs labels gets labelled rows only, because others would not contribute to its loss.
        """
        training, labelled = self.table.numbers("train"), np.arange(0)
        useful = self._useful(training)
        if self.answer is not None:
            target = self.table.target(self.answer.target).rows(training)
            labelled = training[labelled_rows(target, self.config.labels, self.config.seed)]
            useful = np.intersect1d(useful, labelled) if self.needs_labels else useful
        return useful, labelled

    def _useful(self, rows: np.ndarray) -> np.ndarray:
        """Select usable rows: those with one or all of the sensors, and with a label if the method needs it."""
        there = np.stack([self.table.modality(name).present[rows] for name in self._wanted])
        use = there.all(0) if self.needs_all else there.any(0)
        if self.needs_labels and self.answer is not None:
            use &= self.table.target(self.answer.target).known[rows]
        return rows[use]

    @cached_property
    def _held_out_rows(self) -> np.ndarray:
        """Numbers of the validation rows, at most `validation_rows`; none if there are fewer than two."""
        if self.config.validate_every is None or self.table.split is None:
            return np.arange(0)
        rows = self._useful(np.flatnonzero(self.table.split == "validation"))
        generator = step_generator(self.config.seed, 0, "validation")
        chosen = torch.randperm(len(rows), generator=generator)[: self.config.validation_rows].sort().values.numpy()
        return rows[chosen] if len(chosen) >= 2 else np.arange(0)

    def sensor_settings(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the settings of encoders: their configuration, and kind and shape of their sensors."""
        settings = {}
        for name in names:
            sensor = self.training.modality(name)
            chosen = dict(self.config.encoders.get(name) or default_sensor_encoder(sensor.kind))
            # Networks get a channel that marks missing values if there are any to learn from.
            chosen.setdefault("missing_channel", has_gaps(sensor))
            settings[name] = {"config": chosen, "kind": sensor.kind, "shape": list(sensor.shape)}
        return settings

    def fit_encoders(self, model: nn.Module) -> None:
        """Fit the standardisation of every encoder to its sensor's training rows."""
        for name in self._sensors:
            sensor = self.training.modality(name)
            model.fit(name, sensor.values[sensor.present])  # type: ignore[operator]

    def steps_in(self, epochs: int) -> int:
        """Return the number of whole batches in `epochs` passes over the training rows, at least 1."""
        return max(1, epochs * len(self.training) // self.batch_rows)

    def epoch_of(self, step: int) -> int:
        """Return the number of passes over the training rows completed before a step."""
        return step * self.batch_rows // len(self.training)

    def rows_of(self, step: int) -> np.ndarray:
        """Return the rows of a step; each row is drawn once per epoch."""
        return rows_at(len(self.training), step * self.batch_rows, self.batch_rows, self.config.seed, "samples")

    def batch(self, rows: np.ndarray, sensors: Sequence[str] | None = None) -> PairedBatch:
        """Collect those of a step's rows that are here, on the run's device."""
        return gather_samples(self.training, rows[self.rows_here], sensors or self._sensors).to(self.device)

    def present_in(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return which of a step's rows have which sensor."""
        return {
            name: torch.from_numpy(self.training.modality(name).present[rows]).to(self.device) for name in self._sensors
        }

    def here(self) -> AbstractContextManager[None]:
        """Return the context for layers that get the rows here, while other processes compute the others."""
        processes = self.split.processes
        return nullcontext() if processes.count == 1 else Draws().of(self.split.own, self.batch_rows, processes)

    def augmented(self, batch: PairedBatch, step: int, purpose: str) -> dict[str, Tensor]:
        """Augment every sensor's rows, as a pure function of step and purpose."""
        with self.here():
            return {
                name: self.views[name](
                    values, step_generator(self.config.seed, step, f"{purpose} of {name}", self.device)
                )
                for name, values in batch.values.items()
            }

    def has_validation(self) -> bool:
        """Return whether there are validation rows."""
        return len(self._held_out_rows) > 0

    def predicts_from(self) -> tuple[str, ...]:
        """Return the sensors of which one is enough to predict."""
        return ()

    def finish(self, model: nn.Module, state: RunState) -> PairedModel:
        """Describe the trained model: its method, sensors, target, provenance and card."""
        config = self.config
        about: Mapping[str, Any] = {
            "method": config.method,
            "modalities": list(self._sensors),
            "predicts_from": list(self.predicts_from()),
            "answer": self.answer.plain() if self.answer is not None and config.method != "ties" else None,
        }
        provenance = run_provenance(config, {self.table.name: self.table}, state)
        card = model_card(self.settings, provenance, about)
        return PairedModel(model, about, provenance, self.settings, card)  # type: ignore[arg-type]


def has_gaps(sensor: Modality) -> bool:
    """Return whether values are missing in rows that have the sensor."""
    if sensor.values.dtype.kind != "f":
        return False
    return any(bool(np.isnan(part[sensor.present[start : start + len(part)]]).any()) for start, part in _parts(sensor))


def _parts(sensor: Modality) -> Iterator[tuple[int, np.ndarray]]:
    """Yield parts of the values, so that a memory map is not read into memory at once."""
    for start in range(0, len(sensor), 4096):
        yield start, sensor.values[start : start + 4096]


def labelled_rows(target: Target, share: float, seed: int) -> np.ndarray:
    """Draw a share of the known rows whose labels may be used, at least one row of every class or label.

    A larger share contains the smaller one.

    Returns:
        Row numbers, sorted.
    """
    known = np.flatnonzero(target.known)
    order = known[np.random.default_rng(derived_seed(seed, 0, "labelled")).permutation(len(known))]
    count = max(1, round(share * len(known)))
    kept = set(order[:count].tolist())
    if target.kind != "numbers":
        has = _memberships(target)
        for label in range(has.shape[1]):
            rows = order[has[order, label]]
            if len(rows) and not kept & set(rows.tolist()):
                kept.add(int(rows[0]))
    return np.array(sorted(kept), dtype=np.int64)


def class_weights(answer: TargetEncoding, encoded: np.ndarray, balanced: bool) -> Tensor | None:
    """Return weights that balance the classes; None for other kinds of targets."""
    if answer.kind != "classes" or not balanced:
        return None
    return balanced_weights(torch.from_numpy(encoded), answer.num_outputs)


def _memberships(target: Target) -> np.ndarray:
    if target.kind == "labels":
        return np.asarray(target.values == 1)
    return np.asarray(target.values[:, None] == np.arange(len(target.names)))
