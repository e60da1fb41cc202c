"""The trained model: one location encoder tied to a projection head per modality."""

import math
import re
from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.build import known_names
from geotether.encoders.heads import FeatureDecoder, ProjectionHead, SpecificParts
from geotether.encoders.location import LocationEncoder

MAX_LOGIT_SCALE = 100.0


class TiedModel(nn.Module):
    """A location encoder, projection heads by modality, and their learned temperatures.

    Args:
        location: The location encoder; shared by all modalities.
        heads: Modality to head; all project to the location encoder's `embed_dim`.
        init_temperature: Initial temperature tau of every modality, more than 0.
        init_bias: Initial bias of the sigmoid loss.
        decoders: Modality to decoder, for the same modalities as `heads`, or empty.
        specific: Modality-specific parts, for the same modalities, or None.

    Attributes:
        log_logit_scale: Modality to learned log(1 / tau).
        sigmoid_bias: Modality to learned bias of the sigmoid loss.

    Raises:
        ValueError: If there is no head, a name is not a valid parameter name, or sizes do not match.

    Source:
        Radford et al. (2021), ICML, arXiv:2103.00020, section 2.5 (temperature 0.07, scale capped at 100);
        Zhai et al. (2023), ICCV, arXiv:2303.15343, section 3.2 (bias -10).

    Example:
        >>> from geotether.encoders.networks import Linear
        >>> from geotether.encoders.positional import Cartesian
        >>> model = TiedModel(LocationEncoder(Cartesian(), Linear(3, 8)), {"text": ProjectionHead(64, 8)})
        >>> round(model.logit_scale("text").item(), 1)
        14.3
    """

    def __init__(
        self,
        location: LocationEncoder,
        heads: Mapping[str, ProjectionHead],
        init_temperature: float | int = 0.07,
        init_bias: float | int = -10.0,
        decoders: Mapping[str, FeatureDecoder] | None = None,
        specific: SpecificParts | None = None,
    ) -> None:
        super().__init__()
        if not heads:
            raise ValueError("A tied model needs at least one modality; pass heads={name: ProjectionHead(...)}.")
        if not init_temperature > 0:
            raise ValueError(f"init_temperature must be more than 0, got {init_temperature}.")
        for modality, head in heads.items():
            # The name becomes part of the parameters' names, where a dot separates levels.
            if not re.fullmatch(r"[A-Za-z0-9_-]+", modality) or hasattr(nn.ModuleDict(), modality):
                raise ValueError(f"Modality {modality!r} is not a valid name; use letters, digits, '_' and '-'.")
            if head.embed_dim != location.embed_dim:
                raise ValueError(
                    f"The head of {modality!r} projects to {head.embed_dim} and the location encoder to "
                    f"{location.embed_dim}; build it with embed_dim={location.embed_dim}."
                )
        if decoders and set(decoders) != set(heads):
            raise ValueError(f"There are heads for {', '.join(heads)} but decoders for {', '.join(decoders)}.")
        start = math.log(1 / init_temperature)
        self.location = location
        self.heads = nn.ModuleDict(dict(heads))
        self.decoders = nn.ModuleDict(dict(decoders or {}))
        self.specific = specific
        self.log_logit_scale = nn.ParameterDict({m: nn.Parameter(torch.tensor(start)) for m in heads})
        self.sigmoid_bias = nn.ParameterDict({m: nn.Parameter(torch.tensor(float(init_bias))) for m in heads})

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the order in which they were given."""
        return tuple(self.heads)

    def logit_scale(self, modality: str) -> Float[Tensor, ""]:
        """Return a modality's inverse temperature, at most 100; ValueError if it is unknown."""
        self.check_modality(modality)
        return self.logit_scales([modality])[0]

    def logit_scales(self, modalities: Iterable[str]) -> Float[Tensor, " k"]:
        """Return the inverse temperatures of several modalities, shape (k,), as `logit_scale` does."""
        return torch.stack([self.log_logit_scale[name] for name in modalities]).exp().clamp(max=MAX_LOGIT_SCALE)

    def encode_modality(self, name: str, features: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        """Project a modality's features (n, k), as they are in the table, into the shared space (n, embed_dim).

        The result is not normalised. ValueError if the modality is unknown.
        """
        self.check_modality(name)
        return self.heads[name](features)

    def check_modality(self, modality: str) -> None:
        """Raise ValueError, with the known names, if the model has no such modality."""
        if modality not in self.heads:
            raise ValueError(f"Unknown modality {modality!r}; {known_names(modality, self.modalities)}")
