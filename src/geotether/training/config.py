"""The configuration of a run, of any method: one typed, validated tree, readable as YAML."""

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from geotether.batches.schedule import SCHEDULE_OPTIONS
from geotether.context.config import ContextConfig
from geotether.coverage.seen import CELL_KM
from geotether.files.formats import is_address
from geotether.pairing.specification import make_spec
from geotether.plugins import constructor_arguments, plugins_in_use, use_plugins
from geotether.settings import Section, error_lines, overlay, parse_override, read_layer, unknown_name
from geotether.training.recipes import LOCATION_TIES, recipe_layer

# Method to its description in the model card.
METHODS = {
    LOCATION_TIES: "location ties: each modality by itself, tied to the places of its rows (MELT, SALT, pairwise)",
    "mdico": "co-learning: trained with all sensors, predicts from any one (MDiCo)",
    "single": "one sensor alone, supervised",
    "shared": "co-learning with the shared encoders alone",
    "fused": "all sensors together, supervised; needs all of them to predict",
    "distilled": "one sensor alone, distilled from a model of all sensors",
    "ties": "contrast between views, sensors, labels and places (MoSAiC and its parts)",
}


def _late(module: str) -> Any:
    """Import a module of the package when it is needed: this one must not import torch."""
    return importlib.import_module(f"geotether.{module}")


def known(what: str, names: Callable[[], Any]) -> AfterValidator:
    """Make a validator that refuses a name that is not in a registry, with the names in it."""

    def check(value: str) -> str:
        if value not in names():
            raise unknown_name(what, value, getattr(names(), "names", lambda: names())())
        return value

    return AfterValidator(check)


class LoopConfig(Section):
    """Configuration shared by all methods: length, optimiser, validation and saving.

    Attributes:
        recipe: The recipe that this configuration is based on; recorded in the provenance.
        method: One of `METHODS`.
        data: The folder of the raw files; by default that of the configuration file, or the working directory.
        batch_size: Rows per step, over all modalities.
        steps: Optimiser updates; give this or `epochs`.
        epochs: Passes over the training rows; give this or `steps`.
        learning_rate: The peak, reached after the warm-up.
        warmup_steps: Steps of linear warm-up.
        final_share: Rate at the last step as a share of the peak; 1 keeps it constant.
        weight_decay: AdamW's decay, applied to matrices only.
        clip_norm: Maximum norm of the gradient; null does not clip.
        ema_decay: Return an exponential moving average of the weights with this decay; null returns the last weights.
        precision: `bf16` runs the networks in bfloat16. The loss stays in float32, but a GPU rounds the factors of its
            products to bfloat16. `tf32` lets a GPU round the factors of float32 products to 10 bits; a CPU computes as
            with `float32`.
        device: `auto` uses an NVIDIA GPU if there is one.
        seed: Seed of weights, batches, augmentations, jitter and dropout.
        validate_every: Steps between validations on the validation rows, or `epoch`; null never validates.
        keep: Return the `last` weights or those with the `best` validation loss.
        patience: Stop after this number of validations without a better one; null never stops early.
        min_delta: Only a validation loss lower by more than this counts as better for `patience`.
        save_every: Steps between states saved for resuming; null saves only when interrupted.
        read_every: Steps between readings of the metrics from the device, after which they are written and callbacks
            are called; null: 1 on a CPU, 20 on a GPU. Every step's metrics are kept.
        plugins: Python files (relative to the configuration file) or modules that register names used here.
    """

    later: ClassVar[frozenset[str]] = frozenset({"read_every"})
    recipe: str | None = None
    method: Annotated[str, known("method", lambda: METHODS)] = LOCATION_TIES
    data: Path | None = None
    batch_size: int = Field(default=2048, ge=2)
    steps: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    warmup_steps: int = Field(default=0, ge=0)
    final_share: float = Field(default=0.01, ge=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float | None = Field(default=None, gt=0)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    precision: Literal["float32", "tf32", "bf16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(default=0, ge=0, lt=2**31)
    validate_every: Annotated[int, Field(ge=1)] | Literal["epoch"] | None = 50
    keep: Literal["last", "best"] = "last"
    patience: int | None = Field(default=None, ge=1)
    min_delta: float = Field(default=0.0, ge=0)
    save_every: int | None = Field(default=100, ge=1)
    read_every: int | None = Field(default=None, ge=1)
    plugins: list[str] = Field(default_factory=list, exclude=True)  # recorded in the model folder, with hashes

    @model_validator(mode="before")
    @classmethod
    def _use_plugins(cls, data: Any) -> Any:
        """Make plug-ins known before names are looked up."""
        given = data.get("plugins") if isinstance(data, Mapping) else None
        if isinstance(given, list):
            try:
                use_plugins([str(plugin) for plugin in given])
            except FileNotFoundError as error:
                raise ValueError(str(error)) from error
        return data

    @model_validator(mode="after")
    def _agree_on_length_and_validation(self) -> "LoopConfig":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give the length of the run as either steps or epochs.")
        if self.validate_every is None and (self.keep == "best" or self.patience is not None):
            raise ValueError("keep: best and patience need validate_every.")
        return self


class EncoderConfig(Section):
    """The location encoder; see `geotether.encoders.build`.

    `network_degree`: the network gets harmonics up to this degree; null: all of them. `dim`: numbers per place that
    `encode` returns by default, of the readout `projected`; null: 256.
    """

    later: ClassVar[frozenset[str]] = frozenset({"network_degree", "dim"})
    positional: dict[str, Any] = Field(default_factory=lambda: {"name": "spherical_harmonics", "l_max": 9})
    network: dict[str, Any] = Field(default_factory=lambda: {"name": "siren"})
    embed_dim: int = Field(default=256, ge=1)
    network_degree: int | None = Field(default=None, ge=0)
    readout: Annotated[str, known("readout", lambda: _late("encoders.location").READOUTS)] = "output"
    dim: int | None = Field(default=None, ge=1)

    @field_validator("positional", "network")
    @classmethod
    def _know_name_and_options(cls, value: dict[str, Any], info: Any) -> dict[str, Any]:
        places = info.field_name == "positional"
        REGISTRY = _late("encoders.positional").POSITIONAL if places else _late("encoders.networks").NETWORKS
        if value.get("name") not in REGISTRY:
            raise unknown_name(f"{info.field_name} name", value.get("name"), REGISTRY.names())
        options = constructor_arguments(REGISTRY[value["name"]])
        for key, given in value.items():
            if key != "name" and (key not in options or key in ("in_dim", "out_dim")):
                known = sorted(set(options) - {"in_dim", "out_dim"})
                raise unknown_name("key", key, known, f" for {value['name']}")
            if key != "name" and isinstance(given, float) and not math.isfinite(given):
                raise ValueError(f"{key} must be a finite number, got {given}.")
        return value

    @field_validator("readout", mode="before")
    @classmethod
    def _explain_removed(cls, value: Any) -> Any:
        if str(value).startswith("mixed_"):
            raise ValueError("the mixed readouts were replaced by projected; set encoder.readout=projected.")
        return value

    @model_validator(mode="after")
    def _agree(self) -> "EncoderConfig":
        if self.dim is not None and self.readout != "projected":
            raise ValueError(f"dim is for the readout projected, not for {self.readout}; set encoder.dim=null.")
        if self.network_degree is not None and (name := self.positional["name"]) != "spherical_harmonics":
            raise ValueError(
                f"network_degree is for spherical_harmonics, not for {name}; set encoder.network_degree=null."
            )
        return self


class HeadsConfig(Section):
    """The projection head of every modality: linear, or with one hidden layer."""

    hidden_dim: int = Field(default=0, ge=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class ObjectiveConfig(Section):
    """The loss; see `geotether.objectives`.

    `reading` chooses the negatives of the tying loss, or `sigmoid`. `regression_weight` is the weight of predicting
    each modality's leading `regression_components` from the place; 0 leaves it out. `specific_dim` above 0 gives each
    modality a part that is not tied to the place, with the weights `discrimination_weight` of classifying the modality
    from it and `reconstruction_weight` of predicting the features from both parts.
    """

    reading: Annotated[str, known("reading", lambda: _late("objectives.negatives").OBJECTIVES)] = "within_modality"
    ignore_km: float | None = Field(default=None, ge=0)
    chunk_rows: int | None = Field(default=None, ge=1)
    init_temperature: float = Field(default=0.07, ge=0.01, le=10)
    regression_weight: float = Field(default=0.0, ge=0)
    regression_components: int = Field(default=64, ge=1)
    specific_dim: int = Field(default=0, ge=0)
    discrimination_weight: float = Field(default=1.0, ge=0)
    reconstruction_weight: float = Field(default=1.0, ge=0)


class ScheduleConfig(Section):
    """Which ties are active at which step; see `geotether.batches.schedule`."""

    name: Annotated[str, known("schedule", lambda: SCHEDULE_OPTIONS)] = "melt"
    shares: Literal["equal", "proportional"] | None = None
    switch: Literal["epoch", "step"] | None = None
    steps_per_epoch: Annotated[int, Field(ge=1)] | Literal["smallest"] | None = None
    modality: str | None = None

    @model_validator(mode="after")
    def _know_options(self) -> "ScheduleConfig":
        for key in self.options:
            if key not in SCHEDULE_OPTIONS[self.name]:
                raise unknown_name("key", key, SCHEDULE_OPTIONS[self.name], f" for the schedule {self.name}")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The options that were given, without the name."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class AdaptConfig(Section):
    """The adaptation of a trained encoder to a region; see `geotether.training.adaptation`.

    Attributes:
        model: The encoder to start from: a model folder, or its name such as world.
        region: The region, as `geotether.regions.region.region_of` takes it.
        heads_steps: Steps at the beginning in which only the new heads learn, so that their random weights do not
            distort the encoder; fewer than `steps`.
        keep_outside: Weight of keeping the old vectors outside the region.
        keep_inside: Weight of keeping them inside, where other data than the user's are not seen.
        keep_rows: Places per step at which vectors are compared, on each side.
        near_km: Half of the places outside lie within this distance of the region.
        block_km: Side of the blocks, whole ones of which are held out; null: about 100 blocks fill the region.
        held_out: Share of the blocks that are held out, for validation and for the report.
        split_seed: Seed of the assignment of blocks to parts.
    """

    model: str
    region: str
    heads_steps: int = Field(default=100, ge=0)
    keep_outside: float = Field(default=50.0, ge=0)
    keep_inside: float = Field(default=0.3, ge=0)
    keep_rows: int = Field(default=512, ge=2)
    near_km: float = Field(default=1000.0, gt=0)
    block_km: float | None = Field(default=None, gt=0)
    held_out: float = Field(default=0.3, gt=0, lt=1)
    split_seed: int = Field(default=0, ge=0)


def _address(value: str) -> str:
    if not is_address(value):
        raise ValueError(f"{value} is not an address")
    return value


class RunConfig(LoopConfig):
    """The configuration of a location encoder (the method `location_ties`): that of the loop, and the following.

    Attributes:
        tables: Modality to the path of its feature table, relative to the configuration file, or to its address, such
            as "s3://bucket/birds.parquet"; or to a mapping that specifies how to build it, with paths relative to
            `data`. See `geotether.featurizing.specification`.
        cache: Folder of tables and contexts that are built; by default in the user's cache folder.
        encoder: The location encoder.
        heads: The modalities' projection heads.
        context: Rasters and observations around a place, which the encoder reads beside its position.
        objective: The loss.
        schedule: Which modalities take part in which step, and with how many rows.
        gradient_parts: Number of parts in which a batch is embedded, and embedded again for its gradient: with more
            parts a larger batch fits into memory, and a step takes longer. The result is the same.
        jitter_m: Standard deviation of the places' jitter along each axis, in metres.
        validation_rows: Maximum number of validation rows of each modality.
        seen_cell_km: Side of the cells in which the model folder keeps where it was trained, for `Encoder.coverage`;
            null keeps nothing.
        adapt: Start from a trained encoder and adapt it to a region; null: train from the beginning.
    """

    later: ClassVar[frozenset[str]] = LoopConfig.later | {"adapt", "gradient_parts"}
    tables: dict[str, Path | Annotated[str, AfterValidator(_address)] | dict[str, Any]] = Field(default_factory=dict)
    cache: Path | None = None
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    heads: HeadsConfig = Field(default_factory=HeadsConfig)
    context: ContextConfig = Field(default_factory=ContextConfig)
    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    gradient_parts: int = Field(default=1, ge=1)
    jitter_m: float = Field(default=0.0, ge=0, le=1_000_000)
    validation_rows: int = Field(default=2048, ge=2)
    seen_cell_km: float | None = Field(default=CELL_KM, ge=1, le=1000)
    adapt: AdaptConfig | None = None

    @field_validator("tables")
    @classmethod
    def _know_specifications(cls, value: dict[str, Any]) -> dict[str, Any]:
        from geotether.featurizing.specification import TableSpec

        for name, given in value.items():
            if isinstance(given, dict):
                try:
                    TableSpec.of(given)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from error
        return value

    @model_validator(mode="before")
    @classmethod
    def _explain_removed(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "memory" in data:
            raise ValueError(
                "memory was replaced by context.observations: set context.observations.components and "
                "context.observations.reach_km."
            )
        return data

    @model_validator(mode="after")
    def _agree(self) -> "RunConfig":
        if self.context.observations.components and self.encoder.readout != "projected":
            raise ValueError(
                "context.observations is a part of the readout projected alone; set encoder.readout=projected or "
                "context.observations.components=0."
            )
        if self.adapt is not None and self.steps is not None and self.adapt.heads_steps >= self.steps:
            raise ValueError(
                f"adapt.heads_steps is {self.adapt.heads_steps}, so the encoder would not learn in {self.steps} steps; "
                "give fewer, or more steps."
            )
        return self


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
            raise ValueError("task or auxiliary must be above 0, or no label is used.")
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
            raise ValueError("one of view, sample, label and location must be above 0.")
        if self.discrimination and not self.specific_dim:
            raise ValueError("discrimination needs specific_dim above 0; set it, or discrimination=0.")
        return self


class PairedConfig(LoopConfig):
    """The configuration of a run on paired sensors: that of the loop, and the following.

    Attributes:
        paired: Where the samples are: a `.npz` of geotether, or a mapping; see `geotether.pairing.specification`.
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

    method: Annotated[str, known("method", lambda: METHODS)] = "mdico"
    paired: Path | dict[str, Any] | None = None
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

    @model_validator(mode="after")
    def _agree(self) -> "PairedConfig":
        if self.method in ("single", "distilled") and self.modality is None:
            raise ValueError(f"the method {self.method} needs modality=NAME.")
        if self.method not in ("single", "distilled") and self.modality is not None:
            raise ValueError(f"the method {self.method} takes all sensors; modality belongs to single.")
        if self.start_from is not None and self.method not in ("single", "fused", "distilled"):
            raise ValueError(f"start_from is for single, fused and distilled, not for {self.method}.")
        if self.method == "ties" and self.ties.specific_dim >= self.dim:
            raise ValueError(f"ties.specific_dim must be below dim, {self.dim}.")
        if self.target is None and (self.method != "ties" or self.ties.label):
            raise ValueError("a method that learns from labels needs target=NAME; ties without labels: ties.label=0.")
        return self


def make_config(layer: Mapping[str, Any]) -> Any:
    """Validate a nested mapping as the configuration of its method, a `RunConfig` or a `PairedConfig`.

    Raises:
        ValueError: One line per fault, with its dotted key, the value and what is known.
    """
    kind = RunConfig if layer.get("method", LOCATION_TIES) == LOCATION_TIES else PairedConfig
    try:
        return kind.model_validate(layer)
    except ValidationError as error:
        lines = ["The configuration cannot be used:", *error_lines(error, "run")]
        raise ValueError("\n".join(lines)) from None


def config_yaml(config: LoopConfig) -> str:
    """Return the effective configuration as YAML that reads back to the same values; settings of the loop come last."""
    values = config.model_dump(mode="json")
    first = ("recipe", "method", "data")
    own = {key: values.pop(key) for key in list(values) if key in first or key not in LoopConfig.model_fields}
    plugins = list(dict.fromkeys([*config.plugins, *plugins_in_use()]))
    return yaml.safe_dump(own | values | ({"plugins": plugins} if plugins else {}), sort_keys=False, allow_unicode=True)


def load_config(
    path: str | Path | None = None, overrides: Sequence[str | Mapping[str, Any]] = (), recipe: str | None = None
) -> Any:
    """Compose a configuration: defaults < recipe < YAML file < overrides.

    Args:
        path: YAML file, or None for the recipe alone. Paths in it are relative to its folder, those within the
            specification of a table or of paired samples to `data`.
        overrides: Such as `["learning_rate=1e-3", "encoder.positional.l_max=39"]`, where values are YAML, or nested
            mappings such as `[{"steps": 200}]`. Paths in them are relative to the working directory.
            `tables.NAME=null` removes a table, `context.rasters.NAME=null` a raster.
        recipe: Name of the recipe. None takes the file's `recipe` key, and without one `mdico` if the settings are
            those of paired sensors, otherwise `default`.

    The key `recipes` contains settings of single recipes, such as `{fused: {steps: 400}}`. They take precedence over
    the rest of the file for that recipe; overrides take precedence over them.

    Returns:
        A `RunConfig` for a location encoder, a `PairedConfig` for paired sensors.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a key is unknown or a value out of range; every fault is named.

    Example:
        >>> load_config(overrides=["steps=20", "schedule.name=salt"]).schedule.name
        'salt'
        >>> load_config(overrides=["target=species"]).method
        'mdico'
    """
    layer = _layer(path, overrides)
    paired = layer.keys() & (PairedConfig.model_fields.keys() - RunConfig.model_fields.keys())
    usual = "mdico" if paired or layer.get("method", LOCATION_TIES) != LOCATION_TIES else "default"
    name = recipe or layer.get("recipe") or usual
    try:
        config = make_config({**over_recipe(name, layer), "recipe": name})
        if isinstance(config, PairedConfig) and isinstance(config.paired, Mapping):
            make_spec(config.paired)
    except ValueError as error:
        raise ValueError(str(error) if path is None or str(path) in str(error) else f"{path}: {error}") from error
    return config


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
        recipe_layer(known)
    return overlay(overlay(recipe_layer(name), given), own.get(name, {}))


def own_layer(path: str | Path | None = None, overrides: Sequence[str | Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return the settings of a file and overrides without recipe and method, to be merged with other recipes."""
    return {key: value for key, value in _layer(path, overrides).items() if key not in ("recipe", "method")}


def _layer(path: str | Path | None, overrides: Sequence[str | Mapping[str, Any]]) -> dict[str, Any]:
    folder = Path.cwd() if path is None else Path(path).resolve().parent
    layer = {"data": folder} | ({} if path is None else _with_folder(read_layer(Path(path)), folder))
    parsed = [parse_override(one) if isinstance(one, str) else dict(one) for one in overrides]
    given = [_with_folder(one, Path.cwd()) for one in parsed]
    # Overrides for all recipes take precedence over the file's settings of one, and not over overrides for one.
    for over in sorted(given, key=lambda over: "recipes" in over):
        layer = overlay(layer, over)
        if "recipes" not in over and isinstance(layer.get("recipes"), Mapping):
            own = layer["recipes"].items()
            layer["recipes"] = {name: overlay(of, over) if isinstance(of, Mapping) else of for name, of in own}
    for holder, key in ((layer, "tables"), (layer.get("context"), "rasters")):
        if isinstance(holder, dict) and isinstance(holder.get(key, 0), dict | None):
            holder[key] = {name: given for name, given in (holder[key] or {}).items() if given is not None}
    return layer


def _with_folder(layer: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths of one layer absolute, so that the saved configuration can be moved."""

    def seen(value: Any) -> Any:
        if isinstance(value, str | Path) and is_address(value):
            return value
        return folder / Path(value).expanduser() if isinstance(value, str | Path) else value

    absolute: dict[str, Any] = {
        key: seen(layer[key]) for key in ("data", "cache", "paired", "start_from") if key in layer
    }
    if isinstance(layer.get("plugins"), list):
        absolute["plugins"] = [str(seen(one)) if str(one).endswith(".py") else one for one in layer["plugins"]]
    if isinstance(layer.get("tables"), dict):
        absolute["tables"] = {name: seen(one) for name, one in layer["tables"].items()}
    return {**layer, **absolute}
