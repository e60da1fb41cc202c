"""Contrast on paired sensors: views of an observation, sensors of a sample, shared labels, and places (MoSAiC)."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from geotether.batches.batch import gather_samples, rows_at
from geotether.devices import products_in
from geotether.encoders.build import build_location_encoder
from geotether.encoders.tied_sensors import TiedSensors
from geotether.objectives.info_nce import info_nce
from geotether.objectives.multilabel import merge, multilabel_contrast
from geotether.objectives.views import across_sensors, within_sensors
from geotether.predict import PairedModel
from geotether.processes import Split
from geotether.training.metrics import read_scalars
from geotether.training.paired_method import PairedMethod
from geotether.training.randomness import derived_seed, step_generator
from geotether.training.state import RunState


class TiesMethod(PairedMethod):
    """Ties of four kinds in one batch, each with its weight; a `Method`.

    Labelled and unlabelled rows train together: the label tie leaves out the rows without labels.
    """

    needs_labels = False

    def check(self) -> None:
        """Check that sensors, labels and places needed by the ties exist."""
        super().check()
        ties = self.config.ties
        if ties.sample and len(self.modalities) < 2:
            raise ValueError(f"ties.sample ties two sensors, but there is only {self.modalities[0]}; set it to 0.")
        if ties.location and self.table.lonlat is None:
            raise ValueError("ties.location needs places, but the table has no lon and lat; set ties.location=0.")
        if ties.labelled_share and not ties.label:
            raise ValueError("ties.labelled_share is for the label tie, but ties.label is 0.")

    def build(self, device: torch.device) -> nn.Module:
        """Build encoders, projections and, if places are tied, a location encoder."""
        self.prepare(device)
        ties = self.config.ties
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.config.seed, 0, "weights"))
            location = None
            if ties.location:
                settings = {**self.config.location.model_dump(), "embed_dim": ties.dim}
                location = build_location_encoder(settings, self.config.seed)
            model = TiedSensors(
                self.sensor_settings(self.modalities),
                self.config.dim,
                ties.dim,
                ties.hidden_dim,
                location,
                specific_dim=ties.specific_dim,
            )
        self.fit_encoders(model)
        self.labels = self._label_rows() if ties.label else None
        return model.to(device).train()

    def _label_rows(self) -> Tensor:
        """Return the labels of the training rows as 0 and 1, NaN where unknown; a class is a set of one label."""
        return as_label_sets(self.targets, self.answer.kind, self.answer.num_outputs)

    def rows_of(self, step: int) -> np.ndarray:
        """Return the rows of a step, a fixed share of them labelled if configured."""
        share, labels = self.config.ties.labelled_share, self.labels
        if share is None or labels is None:
            return super().rows_of(step)
        known = np.flatnonzero(~labels.isnan().any(1).numpy())
        unknown = np.setdiff1d(np.arange(len(labels)), known)
        count = min(round(share * self.batch_rows), len(known)) if len(unknown) else self.batch_rows
        parts = []
        for name, pool, rows in (("labelled", known, count), ("unlabelled", unknown, self.batch_rows - count)):
            if rows:
                parts.append(pool[rows_at(len(pool), step * rows, rows, self.config.seed, name)])
        return np.concatenate(parts)

    def losses(self, model: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the weighted sum of the ties."""
        rows = self.rows_of(step)
        batch = self.batch(rows)
        views = [self.augmented(batch, step, "first view")]
        if self.config.ties.view:
            views.append(self.augmented(batch, step, "second view"))
        labels = None if self.labels is None else self.labels[torch.from_numpy(rows)].to(self.device)
        with self.split.processes.dividing():
            terms = self.terms(model, views, self.present_in(rows), labels, batch.lonlat, self.split)
        return self.total(terms), {f"loss/{name}": term for name, term in terms.items()}

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of terms."""
        return torch.stack([getattr(self.config.ties, name) * term for name, term in terms.items()]).sum()

    def terms(
        self,
        model: TiedSensors,
        views: list[dict[str, Tensor]],
        present: Mapping[str, Tensor],
        labels: Tensor | None,
        lonlat: Tensor | None,
        split: Split | None = None,
    ) -> dict[str, Tensor]:
        """Compute the ties that have a weight; with `split`, views and places are those of the rows that are here."""
        ties = self.config.ties
        seen: dict[str, list[Tensor]] = {name: [] for name in self.modalities}
        own: dict[str, list[Tensor]] = {name: [] for name in self.modalities}
        with products_in(self.config.precision, self.device), nullcontext() if split is None else self.here():
            for view in views:
                for name, values in view.items():
                    encoded = model.encode(name, values)
                    seen[name].append(model.project(name, encoded).float())
                    own[name].append(model.specific(encoded).float())
            place = model.location(lonlat).float() if model.location is not None and lonlat is not None else None
        if split is not None and split.processes.count > 1:
            seen, own, place = gathered(split, seen, own, place)
        terms: dict[str, Tensor] = {}
        if ties.view:
            parts = (seen, own) if ties.specific_dim else (seen,)
            each = [within_sensors(as_pairs(part), ties.temperature, present) / len(part) for part in parts]
            terms["view"] = torch.stack(each).mean()
        if ties.sample:
            sides = [{name: views_of[side] for name, views_of in seen.items()} for side in range(len(views))]
            each = [across_sensors(side, ties.temperature, present) for side in sides]
            terms["sample"] = torch.stack(each).mean()
        if ties.label and labels is not None:
            terms["label"] = multilabel_contrast(*merge(seen, labels, present), ties.label_temperature)
        if place is not None:
            tied = []
            for name, projected in seen.items():
                there = present[name]
                if there.sum() > 1:
                    tied.append(info_nce(place[there], projected[0][there], model.logit_scale(name)))
            terms["location"] = torch.stack(tied).mean() if tied else place.sum() * 0
        if ties.discrimination:
            terms["discrimination"] = torch.stack(
                [
                    cross_entropy(model.discriminate(part)[present[name]], place_of)
                    for at, (name, parts) in enumerate(own.items())
                    for part in parts
                    if len(place_of := torch.full((int(present[name].sum()),), at, device=self.device))
                ]
            ).mean()
        return terms

    def validate(self, model: Any) -> dict[str, float]:
        """Compute the same ties on validation rows, always with the same views."""
        batch = gather_samples(self.held_out, np.arange(len(self.held_out)), self.modalities).to(self.device)
        labels = None
        if self.labels is not None and self.answer is not None:
            encoded = torch.from_numpy(self.answer.encode(self.held_out.target(self.answer.target)))
            labels = as_label_sets(encoded, self.answer.kind, self.answer.num_outputs).to(self.device)
        totals: list[dict[str, Tensor]] = []
        for start in range(0, max(len(self.held_out) - 1, 1), self.batch_rows):  # no part of a single row
            part = slice(start, start + self.batch_rows)
            views = []
            for purpose in ("first", "second")[: 2 if self.config.ties.view else 1]:
                view = {}
                for name, values in batch.values.items():
                    drawn = step_generator(self.config.seed, start, f"validation {purpose} {name}", self.device)
                    view[name] = self.views[name](values[part], drawn)
                views.append(view)
            present = {name: there[part] for name, there in batch.present.items()}
            lonlat = None if batch.lonlat is None else batch.lonlat[part]
            own = None if labels is None else labels[part]
            totals.append(self.terms(model, views, present, own, lonlat))
        means = {name: torch.stack([terms[name] for terms in totals]).mean() for name in totals[0]}
        line = read_scalars({f"validation/loss/{name}": mean for name, mean in means.items()})
        return {**line, "validation/loss": float(self.total(means))}

    def finish(self, model: Any, state: RunState) -> PairedModel:
        """Fix what the location encoder returns."""
        if model.location is not None:
            model.location.settle()
        return super().finish(model, state)


def gathered(
    split: Split, seen: Mapping[str, list[Tensor]], own: Mapping[str, list[Tensor]], place: Tensor | None
) -> tuple[dict[str, list[Tensor]], dict[str, list[Tensor]], Tensor | None]:
    """Gather both parts of all views, and places, of all rows of a step."""
    here = [view for parts in (seen, own) for views in parts.values() for view in views]
    found = iter(split.gather_all(*here, *(() if place is None else (place,))))
    all_seen, all_own = ({name: [next(found) for _ in views] for name, views in parts.items()} for parts in (seen, own))
    return all_seen, all_own, next(found, None)


def as_pairs(views: Mapping[str, list[Tensor]]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the first two views of each sensor."""
    return {name: (own[0], own[1]) for name, own in views.items()}


def as_label_sets(targets: Tensor, kind: str, count: int) -> Tensor:
    """Return targets as rows of 0 and 1, NaN where unknown.

    Raises:
        ValueError: If they are numbers, which have no overlap.

    Example:
        >>> as_label_sets(torch.tensor([1, -1]), "classes", 2).tolist()
        [[0.0, 1.0], [nan, nan]]
    """
    if kind == "labels":
        return targets
    if kind == "numbers":
        raise ValueError("ties by labels need classes or labels; numbers do not overlap. Set ties.label=0.")
    sets = torch.nn.functional.one_hot(targets.clamp(min=0), count).float()
    sets[targets < 0] = torch.nan
    return sets
