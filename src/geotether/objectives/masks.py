"""Masks of false negatives: rows of the batch that share a place."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from geotether.geodesy.coordinates import check_lonlat, unit_vectors
from geotether.geodesy.distance import chord_of_km

PairMask = Callable[[slice, slice], Tensor]
"""Function of the rows and columns of a block: the boolean (rows, columns) block of pairs to leave out."""

SAME_PLACE_KM = 0.001
"""Rows closer than this share a place: 1 m, well above the resolution of float64 on the unit sphere."""

ROWS_AT_ONCE = 128  # of float64 cosines: fits into the processor's cache, four times faster at n = 2048


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
        if not (math.isfinite(km) and km >= 0):
            raise ValueError(f"The distance km must be finite and 0 or more, got {km}; None leaves nothing out.")
        # The margin includes antipodes, whose computed cosine may be below -1, at half the circumference.
        self.min_cosine = 1 - chord_of_km(max(km, SAME_PLACE_KM)) ** 2 / 2 - 1e-15
        check_lonlat(lonlat)
        self.unit_vectors = unit_vectors(lonlat.detach().double())

    def __call__(self, rows: slice, columns: slice) -> Bool[Tensor, "r c"]:
        """Return the block of the mask at `rows` and `columns`."""
        # float64, because float32 cosines do not resolve distances below about 2 km.
        a, b = self.unit_vectors[rows], self.unit_vectors[columns]
        near = torch.empty(len(a), len(b), dtype=torch.bool, device=a.device)
        for first in range(0, len(a), ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            torch.ge(a[part] @ b.T, self.min_cosine, out=near[part])
        return near

    def __len__(self) -> int:
        return len(self.unit_vectors)


def as_pair_mask(ignore: Bool[Tensor, "n n"] | PairMask | None, rows: int) -> PairMask | None:
    """Convert a mask to the block-wise form; ValueError if it was made for another number of rows."""
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


def shifted(mask: PairMask, start: int) -> PairMask:
    """Return the mask of a group of rows that begins at row `start` of the batch."""
    return lambda r, c: mask(slice(r.start + start, r.stop + start), slice(c.start + start, c.stop + start))
