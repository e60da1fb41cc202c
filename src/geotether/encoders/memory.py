"""A memory of observations near a place, for detail that a network of this size cannot represent."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, sphere_tree


class PlaceMemory(nn.Module):
    """Components of the observations of each modality, averaged over those nearest to a place.

    Each of the nearest places weighs 1 / (d + reach)**2, d its distance in kilometres: near an observation the
    result is its components, far from all of them the average of the nearest.

    Args:
        sizes: Modality to (number of places, number of components).
        neighbors: Number of nearest places to average, 1 or more.
        reach_km: Distance within which neighbours have about the same weight, more than 0.

    Attributes:
        dims: Number of components of each modality, in order.

    Raises:
        ValueError: If a size is out of range.

    Source:
        Shepard (1968), A two-dimensional interpolation function for irregularly-spaced data (the weights);
        Dhakal et al. (2025), RANGE, arXiv:2502.19781 (location embeddings that retrieve observations).

    Example:
        >>> memory = PlaceMemory({"rain": (2, 1)}, neighbors=1)
        >>> memory.fill("rain", np.array([[0.0, 0.0], [90.0, 0.0]]), np.array([[1.0], [5.0]], dtype=np.float32))
        >>> memory(torch.tensor([[88.0, 0.0]], dtype=torch.float64))
        [tensor([[5.]])]
    """

    def __init__(self, sizes: Mapping[str, Any], neighbors: int = 16, reach_km: float | int = 20.0) -> None:
        super().__init__()
        if neighbors < 1 or not reach_km > 0:
            raise ValueError(f"neighbors must be 1 or more and reach_km more than 0, got {neighbors} and {reach_km}.")
        if not sizes or min(min(size) for size in sizes.values()) < 1:
            raise ValueError(f"A memory needs modalities with at least one place and component, got {dict(sizes)}.")
        self.sizes = {name: (int(size[0]), int(size[1])) for name, size in sizes.items()}
        self.neighbors = neighbors
        self.reach_km = float(reach_km)
        self.dims = [components for _, components in self.sizes.values()]
        for name, (rows, components) in self.sizes.items():
            self.register_buffer(f"lonlat/{name}", torch.zeros(rows, 2, dtype=torch.float64))
            # Half precision: rounding is far below the difference between two observations of one place.
            self.register_buffer(f"values/{name}", torch.zeros(rows, components, dtype=torch.float16))
        self._trees: dict[str, Any] = {}
        self.register_load_state_dict_post_hook(_forget_trees)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the search trees, which are built again when needed."""
        return {**super().__getstate__(), "_trees": {}}

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        sizes = {name: list(size) for name, size in self.sizes.items()}
        return {"sizes": sizes, "neighbors": self.neighbors, "reach_km": self.reach_km}

    def fill(self, name: str, lonlat: Float[np.ndarray, "n 2"], values: Float[np.ndarray, "n k"]) -> None:
        """Store a modality's observations at distinct places (see `merged_places`).

        Args:
            name: One of `sizes`.
            lonlat: Longitude and latitude in degrees, shape (n, 2), as many as `sizes` says.
            values: Components, shape (n, k); of magnitude about 1, at most 65,504.

        Raises:
            ValueError: If the modality is unknown or the shape differs.
        """
        if name not in self.sizes or values.shape != self.sizes[name] or len(lonlat) != len(values):
            raise ValueError(
                f"The memory has {self.sizes}; "
                f"got {len(lonlat)} places and values of shape {values.shape} for {name!r}."
            )
        self.get_buffer(f"lonlat/{name}").copy_(torch.from_numpy(np.ascontiguousarray(lonlat)))
        self.get_buffer(f"values/{name}").copy_(torch.from_numpy(np.ascontiguousarray(values)))
        self._trees.pop(name, None)

    def forward(self, lonlat: Float[Tensor, "n 2"]) -> list[Float[Tensor, "n _"]]:
        """Average the observations near places (n, 2) in degrees: per modality (n, k), float32, without gradient."""
        places = unit_vectors(lonlat.detach().cpu().numpy().astype(np.float64))
        return [self._nearest(name, places, lonlat.device) for name in self.sizes]

    def _nearest(self, name: str, places: np.ndarray, device: torch.device) -> Tensor:
        values = self.get_buffer(f"values/{name}")
        if name not in self._trees:
            self._trees[name] = sphere_tree(self.get_buffer(f"lonlat/{name}").cpu().numpy())
        count = min(self.neighbors, len(values))
        chord, rows = self._trees[name].query(places, k=np.arange(1, count + 1))
        km = 2 * EARTH_RADIUS_KM * np.arcsin(np.clip(chord / 2, 0, 1))
        weights = 1 / (km + self.reach_km) ** 2
        weights /= weights.sum(axis=1, keepdims=True)
        found = values[torch.from_numpy(rows).to(device)].float()
        return torch.einsum("nk,nkd->nd", torch.from_numpy(weights).float().to(device), found)


def _forget_trees(module: Any, keys: Any) -> None:
    """Drop the search trees of a memory whose places were just replaced."""
    module._trees.clear()


def merged_places(
    lonlat: Float[np.ndarray, "n 2"], values: Float[np.ndarray, "n k"]
) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m k"]]:
    """Average the observations of each place (to 1e-6 degrees), so that one place cannot fill all neighbours."""
    places, where, counts = np.unique(lonlat.round(6), axis=0, return_inverse=True, return_counts=True)
    rows = np.argsort(where.reshape(-1), kind="stable")
    sums = np.add.reduceat(values[rows].astype(np.float64), np.cumsum(counts) - counts, axis=0)
    return places, (sums / counts[:, None]).astype(values.dtype)
