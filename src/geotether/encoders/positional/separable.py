"""Positional features on a grid of latitudes and longitudes: products of one function of each."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


class Factors(NamedTuple):
    """Positional features on a grid: feature k is rows[:, k] times columns[:, of[k]].

    Attributes:
        rows: A function of latitude per feature, shape (r, k).
        columns: Functions of longitude, shape (c, j); spherical harmonics up to degree L have only 2L + 1.
        of: Which function of longitude each feature has, shape (k,).
    """

    rows: Float[Tensor, "r k"]
    columns: Float[Tensor, "c j"]
    of: Int64[Tensor, " k"]

    def first(self, count: int) -> "Factors":
        """Return the factors of the first features."""
        return Factors(self.rows[:, :count], self.columns, self.of[:count])

    def features(self, rows: slice, columns: slice) -> Float[Tensor, "n k"]:
        """Return the features of a part of the grid, row by row, shape (r * c, k)."""
        east = self.columns[columns].index_select(1, self.of)
        return (self.rows[rows, None] * east).flatten(0, 1)

    def mapped(self, weight: Float[Tensor, "k out"]) -> Callable[[slice, slice], Float[Tensor, "n out"]]:
        """Return the function from a part of the grid to the product of its features with a matrix.

        The sum over the features of one function of longitude depends on the row alone, so it is taken once per row:
        a place then costs j * out multiplications instead of k * out.

        Args:
            weight: Shape (k, out).

        Returns:
            Called with rows and columns, it returns shape (r * c, out), row by row.
        """
        count = self.columns.shape[1]
        members = [torch.nonzero(self.of == function).flatten() for function in range(count)]
        # Features by function of longitude, filled up with a feature that is 0.
        index = nn.utils.rnn.pad_sequence(members, batch_first=True, padding_value=len(self.of))
        matrices = torch.cat((weight, weight.new_zeros(1, weight.shape[1])))[index]
        north = torch.cat((self.rows, self.rows.new_zeros(len(self.rows), 1)), dim=1)[:, index].transpose(0, 1)

        def product(rows: slice, columns: slice) -> Float[Tensor, "n out"]:
            by_row = torch.bmm(north[:, rows], matrices).transpose(0, 1)
            return torch.matmul(self.columns[columns], by_row).flatten(0, 1)

        return product


def grid_factors(
    positional: nn.Module, lon: Float[Tensor, " c"], lat: Float[Tensor, " r"], dtype: torch.dtype
) -> Factors | None:
    """Return the factors of a positional encoding's features on a grid; None if they are not such products.

    Args:
        positional: A positional encoding; those with a method `grid_factors(lon, lat, dtype)` have factors.
        lon: Longitudes of the columns in degrees, shape (c,), float64.
        lat: Latitudes of the rows in degrees, shape (r,), float64.
        dtype: Type of the factors.
    """
    own = getattr(positional, "grid_factors", None)
    return None if own is None else own(lon, lat, dtype)
