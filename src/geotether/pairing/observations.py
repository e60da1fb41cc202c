"""Observations of one modality as one array: decoded from files or bytes, taken from lists, brought to our axes."""

import io
import json
import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Num

from geotether.files.arrays import reading_arrays
from geotether.files.delimited import FAULT
from geotether.files.numbers import numbers_of, odd_among_numbers, odd_in_words
from geotether.files.rows import open_rows
from geotether.files.values import is_list
from geotether.pairing.specification import ModalitySpec
from geotether.sources.pictures.pixels import ImageError, image_kind, read_photo
from geotether.suggestions import closest
from geotether.tables.matrix import total_memory
from geotether.tables.modality import Modality

_log = logging.getLogger(__name__)
MEMORY_SHARE = 0.25
Found = Iterable[tuple[int, str, np.ndarray | None]]
_AXES = {"vector": 1, "series": 2, "chip": 3}
_SHAPES = {"vector": "(d,)", "series": "(t, bands)", "chip": "(bands, height, width)"}
_NUMPY = b"\x93NUMPY"


def new_array(
    shape: tuple[int, ...], dtype: Any, memory_share: float = MEMORY_SHARE, folder: str | Path | None = None
) -> np.ndarray:
    """Make an array of zeros in memory, or as a memory map of an unnamed temporary file.

    Args:
        shape: Shape of the array.
        dtype: Its number type.
        memory_share: Larger arrays than this share of the memory are mapped.
        folder: Where to map it at any size. None: larger arrays are in the folder of TMPDIR.

    Raises:
        OSError: If the disk has not enough space.
    """
    nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if folder is None and nbytes <= memory_share * total_memory():
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        # Reserved at once: writing through a map to a full disk would kill the process.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, nbytes)
        else:
            file.truncate(nbytes)
        return np.memmap(file, dtype, "r+", shape=shape)


def numbers_in(column: pa.ChunkedArray, what: str) -> np.ndarray:
    """Read cells as float64, NaN where missing; a few odd texts are missing with a warning, more are a ValueError."""
    values, odd = numbers_of(column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column)
    if odd and odd == odd_among_numbers(column):
        _log.warning("%s: %s are not numbers and count as missing.", what, odd_in_words(odd))
    elif odd:
        raise ValueError(
            f"{what} holds {column.type}, not numbers: {len(odd)} of {len(column)} cells are {odd_in_words(odd)}. "
            "Correct them, or leave them empty where a number is missing."
        )
    return values


def refuse_infinite(values: np.ndarray, name: str, bands: Iterable[str] = ()) -> None:
    """Raise ValueError if one observation, bands first, holds an infinite number, such as 0 in decibels."""
    if values.dtype.kind == "f" and np.isinf(values).any():
        at = tuple(np.argwhere(np.isinf(values))[0].tolist())
        band = f", band {list(bands)[at[0]]}" if list(bands)[at[0] : at[0] + 1] else ""
        raise ValueError(f"{name} is {values[at]} at {at}{band}; write missing values as NaN.")


def gather(
    count: int, found: Found, spec: ModalitySpec, bands: Iterable[str] = (), memory_share: float = MEMORY_SHARE
) -> Modality:
    """Collect the observations of `count` rows, which arrive one by one.

    Args:
        count: Number of rows.
        found: Row number, name for error messages, and observation; None where the row lacks this modality.
        spec: Of the modality. Series shorter than its shape, or than the longest one, are padded with NaN.
        bands: Names of the bands.
        memory_share: As in `new_array`.

    Raises:
        ValueError: If observations differ in shape or number type, one is infinite, or there are none.
    """
    seen = ((row, name, arranged_rows(one[None], spec, name)[0]) for row, name, one in found if one is not None)
    if spec.kind == "series":  # padded to the longest
        series = list(seen)
        longest = max((len(one) for _, _, one in series), default=0)
        seen = ((row, name, _padded(one[None], longest)[0]) for row, name, one in series)
    values, present, first = None, np.zeros(count, dtype=bool), ""
    for row, name, one in seen:
        refuse_infinite(one.T if spec.kind == "series" else one, name, bands)
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
    if spec.kind == "series":
        values[~present] = np.nan
    return Modality(spec.kind, values, present, tuple(bands))


def arranged_rows(values: np.ndarray, spec: ModalitySpec, name: str) -> np.ndarray:
    """Bring rows of observations (n, ...) into the axes of `Modality`, with missing values as NaN.

    Raises:
        TypeError: If they are not numbers.
        ValueError: If they have other axes, or another number of values than the specified shape.
    """
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers, got {values.dtype}.")
    moved = spec.axes is not None and spec.bands_last != (spec.kind == "series")  # the file's order differs from ours
    if spec.shape is not None and values.ndim == 2 and spec.kind != "vector":
        inside = (*spec.shape[1:], spec.shape[0]) if moved and spec.kind == "chip" else tuple(spec.shape)
        inside = inside[::-1] if moved and spec.kind == "series" else inside
        if values.shape[1] != np.prod(inside):
            raise ValueError(f"{name} has {values.shape[1]} numbers per row, which do not fit the shape {spec.shape}.")
        values = values.reshape(len(values), *inside)
    if values.ndim == 3 and spec.kind == "chip":  # one band without an axis of its own
        values = values[:, None]
    elif values.ndim != _AXES[spec.kind] + 1:
        raise ValueError(
            f"{name} has rows of shape {values.shape[1:]}; a {spec.kind} needs {_SHAPES[spec.kind]}. Give its "
            "shape, or choose another kind."
        )
    elif moved:
        values = np.moveaxis(values, -1, 1) if spec.kind == "chip" else values.swapaxes(1, 2)
    if spec.missing:
        values = np.where(np.isin(values, spec.missing), np.float32(np.nan), values.astype(np.float32))
    return values if spec.shape is None else _of_shape(values, spec, name)


def modality_of_lists(column: pa.ChunkedArray, spec: ModalitySpec, name: str, bands: Iterable[str] = ()) -> Modality:
    """Turn lists of numbers into observations.

    Args:
        column: One list per row, nested as deep as a row has axes, or flat with a specified shape; null where the row
            lacks this modality. Texts are read as JSON, such as "[0.1, 0.2]". Numbers inside a list may be null.
        spec: Of the modality. Only series may differ in length: shorter ones are padded with NaN.
        name: Of the column.
        bands: Names of the bands.

    Raises:
        ValueError: If rows differ in length, or the column holds something else.
    """
    if not is_list(column.type):
        column = _lists_of_texts(column, name)
    present = np.asarray(column.is_valid().to_numpy(), dtype=bool)
    if not present.any():
        raise ValueError(f"{name} is empty in all {len(present)} rows.")
    inner = column.drop_null().combine_chunks()
    inner = pa.concat_arrays(inner.chunks) if isinstance(inner, pa.ChunkedArray) else inner
    flat, shape, lengths = _flattened(inner, spec, name, np.flatnonzero(present))
    if lengths is None:
        found = arranged_rows(flat.reshape(shape), spec, name)
    else:  # series of several lengths
        padded = np.full((shape[0], int(lengths.max()), *shape[2:]), np.nan, dtype=np.float32)
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = flat.reshape(-1, *shape[2:])
        found = arranged_rows(padded, spec, name)
    return spread(found, present, spec, bands)


def spread(found: np.ndarray, present: np.ndarray, spec: ModalitySpec, bands: Iterable[str] = ()) -> Modality:
    """Put observations of the rows that have one, shape (m, ...), among all rows."""
    values = found
    if not present.all():
        values = np.zeros((len(present), *found.shape[1:]), dtype=found.dtype)
        values[present] = found
    return Modality(spec.kind, values, present, tuple(bands))


def decode(parts: list[tuple[str, bytes]], spec: ModalitySpec) -> np.ndarray:
    """Decode one observation from one or several files; the bands of several are joined.

    Args:
        parts: Name and bytes of each file: an image that Pillow or (TIFF) rasterio reads, a .npy array, or, recognised
            by its name, a CSV with a header and one row per step.
        spec: Of the modality; `mode` and `size` apply to images.

    Raises:
        ValueError: If a file is none of these, or damaged, or an image of another kind of modality; or if files differ
            in size.
        ImportError: If it is a TIFF and rasterio is missing.
    """
    arrays = [_decoded(data, spec, name) for name, data in parts]
    if len(arrays) == 1:
        return arrays[0]
    axis = -1 if spec.bands_last else 0
    arrays = [np.expand_dims(one, axis) if one.ndim == 2 and spec.kind == "chip" else one for one in arrays]
    sizes = [one.shape[:axis] if spec.bands_last else one.shape[1:] for one in arrays]
    for (name, _), size in zip(parts, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(f"{name} has size {size} and {parts[0][0]} has {sizes[0]}; give size to resample both.")
    return np.concatenate(arrays, axis=axis)


def unknown_column(what: str, name: str, known: list[str]) -> str:
    """Write the message that a column or array does not exist, with the most similar name."""
    return f"there is no {what} {name!r}.{closest(name, known)} Found: {', '.join(known[:30]) or 'none'}."


def _of_shape(values: np.ndarray, spec: ModalitySpec, name: str) -> np.ndarray:
    got, wanted = values.shape[1:], tuple(spec.shape or ())
    if spec.kind == "series" and got[0] > wanted[0]:
        raise ValueError(f"{name} has {got[0]} steps; the specified shape has {wanted[0]}.")
    if got != wanted and (spec.kind != "series" or got[1] != wanted[1]):
        raise ValueError(f"{name} has rows of shape {got}; the specified shape is {wanted}.")
    if got == wanted:
        return values
    return _padded(values, wanted[0])


def _padded(values: np.ndarray, steps: int) -> np.ndarray:
    """Append missing steps to series (n, t, bands)."""
    longer = np.full((len(values), steps, values.shape[2]), np.nan, dtype=np.float32)
    longer[:, : values.shape[1]] = values
    return longer


def _decoded(data: bytes, spec: ModalitySpec, name: str) -> np.ndarray:
    if data.startswith(_NUMPY):
        with reading_arrays(name):
            return np.load(io.BytesIO(data), allow_pickle=False)
    if name.lower().endswith((".csv", ".tsv", ".txt")):
        with open_rows(Path(name), opened=lambda: io.BytesIO(data)) as rows:
            table = pa.concat_tables([rows.schema.empty_table(), *rows.tables])
        columns = [column for column in rows.schema.names if column != FAULT]
        try:
            if rows.broken:
                raise ValueError(str(rows.broken[0]))
            numbers = [table[column].cast(pa.float64()).to_numpy() for column in columns]
        except (pa.ArrowException, ValueError) as error:
            raise ValueError(f"{name} must hold a header and numbers, one row per step: {error}.") from error
        return np.stack(numbers, axis=1).astype(np.float32)
    if spec.kind != "chip" and image_kind(data[:16]):
        raise ValueError(f"{name} is an image, so its modality is a chip, not a {spec.kind}.")
    try:
        pixels = read_photo(data, mode=spec.mode, size=spec.size).pixels
    except ImageError as error:
        raise ValueError(f"{name}: {error}.") from error
    return pixels if spec.bands_last else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def _lists_of_texts(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    lists: list[Any] = []
    for row, text in enumerate(column.to_pylist()):
        try:
            value = None if text is None or not text.strip() else json.loads(text)
        except ValueError:
            value = text
        if not isinstance(value, list | None):
            raise ValueError(
                f"{name} must hold numbers, images or lists such as [0.1, 0.2], but row {row} is {text!r:.60}."
            )
        lists.append(value)
    try:
        return pa.chunked_array([pa.array(lists)])
    except pa.ArrowException as error:
        raise ValueError(f"{name} holds lists of several kinds: {error}.") from error


def _flattened(
    values: pa.Array, spec: ModalitySpec, name: str, rows: np.ndarray
) -> tuple[Num[np.ndarray, " m"], tuple[int, ...], Num[np.ndarray, " n"] | None]:
    """Return all numbers in order, their shape, and the lengths of series where these differ."""
    shape, ragged = [len(values)], None
    while is_list(values.type):
        if values.null_count:
            raise ValueError(f"{name} has an empty cell inside a list; write numbers or NaN.")
        if pa.types.is_fixed_size_list(values.type):
            lengths = np.full(len(values), values.type.list_size)
        else:
            lengths = pc.list_value_length(values).to_numpy()
        differ: Bool[np.ndarray, " n"] = lengths != lengths[:1]
        if differ.any():
            at = int(differ.argmax())
            if spec.kind != "series" or not spec.bands_last or len(shape) > 1 or not is_list(values.type.value_type):
                where = f"row {rows[at]}" if len(shape) == 1 else "another"
                raise ValueError(
                    f"{name} has lists of {lengths[at]} values in {where} and of {lengths[0]} in row {rows[0]}; only "
                    "series may differ in length, as lists of steps that are lists of bands."
                )
            ragged = lengths
        shape.append(int(lengths[0]))
        values = values.flatten()
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        raise ValueError(f"{name} holds lists of {values.type}, not of numbers.")
    flat = values.to_numpy(zero_copy_only=False)
    return flat.astype(np.float32) if flat.dtype.kind == "O" else flat, tuple(shape), ragged
