"""How rows become features: fitted once, stored beside the table, applied to any rows."""

import copy
import datetime
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Shaped

from geotether.features.catalogue import FEATURES, make_features
from geotether.features.featurizer import TRANSFORM_ENDING, Featurizer
from geotether.featurizing.rows import PART_ROWS, join_content, read_runs, reject, spoken_reasons, take_content
from geotether.featurizing.threads import one_thread
from geotether.files.disk import replacing_file
from geotether.files.rounding import restored, rounded_rows
from geotether.plugins import origins, require
from geotether.sources.source import Observations, Rejected
from geotether.tables.splits import block_parts
from geotether.tables.table import Table
from geotether.version import __version__

if TYPE_CHECKING:
    from geotether.featurizing.job import Job

_NOTE = "geotether"
_DAY_MS = 86_400_000
_FEWEST = 64  # rows read for the fit, even where the features need fewer
_EXPECTED = 30  # rows expected of a part of the split, above which a sample without any means that it is empty


@dataclass(frozen=True)
class Transform:
    """The fitted features of a source's rows.

    Attributes:
        name: Name of the features, a key of `geotether.features.catalogue.FEATURES`.
        featurizer: The fitted featurizer.
        encode_time: The parts of the time that become features too; see `time_features`.
        source: Name of the source that it was fitted to.
        options: Options of that source.
    """

    name: str
    featurizer: Featurizer
    encode_time: tuple[str, ...]
    source: str
    options: dict[str, Any]

    @cached_property
    def names(self) -> list[str]:
        """Names of the features, those of the time last."""
        return self.featurizer.names() + time_names(self.encode_time)

    def apply(self, found: Observations) -> tuple[Observations, np.ndarray]:
        """Compute the features of rows.

        Returns:
            The rows with finite features, the others among their rejected rows; and the features, float32, (n, d).
        """
        found = reject(found, self.featurizer.refuse(found.content) if len(found) else {})
        if not len(found):
            return found, np.empty((0, len(self.names)), dtype=np.float32)
        where, expected = f"rows {found.row[0]} to {found.row[-1]}", (len(found), len(self.featurizer.names()))
        try:
            features = np.asarray(self.featurizer.transform(found.content))
        except ValueError as error:
            raise ValueError(f"Could not make features of {where}: {error}") from error
        if features.shape != expected:
            raise ValueError(
                f"{type(self.featurizer).__name__} returned features of shape {features.shape} for {where}; its names "
                f"ask for {expected}."
            )
        if self.encode_time:
            times = time_features(_times(found, self.encode_time), self.encode_time)
            features = np.concatenate([features, times], axis=1)
        with np.errstate(over="ignore"):
            features = features.astype(np.float32, copy=False)
        finite = np.isfinite(features).all(axis=1)
        reasons = dict.fromkeys(np.flatnonzero(~finite).tolist(), "features are not finite")
        return reject(found, reasons), features[finite]


def fit_transform(job: "Job", count: int, chosen: np.ndarray | None) -> tuple[Transform | None, list[Rejected], int]:
    """Fit the features to a random sample of the training rows.

    Args:
        job: The job.
        count: Number of rows of the prepared source.
        chosen: Numbers of the rows to use; None: all.

    Returns:
        The transform, or None if no sampled row can be used; the sampled rows that cannot; the size of the sample.
    """
    spec, featurizer = job.spec, copy.deepcopy(job.featurizer)
    rows = np.arange(count) if chosen is None else chosen
    rng = np.random.default_rng([spec.seed, 1])
    share = 1.0 if spec.split is None else max(spec.split.shares.get("train", 0.0), 0.01)
    drawn = min(max(math.ceil(featurizer.fit_rows / share), _FEWEST), len(rows))
    numbers = np.sort(rng.choice(rows, drawn, replace=False))
    runs = []
    for run in read_runs(job.source, 0, count, PART_ROWS[job.source.kind], numbers):
        try:  # not all features can refuse rows before they are fitted
            runs.append(reject(run, featurizer.refuse(run.content) if len(run) else {}))
        except ValueError:
            runs.append(run)
    rejected = sorted((one for run in runs for one in run.rejected), key=lambda one: one.row)
    runs = [run for run in runs if len(run)]
    if not runs:
        return None, rejected, drawn
    if spec.encode_time:
        _times(runs[0], spec.encode_time)
    learned = _training_rows(job, np.concatenate([run.lonlat for run in runs]), whole=drawn == len(rows))
    if len(learned) > featurizer.fit_rows:
        learned = np.sort(rng.choice(learned, featurizer.fit_rows, replace=False))
    try:
        with one_thread():
            featurizer = featurizer.fit(take_content(join_content([run.content for run in runs]), learned))
    except ValueError as error:
        why = f" ({spoken_reasons(Counter(row.reason for row in rejected))} rejected)" if rejected else ""
        raise ValueError(f"The features {job.features!r} cannot be fitted to {spec.path}: {error}{why}") from error
    return Transform(job.features, featurizer, spec.encode_time, str(spec.source), spec.options), rejected, drawn


def transform_path(table: str | Path) -> Path:
    """Return the path of a table's transform, which is beside it.

    Example:
        >>> transform_path("tables/birds.parquet").name
        'birds.transform.safetensors'
    """
    return Path(table).with_name(Path(table).stem + TRANSFORM_ENDING)


def save_transform(transform: Transform, path: str | Path) -> None:
    """Write a fitted transform; see `transform_bytes`."""
    with replacing_file(path) as part:  # written here, so that a full disk is an OSError
        part.write_bytes(transform_bytes(transform))


def transform_bytes(transform: Transform, bits: int | None = None) -> bytes:
    """Return a fitted transform as a file: arrays as tensors, everything else as JSON in the file's metadata.

    Args:
        transform: The transform.
        bits: Store matrices as integers of 8 or 16 bits with a unit per row; None: as they are.
    """
    from safetensors.numpy import save

    values, arrays = transform.featurizer.fitted()
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    for name in [name for name, array in arrays.items() if bits and array.ndim == 2 and array.dtype.kind == "f"]:
        arrays |= rounded_rows(name, arrays.pop(name), bits)  # type: ignore[arg-type]
    note = {
        "transform": 1,
        "features": {"name": transform.name, **transform.featurizer.settings()},
        "fitted": values,
        "encode_time": list(transform.encode_time),
        "source": transform.source,
        "options": transform.options,
        "geotether": __version__,
    }
    if plugins := origins([(FEATURES.kind, transform.name)]):
        note["plugins"] = plugins
    # A single entry: safetensors writes several in an order that changes from run to run.
    return save(arrays, {_NOTE: json.dumps(note, ensure_ascii=False, default=_plain)})


def load_transform(path: str | Path) -> Transform:
    """Read a fitted transform.

    Args:
        path: The file, or the table that it is beside.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a transform, or its features are unknown.
        ImportError: If the features need an extra or a plug-in; the message names it.
    """
    path = find_transform(path)
    return transform_of_bytes(path.read_bytes(), path)


def transform_of_bytes(data: bytes, path: str | Path) -> Transform:
    """Return the transform of a file's bytes; `path` is its name in errors, which are those of `load_transform`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = restored(load(data))
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        note = json.loads(header.get("__metadata__", {}).get(_NOTE, "{}"))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is corrupt or is not a transform of geotether: {error}.") from error
    if not isinstance(note, dict) or note.get("transform") != 1:
        raise ValueError(f"{path} is not a transform of geotether; `table build` writes one beside each table.")
    require(note.get("plugins", ()), str(path))
    try:
        settings = dict(note["features"])
        name = settings.pop("name")
        featurizer = make_features(name, settings).restore(note["fitted"], arrays)
        return Transform(name, featurizer, tuple(note["encode_time"]), note["source"], dict(note["options"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def fitted_features(table: Table) -> bytes | None:
    """Return the file of the features that a table was made with, or None if they are not known.

    Raises:
        ValueError: If the transform beside the table is damaged.
    """
    if isinstance(table.transform, tuple):
        name, featurizer = table.transform
        return transform_bytes(Transform(name, featurizer, (), "", {}))
    if table.transform is None or not table.transform.is_file():
        return None
    data = table.transform.read_bytes()
    try:
        fits = len(transform_of_bytes(data, table.transform).names) == table.dim
    except ImportError:  # an extra or a plug-in that training does not need
        return None
    return data if fits else None


def find_transform(path: str | Path) -> Path:
    """Return the path of an existing transform, given it or its table."""
    path = Path(path)
    beside = path if path.name.endswith(TRANSFORM_ENDING) else transform_path(path)
    if not beside.is_file():
        raise FileNotFoundError(
            f"There is no {beside}, which contains what was fitted for {path.name}; `table build` writes it beside "
            "the table, and the two must stay together."
        )
    return beside


def time_features(time: Shaped[np.ndarray, "n"], encode: Sequence[str]) -> Float32[np.ndarray, "n k"]:
    """Turn times into features.

    Args:
        time: datetime64, UTC, NaT where unknown, shape (n,).
        encode: Any of "day_of_year", "hour" and "year", in the order of their columns.

    Returns:
        Shape (n, k), named by `time_names`: sine and cosine of the time of the year and of the day, decades since
        2000, and a last column that is 1 where the time is unknown and the other columns are 0.

    Example:
        >>> time_features(np.array(["2020-01-01T12:00", "NaT"], dtype="datetime64[ms]"), ["hour"]).round(3).tolist()
        [[0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    time = time.astype("datetime64[ms]")
    missing = np.isnat(time)
    known = np.where(missing, np.datetime64("2000-01-01", "ms"), time)
    first = known.astype("datetime64[Y]")
    start, end = first.astype("datetime64[ms]"), (first + 1).astype("datetime64[ms]")
    of_year = (known - start) / (end - start)
    of_day = (known - known.astype("datetime64[D]")).astype(np.int64) / _DAY_MS
    columns: list[np.ndarray] = []
    for name in encode:
        if name == "year":
            columns.append((first.astype(np.int64) - 30 + of_year) / 10)  # numpy counts from 1970
        else:
            angle = 2 * np.pi * (of_year if name == "day_of_year" else of_day)
            columns += [np.sin(angle), np.cos(angle)]
    values = np.stack([*(np.where(missing, 0, column) for column in columns), missing], axis=1)
    return values.astype(np.float32)


def time_names(encode: Sequence[str]) -> list[str]:
    """Return the names of the columns of `time_features`.

    Example:
        >>> time_names(["hour", "year"])
        ['hour sin', 'hour cos', 'decades since 2000', 'time missing']
    """
    names = []
    for name in encode:
        spoken = name.replace("_", " ")
        names += ["decades since 2000"] if name == "year" else [f"{spoken} sin", f"{spoken} cos"]
    return [*names, "time missing"] if encode else []


def _times(found: Observations, encode_time: tuple[str, ...]) -> np.ndarray:
    if found.time is None:
        raise ValueError(
            f"encode_time asks for {', '.join(encode_time)}, but the source gives no times; name its column of times, "
            "or leave encode_time out."
        )
    return found.time


def _training_rows(job: "Job", lonlat: np.ndarray, whole: bool) -> np.ndarray:
    """Return positions of the rows whose block is for training; buffers need all rows and are applied later."""
    split = job.spec.split
    if split is None:
        return np.arange(len(lonlat))
    parts = block_parts(lonlat, split.block_km, split.shares, split.seed)
    for name, share in split.shares.items() if job.spec.split_asked else ():
        # Fail before the work where the outcome is certain, or nearly so from the size of the sample.
        needed = share > 0 and (whole or name == "train" or len(lonlat) * share >= _EXPECTED)
        if needed and not (parts == name).any():
            raise ValueError(
                f"No row falls into {name!r}: the rows lie in too few blocks of {split.block_km:g} km. Use smaller "
                "ones (split: {block_km: ...} in the specification, or --set split.block_km=...), another split seed, "
                "or no split (split: null)."
            )
    learned = np.flatnonzero(parts == "train")
    return learned if len(learned) else np.arange(len(lonlat))  # the default split: the table will have none


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path | datetime.date):
        return str(value)
    raise TypeError(f"{value!r} cannot be stored; fitted values must fit into JSON and arrays.")
