"""The configuration of a run: one typed, validated tree, readable as YAML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from geotether.batches.schedule import SCHEDULE_OPTIONS
from geotether.plugins import constructor_arguments, use_plugins
from geotether.settings import Section, error_lines, parse_override, read_layer, unknown_name
from geotether.training.recipes import recipe_layer

Configuration = TypeVar("Configuration", bound="LoopConfig")


class LoopConfig(Section):
    """Configuration shared by all training methods: length, optimiser, validation and saving.

    Attributes:
        recipe: The recipe that this configuration is based on; recorded in the provenance.
        batch_size: Rows per step, over all modalities.
        steps: Optimiser updates; give this or `epochs`.
        epochs: Passes over the training rows; give this or `steps`.
        learning_rate: The peak, reached after the warm-up.
        warmup_steps: Steps of linear warm-up.
        final_share: Rate at the last step as a share of the peak; 1 keeps it constant.
        weight_decay: AdamW's decay, applied to matrices only.
        clip_norm: Maximum norm of the gradient; null does not clip.
        ema_decay: Return an exponential moving average of the weights with this decay; null returns the last weights.
        precision: `bf16` runs the networks in bfloat16; the loss stays in float32.
        device: `auto` uses an NVIDIA GPU if there is one.
        seed: Seed of weights, batches, augmentations, jitter and dropout.
        validate_every: Steps between validations on the validation rows, or `epoch`; null never validates.
        keep: Return the `last` weights or those with the `best` validation loss.
        patience: Stop after this number of validations without a better one; null never stops early.
        min_delta: Only a validation loss lower by more than this counts as better for `patience`.
        save_every: Steps between states saved for resuming; null saves only when interrupted.
        plugins: Python files (relative to the configuration file) or modules that register names used here.
    """

    recipe: str | None = None
    batch_size: int = Field(default=2048, ge=2)
    steps: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    warmup_steps: int = Field(default=0, ge=0)
    final_share: float = Field(default=0.01, ge=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float | None = Field(default=None, gt=0)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    precision: Literal["float32", "bf16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(default=0, ge=0, lt=2**31)
    validate_every: Annotated[int, Field(ge=1)] | Literal["epoch"] | None = 50
    keep: Literal["last", "best"] = "last"
    patience: int | None = Field(default=None, ge=1)
    min_delta: float = Field(default=0.0, ge=0)
    save_every: int | None = Field(default=100, ge=1)
    plugins: list[str] = Field(default_factory=list, exclude=True)  # recorded in the model folder, with hashes

    @model_validator(mode="before")
    @classmethod
    def _use_plugins(cls, data: Any) -> Any:
        """Make plug-ins known before names are looked up."""
        given = data.get("plugins") if isinstance(data, Mapping) else None
        if isinstance(given, list):
            try:
                use_plugins(given)
            except FileNotFoundError as error:
                raise PydanticCustomError("plugin", "{text}", {"text": str(error)}) from error
        return data

    @model_validator(mode="after")
    def _agree_on_length_and_validation(self) -> "LoopConfig":
        if (self.steps is None) == (self.epochs is None):
            raise PydanticCustomError("length", "give the length of the run as either steps or epochs.")
        if self.validate_every is None and (self.keep == "best" or self.patience is not None):
            raise PydanticCustomError("validation", "keep: best and patience need validate_every.")
        return self


def validated(kind: type[Configuration], layer: Mapping[str, Any]) -> Configuration:
    """Validate a nested mapping as a configuration.

    Raises:
        ValueError: One line per fault, with its dotted key, the value and what is known.
    """
    try:
        return kind.model_validate(layer)
    except ValidationError as error:
        lines = ["The configuration cannot be used:", *error_lines(error, "run")]
        raise ValueError("\n".join(lines)) from None


def config_yaml(config: LoopConfig) -> str:
    """Return the effective configuration as YAML that reads back to the same values; settings of the loop come last."""
    values = config.model_dump(mode="json")
    own = {key: values.pop(key) for key in list(values) if key == "recipe" or key not in LoopConfig.model_fields}
    return yaml.safe_dump(own | values, sort_keys=False, allow_unicode=True)


class EncoderConfig(Section):
    """The location encoder; see `geotether.encoders.build`."""

    positional: dict[str, Any] = Field(default_factory=lambda: {"name": "spherical_harmonics", "l_max": 9})
    network: dict[str, Any] = Field(default_factory=lambda: {"name": "siren"})
    embed_dim: int = Field(default=256, ge=1)
    readout: str = "output"

    @field_validator("readout")
    @classmethod
    def _know_readout(cls, value: str) -> str:
        from geotether.encoders.location import READOUTS

        if value not in READOUTS:
            raise unknown_name("readout", value, READOUTS)
        return value

    @field_validator("positional", "network")
    @classmethod
    def _know_name_and_options(cls, value: dict[str, Any], info: Any) -> dict[str, Any]:
        # Imported late, so that this module does not import torch.
        if info.field_name == "positional":
            from geotether.encoders.positional import POSITIONAL as REGISTRY
        else:
            from geotether.encoders.networks import NETWORKS as REGISTRY
        if value.get("name") not in REGISTRY:
            raise unknown_name(f"{info.field_name} name", value.get("name"), REGISTRY.names())
        options = set(constructor_arguments(REGISTRY[value["name"]])) - {"in_dim", "out_dim"}
        for key in value:
            if key != "name" and key not in options:
                raise unknown_name("key", key, sorted(options), f" for {value['name']}")
        return value


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

    reading: str = "within_modality"
    ignore_km: float | None = Field(default=None, ge=0)
    chunk_rows: int | None = Field(default=None, ge=1)
    init_temperature: float = Field(default=0.07, ge=0.01, le=10)
    regression_weight: float = Field(default=0.0, ge=0)
    regression_components: int = Field(default=64, ge=1)
    specific_dim: int = Field(default=0, ge=0)
    discrimination_weight: float = Field(default=1.0, ge=0)
    reconstruction_weight: float = Field(default=1.0, ge=0)

    @field_validator("reading")
    @classmethod
    def _know_reading(cls, value: str) -> str:
        from geotether.objectives.negatives import OBJECTIVES

        if value not in OBJECTIVES:
            raise unknown_name("reading", value, OBJECTIVES.names())
        return value


class MemoryConfig(Section):
    """The memory of training rows near a place; see `geotether.encoders.memory`.

    `components` of each modality are kept (0: no memory) and averaged over the `neighbors` nearest places.
    """

    components: int = Field(default=0, ge=0)
    neighbors: int = Field(default=16, ge=1)
    reach_km: float = Field(default=20.0, gt=0)


class ScheduleConfig(Section):
    """Which ties are active at which step; see `geotether.batches.schedule`."""

    name: str = "melt"
    shares: Literal["equal", "proportional"] | None = None
    switch: Literal["epoch", "step"] | None = None
    steps_per_epoch: Annotated[int, Field(ge=1)] | Literal["smallest"] | None = None
    modality: str | None = None

    @model_validator(mode="after")
    def _know_name_and_options(self) -> "ScheduleConfig":
        if self.name not in SCHEDULE_OPTIONS:
            raise unknown_name("schedule", self.name, SCHEDULE_OPTIONS)
        for key in self.options:
            if key not in SCHEDULE_OPTIONS[self.name]:
                raise unknown_name("key", key, SCHEDULE_OPTIONS[self.name], f" for the schedule {self.name}")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The options that were given, without the name."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class RunConfig(LoopConfig):
    """The configuration of a location encoder: that of the loop, and the following.

    Attributes:
        tables: Modality to the path of its feature table, relative to the configuration file; or to a mapping that
            specifies how to build it, with paths relative to `data`. See `geotether.featurizing.specification`.
        data: The folder of the raw files; by default that of the configuration file.
        cache: Folder of the tables that are built; by default `geotether/tables` in the user's cache folder.
        encoder: The location encoder.
        heads: The modalities' projection heads.
        memory: Memory of training rows; used by mixed readouts only.
        objective: The loss.
        schedule: Which modalities take part in which step, and with how many rows.
        jitter_m: Standard deviation of the places' jitter along each axis, in metres.
        validation_rows: Maximum number of validation rows of each modality.
    """

    tables: dict[str, Path | dict[str, Any]] = Field(default_factory=dict)
    data: Path | None = None
    cache: Path | None = None
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    heads: HeadsConfig = Field(default_factory=HeadsConfig)
    memory: MemoryConfig = Field(default_factory=MemoryConfig)
    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    jitter_m: float = Field(default=0.0, ge=0, le=1_000_000)
    validation_rows: int = Field(default=2048, ge=2)

    @field_validator("tables")
    @classmethod
    def _know_specifications(cls, value: dict[str, Path | dict[str, Any]]) -> dict[str, Path | dict[str, Any]]:
        from geotether.featurizing.specification import TableSpec

        for name, given in value.items():
            if isinstance(given, dict):
                try:
                    TableSpec.of(given)
                except ValueError as error:
                    raise PydanticCustomError("table", "{text}", {"text": f"{name}: {error}"}) from error
        return value

    @model_validator(mode="after")
    def _agree(self) -> "RunConfig":
        if self.memory.components and not self.encoder.readout.startswith("mixed_"):
            raise PydanticCustomError(
                "memory",
                "a memory needs an encoder.readout that starts with mixed_; or set memory.components=0.",
            )
        return self


def make_config(layer: Mapping[str, Any]) -> RunConfig:
    """Validate a nested mapping as a run's configuration; raise as `validated` does."""
    return validated(RunConfig, layer)


def load_config(
    path: str | Path | None = None, overrides: Sequence[str | Mapping[str, Any]] = (), recipe: str | None = None
) -> RunConfig:
    """Compose a configuration: defaults < recipe < YAML file < overrides.

    Args:
        path: YAML file, or None for the recipe alone. Paths in it are relative to the file's folder.
        overrides: Such as `["learning_rate=1e-3", "encoder.positional.l_max=39"]`, where values are YAML, or nested
            mappings such as `[{"steps": 200}]`. Paths in them are relative to the working directory.
            `tables.NAME=null` removes a table.
        recipe: Name of the recipe; None takes the file's `recipe` key, and without one `default`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a key is unknown or a value out of range; every fault is named.

    Example:
        >>> load_config(overrides=["steps=20", "schedule.name=salt"]).schedule.name
        'salt'
    """
    layer = {} if path is None else _with_folder(read_layer(Path(path)), Path(path).resolve().parent)
    for override in overrides:
        given = parse_override(override) if isinstance(override, str) else dict(override)
        layer = overlay(layer, _with_folder(given, Path.cwd(), tables=not isinstance(override, str)))
    if isinstance(layer.get("tables"), dict):
        layer["tables"] = {name: given for name, given in layer["tables"].items() if given is not None}
    name = recipe or layer.get("recipe") or "default"
    return make_config({**overlay(recipe_layer(name), layer), "recipe": name})


def _with_folder(layer: dict[str, Any], folder: Path, tables: bool = True) -> dict[str, Any]:
    """Make the paths of one layer absolute, so that the saved configuration can be moved."""
    seen: dict[str, Any] = {
        key: folder / Path(str(layer[key])).expanduser() for key in ("data", "cache") if layer.get(key)
    }
    if isinstance(layer.get("plugins"), list):
        seen["plugins"] = plugin_paths(layer["plugins"], folder)
    if tables and isinstance(layer.get("tables"), dict):
        given = layer["tables"].items()
        seen["tables"] = {name: one if isinstance(one, dict) else folder / str(one) for name, one in given}
        if any(isinstance(one, dict) for one in layer["tables"].values()):
            seen.setdefault("data", folder)
    return {**layer, **seen}


def overlay(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two layers of a configuration; neither is changed.

    Mappings merge key by key, with two exceptions: a mapping whose `name` changes is replaced as a whole (options of
    `spherical_harmonics` do not apply to `grid`), and `steps` and `epochs` of the upper layer replace each other.

    Example:
        >>> overlay({"a": {"b": 1, "c": 2}, "epochs": 5}, {"a": {"b": 3}, "steps": 9})
        {'a': {'b': 3, 'c': 2}, 'steps': 9}
        >>> overlay({"network": {"name": "siren", "omega_0": 30}}, {"network": {"name": "mlp"}})
        {'network': {'name': 'mlp'}}
    """
    merged = dict(under)
    for this, other in (("steps", "epochs"), ("epochs", "steps")):
        if over.get(this) is not None and over.get(other) is None:
            merged.pop(other, None)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            renamed = "name" in value and value["name"] != below.get("name")
            merged[key] = dict(value) if renamed else overlay(below, value)
        else:
            merged[key] = dict(value) if isinstance(value, Mapping) else value
    return merged


def flatten(layer: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a nested mapping by dotted key.

    Example:
        >>> flatten({"encoder": {"embed_dim": 256}, "seed": 0})
        {'encoder.embed_dim': 256, 'seed': 0}
    """
    leaves: dict[str, Any] = {}
    for key, value in layer.items():
        if isinstance(value, Mapping) and value:
            leaves.update(flatten(value, f"{prefix}{key}."))
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def plugin_paths(plugins: Sequence[str], folder: Path) -> list[str]:
    """Return plug-ins with the paths of files absolute; modules stay as they are."""
    return [str(folder / Path(one).expanduser()) if str(one).endswith(".py") else one for one in plugins]
