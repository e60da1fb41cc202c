"""A network of timm as a trainable encoder of chips."""

from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn


class TimmBackbone(nn.Module):
    """A network of timm for any number of bands, followed by a linear map.

    Args:
        shape: Bands, height and width of a chip.
        out_dim: Size of the output.
        model: Name of a timm model, such as "resnet18".
        weights: File of weights to start from (.safetensors, or .pth of tensors only), of that timm model with its
            own bands; timm adapts its first layer. None: random weights. Read once, when the network is built, and then
            None, so that a saved network can be built again without the file.

    Attributes:
        any_size: Whether chips of other sizes are accepted; transformers have a fixed size.

    Raises:
        ImportError: If timm is missing; the install command is in the message.
        ValueError: If the model is unknown, or cannot be built for such chips.
        FileNotFoundError: If there is no such file.
    """

    kinds: ClassVar[tuple[str, ...]] = ("chip",)

    def __init__(
        self, shape: tuple[int, ...], out_dim: int, model: str = "resnet18", weights: str | None = None
    ) -> None:
        super().__init__()
        timm = _import_timm()
        if not timm.is_model(model.partition(".")[0]):
            close = timm.list_models(f"*{model.partition('.')[0]}*")[:5]
            hint = f" Did you mean {', '.join(close)}?" if close else " timm.list_models() lists them."
            raise ValueError(f"timm has no model {model!r}.{hint}")
        self.shape = shape
        self.out_dim = out_dim
        self.model = model
        self.weights = None
        settings = timm.models.get_pretrained_cfg(model)
        self.any_size = not (settings is not None and settings.fixed_input_size)
        options: dict[str, Any] = {"in_chans": shape[0], "num_classes": 0}
        if not self.any_size:
            options["img_size"] = shape[1:]
        try:
            self.backbone = timm.create_model(model, **options)
            if weights is not None:
                found = _read(timm, Path(weights), self.backbone)
                overlay = {"state_dict": found}
                self.backbone = timm.create_model(model, pretrained=True, pretrained_cfg_overlay=overlay, **options)
        except (AssertionError, RuntimeError) as error:
            raise ValueError(f"timm cannot make {model!r} for chips of shape {shape}: {error}") from error
        self.output = nn.Linear(self.backbone.head_hidden_size, out_dim)

    def forward(self, x: Float[Tensor, "n bands height width"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.output(self.backbone(x))


def _read(timm: Any, path: Path, model: nn.Module) -> dict[str, Tensor]:
    """Read the weights of a file and check that none is missing, because timm ignores missing ones silently."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of weights {path}.")
    try:
        found: dict[str, Tensor] = timm.models.load_state_dict(str(path))
    except Exception as error:  # a damaged pickle or archive can raise anything
        raise ValueError(f"{path} is damaged or contains more than tensors: {error}") from error
    missing = sorted(set(model.state_dict()) - set(found))
    if missing:
        raise ValueError(
            f"{path} has no {', '.join(missing[:3])} ({len(missing)} weights are missing). Is it another model's?"
        )
    return found


def _import_timm() -> Any:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ImportError(f"This network is timm's: pip install 'geotether[vision]'. ({error})") from None
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        raise ImportError(
            f"torchvision does not match this torch ({error}). Where torch is built for CPUs, torchvision must be as "
            "well: pip install torchvision --index-url https://download.pytorch.org/whl/cpu"
        ) from error
    return timm
