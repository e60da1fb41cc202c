"""Files of observations, found by patterns such as "s1/{id}_VV.tif"."""

import os
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geotether.pairing.observations import decode, unknown_column
from geotether.pairing.specification import ModalitySpec


def patterns_of(spec: ModalitySpec) -> list[str]:
    """List the patterns of a modality's files."""
    return [spec.files] if isinstance(spec.files, str) else list(spec.files or [])


def fields_of(pattern: str) -> list[str]:
    """List the names in braces, each once; ValueError if braces do not match or are empty."""
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(pattern) if field is not None]
    except ValueError as error:
        raise ValueError(f"files {pattern!r}: {error}.") from error
    if not fields or not all(fields):
        raise ValueError(f"files {pattern!r} must have the name of a column in braces, such as 's1/{{id}}.tif'.")
    return list(dict.fromkeys(fields))


def observations_of_files(
    folder: Path, spec: ModalitySpec, read: Callable[[list[str]], pa.Table], known: list[str], rows: np.ndarray
) -> Iterator[tuple[int, str, np.ndarray | None]]:
    """Read the files of some rows; cells of the columns that `read` returns, some of `known`, fill the braces.

    Yields:
        Position in `rows`, name for error messages, and the array; None where there is no file.

    Raises:
        FileNotFoundError: If no row has a file, or files of some bands of a chip are missing.
        ValueError: If braces name an unknown column, or a file cannot be decoded.
    """
    patterns = patterns_of(spec)
    fields = list(dict.fromkeys(field for pattern in patterns for field in fields_of(pattern)))
    for field in fields:
        if field not in known:
            raise ValueError(unknown_column("column", field, known))
    cells = read(fields).take(pa.array(rows)).to_pylist()
    some, first = False, None
    for place, row in enumerate(cells):
        if any(value is None or value == "" for value in row.values()):
            yield place, "", None
            continue
        try:
            paths = [_filled_in(folder, pattern, row) for pattern in patterns]
        except (ValueError, TypeError) as error:  # such as {id:05d} where id is a text
            raise ValueError(f"files {patterns!r} cannot be filled in with {row}: {error}.") from error
        there = [path for path in paths if path.is_file()]
        first = first or paths[0]
        if not there:
            yield place, "", None
            continue
        if len(there) < len(paths):
            gone = next(path for path in paths if path not in there)
            raise FileNotFoundError(f"There is {there[0]}, but not {gone}; a chip needs the files of all its bands.")
        some = True
        yield place, str(paths[0]), decode([(str(path), path.read_bytes()) for path in paths], spec)
    if not some:
        raise FileNotFoundError(f"There is no file for any of {len(rows)} rows; the first looked for was {first}.")


def _filled_in(folder: Path, pattern: str, row: dict[str, Any]) -> Path:
    """Return the path of a row's file; cells cannot lead out of the folder, and may be written on Windows."""
    path = folder / pattern.format(**row)
    if "\\" in str(path) and not path.exists():
        path = folder / pattern.format(**row).replace("\\", "/")
    base = os.path.normpath(folder / pattern.partition("{")[0].rpartition("/")[0])
    if not Path(os.path.normpath(path)).is_relative_to(base):
        raise ValueError(f"{path} is outside {base}")
    return path


def rows_of_files(folder: Path, modalities: dict[str, ModalitySpec]) -> pa.Table:
    """Find samples by the names of their files: one row per sample with a file, one text column per field, sorted.

    Raises:
        FileNotFoundError: If no file matches any pattern.
        ValueError: If patterns differ in their fields.
    """
    found: set[tuple[str, ...]] = set()
    fields: list[str] = []
    first = ""
    for name, spec in modalities.items():
        if spec.files is None:
            raise ValueError(f"modality {name!r} has no files; a folder without an index can hold nothing else.")
        for pattern in patterns_of(spec):
            mine = sorted(fields_of(pattern))
            fields, first = fields or mine, first or pattern
            if mine != fields:
                raise ValueError(
                    f"files {pattern!r} and {first!r} have different names in braces; name an index, a table with "
                    "one row per sample and these columns."
                )
            found |= set(_matching(folder, pattern, fields))
    if not found:
        raise FileNotFoundError(f"No file in {folder} matches {first!r}.")
    rows = sorted(found, key=lambda row: [_natural(text) for text in row])
    return pa.table({field: [row[at] for row in rows] for at, field in enumerate(fields)})


def _matching(folder: Path, pattern: str, fields: list[str]) -> Iterator[tuple[str, ...]]:
    glob, regex, seen = "", "", set()
    for text, field, _, _ in string.Formatter().parse(pattern):
        glob, regex = glob + re.sub(r"([*?\[])", r"[\1]", text), regex + re.escape(text)
        if field is not None:
            glob += "*"
            regex += f"(?P={field})" if field in seen else f"(?P<{field}>[^/]+)"
            seen.add(field)
    expression = re.compile(regex)
    for path in folder.glob(glob):
        match = expression.fullmatch(path.relative_to(folder).as_posix())
        if match and path.is_file():
            yield tuple(match[field] for field in fields)


def _natural(text: str) -> list[Any]:
    """Return a key that sorts S2_9 before S2_10."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", text)]
