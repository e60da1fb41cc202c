"""Bytes of one observation into an array: images, .npy arrays, and series as CSV."""

import io

import numpy as np

from geotether.pairing.specification import ModalitySpec
from geotether.sources.pictures.pixels import ImageError, image_kind, read_photo

_NUMPY = b"\x93NUMPY"


def decode(data: bytes, spec: ModalitySpec, name: str) -> np.ndarray:
    """Decode one observation.

    Args:
        data: The bytes of an image that Pillow or (TIFF) rasterio reads, of a .npy array, or of a CSV with a header
            and one row a step.
        spec: Of the modality; its `mode` and `size` are for images.
        name: What to call it in an error; a CSV is told by its ending.

    Returns:
        The array as the file holds it; of an image, in the axes that `spec` says.

    Raises:
        ValueError: If it is none of these, or damaged, or an image that should be something else.
        ImportError: If it is a TIFF and rasterio is missing.
    """
    if data.startswith(_NUMPY):
        try:
            return np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{name} is a damaged .npy array or holds Python objects: {error}.") from error
    if name.lower().endswith((".csv", ".tsv", ".txt")):
        return _series_of_csv(data, name)
    if spec.kind != "chip" and image_kind(data[:16]):
        raise ValueError(f"{name} is an image, so its modality is a chip, not a {spec.kind}.")
    try:
        pixels = read_photo(data, mode=spec.mode, size=spec.size).pixels
    except ImageError as error:
        raise ValueError(f"{name}: {error}.") from error
    return pixels if spec.bands_last else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def decode_bands(parts: list[tuple[str, bytes]], spec: ModalitySpec) -> np.ndarray:
    """Decode the files of one chip into one array, their bands one after the other.

    Args:
        parts: Name and bytes of each file.
        spec: Of the modality.

    Raises:
        ValueError: If one cannot be decoded, or they differ in size.
    """
    arrays = [decode(data, spec, name) for name, data in parts]
    if len(arrays) == 1:
        return arrays[0]
    axis = -1 if spec.bands_last else 0
    arrays = [np.expand_dims(one, axis) if one.ndim == 2 and spec.kind == "chip" else one for one in arrays]
    sizes = [one.shape[:axis] if spec.bands_last else one.shape[1:] for one in arrays]
    for (name, _), size in zip(parts, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(f"{name} has size {size} and {parts[0][0]} has {sizes[0]}; give size to resample both.")
    return np.concatenate(arrays, axis=axis)


def _series_of_csv(data: bytes, name: str) -> np.ndarray:
    import pyarrow as pa
    from pyarrow.csv import ParseOptions, read_csv

    header = data.split(b"\n", 1)[0].decode("utf-8-sig", "replace")
    try:
        table = read_csv(io.BytesIO(data), parse_options=ParseOptions(delimiter=max(",;\t", key=header.count)))
        columns = [column.cast(pa.float64()).to_numpy() for column in table.columns]
    except pa.ArrowException as error:
        raise ValueError(f"{name} must hold a header and numbers, one row a step: {error}.") from error
    return np.stack(columns, axis=1).astype(np.float32)
