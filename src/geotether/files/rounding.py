"""Matrices as integers with one unit per row, for small files of weights."""

from collections.abc import Mapping
from typing import Any

_ROUNDED, _UNIT = ":rounded", ":unit"


def rounded_rows(name: str, matrix: Any, bits: int = 16) -> dict[str, Any]:
    """Round a matrix to integers, with one unit per row.

    Args:
        name: Its name in the file.
        matrix: Tensor or array of shape (rows, columns), floating-point.
        bits: 8 or 16, of an integer. A number changes by at most 1 / (2^bits - 2) of the largest one in its row.

    Returns:
        Two entries of a file, from which `restored` makes the matrix again; the unit has the type of the matrix.

    Raises:
        ValueError: If the matrix has another shape, or `bits` is neither 8 nor 16.

    Example:
        >>> import numpy as np
        >>> entries = rounded_rows("weight", np.array([[0.5, -1.0], [0.0, 0.0]]), bits=8)
        >>> {name: values.dtype.name for name, values in entries.items()}
        {'weight:rounded': 'int8', 'weight:unit': 'float64'}
        >>> restored(entries)["weight"].round(2)
        array([[ 0.5, -1. ],
               [ 0. ,  0. ]])
    """
    import torch

    values = torch.as_tensor(matrix).detach().cpu()
    if values.ndim != 2 or not values.is_floating_point() or bits not in (8, 16):
        raise ValueError(f"{name}: a matrix of numbers and 8 or 16 bits are needed, got {tuple(values.shape)}, {bits}.")
    unit = values.abs().amax(dim=1, keepdim=True).clamp(min=1e-30) / (2 ** (bits - 1) - 1)
    entries = {
        name + _ROUNDED: (values / unit).round().to(torch.int8 if bits == 8 else torch.int16),
        name + _UNIT: unit,
    }
    is_array = not isinstance(matrix, torch.Tensor)
    return {key: value.numpy() if is_array else value for key, value in entries.items()}


def restored(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a file with the matrices that `rounded_rows` rounded; all others are unchanged.

    Raises:
        ValueError: If a rounded matrix has no unit.
    """
    found = {}
    for name, values in entries.items():
        if name.endswith(_ROUNDED):
            plain = name.removesuffix(_ROUNDED)
            if plain + _UNIT not in entries:
                raise ValueError(f"{name} has no {plain + _UNIT}; the file is incomplete.")
            found[plain] = values * entries[plain + _UNIT]
        elif not (name.endswith(_UNIT) and name.removesuffix(_UNIT) + _ROUNDED in entries):
            found[name] = values
    return found
