"""The code that a result depends on, as one hash."""

import ast
import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from geotether.user_cache import user_cache

PACKAGE = Path(__file__).parent
TRAINING = "training.location"


class Reading(NamedTuple):
    """What a file of the package says, for as long as it has this time and size."""

    changed: int
    size: int
    imports: list[list[str]]
    meaning: str


@cache
def code_hash(module: str = TRAINING) -> str:
    """Hash a module and every module of the package that it imports, directly or not.

    Comments, docstrings and layout do not count, nor do parts of the package that the module never sees: a new
    source or figure leaves a trained model what it was, a changed loss does not. Other packages do not count
    either; their versions stand in a model's provenance.

    Args:
        module: Dotted name below the package, such as "training.location".

    Returns:
        SHA-256 in hexadecimal.

    Raises:
        ValueError: If there is no such module.

    Example:
        >>> len(code_hash("training.location"))
        64
    """
    digest = hashlib.sha256()
    for file in source_files(module):
        digest.update(f"{file.relative_to(PACKAGE).as_posix()}\n{_read(file).meaning}\n".encode())
    _keep()
    return digest.hexdigest()


def source_files(module: str) -> list[Path]:
    """The files of a module and of all that it imports from the package, sorted; the version's number is not code."""
    first = _file_of(module.split("."))
    if first is None:
        raise ValueError(f"There is no module {module!r} in geotether.")
    found, waiting = {first}, [first]
    while waiting:
        for file in _imported(waiting.pop()) - found:
            found.add(file)
            waiting.append(file)
    return sorted(found - {PACKAGE / "version.py"})


def meaning(source: str) -> str:
    """Python source without comments, docstrings and layout.

    Example:
        >>> meaning("x = 1  # one") == meaning("x  =  1")
        True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)


def _imported(file: Path) -> set[Path]:
    """Files of the package that a file imports, wherever in it; packages on the way count, the front door does not."""
    files: set[Path] = set()
    for parts in _read(file).imports:
        if parts[0] == PACKAGE.name:
            files |= {found for end in range(2, len(parts) + 1) if (found := _file_of(parts[1:end]))}
    return files


def _read(file: Path) -> Reading:
    stamp = file.stat()
    kept = _kept(PACKAGE).get(str(file))
    if kept is None or (kept.changed, kept.size) != (stamp.st_mtime_ns, stamp.st_size):
        kept = _parsed(file, stamp.st_mtime_ns, stamp.st_size)
        _kept(PACKAGE)[str(file)] = kept
        _news.append(file)
    return kept


def _parsed(file: Path, changed: int, size: int) -> Reading:
    source = file.read_text(encoding="utf-8")
    imports: list[list[str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imports += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports += [[*node.module.split("."), alias.name] for alias in node.names]
    return Reading(changed, size, imports, hashlib.sha256(meaning(source).encode()).hexdigest())


# To parse the package takes over a second, so that what its files say is kept between processes.
_news: list[Path] = []


@cache
def _kept(package: Path) -> dict[str, Reading]:
    """Readings by path, of earlier processes and this one; none where the note is missing or damaged."""
    try:
        note = json.loads(_note_of(package).read_text(encoding="utf-8"))
        return {path: Reading(*values) for path, values in note.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _keep() -> None:
    """Write what is new, for later processes; where that is not possible they parse again."""
    if not _news:
        return
    _news.clear()
    note = _note_of(PACKAGE)
    part = note.with_suffix(f".{os.getpid()}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(_kept(PACKAGE)), encoding="utf-8")
        part.replace(note)
    except OSError:
        with suppress(OSError):
            part.unlink()


def _note_of(package: Path) -> Path:
    """One note for each copy of the package, each Python, whose trees differ, and each way of reading, this file."""
    facts = f"{package} {sys.version}".encode() + Path(__file__).read_bytes()
    key = hashlib.sha256(facts).hexdigest()[:16]
    return user_cache() / "code" / f"{key}.json"


def _file_of(parts: list[str]) -> Path | None:
    place = PACKAGE.joinpath(*parts)
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)
