"""Columns of lists of numbers into arrays."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Num

from geotether.pairing.arrays import arranged_rows
from geotether.pairing.specification import ModalitySpec


def is_list(kind: pa.DataType) -> bool:
    """Is this an Arrow type of lists?"""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def array_of_lists(
    column: pa.ChunkedArray, spec: ModalitySpec, name: str
) -> tuple[Num[np.ndarray, "n ..."], Bool[np.ndarray, " n"]]:
    """Turn lists, nested as deep as a row has axes or flat with a specified shape, into one array.

    Args:
        column: One list a row; null where the row lacks this modality. Numbers inside may be null.
        spec: Of the modality. Only series may differ in length: the shorter ones end in NaN.
        name: What to call the column in an error.

    Returns:
        Values in the axes of `Modality`, and which rows have any.

    Raises:
        ValueError: If rows differ in length, or the column holds something else.
    """
    present = np.asarray(column.is_valid().to_numpy(), dtype=bool)
    if not present.any():
        raise ValueError(f"{name} is empty in all {len(present)} rows.")
    inner = column.drop_null().combine_chunks()
    inner = pa.concat_arrays(inner.chunks) if isinstance(inner, pa.ChunkedArray) else inner
    flat, shape, lengths = _unnested(inner, spec, name, np.flatnonzero(present))
    if lengths is None:
        found = arranged_rows(flat.reshape(shape), spec, name)
    else:  # series of several lengths
        padded = np.full((shape[0], int(lengths.max()), *shape[2:]), np.nan, dtype=np.float32)
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = flat.reshape(-1, *shape[2:])
        found = arranged_rows(padded, spec, name)
    if present.all():
        return found, present
    values = np.zeros((len(present), *found.shape[1:]), dtype=found.dtype)
    values[present] = found
    return values, present


def lists_of_texts(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Read lists that a CSV holds as JSON, such as "[0.1, 0.2]".

    Args:
        column: Of texts; an empty one is no list.
        name: What to call the column in an error.

    Raises:
        ValueError: If a text is no list of numbers; the row is named.
    """
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


def _unnested(
    values: pa.Array, spec: ModalitySpec, name: str, rows: np.ndarray
) -> tuple[np.ndarray, tuple[int, ...], np.ndarray | None]:
    """All numbers in order, the shape that their lengths tell, and the lengths of series where these differ."""
    shape, ragged = [len(values)], None
    while is_list(values.type):
        if values.null_count:
            raise ValueError(f"{name} has an empty cell inside a list; write numbers or NaN.")
        if pa.types.is_fixed_size_list(values.type):
            lengths = np.full(len(values), values.type.list_size)
        else:
            lengths = pc.list_value_length(values).to_numpy()
        differ = lengths != lengths[:1]
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
