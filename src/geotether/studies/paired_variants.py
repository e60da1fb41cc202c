"""Methods on paired sensors by name: what each changes in a configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geotether.suggestions import closest
from geotether.tables.table import Table
from geotether.training.config import overlay
from geotether.training.paired_config import PairedConfig, make_paired_config, over_recipe

LINEAR = "linear"
# Family to its methods. Those of the first learn a target and predict; those of the second learn an embedding, which is
# judged by a linear probe and by fine-tuning; `linear` has no network.
SUPERVISED: dict[str, tuple[str, dict[str, Any]]] = {
    "mdico": ("mdico", {}),
    "mdico without auxiliary": ("mdico", {"colearning": {"auxiliary": 0.0}}),
    "mdico without contrast": ("mdico", {"colearning": {"contrast": 0.0}}),
    "mdico without discrimination": ("mdico", {"colearning": {"discrimination": 0.0}}),
    "mdico without unused part": ("mdico", {"colearning": {"wiring": "no_unused"}}),
    "mdico wired as released": ("mdico", {"colearning": {"wiring": "code"}}),
    "mdico with learned weights": ("mdico", {"colearning": {"weighting": "corrected"}}),
    "shared": ("shared", {}),
    "single": ("single", {}),
    "distilled": ("distilled", {}),
    "fused": ("fused", {}),
}
# Where no label is tied, no share of labelled rows can be asked for.
_UNLABELLED: dict[str, Any] = {"label": 0.0, "labelled_share": None}
# A single tie is that alone, whatever weights the configuration gives the others.
CONTRASTIVE: dict[str, tuple[str, dict[str, Any]]] = {
    "mosaic": ("mosaic", {}),
    "mosaic with location": ("mosaic", {"ties": {"location": 1.0}}),
    "mosaic without view": ("mosaic", {"ties": {"view": 0.0}}),
    "mosaic without sample": ("mosaic", {"ties": {"sample": 0.0}}),
    "mosaic without label": ("mosaic", {"ties": _UNLABELLED}),
    "labels alone": ("mosaic", {"ties": {"view": 0.0, "sample": 0.0, "location": 0.0}}),
    "simclr": ("simclr", {"ties": {**_UNLABELLED, "sample": 0.0, "location": 0.0}}),
    "clip": ("clip", {"ties": {**_UNLABELLED, "view": 0.0, "location": 0.0}}),
}
METHOD_NAMES = (LINEAR, *SUPERVISED, *CONTRASTIVE)
COLEARNING_STUDY = (LINEAR, "single", "distilled", "shared", "mdico", "fused")
# Not every table has places.
TIES_STUDY = (LINEAR, "fused", *(name for name in CONTRASTIVE if name != "mosaic with location"))


@dataclass(frozen=True)
class PairedVariant:
    """One method with its settings.

    Attributes:
        name: Of the method.
        modality: The one sensor it is trained on; None: all.
        changes: Laid over the configuration, its recipe among them.
    """

    name: str
    modality: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_contrastive(self) -> bool:
        """Whether it learns an embedding first."""
        return self.name in CONTRASTIVE

    def configure(self, given: Mapping[str, Any], seed: int, labels: float) -> PairedConfig:
        """Make the configuration of one run.

        Args:
            given: What the user said, over every recipe: a plain mapping without `recipe` and `method`.
            seed: Of the run.
            labels: Share of the training labels.
        """
        recipe = SUPERVISED.get(self.name, CONTRASTIVE.get(self.name, ("fused", {})))[0]
        layer = overlay(over_recipe(recipe, given), self.changes)
        return make_paired_config({**layer, "recipe": recipe, "seed": seed, "labels": labels})


def paired_variants(names: Sequence[str], table: Table, modalities: Sequence[str]) -> list[PairedVariant]:
    """Find methods by name; `single` and `distilled` become one variant a sensor.

    Args:
        names: Of `METHOD_NAMES`.
        table: With the sensors.
        modalities: That take part.

    Raises:
        ValueError: If a name is unknown, with the closest, or comes twice.
    """
    variants = []
    for name in names:
        if name not in METHOD_NAMES:
            guess = closest(name, METHOD_NAMES)
            raise ValueError(f"Unknown method {name!r}.{guess} Known: {', '.join(METHOD_NAMES)}.")
        if list(names).count(name) > 1:
            raise ValueError(f"The method {name!r} is named twice.")
        if name == LINEAR:
            variants.append(PairedVariant(name))
        elif name in ("single", "distilled"):
            variants += [PairedVariant(name, sensor, {"modality": sensor}) for sensor in modalities]
        else:
            variants.append(PairedVariant(name, None, SUPERVISED.get(name, CONTRASTIVE.get(name, ("", {})))[1]))
    for sensor in modalities:
        table.modality(sensor)
    return variants
