"""SatCLIP's location encoder from its published checkpoints."""

import math
import re
from typing import Any

import torch

from geotether.encoders.build import build_location_encoder
from geotether.encoders.location import LocationEncoder
from geotether.encoders.positional.satclip_harmonics import CALCULATIONS
from geotether.peers.weights_file import WeightsFile

NAME = "SatCLIP"
KEYS = "nnet.layers.0.weight ... nnet.last_layer.bias, after any prefix such as model.location."
# The numbers of degrees of the released encoders.
RELEASED = (10, 40)
# Frequencies of the sine layers; they are in the published code, not in its checkpoints.
_FREQUENCIES = {"omega_0": 30.0, "omega_0_hidden": 1.0}


def has_layout(weights: WeightsFile) -> bool:
    """Return whether the names of the arrays are SatCLIP's."""
    return _prefix(weights) is not None


def read_satclip(weights: WeightsFile) -> tuple[LocationEncoder, dict[str, Any]]:
    """Build SatCLIP's location encoder: its harmonics, sine layers, and a linear map; and return what is known of it.

    The weights keep their float64, as in SatCLIP's own code, because its first layer multiplies rounding by 30;
    embeddings come out in float32. Hyper-parameters are compared with the arrays where they are there. Without them
    only the sizes of the released encoders are read, L=10 and L=40, and the functions are taken as "analytic".

    Raises:
        ValueError: If arrays are missing, have other shapes, or belong to another variant than harmonics and sines.

    Source:
        Klemmer et al. (2025), AAAI, arXiv:2311.17179, and its published code (location_encoder.py).
    """
    prefix = _prefix(weights)
    if prefix is None:
        raise ValueError(f"{weights.path} does not have SatCLIP's layout: {KEYS}.")
    calculation = _calculation(weights)
    layers = [f"{prefix}layers.{number}." for number in range(_depth(weights, prefix))]
    first = weights.array(f"{layers[0]}weight", None, None)
    hidden_dim, in_dim = first.shape
    legendre_polys = math.isqrt(in_dim)
    if legendre_polys**2 != in_dim:
        raise ValueError(
            f"{weights.path} takes {in_dim} features, which is not a square, so they are not spherical harmonics."
        )
    if "le_type" not in weights.settings and legendre_polys not in RELEASED:
        raise ValueError(
            f"{weights.path} takes {in_dim} features but does not say which: the released encoders take 100 or 1600. "
            "Keep hyper_parameters beside the arrays, as in docs/peers.md."
        )
    state = {}
    for number, layer in enumerate(layers):
        wide = in_dim if number == 0 else hidden_dim
        state[f"network.layers.{number}.weight"] = weights.array(f"{layer}weight", hidden_dim, wide)
        state[f"network.layers.{number}.bias"] = weights.array(f"{layer}bias", hidden_dim)
    state["network.output.weight"] = weights.array(f"{prefix}last_layer.weight", None, hidden_dim)
    embed_dim = len(state["network.output.weight"])
    state["network.output.bias"] = weights.array(f"{prefix}last_layer.bias", embed_dim)
    facts: dict[str, Any] = {
        "legendre_polys": legendre_polys,
        "capacity": hidden_dim,
        "num_hidden_layers": len(layers),
        "embed_dim": embed_dim,
    }
    for key, value in facts.items():
        if weights.settings.get(key, value) != value:
            raise ValueError(
                f"{weights.path}: its hyper-parameters say {key}={weights.settings[key]!r}, its arrays {value}; "
                "they do not belong together."
            )
    harmonics = {"legendre_polys": legendre_polys, "harmonics_calculation": calculation}
    location = build_location_encoder(
        {
            "positional": {"name": "satclip_harmonics", **harmonics},
            "network": {"name": "siren", "hidden_dim": hidden_dim, "num_layers": len(layers), **_FREQUENCIES},
            "embed_dim": embed_dim,
        },
        seed=0,
    ).to(torch.float64)
    location.load_state_dict(state)
    facts |= {"harmonics_calculation": calculation}
    return location, facts if "le_type" in weights.settings else facts | {"assumed": "harmonics as released"}


def _prefix(weights: WeightsFile) -> str | None:
    """Return the prefix of `layers.0.weight`; if a checkpoint contains the network twice, the location encoder's."""
    matches = (re.fullmatch(r"((?:.*\.)?nnet\.)last_layer\.weight", name) for name in weights.tensors)
    found = [match[1] for match in matches if match and f"{match[1]}layers.0.weight" in weights.tensors]
    return max(found, key=lambda prefix: ("location." in prefix, len(prefix)), default=None)


def _depth(weights: WeightsFile, prefix: str) -> int:
    """Return the number of hidden layers; raise if an array does not belong to SatCLIP's network."""
    inside = [name.removeprefix(prefix) for name in weights.tensors if name.startswith(prefix)]
    numbers = {int(match[1]) for name in inside if (match := re.fullmatch(r"layers\.(\d+)\.(?:weight|bias)", name))}
    further = [name for name in inside if not re.fullmatch(r"(layers\.\d+|last_layer)\.(weight|bias)", name)]
    if further or numbers != set(range(len(numbers))):
        odd = further[0] if further else f"layers.{max(numbers)}.weight"
        raise ValueError(f"{weights.path}: {prefix}{odd} does not belong to SatCLIP's sine network; known: {KEYS}.")
    return len(numbers)


def _calculation(weights: WeightsFile) -> str:
    """Return the formulas of the harmonics; raise if the settings are not those of harmonics and sines."""
    settings = weights.settings
    # SatCLIP calls the positional encoding le_type and the network pe_type.
    for key, wanted in (("le_type", "sphericalharmonics"), ("pe_type", "siren")):
        if settings.get(key, wanted) != wanted:
            raise ValueError(
                f"{weights.path} is a SatCLIP checkpoint with {key}={settings[key]!r}; only {wanted!r} can be read, "
                "which all released encoders have."
            )
    calculation = settings.get("harmonics_calculation", CALCULATIONS[0])
    if calculation not in CALCULATIONS:
        raise ValueError(
            f"{weights.path} is a SatCLIP checkpoint with harmonics_calculation={calculation!r}; only "
            f"{' and '.join(CALCULATIONS)} can be read."
        )
    return str(calculation)
