"""Methods that learn a target from paired sensors: co-learning (MDiCo) and its baselines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from geotether.batches.batch import gather_samples
from geotether.checkpoint.model import load_model
from geotether.devices import products_in
from geotether.encoders.colearner import CoLearner
from geotether.encoders.sensor_heads import SensorClassifier
from geotether.encoders.tied_sensors import TiedSensors
from geotether.objectives.colearning import (
    SensorOutputs,
    UncertaintyWeights,
    colearning_terms,
    distillation_loss,
    weighted_sum,
)
from geotether.objectives.supervised import task_loss
from geotether.predict import PairedModel
from geotether.processes import Split
from geotether.training.loop import train
from geotether.training.metrics import read_scalars
from geotether.training.paired_method import PairedMethod, class_weights
from geotether.training.randomness import derived_seed
from geotether.training.state import RunState

EVALUATED_ROWS = 512


class SupervisedMethod(PairedMethod):
    """One model for one sensor (`single`), or for all of them together (`fused`); a `Method`."""

    needs_all = True

    @property
    def _sensors(self) -> tuple[str, ...]:
        return self.modalities if self.config.modality is None else (self.config.modality,)

    def build(self, device: torch.device) -> nn.Module:
        """Build the encoders and the head."""
        self.prepare(device)
        self.weights = class_weights(self.answer, self.targets.numpy(), self.config.balanced)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.config.seed, 0, "weights"))
            model = self.make()
        self.fit_encoders(model)
        if self.config.start_from is not None:
            start_from(model, self.config.start_from)
        return model.to(device).train()

    def make(self) -> nn.Module:
        """Build the network with its initial weights."""
        return SensorClassifier(self.sensor_settings(self._sensors), self.answer.num_outputs, self.config.dim)

    def losses(self, model: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of the head's predictions."""
        values, targets, _ = self.inputs(step)
        with products_in(self.config.precision, self.device), self.here():
            outputs = model(values)
        return self.score(self.split.gather(outputs.float()), targets), {}

    def inputs(self, step: int) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
        """Return the inputs of a step.

        Returns:
            The values of the rows that are here, augmented if configured; the targets of all rows; and which of them
            have which sensor.
        """
        rows = self.rows_of(step)
        batch = self.batch(rows)
        values = self.augmented(batch, step, "view") if self.config.augment else batch.values
        return values, self.targets[torch.from_numpy(rows)].to(self.device), self.present_in(rows)

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Compute the task's loss, with balanced classes if configured."""
        weights = None if self.weights is None else self.weights.to(outputs.device)
        return task_loss(self.answer.kind, outputs, targets, weights)

    def answers(self, model: Any, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return raw outputs by the sensors they are predicted from."""
        return {"+".join(self._sensors): model(values)}

    def validate(self, model: Any) -> dict[str, float]:
        """Compute the loss on the validation rows: from each sensor, and their mean."""
        target = torch.from_numpy(self.answer.encode(self.held_out.target(self.answer.target)))
        found: dict[str, list[Tensor]] = {}
        present: dict[str, list[Tensor]] = {}
        for start in range(0, len(self.held_out), EVALUATED_ROWS):
            rows = np.arange(start, min(start + EVALUATED_ROWS, len(self.held_out)))
            batch = gather_samples(self.held_out, rows, self._sensors).to(self.device)
            for name, outputs in self.answers(model, batch.values).items():
                found.setdefault(name, []).append(outputs.float())
                there = batch.present.get(name, torch.ones(len(rows), dtype=torch.bool, device=self.device))
                present.setdefault(name, []).append(there)
        losses = {}
        for name, parts in found.items():
            rows_there = torch.cat(present[name])
            outputs, wanted = torch.cat(parts)[rows_there], target.to(self.device)[rows_there]
            if len(outputs):
                losses[f"validation/loss/{name}"] = self.score(outputs, wanted)
        line = read_scalars(losses)
        return {**line, "validation/loss": sum(line.values()) / len(line)}

    def predicts_from(self) -> tuple[str, ...]:
        """Return the sensor, if there is only one."""
        return self._sensors if len(self._sensors) == 1 else ()


class DistilledMethod(SupervisedMethod):
    """A model of one sensor, distilled from a model of all sensors that is trained first; a `Method`.

    Rows without labels are used too: the teacher predicts their targets.
    """

    needs_labels = False

    def build(self, device: torch.device) -> nn.Module:
        """Train the teacher on the same rows, then build the student."""
        config = self.config.model_copy(update={"method": "fused", "modality": None})
        self.teacher_method = SupervisedMethod(config, self.table)
        fused = train(self.teacher_method, progress="none")
        assert isinstance(fused, PairedModel)
        self.teacher = fused.module.requires_grad_(False)
        return super().build(device)

    @property
    def _wanted(self) -> tuple[str, ...]:
        """All sensors, so that teacher and student see the same rows."""
        return self.modalities

    def losses(self, model: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of the student relative to the labels and to the teacher."""
        share = self.config.distillation.weight
        values, targets, _ = self.inputs(step)
        everything = self.batch(self.rows_of(step), self.modalities)
        with products_in(self.config.precision, self.device), self.here():
            outputs = model(values)
            with torch.no_grad():
                taught = self.teacher(everything.values)
        outputs, taught = self.split.gather(outputs.float()), self.split.gather(taught.float())
        task = self.score(outputs, targets)
        copied = distillation_loss(self.answer.kind, outputs, taught, self.config.distillation.temperature)
        return (1 - share) * task + share * copied, {"loss/task": task, "loss/distillation": copied}


class ColearningMethod(SupervisedMethod):
    """MDiCo: trained with all sensors, predicts from any one; a `Method`.

    The method `shared` is the same without the unique encoders.
    """

    needs_all = False
    needs_labels = False

    def make(self) -> nn.Module:
        """Build the co-learner, with learned weights of its terms if configured."""
        options = self.config.colearning
        model = CoLearner(
            self.sensor_settings(self._sensors),
            self.answer.num_outputs,
            self.config.dim,
            options.wiring if self.config.method == "mdico" else "shared_only",
            options.layer_norm,
        )
        if options.weighting != "fixed":
            model.term_weights = UncertaintyWeights(list(self.term_weights), options.weighting)
        return model

    @property
    def term_weights(self) -> dict[str, float]:
        """Weights of the terms that are switched on; without unique parts there is no discrimination."""
        options = self.config.colearning
        weights = {"task": options.task, "auxiliary": options.auxiliary, "contrast": options.contrast}
        if self.config.method == "shared":
            weights.pop("auxiliary")  # it would use the same part as the main head
        else:
            weights["discrimination"] = options.discrimination
        return {name: weight for name, weight in weights.items() if weight}

    def losses(self, model: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the weighted sum of the terms."""
        values, targets, present = self.inputs(step)
        outputs: dict[str, SensorOutputs] = {}
        with products_in(self.config.precision, self.device), self.here():
            for name, rows in values.items():
                outputs[name] = sensor_outputs(model, name, rows)
        outputs = gathered(self.split, outputs)
        weights = None if self.weights is None else self.weights.to(self.device)
        with self.split.processes.dividing():
            terms = colearning_terms(
                outputs,
                self.answer.kind,
                targets,
                self.config.colearning.temperature,
                present,
                weights,
                tuple(self.term_weights),
            )
        learned = getattr(model, "term_weights", None)
        loss = weighted_sum(terms, self.term_weights) if learned is None else learned(terms)
        return loss, {f"loss/{name}": term for name, term in terms.items()}

    def finish(self, model: Any, state: RunState) -> PairedModel:
        """Drop the learned weights of the loss terms, which are not part of the predictor."""
        if hasattr(model, "term_weights"):
            del model.term_weights
        return super().finish(model, state)

    def answers(self, model: Any, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return raw outputs from each sensor alone."""
        return {name: model.predict(name, rows) for name, rows in values.items()}

    def predicts_from(self) -> tuple[str, ...]:
        """Return every sensor."""
        return self._sensors


def sensor_outputs(model: CoLearner, name: str, values: Tensor) -> SensorOutputs:
    """Compute the outputs of one sensor that the objective needs."""
    parts = model.parts(name, values)
    task, shared = model.logits(name, parts).float(), parts.shared.float()
    if not parts.specific.shape[1]:
        return SensorOutputs(task=task, shared=shared)
    specific, other = model.sensor_logits(parts)
    return SensorOutputs(
        task=task,
        auxiliary_specific=model.auxiliary(parts.specific).float(),
        auxiliary_shared=model.auxiliary(parts.shared).float(),
        shared=shared,
        sensor_of_specific=None if specific is None else specific.float(),
        sensor_of_other=None if other is None else other.float(),
    )


def gathered(split: Split, outputs: Mapping[str, SensorOutputs]) -> dict[str, SensorOutputs]:
    """Gather the outputs of all rows of a step."""
    parts = iter(
        split.gather_all(*(part for own in outputs.values() for part in vars(own).values() if part is not None))
    )
    return {
        name: SensorOutputs(**{key: next(parts) for key, part in vars(own).items() if part is not None})
        for name, own in outputs.items()
    }


def start_from(model: nn.Module, folder: Path) -> None:
    """Copy the encoders of a trained model of tied sensors, to fine-tune them.

    Raises:
        ValueError: If either model is of another kind, or an encoder does not fit.
    """
    trained = load_model(folder).paired
    if not isinstance(trained, TiedSensors) or not isinstance(model, SensorClassifier):
        raise ValueError(
            f"start_from takes the encoders of a model of the method 'ties' into 'single', 'fused' or 'distilled'; "
            f"{folder} contains {'a location encoder' if trained is None else type(trained).__name__}."
        )
    model.start_from(trained)
