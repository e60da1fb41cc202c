"""The one door to paired data."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.geodesy.dates import times_of
from geotether.pairing.folder import TABLE_READERS, open_folder
from geotether.pairing.layouts import read_layout
from geotether.pairing.npz import NpzFile
from geotether.pairing.paired_file import PairedFile
from geotether.pairing.rows import matching_rows
from geotether.pairing.specification import PairedSpec, make_spec, read_paired_spec
from geotether.pairing.targets import make_target
from geotether.suggestions import closest
from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.store import is_table_npz, read_table
from geotether.tables.table import Table


def open_paired(spec: PairedSpec | Mapping[str, Any] | str | Path, data: str | Path | None = None) -> Table:
    """Read a paired table.

    Args:
        spec: A specification (see `PairedSpec`), the path of a YAML file that holds one under `paired`, or the path of
            a table that `write_table` wrote.
        data: The folder that a relative path in the specification is seen from; by default that of the YAML file, or
            the working directory.

    Returns:
        The checked table.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If the specification or the data are wrong.
        TypeError: If a column does not hold numbers where it should.
        ImportError: If files need an extra to be read.
    """
    if isinstance(spec, str | Path):
        path = Path(spec)
        if path.suffix.lower() not in (".yaml", ".yml"):
            return _read_own(path)
        data = path.parent if data is None else data
        spec = read_paired_spec(path)
    spec = make_spec(spec)
    path = (Path() if data is None else Path(data)) / Path(spec.path).expanduser()
    if not path.exists():
        relative = ""
        if not Path(spec.path).expanduser().is_absolute():
            relative = (
                f" {spec.path} is seen from {Path() if data is None else data}; --set data=FOLDER (in Python data=...) "
                "says where else the samples are."
            )
        raise FileNotFoundError(f"There is no file or folder {path}.{relative}")
    own = spec.layout is None and path.suffix.lower() == ".npz" and is_table_npz(path)
    if spec.layout is None and not own:
        table = _told(path, lambda: _read(path, spec))
    else:
        what = f"the layout {spec.layout}" if spec.layout else "a table written by write_table"
        if spec.described:
            raise ValueError(f"{path}: {what} says itself what is where; leave out {', '.join(spec.described)}.")
        table = read_layout(spec.layout, path, spec.options) if spec.layout else read_table(path)
        table = replace(table, name=spec.name or table.name, origin=_origin(spec, table.origin), is_part=own)
    for name in spec.require:
        table = _with(table, name)
    return table


def _read_own(path: Path) -> Table:
    if path.is_file() and path.suffix.lower() == ".npz" and is_table_npz(path):
        return read_table(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    raise ValueError(
        f"{path} does not say what is in it: name its modalities in a specification, such as {{path: {path.name}, "
        "modalities: {s1: {kind: series, values: s1}}}."
    )


def _told(path: Path, read: Callable[[], Table]) -> Table:
    try:
        return read()
    except (TypeError, ValueError) as error:
        raise _same(error)(f"{path}: {error}") from error


def _same(error: Exception) -> type[Exception]:
    """The kind of error to raise in its place; kinds of ValueError may need more than a text."""
    return TypeError if isinstance(error, TypeError) else ValueError


def _read(path: Path, spec: PairedSpec) -> Table:
    if not spec.modalities:
        raise ValueError("the specification names no modalities; it needs at least one.")
    if spec.index is not None and not path.is_dir():
        raise ValueError("index is the table in a folder; this path is a file.")
    file = _open_file(path, spec)
    rows = matching_rows(file, spec.rows)
    modalities = {}
    for name, modality in spec.modalities.items():
        try:
            found = file.observe(name, modality, rows)
            modalities[name] = Modality(modality.kind, found.values, found.present, found.bands)
        except (TypeError, ValueError) as error:
            raise _same(error)(f"modality {name!r}: {error}") from error
    targets = {}
    for name, target in spec.targets.items():
        try:
            targets[name] = make_target(name, target, file, rows)
        except (TypeError, ValueError) as error:
            raise _same(error)(f"target {name!r}: {error}") from error
    split = None if spec.split is None else _texts(file, spec.split, rows)
    if split is not None:
        split = np.array([spec.rename_split.get(word, word) for word in split.tolist()])
    return Table(
        name=spec.name or path.stem,
        modalities=modalities,
        targets=targets,
        id=np.empty(0, dtype="<U1") if spec.id is None else _texts(file, spec.id, rows),
        lonlat=_places(file, spec, rows),
        time=None if spec.time is None else _times(file, spec.time, rows),
        split=split,
        group=None if spec.group is None else _texts(file, spec.group, rows),
        origin=_origin(spec, Origin()),
    )


def _open_file(path: Path, spec: PairedSpec) -> PairedFile:
    if path.is_dir():
        return open_folder(path, spec)
    ending = path.suffix.lower()
    if ending == ".npz":
        return NpzFile(path, spec)
    if ending not in TABLE_READERS:
        known = ", ".join([".npz", *TABLE_READERS])
        raise ValueError(f"files of paired data end in {known}; {ending or 'no ending'!r} is read by a layout at most.")
    return TABLE_READERS[ending](path)


def _texts(file: PairedFile, name: str, rows: np.ndarray) -> np.ndarray:
    values = file.column(name)[rows]
    if values.ndim != 1:
        raise ValueError(f"{name!r} needs one value a row, got shape {values.shape}.")
    empty = [row for row, value in zip(rows.tolist(), values.tolist(), strict=True) if value is None or value != value]
    if empty:
        raise ValueError(f"{name!r} has no value in row {empty[0]}.")
    return values.astype(str)


def _places(file: PairedFile, spec: PairedSpec, rows: np.ndarray) -> np.ndarray | None:
    if spec.lon is None or spec.lat is None:
        found = file.places()
        return None if found is None else found[rows]
    degrees = []
    for axis, name in (("lon", spec.lon), ("lat", spec.lat)):
        values = file.column(name)[rows]
        if values.dtype.kind not in "fiu" or values.ndim != 1:
            raise TypeError(f"{axis} must be numbers in degrees, but {name!r} holds {values.dtype}.")
        degrees.append(values.astype(np.float64))
    return np.stack(degrees, axis=1)


def _times(file: PairedFile, name: str, rows: np.ndarray) -> np.ndarray:
    values = file.column(name)[rows]
    times, odd = times_of(pa.array(values.tolist() if values.dtype.kind == "U" else values))
    if odd.any():
        row = int(odd.argmax())
        raise ValueError(f"time {name!r} has {str(values[row])!r} in row {rows[row]}, which is no date, time or year.")
    return times


def _origin(spec: PairedSpec, known: Origin) -> Origin:
    return Origin(
        licence=spec.licence or known.licence,
        source=spec.origin or known.source,
        citation=spec.citation or known.citation,
        url=spec.url or known.url,
        made=known.made,
    )


def _with(table: Table, name: str) -> Table:
    """The rows that have a modality."""
    if name not in table.modalities:
        known = ", ".join(table.modalities)
        raise ValueError(f"require names {name!r}.{closest(name, table.modalities)} Modalities: {known}.")
    present = table.modalities[name].present
    if not present.any():
        raise ValueError(f"no row has all of the modalities required; none of the rest has {name!r}.")
    return table if present.all() else table.rows(present)
