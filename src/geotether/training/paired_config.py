"""The configuration of a run on paired sensors: co-learning, its baselines, and ties between samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from geotether.settings import Section, parse_override, read_layer, unknown_name
from geotether.training.config import EncoderConfig, LoopConfig, overlay, plugin_paths, validated
from geotether.training.recipes import PAIRED_RECIPES, recipe_layer

# Method to its description in the model card.
METHODS = {
    "mdico": "co-learning: trained with all sensors, predicts from any one (MDiCo)",
    "single": "one sensor alone, supervised",
    "shared": "co-learning with the shared encoders alone",
    "fused": "all sensors together, supervised; needs all of them to predict",
    "distilled": "one sensor alone, distilled from a model of all sensors",
    "ties": "contrast between views, sensors, labels and places (MoSAiC and its parts)",
}


class ColearningConfig(Section):
    """Terms of MDiCo and their weights; a weight of 0 leaves a term out.

    `wiring`: the second modality classifier reads the unused part (`figure`) or the shared one (`code`, as released),
    or there is no such classifier and no unused part (`no_unused`). `layer_norm`: normalise the encoders' outputs.
    `weighting`: `fixed`, or learned from uncertainty in the form `kendall` or `corrected`.
    """

    wiring: Literal["figure", "code", "no_unused"] = "figure"
    layer_norm: bool = False
    task: float = Field(default=1.0, ge=0)
    auxiliary: float = Field(default=1.0, ge=0)
    contrast: float = Field(default=1.0, ge=0)
    discrimination: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=0.1, gt=0, le=10)
    weighting: Literal["fixed", "kendall", "corrected"] = "fixed"

    @model_validator(mode="after")
    def _learn_something(self) -> "ColearningConfig":
        if not (self.task or self.auxiliary):
            raise PydanticCustomError("terms", "task or auxiliary must be above 0, or no label is used.")
        return self


class DistillationConfig(Section):
    """Weight of the teacher relative to the labels, and temperature of its outputs (classes and labels)."""

    weight: float = Field(default=0.5, ge=0, le=1)
    temperature: float = Field(default=4.0, gt=0, le=100)


class TiesConfig(Section):
    """Weights of the ties; 0 leaves one out.

    `view`: two augmentations of one observation. `sample`: two sensors of one sample. `label`: any two observations, by
    the overlap of their labels. `location`: an observation and its place. `dim`: width of the projections, whose head
    has `hidden_dim` in between. `labelled_share`: share of labelled rows in every step; null draws rows regardless of
    labels. `specific_dim`: width of the sensor-specific part of an encoding, which view ties use and sample, label and
    location ties do not; `discrimination` is the weight of classifying the sensor from it.
    """

    view: float = Field(default=1.0, ge=0)
    sample: float = Field(default=1.0, ge=0)
    label: float = Field(default=1.0, ge=0)
    location: float = Field(default=0.0, ge=0)
    temperature: float = Field(default=0.1, gt=0, le=10)
    label_temperature: float = Field(default=0.1, gt=0, le=10)
    dim: int = Field(default=64, ge=1)
    hidden_dim: int = Field(default=128, ge=0)
    labelled_share: float | None = Field(default=None, ge=0, le=1)
    specific_dim: int = Field(default=0, ge=0)
    discrimination: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _tie_something(self) -> "TiesConfig":
        if not (self.view or self.sample or self.label or self.location):
            raise PydanticCustomError("ties", "one of view, sample, label and location must be above 0.")
        if self.discrimination and not self.specific_dim:
            raise PydanticCustomError("ties", "discrimination needs specific_dim above 0; set it, or discrimination=0.")
        return self


class PairedConfig(LoopConfig):
    """The configuration of a run on paired sensors: that of the loop, and the following.

    Attributes:
        paired: Where the samples are: a `.npz` of geotether, or a mapping; see `geotether.pairing.specification`.
        data: The folder that paths in `paired` are relative to; by default that of the configuration file.
        method: One of `METHODS`.
        modalities: Sensors that take part, in order; null takes all.
        modality: The one sensor of the methods `single` and `distilled`.
        target: The label to learn; the methods other than `ties` need one, ties by labels too.
        labels: Share of the training rows whose labels are used, more than 0; drawn by the seed.
        dim: Width of each encoder's output.
        encoders: Modality to its encoder, such as `{name: tempcnn}`; others get the usual one of their kind.
        views: Modality to its augmentations; others get the usual ones of their kind where the method needs views.
        augment: Whether the supervised methods see an augmented view of each row.
        balanced: Whether rare classes count as much as frequent ones (classes only).
        colearning: Terms of MDiCo.
        distillation: Terms of the method `distilled`.
        ties: Terms of the method `ties`.
        start_from: Model folder of the method `ties` whose encoders `single`, `fused` or `distilled` begin with.
        location: The location encoder of the location tie.
        validation_rows: Maximum number of validation rows.
    """

    paired: Path | dict[str, Any] | None = None
    data: Path | None = None
    method: str = "mdico"
    modalities: list[str] | None = None
    modality: str | None = None
    target: str | None = None
    labels: float = Field(default=1.0, gt=0, le=1)
    dim: int = Field(default=128, ge=2)
    encoders: dict[str, dict[str, Any]] = Field(default_factory=dict)
    views: dict[str, dict[str, Any]] = Field(default_factory=dict)
    augment: bool = False
    balanced: bool = True
    colearning: ColearningConfig = Field(default_factory=ColearningConfig)
    distillation: DistillationConfig = Field(default_factory=DistillationConfig)
    ties: TiesConfig = Field(default_factory=TiesConfig)
    location: EncoderConfig = Field(default_factory=EncoderConfig)
    start_from: Path | None = None
    validation_rows: int = Field(default=4096, ge=2)

    @field_validator("method")
    @classmethod
    def _know_method(cls, value: str) -> str:
        if value not in METHODS:
            raise unknown_name("method", value, METHODS)
        return value

    @model_validator(mode="after")
    def _agree(self) -> "PairedConfig":
        if self.method in ("single", "distilled") and self.modality is None:
            raise PydanticCustomError("modality", "{m}", {"m": f"the method {self.method} needs modality=NAME."})
        if self.method not in ("single", "distilled") and self.modality is not None:
            raise PydanticCustomError(
                "modality", "{m}", {"m": f"the method {self.method} takes all sensors; modality belongs to single."}
            )
        if self.start_from is not None and self.method not in ("single", "fused", "distilled"):
            raise PydanticCustomError(
                "start_from", "{m}", {"m": f"start_from is for single, fused and distilled, not for {self.method}."}
            )
        if self.method == "ties" and self.ties.specific_dim >= self.dim:
            raise PydanticCustomError("specific_dim", "{m}", {"m": f"ties.specific_dim must be below dim, {self.dim}."})
        if self.target is None and (self.method != "ties" or self.ties.label):
            raise PydanticCustomError(
                "target", "a method that learns from labels needs target=NAME; ties without labels: ties.label=0."
            )
        return self


def load_paired_config(
    path: str | Path | None = None, overrides: Sequence[str | Mapping[str, Any]] = (), recipe: str | None = None
) -> PairedConfig:
    """Compose a configuration: defaults < recipe < YAML file < overrides.

    Args:
        path: YAML file, or None for the recipe alone. Paths in it are relative to `data`, and `data` to its folder.
        overrides: Such as `["target=y_group", "colearning.contrast=0"]`, where values are YAML, or nested mappings.
        recipe: Name of the recipe; None takes the file's `recipe` key, and without one `mdico`.

    The key `recipes` contains settings of single recipes, such as `{fused: {steps: 400}}`. They take precedence over
    the rest of the file for that recipe; overrides take precedence over them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a key is unknown or a value out of range; every fault is named.

    Example:
        >>> load_paired_config(overrides=["target=species"]).method
        'mdico'
    """
    layer = _layer(path, overrides)
    name = recipe or layer.get("recipe") or "mdico"
    return make_paired_config({**over_recipe(name, layer), "recipe": name})


def over_recipe(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a recipe, settings, and the settings of this recipe under their key `recipes`.

    Raises:
        ValueError: If the recipe, or one that `recipes` names, is unknown.

    Example:
        >>> over_recipe("clip", {"epochs": 3, "recipes": {"clip": {"epochs": 9}, "fused": {"steps": 50}}})["epochs"]
        9
    """
    given = dict(given)
    own = given.pop("recipes", None) or {}
    if not isinstance(own, Mapping) or not all(isinstance(layer, Mapping) for layer in own.values()):
        raise ValueError(f"recipes must name recipes and their settings, such as {{fused: {{steps: 400}}}}, got {own}.")
    for known in own:
        recipe_layer(known, PAIRED_RECIPES)
    return overlay(overlay(recipe_layer(name, PAIRED_RECIPES), given), own.get(name, {}))


def own_layer(path: str | Path | None = None, overrides: Sequence[str | Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return the settings of a file and overrides without recipe and method, to be merged with other recipes."""
    return {key: value for key, value in _layer(path, overrides).items() if key not in ("recipe", "method")}


def _layer(path: str | Path | None, overrides: Sequence[str | Mapping[str, Any]]) -> dict[str, Any]:
    layer = {} if path is None else _with_folder(read_layer(Path(path)), Path(path).resolve().parent, own=True)
    parsed = [parse_override(one) if isinstance(one, str) else dict(one) for one in overrides]
    given = [_with_folder(one, Path.cwd()) for one in parsed]
    # Overrides for all recipes take precedence over the file's settings of one, and not over overrides for one.
    for over in sorted(given, key=lambda over: "recipes" in over):
        layer = overlay(layer, over)
        if "recipes" not in over and isinstance(layer.get("recipes"), Mapping):
            own = layer["recipes"].items()
            layer["recipes"] = {name: overlay(of, over) if isinstance(of, Mapping) else of for name, of in own}
    return layer


def make_paired_config(layer: Mapping[str, Any]) -> PairedConfig:
    """Validate a nested mapping as a configuration; raise as `validated` does."""
    return validated(PairedConfig, layer)


def _with_folder(layer: dict[str, Any], folder: Path, own: bool = False) -> dict[str, Any]:
    """Make the paths of one layer absolute, so that the saved configuration can be moved."""
    seen: dict[str, Any] = {}
    if layer.get("data"):
        seen["data"] = folder / Path(str(layer["data"])).expanduser()
    elif own:
        seen["data"] = folder
    if isinstance(layer.get("paired"), str):
        seen["paired"] = folder / Path(layer["paired"]).expanduser()
    if isinstance(layer.get("plugins"), list):
        seen["plugins"] = plugin_paths(layer["plugins"], folder)
    return {**layer, **seen}
