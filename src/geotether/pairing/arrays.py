"""Arrays that observations are gathered into, row by row."""

import os
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Bool, Num

from geotether.pairing.specification import ModalitySpec
from geotether.tables.matrix import total_memory

MEMORY_SHARE = 0.25
_AXES = {"vector": 1, "series": 2, "chip": 3}


def new_array(shape: tuple[int, ...], dtype: Any, memory_share: float = MEMORY_SHARE) -> np.ndarray:
    """Make room for an array: in memory, or as a nameless file that is mapped and goes with the process.

    Args:
        shape: Of the array.
        dtype: Its number type.
        memory_share: What is larger than this share of the memory is mapped; files go where TMPDIR says.

    Returns:
        Zeros.

    Raises:
        OSError: If the disk has not enough space.
    """
    nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if nbytes <= memory_share * total_memory():
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:
        # Reserved at once: writing through a map to a full disk would kill the process.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, nbytes)
        else:
            file.truncate(nbytes)
        return np.memmap(file, dtype, "r+", shape=shape)


def gather(
    count: int,
    found: Iterable[tuple[int, str, np.ndarray | None]],
    spec: ModalitySpec,
    memory_share: float = MEMORY_SHARE,
) -> tuple[Num[np.ndarray, "n ..."], Bool[np.ndarray, " n"]]:
    """Put observations that come one after the other into one array.

    Args:
        count: Number of rows.
        found: Row number, what to call it in an error, and its observation in the axes of `Modality`, or None where the
            row lacks this modality.
        spec: Of the modality; series shorter than its shape, or than the longest one, end in NaN.
        memory_share: As in `new_array`.

    Returns:
        Values, and where there are any.

    Raises:
        ValueError: If observations differ in shape or number type, or there are none.
    """
    if spec.kind == "series":
        return _gather_series(count, found, spec)
    values, present, first = None, np.zeros(count, dtype=bool), ""
    for row, name, one in found:
        if one is None:
            continue
        one = arranged(one, spec, name)
        if values is None:
            values, first = new_array((count, *one.shape), one.dtype, memory_share), name
        if one.shape != values.shape[1:]:
            hint = " Give size to resample images." if spec.kind == "chip" else ""
            raise ValueError(f"{name} has shape {one.shape} and {first} has {values.shape[1:]}.{hint}")
        if one.dtype != values.dtype:
            raise ValueError(
                f"{name} holds {one.dtype} and {first} holds {values.dtype}; write all in one number type."
            )
        values[row], present[row] = one, True
    if values is None:
        raise ValueError(f"none of {count} rows has an observation.")
    return values, present


def arranged(one: np.ndarray, spec: ModalitySpec, name: str) -> np.ndarray:
    """Bring one observation into the axes of `Modality`, with what means missing as NaN.

    Args:
        one: As the file holds it.
        spec: Of the modality.
        name: What to call it in an error.

    Raises:
        TypeError: If it holds no numbers.
        ValueError: If it has other axes, or another number of values than the specified shape.
    """
    return arranged_rows(one[None], spec, name)[0]


def arranged_rows(values: np.ndarray, spec: ModalitySpec, name: str) -> np.ndarray:
    """As `arranged`, for an array of rows."""
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers, got {values.dtype}.")
    moved = spec.axes is not None and spec.bands_last != (spec.kind == "series")  # the file's order is not ours
    if spec.shape is not None and values.ndim == 2 and spec.kind != "vector":
        inside = (*spec.shape[1:], spec.shape[0]) if moved and spec.kind == "chip" else tuple(spec.shape)
        inside = inside[::-1] if moved and spec.kind == "series" else inside
        if values.shape[1] != np.prod(inside):
            raise ValueError(f"{name} has {values.shape[1]} numbers a row, which are not of shape {spec.shape}.")
        values = values.reshape(len(values), *inside)
    if values.ndim == 3 and spec.kind == "chip":  # one band without an axis of its own
        values = values[:, None]
    elif values.ndim != _AXES[spec.kind] + 1:
        wanted = {"vector": "(d,)", "series": "(t, bands)", "chip": "(bands, height, width)"}[spec.kind]
        raise ValueError(
            f"{name} has rows of shape {values.shape[1:]}; a {spec.kind} needs {wanted}. Say what they are with shape, "
            "or choose another kind."
        )
    elif moved:
        values = np.moveaxis(values, -1, 1) if spec.kind == "chip" else values.swapaxes(1, 2)
    if spec.missing:
        values = np.where(np.isin(values, spec.missing), np.float32(np.nan), values.astype(np.float32))
    return values if spec.shape is None else _of_shape(values, spec, name)


def lengthened(values: np.ndarray, steps: int) -> np.ndarray:
    """Let series of shape (n, t, bands) end in NaN so that they have so many steps."""
    if values.shape[1] == steps:
        return values
    longer = np.full((len(values), steps, values.shape[2]), np.nan, dtype=np.float32)
    longer[:, : values.shape[1]] = values
    return longer


def _of_shape(values: np.ndarray, spec: ModalitySpec, name: str) -> np.ndarray:
    got, wanted = values.shape[1:], tuple(spec.shape or ())
    if spec.kind == "series" and got[0] > wanted[0]:
        raise ValueError(f"{name} has {got[0]} steps; the specified shape has {wanted[0]}.")
    if got != wanted and (spec.kind != "series" or got[1] != wanted[1]):
        raise ValueError(f"{name} has rows of shape {got}; the specified shape is {wanted}.")
    return lengthened(values, wanted[0]) if spec.kind == "series" else values


def _gather_series(
    count: int, found: Iterable[tuple[int, str, np.ndarray | None]], spec: ModalitySpec
) -> tuple[np.ndarray, np.ndarray]:
    series = [(row, name, arranged(one, spec, name)) for row, name, one in found if one is not None]
    if not series:
        raise ValueError(f"none of {count} rows has an observation.")
    bands, first = series[0][2].shape[1], series[0][1]
    values = new_array((count, max(len(one) for _, _, one in series), bands), np.float32)
    values[:], present = np.nan, np.zeros(count, dtype=bool)
    for row, name, one in series:
        if one.shape[1] != bands:
            raise ValueError(f"{name} has {one.shape[1]} bands and {first} has {bands}.")
        values[row, : len(one)], present[row] = one, True
    return values, present
