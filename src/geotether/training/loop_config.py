"""What the loop itself is told, whatever is trained: typed, validated sections, and the faults found in them."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from geotether.suggestions import closest

Configuration = TypeVar("Configuration", bound="LoopConfig")


def unknown_name(kind: str, got: Any, known: Iterable[str], where: str = "") -> PydanticCustomError:
    """Compose the answer to an unknown name: the closest known one, then all of them."""
    known = [str(name) for name in known]
    guess = closest(got, known)
    text = f"unknown {kind} '{got}'{where}.{guess} Known: {', '.join(known)}."
    return PydanticCustomError("unknown_name", "{text}", {"text": text, "key": str(got) if kind == "key" else ""})


class Section(BaseModel):
    """A part of the configuration that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _know_every_key(cls, data: Any) -> Any:
        for key in data if isinstance(data, Mapping) else ():
            if key not in cls.model_fields:
                raise unknown_name("key", key, cls.model_fields)
        return data


class LoopConfig(Section):
    """What every run needs: its length, its optimiser, what is watched and what is saved.

    Attributes:
        recipe: The recipe this configuration started from; a label, kept in the provenance.
        batch_size: Rows a step, over all modalities.
        steps: Optimiser updates; give this or `epochs`.
        epochs: Passes over the training rows; give this or `steps`.
        learning_rate: The peak, reached after the warm-up.
        warmup_steps: Steps of linear warm-up.
        final_share: Rate at the last step as a share of the peak; 1 keeps it constant.
        weight_decay: AdamW's decay, applied to matrices only.
        clip_norm: Gradients longer than this are shortened to it; null leaves them.
        ema_decay: Hand out an exponential moving average of the weights with this decay; null hands out the last.
        precision: `bf16` runs the networks in bfloat16 where the hardware gains from it; the loss stays in float32.
        device: `auto` takes an NVIDIA GPU if there is one.
        seed: Decides weights, batches, augmentations, jitter and dropout.
        validate_every: Steps between validations on the validation rows, or `epoch`; null never validates.
        keep: Hand out the `last` weights or those with the `best` validation loss.
        patience: Stop after so many validations without a better one; null never stops early.
        min_delta: Only a validation loss lower by more than this counts as better for `patience`.
        save_every: Steps between states saved for resuming; null saves only when interrupted.
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

    @model_validator(mode="after")
    def _agree_on_length_and_validation(self) -> "LoopConfig":
        if (self.steps is None) == (self.epochs is None):
            raise PydanticCustomError("length", "give the length of the run as steps or as epochs, one of the two.")
        if self.validate_every is None and (self.keep == "best" or self.patience is not None):
            raise PydanticCustomError("validation", "keep: best and patience need validate_every.")
        return self


def validated(kind: type[Configuration], layer: Mapping[str, Any]) -> Configuration:
    """Validate a nested mapping as a configuration.

    Raises:
        ValueError: One line for each fault, with its dotted key, what came and what is known.
    """
    try:
        return kind.model_validate(layer)
    except ValidationError as error:
        raise ValueError("\n".join(["The configuration cannot be used:", *map(_fault, error.errors())])) from None


def _fault(fault: Mapping[str, Any]) -> str:
    key = fault.get("ctx", {}).get("key", "")
    path = ".".join(str(part) for part in (*fault["loc"], key) if part != "")
    got = "" if isinstance(fault["input"], Mapping | BaseModel) else f" (got {fault['input']!r})"
    return f"  {path or 'run'}: {fault['msg']}" + ("" if fault["type"] == "unknown_name" else got)


def config_yaml(config: LoopConfig) -> str:
    """Write the effective configuration as YAML that reads back to the same values; what is trained before how."""
    values = config.model_dump(mode="json")
    own = {key: values.pop(key) for key in list(values) if key == "recipe" or key not in LoopConfig.model_fields}
    return yaml.safe_dump(own | values, sort_keys=False, allow_unicode=True)
