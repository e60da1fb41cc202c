"""The code that a result depends on, as one hash."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
TRAINING = "training.pretraining"


@cache
def code_hash(module: str = TRAINING) -> str:
    """Hash a module and every module of the package that it imports, directly or not.

    Comments, docstrings and layout do not count, nor do parts of the package that the module never sees: a new
    source or figure leaves a trained model what it was, a changed loss does not. Other packages do not count
    either; their versions stand in a model's provenance.

    Args:
        module: Dotted name below the package, such as "training.pretraining".

    Returns:
        SHA-256 in hexadecimal.

    Raises:
        ValueError: If there is no such module.

    Example:
        >>> len(code_hash("training.pretraining"))
        64
    """
    digest = hashlib.sha256()
    for file in source_files(module):
        digest.update(f"{file.relative_to(PACKAGE).as_posix()}\n{_read(file)[1]}\n".encode())
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
    for parts in _read(file)[0]:
        if parts[0] == PACKAGE.name:
            files |= {found for end in range(2, len(parts) + 1) if (found := _file_of(list(parts[1:end])))}
    return files


def _read(file: Path) -> tuple[tuple[tuple[str, ...], ...], str]:
    """Names that a file imports, and what its code means; ten tables that are checked share most of their files."""
    stamp = file.stat()
    return _parsed(file, stamp.st_mtime_ns, stamp.st_size)


@cache
def _parsed(file: Path, changed: int, size: int) -> tuple[tuple[tuple[str, ...], ...], str]:
    source = file.read_text(encoding="utf-8")
    names: list[tuple[str, ...]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [(*node.module.split("."), alias.name) for alias in node.names]
    return tuple(names), meaning(source)


def _file_of(parts: list[str]) -> Path | None:
    place = PACKAGE.joinpath(*parts)
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)
