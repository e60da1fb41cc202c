"""GeoCLIP's location encoder from its published weights."""

import re
from typing import Any

import torch

from geotether.encoders.build import build_location_encoder
from geotether.encoders.location import LocationEncoder
from geotether.peers.weights_file import WeightsFile

NAME = "GeoCLIP"
KEYS = "LocEnc0.capsule.0.b, LocEnc0.capsule.1.weight ... LocEnc2.head.0.bias, after any prefix"


def has_layout(weights: WeightsFile) -> bool:
    """Return whether the names of the arrays are GeoCLIP's."""
    return _prefix(weights) is not None


def read_geoclip(weights: WeightsFile) -> tuple[LocationEncoder, dict[str, Any]]:
    """Build GeoCLIP's location encoder: Fourier features of the Equal Earth map, one capsule per bandwidth, summed.

    GeoCLIP itself takes (latitude, longitude); the encoder built here takes (longitude, latitude) as all others do.
    Angles are worked out in float64 and the network in the file's float32; GeoCLIP's own angles are float32 too, so
    its finest bandwidth (thousands of radians) differs from this one in the third digit.

    Raises:
        ValueError: If arrays are missing or have other shapes.

    Source:
        Vivanco Cepeda, Nayak & Shah (2023), NeurIPS, arXiv:2309.16020, and its published code (location_encoder.py).
    """
    prefix = _prefix(weights)
    if prefix is None:
        raise ValueError(f"{weights.path} has not GeoCLIP's layout: {KEYS}.")
    capsules, num_layers = _sizes(weights, prefix)
    frequencies = [weights.array(f"{prefix}LocEnc{c}.capsule.0.b", None, 2) for c in range(capsules)]
    num_features = len(frequencies[0])
    capsule_dim = len(weights.array(f"{prefix}LocEnc0.capsule.1.weight", None, 2 * num_features))
    embed_dim = len(weights.array(f"{prefix}LocEnc0.head.0.weight", None, capsule_dim))
    state = {}
    for c in range(capsules):
        here = f"{prefix}LocEnc{c}."
        weights.array(f"{here}capsule.0.b", num_features, 2)
        for number in range(num_layers):
            # Numbers 0, 2, 4, ... of the published sequence are the features and the rectifiers between the layers.
            source = f"{here}capsule.{2 * number + 1}."
            wide = 2 * num_features if number == 0 else capsule_dim
            state[f"network.layers.{c}.{number}.weight"] = weights.array(f"{source}weight", capsule_dim, wide)
            state[f"network.layers.{c}.{number}.bias"] = weights.array(f"{source}bias", capsule_dim)
        state[f"network.outputs.{c}.weight"] = weights.array(f"{here}head.0.weight", embed_dim, capsule_dim)
        state[f"network.outputs.{c}.bias"] = weights.array(f"{here}head.0.bias", embed_dim)
    state = {name: tensor.float() for name, tensor in state.items()}
    state["positional.frequencies"] = torch.stack(frequencies).double()
    # Measured, because the file has the frequencies and not the deviation that they were drawn with.
    sigmas = [float(f"{b.double().square().mean().sqrt().item():.3g}") for b in frequencies]
    positional = {"name": "equal_earth_fourier", "sigmas": sigmas, "num_features": num_features, "keep_edge": True}
    sizes = {"num_capsules": capsules, "capsule_dim": capsule_dim}
    location = build_location_encoder(
        {
            "positional": positional,
            "network": {"name": "capsules", **sizes, "num_layers": num_layers},
            "embed_dim": embed_dim,
        },
        seed=0,
    )
    location.load_state_dict(state)
    return location, {"sigmas_measured": sigmas, "num_capsules": capsules, "embed_dim": embed_dim}


def _prefix(weights: WeightsFile) -> str | None:
    """Return the prefix of `LocEnc0`, such as an empty string or `location_encoder.`."""
    found = [
        match[1] for name in weights.tensors if (match := re.fullmatch(r"((?:.*\.)?)LocEnc0\.capsule\.0\.b", name))
    ]
    return min(found, key=len, default=None)


def _sizes(weights: WeightsFile, prefix: str) -> tuple[int, int]:
    """The numbers of capsules and of hidden layers in each; any other array means a network that is not GeoCLIP's."""
    capsules, layers = set(), set()
    for name in weights.tensors:
        if not name.startswith(f"{prefix}LocEnc"):
            continue
        inside = re.fullmatch(
            r"LocEnc(\d+)\.(?:capsule\.0\.b|capsule\.(\d*[13579])\.(?:weight|bias)|head\.0\.(?:weight|bias))",
            name.removeprefix(prefix),
        )
        if inside is None:
            raise ValueError(f"{weights.path}: {name} does not belong to GeoCLIP's location encoder; known: {KEYS}.")
        capsules.add(int(inside[1]))
        layers.add(int(inside[2] or 1))
    return max(capsules) + 1, (max(layers) + 1) // 2
