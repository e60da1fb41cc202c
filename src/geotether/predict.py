"""Load a model of paired sensors once; predict and embed from any one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geotether.checkpoint.hub import push
from geotether.checkpoint.model import ModelParts, PairedModule, load_model, save_model
from geotether.encoder import Encoder
from geotether.encoders.build import known_names
from geotether.encoders.colearner import CoLearner
from geotether.encoders.sensor_heads import SensorClassifier
from geotether.files.frames import places_first
from geotether.tables.modality import refuse_masked
from geotether.tables.table import Table
from geotether.tables.target import TargetEncoding

ROWS = 512


@dataclass(frozen=True)
class Prediction:
    """What a model answers about rows.

    Attributes:
        kind: "classes", "labels" or "numbers".
        names: Of the classes or labels; of numbers one name with its unit.
        scores: Probabilities (n, k) of classes (rows add up to 1) or of labels (each by itself); numbers (n,) in their
            own unit.
        id, lonlat: Of the rows, (n,) and (n, 2), if they were given as a table; None otherwise or without places.
    """

    kind: str
    names: tuple[str, ...]
    scores: np.ndarray
    id: np.ndarray | None = None
    lonlat: np.ndarray | None = None

    @property
    def best(self) -> np.ndarray:
        """The most probable class's name (n,), the labels above one half as True (n, k), or the numbers (n,)."""
        if self.kind == "classes":
            return np.array(self.names, dtype=object)[self.scores.argmax(axis=1)]
        return self.scores > 0.5 if self.kind == "labels" else self.scores


class PairedModel:
    """A trained model of paired sensors.

    Args:
        module: The networks, in evaluation mode.
        about: From the model folder: `method`, `modalities`, `predicts_from`, `answer`.
        provenance: Where it comes from.
        config: Settings of the run that trained it.
        card: Text of the model card, Markdown.

    Attributes:
        module: The torch module.
        history: Metrics of the training, one mapping per line of `metrics.jsonl`; empty for a loaded model.
        modalities: Sensors that `embed` takes.
        predicts_from: Sensors of which any one is enough for `predict`; empty if it takes all at once or predicts
            nothing.
    """

    def __init__(
        self,
        module: PairedModule,
        about: Mapping[str, Any],
        provenance: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        card: str = "",
    ) -> None:
        self.module = module
        self.about, self.config, self.card = dict(about), dict(config or {}), card
        self.history: list[dict[str, Any]] = []
        self.modalities: tuple[str, ...] = tuple(about["modalities"])
        self.predicts_from: tuple[str, ...] = tuple(about["predicts_from"])
        self.answer: TargetEncoding | None = TargetEncoding.of(about["answer"]) if about.get("answer") else None
        self.provenance = dict(provenance)

    @classmethod
    def of(cls, parts: ModelParts) -> "PairedModel":
        """Make the model of a loaded folder."""
        assert parts.paired is not None
        return cls(parts.paired, parts.about, parts.provenance, parts.config, parts.card)

    def __repr__(self) -> str:
        """Say what it answers and from what."""
        if self.answer is None:
            return f"PairedModel({', '.join(self.modalities)}; embeds each of them, predicts nothing)"
        answers = f"{self.answer.target} ({self.answer.kind})"
        needs = f"any of {', '.join(self.predicts_from)}" if self.predicts_from else "all of its sensors"
        return f"PairedModel({', '.join(self.modalities)}; predicts {answers} from {needs})"

    @property
    def encoder(self) -> Encoder:
        """The location encoder of a model whose samples were tied to their places.

        Raises:
            ValueError: If the model has none.
        """
        location = getattr(self.module, "location", None)
        if location is None:
            raise ValueError(
                "This model of paired sensors was not tied to places and encodes none; train it with ties.location=1."
            )
        return Encoder(location, self.config, self.provenance, card=self.card)

    @places_first
    def encode(self, places: Any = None, *, lon: Any = None, lat: Any = None) -> Any:
        """Embed places by the location encoder; see `Encoder.encode` and `encoder`."""
        return self.encoder.encode(places, lon=lon, lat=lat)

    def save(self, folder: str | Path) -> None:
        """Save as a model folder, which replaces an older one only when complete; raises as `Encoder.save`."""
        location = getattr(self.module, "location", None)
        parts = ModelParts(location, self.config, self.provenance, self.card, paired=self.module, about=self.about)
        save_model(folder, parts)

    def push_to_hub(self, repo: str, **options: Any) -> str:
        """Upload to the Hugging Face Hub, as `Encoder.push_to_hub` does."""
        return push(self, repo, **options)

    def predict(self, modality: str, values: np.ndarray | Tensor | Table) -> Prediction:
        """Predict from one sensor.

        Args:
            modality: One of `predicts_from`.
            values: Shape (n, *shape) as the modality had it in training: (n, d), (n, t, bands) or (n, bands, h, w). NaN
                is missing; a series may be shorter than in training, its first steps are then taken as given. Or a
                table, of which the rows that have the modality are predicted; the result then has their ids and places.

        Raises:
            ValueError: If the model predicts nothing or not from this modality, or values have another shape.
        """
        if isinstance(values, Table):
            rows = rows_with(values, (modality,))
            found = self.predict(modality, rows.modality(modality).values)
            return replace(found, id=rows.id, lonlat=rows.lonlat)
        if self.answer is None:
            raise ValueError("This model was trained without a head: it embeds, but predicts nothing.")
        if modality not in self.predicts_from:
            if modality in self.modalities and not self.predicts_from:
                raise ValueError(
                    "This model needs all its sensors at once; give them to `predict_fused`, or on the command line "
                    "leave out --modality."
                )
            raise ValueError(f"The model cannot predict from {modality!r}; {known_names(modality, self.predicts_from)}")
        if isinstance(self.module, SensorClassifier):
            return self._answer({modality: values}, lambda part: self.module({modality: part[modality]}))
        return self._answer({modality: values}, lambda part: self.module.predict(modality, part[modality]))  # type: ignore[union-attr, operator]

    def predict_fused(self, values: Mapping[str, np.ndarray | Tensor] | Table) -> Prediction:
        """Predict from all sensors together.

        Args:
            values: Modality to values, as for `predict`; equally many rows. Or a table, of which the rows that have
                all modalities are predicted.

        Raises:
            ValueError: If the model predicts from single sensors, or a modality is missing.
        """
        if isinstance(values, Table):
            rows = rows_with(values, self.modalities)
            found = self.predict_fused({name: rows.modality(name).values for name in self.modalities})
            return replace(found, id=rows.id, lonlat=rows.lonlat)
        if self.answer is None or not isinstance(self.module, SensorClassifier):
            raise ValueError(f"This model predicts from single sensors: {', '.join(self.predicts_from) or 'none'}.")
        missing = [name for name in self.modalities if name not in values]
        if missing:
            raise ValueError(f"The model needs {', '.join(self.modalities)}; {', '.join(missing)} is missing.")
        return self._answer({name: values[name] for name in self.modalities}, self.module)

    def embed(self, modality: str, values: np.ndarray | Tensor) -> np.ndarray:
        """Embed what one sensor saw: what the encoders give before heads and projections.

        Args:
            modality: One of `modalities`.
            values: As for `predict`.

        Returns:
            Shape (n, dim), float32. Of a co-learner, the specific and the shared part.

        Raises:
            ValueError: If the model never saw the modality, or values have another shape.
        """
        if modality not in self.modalities:
            raise ValueError(f"The model never saw {modality!r}; {known_names(modality, self.modalities)}")
        module = self.module

        def encoded(part: Mapping[str, Tensor]) -> Tensor:
            if isinstance(module, CoLearner):
                parts = module.parts(modality, part[modality])
                return torch.cat([parts.specific, parts.shared], dim=1)
            return module.encode(modality, part[modality])

        parts = self._run({modality: values}, encoded)
        return np.concatenate(parts) if parts else np.empty((0, module.dim), dtype=np.float32)

    def _answer(self, values: Mapping[str, Any], forward: Any) -> Prediction:
        answer = self.answer
        assert answer is not None
        raw = np.concatenate([np.empty((0, answer.num_outputs), dtype=np.float32), *self._run(values, forward)])
        if answer.kind == "numbers":
            return Prediction(answer.kind, answer.names, raw[:, 0].astype(np.float64) * answer.scale + answer.mean)
        logits = torch.from_numpy(raw).double()
        scores = logits.softmax(1) if answer.kind == "classes" else logits.sigmoid()
        return Prediction(answer.kind, answer.names, scores.numpy())

    def _run(self, values: Mapping[str, Any], forward: Any) -> list[np.ndarray]:
        tensors = {name: _as_numbers(name, part) for name, part in values.items()}
        lengths = {name: len(part) for name, part in tensors.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Sensors have unequal rows: {', '.join(f'{n} {k}' for n, k in lengths.items())}.")
        found = []
        with torch.inference_mode():
            for start in range(0, next(iter(lengths.values())), ROWS):
                found.append(forward({name: part[start : start + ROWS] for name, part in tensors.items()}).numpy())
        return found


def _as_numbers(name: str, values: Any) -> Tensor:
    """Convert values to float32; TypeError if they are masked, texts, dates or objects."""
    if isinstance(values, Tensor):
        return values.detach().cpu().float()
    refuse_masked(values, f"values of {name}")
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"values of {name} must be numbers, got {array.dtype}.")
    return torch.as_tensor(array.astype(np.float32))


def rows_with(table: Table, modalities: Sequence[str]) -> Table:
    """Take the rows that have all of some modalities; ValueError if there are none."""
    present = np.stack([table.modality(name).present for name in modalities]).all(axis=0)
    if not present.any():
        raise ValueError(
            f"None of {len(table)} rows has {' and '.join(modalities)}, so there is nothing to predict from."
        )
    return table.rows(np.flatnonzero(present))


def load_paired(folder: str | Path) -> PairedModel:
    """Load a model folder of paired sensors.

    Args:
        folder: Of the model, as a run leaves it in `model/`, or its name.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is another kind of model, or damaged.
    """
    model = load_model(folder)
    if model.paired is None:
        raise ValueError(f"{folder} is a location encoder, not a model of paired sensors; encode places with it.")
    return PairedModel.of(model)
