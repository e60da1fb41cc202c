"""Paired tables on disk: one .npz file of plain arrays."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from geotether.sources.disk import replacing_file
from geotether.tables.matrix import total_memory
from geotether.tables.origin import Origin
from geotether.tables.paired import PairedTable
from geotether.tables.paired_target import Target
from geotether.tables.sensor import Sensor, parts_of

_COLUMNS = ("id", "lonlat", "time", "split", "group")
_ABOUT = "about"


def write_paired(table: PairedTable, path: str | Path) -> None:
    """Write a paired table as a .npz file of plain arrays, which `numpy.load(..., allow_pickle=False)` reads too.

    Entries: `values/NAME` and `present/NAME` of each modality, `target/NAME` of each target, `id`, and where the table
    has them `lonlat`, `time`, `split` and `group`; `about` is a JSON text with the rest. The file is complete or not
    there: it takes the place of an older one only once it is written.

    Args:
        table: What to write.
        path: Usually ends in .npz. Missing folders are created.

    Raises:
        OSError: If the disk is full or the folder cannot be written to; an older file is unchanged.
    """
    about: dict[str, Any] = {
        "paired_table": 1,
        "name": table.name,
        "sensors": {name: {"kind": one.kind, "bands": one.bands} for name, one in table.sensors.items()},
        "targets": {name: {"kind": one.kind, "names": one.names} for name, one in table.targets.items()},
        "origin": table.origin.plain(),
    }
    arrays = {_ABOUT: np.array(json.dumps(about))}
    arrays |= {name: getattr(table, name) for name in _COLUMNS if getattr(table, name) is not None}
    arrays |= {f"present/{name}": one.present for name, one in table.sensors.items()}
    arrays |= {f"target/{name}": one.values for name, one in table.targets.items()}
    arrays |= {f"values/{name}": one.values for name, one in table.sensors.items()}
    with replacing_file(path) as part, part.open("wb") as out, zipfile.ZipFile(out, "w", allowZip64=True) as file:
        for name, values in arrays.items():
            # A date of its own, so that equal tables give equal files.
            with file.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                _write_array(entry, values)


def is_paired_file(path: str | Path) -> bool:
    """Whether a file was written by `write_paired`, told by its entry `about`."""
    try:
        # NumPy leaves a file of its own open where it is no zip.
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return _ABOUT in file.files and '"paired_table"' in str(file[_ABOUT])
    except (ValueError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile):
        return False


def read_paired(path: str | Path, memory_share: float = 0.25) -> PairedTable:
    """Read a paired table that `write_paired` wrote.

    Args:
        path: The file.
        memory_share: Observations of a modality larger than this share of the machine's memory stay in the file, as a
            memory map; 0 always maps.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it was not written by `write_paired`, or is damaged.
    """
    path = Path(path)
    if not 0 <= memory_share <= 1:
        raise ValueError(f"memory_share must lie in [0, 1], got {memory_share}.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if not is_paired_file(path):
        raise ValueError(f"{path} was not written by write_paired, or is damaged.")
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file[_ABOUT]))
            most = memory_share * total_memory()
            sensors = {}
            for name, one in about["sensors"].items():
                entry = f"values/{name}"
                values = _mapped(path, file.zip.getinfo(f"{entry}.npy"), most)
                values = file[entry] if values is None else values
                sensors[name] = Sensor(one["kind"], values, file[f"present/{name}"], tuple(one["bands"]))
            targets = {
                name: Target(one["kind"], file[f"target/{name}"], tuple(one["names"]))
                for name, one in about["targets"].items()
            }
            columns = {name: file[name] for name in _COLUMNS if name in file.files}
        # What was written may have been a part, such as rows to predict, that lacks a modality or all labels.
        return PairedTable(about["name"], sensors, targets, **columns, origin=Origin.of(about["origin"]), is_part=True)
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise ValueError(f"{path} is damaged: {error}.") from error


def _mapped(path: Path, entry: zipfile.ZipInfo, most: float) -> np.ndarray | None:
    """An entry of more than so many bytes, where it lies in the file as it is; None for others."""
    if entry.file_size <= most or entry.compress_type != zipfile.ZIP_STORED:
        return None
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        # The entry's own header may be longer than the directory says: its last two fields tell.
        name, extra = np.frombuffer(file.read(30)[26:], dtype="<u2").tolist()
        file.seek(name + extra, 1)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if fortran or dtype.hasobject:
            return None
        return np.memmap(path, dtype, "r", offset=file.tell(), shape=shape)


def _write_array(entry: Any, values: np.ndarray) -> None:
    """Write one array in the .npy format, in runs of rows, so that a memory map stays on disk."""
    header = {"descr": np.lib.format.dtype_to_descr(values.dtype), "fortran_order": False, "shape": values.shape}
    np.lib.format.write_array_header_2_0(entry, header)
    for _, part in parts_of(values) if values.ndim else [(0, values)]:
        entry.write(np.ascontiguousarray(part).tobytes())
