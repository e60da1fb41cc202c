"""One hash of the code that a result depends on, for what is trained, featurized and judged alike."""

import ast
import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from geotether.user_folders import user_cache

PACKAGE = Path(__file__).parent
TRAINING = ("training.location", "training.loop")


class ParsedFile(NamedTuple):
    """The imports and the meaning of a source file, valid for as long as its time and size are these."""

    changed: int
    size: int
    imports: list[list[str]]
    meaning: str


@cache
def code_hash(modules: str | tuple[str, ...] = TRAINING, rooms: tuple[str, ...] | None = None) -> str:
    """Hash a module, or several, and every module of the package that they import, directly or not.

    Comments, docstrings and layout do not count, nor do parts of the package that they never import: a new
    source or figure leaves a trained model valid, a changed loss does not. Other packages do not count either; their
    versions are in a model's provenance.

    Args:
        modules: Dotted names below the package, such as "training.location".
        rooms: Follow imports into these folders and modules of the package only; None follows all.

    Returns:
        SHA-256 in hexadecimal.

    Raises:
        ValueError: If there is no such module.

    Example:
        >>> len(code_hash("training.location"))
        64
    """
    digest = hashlib.sha256()
    for file in source_files(modules, rooms):
        digest.update(f"{file.relative_to(PACKAGE).as_posix()}\n{_parsed(file).meaning}\n".encode())
    _save_cache()
    return digest.hexdigest()


def source_files(modules: str | tuple[str, ...], rooms: tuple[str, ...] | None = None) -> list[Path]:
    """List the files of modules and of all that they import, sorted; `version.py` does not count as code."""
    waiting = []
    for module in (modules,) if isinstance(modules, str) else modules:
        first = _file_of(module.split("."))
        if first is None:
            raise ValueError(f"geotether has no module {module!r}.")
        waiting.append(first)
    found = set(waiting)
    while waiting:
        for file in _imported_files(waiting.pop()) - found:
            if rooms is None or file.relative_to(PACKAGE).parts[0].removesuffix(".py") in rooms:
                found.add(file)
                waiting.append(file)
    return sorted(found - {PACKAGE / "version.py"})


def meaning(source: str) -> str:
    """Return the syntax tree of Python source as text, without comments, docstrings and layout.

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


def _imported_files(file: Path) -> set[Path]:
    """Return the files of the package that a file imports anywhere, with the `__init__.py` files on the way."""
    files: set[Path] = set()
    for parts in _parsed(file).imports:
        if parts[0] == PACKAGE.name:
            files |= {found for end in range(2, len(parts) + 1) if (found := _file_of(parts[1:end]))}
    return files


def _parsed(file: Path) -> ParsedFile:
    """Parse a file, or return what the cache holds for its present time and size."""
    stamp = file.stat()
    known = _cache(PACKAGE).get(str(file))
    if known is not None and (known.changed, known.size) == (stamp.st_mtime_ns, stamp.st_size):
        return known
    source = file.read_text(encoding="utf-8")
    imports: list[list[str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imports += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports += [[*node.module.split("."), alias.name] for alias in node.names]
    digest = hashlib.sha256(meaning(source).encode()).hexdigest()
    found = _cache(PACKAGE)[str(file)] = ParsedFile(stamp.st_mtime_ns, stamp.st_size, imports, digest)
    _unsaved.append(file)
    return found


# Parsing the package takes over a second, so its result is cached in a file between processes.
_unsaved: list[Path] = []


@cache
def _cache(package: Path) -> dict[str, ParsedFile]:
    """Return parsed files by path, from earlier processes and this one; empty if the file is missing or damaged."""
    try:
        saved = json.loads(_cache_file(package).read_text(encoding="utf-8"))
        return {path: ParsedFile(*values) for path, values in saved.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _save_cache() -> None:
    """Save newly parsed files for later processes; if that fails, they parse again."""
    if not _unsaved:
        return
    _unsaved.clear()
    target = _cache_file(PACKAGE)
    part = target.with_suffix(f".{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(_cache(PACKAGE)), encoding="utf-8")
        part.replace(target)
    except OSError:
        with suppress(OSError):
            part.unlink()


def _cache_file(package: Path) -> Path:
    """Return one path per copy of the package, Python version (syntax trees differ) and version of this file."""
    facts = f"{package} {sys.version}".encode() + Path(__file__).read_bytes()
    key = hashlib.sha256(facts).hexdigest()[:16]
    return user_cache() / "code" / f"{key}.json"


def _file_of(parts: list[str]) -> Path | None:
    place = PACKAGE.joinpath(*parts)
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)
