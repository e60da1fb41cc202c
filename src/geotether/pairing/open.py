"""Open paired data in any format."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.files.formats import endings_of, format_of
from geotether.geodesy.dates import strict_times
from geotether.pairing.layouts import read_layout
from geotether.pairing.npz import NpzFile
from geotether.pairing.specification import PairedSpec, make_spec, read_paired_spec
from geotether.pairing.table_file import TableFile
from geotether.pairing.targets import PairedFile, make_target, matching_rows
from geotether.suggestions import closest
from geotether.tables.modality import Modality, parts_of
from geotether.tables.origin import Origin
from geotether.tables.store import is_table_npz, read_table
from geotether.tables.table import Table

_MARKS = (-999.0, -9999.0, -99999.0, -999999.0, -32768.0)
_log = logging.getLogger(__name__)


def open_paired(spec: PairedSpec | Mapping[str, Any] | str | Path, data: str | Path | None = None) -> Table:
    """Read a paired table.

    Args:
        spec: A specification (see `PairedSpec`), the path of a YAML file that holds one under `paired`, or the path of
            a table that `write_table` wrote.
        data: Folder to which the path in the specification is relative; by default that of the YAML file, or the
            working directory.

    Returns:
        The checked table.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If the specification or the data are wrong.
        TypeError: If a column does not hold numbers where it should.
        ImportError: If a format needs an extra that is not installed.
    """
    if isinstance(spec, str | Path):
        path = Path(spec)
        if path.suffix.lower() not in (".yaml", ".yml"):
            if not path.exists():
                raise FileNotFoundError(f"There is no file {path}.")
            if is_table_npz(path):
                return read_table(path)
            raise ValueError(
                f"{path} does not describe its content: name its modalities in a specification, such as "
                f"{{path: {path.name}, modalities: {{s1: {{kind: series, values: s1}}}}}}."
            )
        data = path.parent if data is None else data
        spec = read_paired_spec(path)
    spec = make_spec(spec)
    path = (Path() if data is None else Path(data)) / Path(spec.path).expanduser()
    if not path.exists():
        relative = ""
        if not Path(spec.path).expanduser().is_absolute():
            relative = (
                f" {spec.path} is relative to {Path() if data is None else data}; give another folder with --set "
                "data=FOLDER (in Python data=...)."
            )
        raise FileNotFoundError(f"There is no file or folder {path}.{relative}")
    own = spec.layout is None and is_table_npz(path)
    if spec.layout is None and not own:
        with _prefixed(path):
            table = _read(path, spec)
    else:
        what = f"the layout {spec.layout}" if spec.layout else "a table written by write_table"
        if spec.described:
            raise ValueError(f"{path}: {what} describes itself; leave out {', '.join(spec.described)}.")
        table = read_layout(spec.layout, path, spec.options) if spec.layout else read_table(path)
        table = replace(table, name=spec.name or table.name, origin=_origin(spec, table.origin), is_part=own)
    for name in spec.require:
        if name not in table.modalities:
            known = ", ".join(table.modalities)
            raise ValueError(f"require names {name!r}.{closest(name, table.modalities)} Modalities: {known}.")
        present = table.modalities[name].present
        if not present.any():
            raise ValueError(f"no row has all required modalities; none of the others has {name!r}.")
        table = table if present.all() else table.rows(present)
    return table


def _read(path: Path, spec: PairedSpec) -> Table:
    if not spec.modalities:
        raise ValueError("the specification names no modalities; it needs at least one.")
    if spec.index is not None and not path.is_dir():
        raise ValueError("index names the table of a folder; this path is a file.")
    file = _open_file(path, spec)
    rows = matching_rows(file, spec.rows)
    modalities, targets = {}, {}
    for name, modality in spec.modalities.items():
        with _prefixed(f"modality {name!r}"):
            modalities[name] = file.observe(name, modality, rows)
            _warn_of_marks(f"{path}: modality {name!r}", modalities[name])
    for name, target in spec.targets.items():
        with _prefixed(f"target {name!r}"):
            targets[name] = make_target(name, target, file, rows)
    split = None if spec.split is None else _texts(file, spec.split, rows)
    if split is not None:
        split = np.array([spec.rename_split.get(word, word) for word in split.tolist()], dtype=object)
    places = file.places(spec.lon, spec.lat)
    return Table(
        name=spec.name or path.stem,
        modalities=modalities,
        targets=targets,
        id=np.empty(0, dtype=object) if spec.id is None else _texts(file, spec.id, rows),
        lonlat=None if places is None else places[rows],
        time=None if spec.time is None else _times(file, spec.time, rows),
        split=split,
        group=None if spec.group is None else _texts(file, spec.group, rows),
        origin=_origin(spec, Origin()),
    )


def _warn_of_marks(what: str, modality: Modality) -> None:
    """Warn if the smallest number is a usual mark of missing values that is far from all others."""
    if modality.values.dtype.kind not in "fi":
        return
    lows = [float(np.fmin.reduce(part, axis=None)) for _, part in parts_of(modality.values)]
    low = np.fmin.reduce(lows)
    if low not in _MARKS:
        return
    seen = [(int((part == low).sum()), part[part != low]) for _, part in parts_of(modality.values)]
    if min(float(np.fmin.reduce(others, axis=None, initial=np.inf)) for _, others in seen) > low / 2:
        count = sum(times for times, _ in seen)
        _log.warning("%s holds %g %d times. If it means missing, give missing: [%g].", what, low, count, low)


@contextmanager
def _prefixed(what: object) -> Iterator[None]:
    """Put a name in front of errors."""
    try:
        yield
    except (TypeError, ValueError) as error:
        # Not type(error): subclasses of ValueError may need more than a text.
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise (error if str(error).startswith(str(what)) else kind(f"{what}: {error}")) from error


def _open_file(path: Path, spec: PairedSpec) -> PairedFile:
    if path.is_dir():
        return TableFile.open_folder(path, spec)
    if path.suffix.lower() == ".npz":
        return NpzFile(path, spec)
    if format_of(path, "rows") is None:
        known = ", ".join([".npz", *endings_of("rows")])
        raise ValueError(f"files of paired data end in {known}; {path.suffix or 'no ending'!r} needs a layout.")
    return TableFile.open(path)


def _texts(file: PairedFile, name: str, rows: np.ndarray) -> np.ndarray:
    values = file.column(name)[rows]
    if values.ndim != 1:
        raise ValueError(f"{name!r} needs one value per row, got shape {values.shape}.")
    empty = [row for row, value in zip(rows.tolist(), values.tolist(), strict=True) if value is None or value != value]
    if empty:
        raise ValueError(f"{name!r} has no value in row {empty[0]}.")
    # Codes that a gap elsewhere, or pandas, has made floats keep their digits: 7, not 7.0.
    whole = values.dtype.kind == "f" and bool((values == np.trunc(values)).all())
    return np.array([str(value) for value in (values.astype(np.int64) if whole else values)], dtype=object)


def _times(file: PairedFile, name: str, rows: np.ndarray) -> np.ndarray:
    values = file.column(name)[rows]
    column = pa.array(values.tolist() if values.dtype.kind == "U" else values)
    return strict_times(column, lambda row: f"time {name!r}, row {rows[row]}")


def _origin(spec: PairedSpec, known: Origin) -> Origin:
    return Origin(
        licence=spec.licence or known.licence,
        source=spec.origin or known.source,
        citation=spec.citation or known.citation,
        url=spec.url or known.url,
        made=known.made,
    )
