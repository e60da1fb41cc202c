"""Masks of false negatives: rows of the batch that share a place."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from geotether.geodesy.coordinates import check_lonlat, unit_vectors
from geotether.geodesy.distance import chord_of_km

PairMask = Callable[[slice, slice], Tensor]
"""Function of the rows and columns of a block: the boolean (rows, columns) block of pairs to leave out."""

SAME_PLACE_KM = 0.001
"""Rows closer than this share a place: 1 m, well above the resolution of float64 on the unit sphere."""

ROWS_AT_ONCE = 128  # of float64 cosines: fits into the processor's cache, four times faster at n = 2048


def closer_than_km(lonlat_a: Float[Tensor, "n 2"], lonlat_b: Float[Tensor, "m 2"], km: float) -> Bool[Tensor, "n m"]:
    """Return which places of two lists are closer to each other than `km` along the great circle.

    Args:
        lonlat_a: Longitude and latitude in degrees, WGS 84, shape (n, 2).
        lonlat_b: The same, shape (m, 2).
        km: Distance in kilometres, 0 or more; 0 means the same place (within 1 m).

    Returns:
        Shape (n, m), True where the two are closer.

    Raises:
        ValueError: If coordinates are not (longitude, latitude) in degrees or `km` is negative or not finite.

    Example:
        >>> seam = torch.tensor([[179.99, 0.0], [-179.99, 0.0], [0.0, 0.0]], dtype=torch.float64)
        >>> closer_than_km(seam[:1], seam, km=5.0)
        tensor([[ True,  True, False]])
    """
    min_cosine = _cosine_of_km(km)
    return _closer(_unit_vectors(lonlat_a), _unit_vectors(lonlat_b), min_cosine)


class NearbyPairs:
    """The pairs of a batch that are closer than `km`, computed block by block on demand.

    Pass it as `ignore` to an objective, which always keeps a row's own pair. With `km=0` only rows at the same place
    are left out, such as a row that is drawn twice because its table is small.

    Args:
        lonlat: Longitude and latitude of the batch in degrees, WGS 84, shape (n, 2).
        km: Distance in kilometres, 0 or more.

    Raises:
        ValueError: If coordinates are not (longitude, latitude) in degrees or `km` is negative or not finite.

    Example:
        >>> lonlat = torch.tensor([[5.66, 51.97], [5.66, 51.97], [-74.01, 40.71]], dtype=torch.float64)
        >>> NearbyPairs(lonlat, km=0.0)(slice(0, 1), slice(0, 3))
        tensor([[ True,  True, False]])
    """

    def __init__(self, lonlat: Float[Tensor, "n 2"], km: float) -> None:
        self.km = km
        self.min_cosine = _cosine_of_km(km)
        self.unit_vectors = _unit_vectors(lonlat)

    def __call__(self, rows: slice, columns: slice) -> Bool[Tensor, "r c"]:
        """Return the block of the mask at `rows` and `columns`."""
        return _closer(self.unit_vectors[rows], self.unit_vectors[columns], self.min_cosine)

    def __len__(self) -> int:
        return len(self.unit_vectors)


def as_pair_mask(ignore: Bool[Tensor, "n n"] | PairMask | None, rows: int) -> PairMask | None:
    """Convert a dense mask, a block-wise mask or None to the block-wise form.

    Raises:
        ValueError: If the mask was made for another number of rows.
    """
    if ignore is None:
        return None
    if isinstance(ignore, Tensor):
        came, fits = f"shape {tuple(ignore.shape)}", ignore.shape == (rows, rows)
    elif isinstance(ignore, NearbyPairs):
        came, fits = f"{len(ignore)} rows", len(ignore) == rows
    else:
        return ignore
    if not fits:
        raise ValueError(f"The mask `ignore` has {came}, but the batch has {rows} rows: make it from the same batch.")
    return ignore if isinstance(ignore, NearbyPairs) else lambda r, c: ignore[r, c]


def shifted(mask: PairMask | None, start: int) -> PairMask | None:
    """Return the mask of a group of rows that begins at row `start` of the batch."""
    if mask is None:
        return None
    return lambda r, c: mask(slice(r.start + start, r.stop + start), slice(c.start + start, c.stop + start))


def _cosine_of_km(km: float) -> float:
    """Return the cosine of the angle between two places `km` apart, from the chord between them."""
    if not (math.isfinite(km) and km >= 0):
        raise ValueError(f"The distance km must be finite and 0 or more, got {km}; None leaves nothing out.")
    # The margin includes antipodes, whose computed cosine may be below -1, at half the circumference.
    return 1 - chord_of_km(max(km, SAME_PLACE_KM)) ** 2 / 2 - 1e-15


def _unit_vectors(lonlat: Float[Tensor, "n 2"]) -> Float64[Tensor, "n 3"]:
    check_lonlat(lonlat)
    return unit_vectors(lonlat.detach().double())


def _closer(a: Float64[Tensor, "n 3"], b: Float64[Tensor, "m 3"], min_cosine: float) -> Bool[Tensor, "n m"]:
    # float64, because float32 cosines do not resolve distances below about 2 km.
    near = torch.empty(len(a), len(b), dtype=torch.bool, device=a.device)
    for first in range(0, len(a), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        torch.ge(a[rows] @ b.T, min_cosine, out=near[rows])
    return near
