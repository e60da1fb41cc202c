"""What was fitted, stored beside the table, so that new rows get the same features."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geotether.features.catalogue import make_features
from geotether.features.featurizer import Featurizer
from geotether.files.disk import replacing_file
from geotether.version import __version__

ENDING = ".transform.safetensors"
_NOTE = "geotether"


@dataclass(frozen=True)
class Transform:
    """How rows of a source become features.

    Attributes:
        name: Of the features, a key of `geotether.features.catalogue.FEATURES`.
        featurizer: Fitted.
        encode_time: Which parts of the time become features as well.
        source: Name of the source that it was fitted on.
        options: Options of that source.
    """

    name: str
    featurizer: Featurizer
    encode_time: tuple[str, ...]
    source: str
    options: dict[str, Any]


def transform_path(table: str | Path) -> Path:
    """Say where the transform of a table lies: beside it.

    Example:
        >>> transform_path("tables/birds.parquet").name
        'birds.transform.safetensors'
    """
    return Path(table).with_name(Path(table).stem + ENDING)


def save_transform(transform: Transform, path: str | Path) -> None:
    """Write a fitted transform: arrays as tensors, all else as JSON in the file's metadata.

    Args:
        transform: What to write.
        path: Usually `transform_path` of the table.

    Raises:
        OSError: If it cannot be written; an older file is unchanged.
    """
    from safetensors.numpy import save_file

    values, arrays = transform.featurizer.fitted()
    note = {
        "transform": 1,
        "features": {"name": transform.name, **transform.featurizer.settings()},
        "fitted": values,
        "encode_time": list(transform.encode_time),
        "source": transform.source,
        "options": transform.options,
        "geotether": __version__,
    }
    # One entry only: safetensors writes several in an order that changes from run to run.
    metadata = {_NOTE: json.dumps(note, ensure_ascii=False, default=_plain)}
    with replacing_file(path) as part:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part, metadata)


def load_transform(path: str | Path) -> Transform:
    """Read a fitted transform.

    Args:
        path: Of the file, or of the table beside which it lies.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no transform, or its features are not known here.
        ImportError: If the features need an extra.
    """
    from safetensors import SafetensorError, safe_open

    path = find_transform(path)
    try:
        with safe_open(path, framework="numpy") as file:
            note = json.loads((file.metadata() or {}).get(_NOTE, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is damaged or is not a transform of geotether: {error}.") from error
    if not isinstance(note, dict) or note.get("transform") != 1:
        raise ValueError(f"{path} is not a transform of geotether; `table build` writes one beside each table.")
    settings = dict(note["features"])
    name = settings.pop("name")
    featurizer = make_features(name, settings).restore(note["fitted"], arrays)
    return Transform(name, featurizer, tuple(note["encode_time"]), note["source"], note["options"])


def find_transform(path: str | Path) -> Path:
    """Find the transform file of a table, or take it as it is.

    Raises:
        FileNotFoundError: If there is none; where it was looked for is said.
    """
    path = Path(path)
    beside = path if path.name.endswith(ENDING) else transform_path(path)
    if not beside.is_file():
        raise FileNotFoundError(
            f"There is no {beside}, which holds what was fitted for {path.name}; `table build` writes it beside the "
            "table, and the two must stay together."
        )
    return beside


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} is no plain value; what is fitted must fit into JSON and arrays.")
