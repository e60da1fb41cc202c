"""Known layouts of published checkpoints, recognised by the names of their arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geotether.encoders.location import LocationEncoder
from geotether.peers import geoclip, satclip
from geotether.peers.weights_file import WeightsFile, read_weights


@dataclass(frozen=True)
class Layout:
    """A published layout: the names of its arrays, whether a file has it, and how to read encoder and facts."""

    keys: str
    matches: Callable[[WeightsFile], bool]
    read: Callable[[WeightsFile], tuple[LocationEncoder, dict[str, Any]]]


LAYOUTS = {
    satclip.NAME: Layout(satclip.KEYS, satclip.has_layout, satclip.read_satclip),
    geoclip.NAME: Layout(geoclip.KEYS, geoclip.has_layout, geoclip.read_geoclip),
}


def open_checkpoint(path: str | Path) -> tuple[LocationEncoder, dict[str, Any], dict[str, Any]]:
    """Open a published checkpoint. Nothing in it is executed, and its name does not matter.

    Args:
        path: A file of weights, PyTorch or safetensors.

    Returns:
        The encoder on the CPU in evaluation mode, the settings found beside it, and its provenance.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is corrupt, could only be read by running foreign code, or has an unknown layout.
        ImportError: If it is a pickle and torch is older than 2.6.
    """
    weights = read_weights(path)
    for name, layout in LAYOUTS.items():
        if layout.matches(weights):
            location, facts = layout.read(weights)
            provenance = {"layout": name, "file": weights.path.name, "sha256": weights.sha256, **facts}
            return location.eval(), {"hyper_parameters": weights.settings} if weights.settings else {}, provenance
    raise ValueError(_unknown(weights))


def _unknown(weights: WeightsFile) -> str:
    names = sorted(weights.tensors)
    if "location.network.output.weight" in names:
        return f"{weights.path} contains the weights of a geotether model; give its folder, {weights.path.parent}."
    found = f"{len(names)} arrays ({', '.join(names[:3])}, ...)" if names else "no arrays"
    known = "; ".join(f"{name} ({layout.keys})" for name, layout in LAYOUTS.items())
    return (
        f"{weights.path} contains {found} in an unknown layout. Known: {known}. Use any other encoder as a Python "
        "function f(lon, lat) -> (n, d) or as a .parquet file of its embeddings; see docs/peers.md."
    )
