"""Count files, lines and imports of every room (top-level folder or module) of the package.

    python scripts/measure_rooms.py            # the working tree
    python scripts/measure_rooms.py 7f3391b    # a commit

An import is a line in one room that names another room; a pair is two rooms of which one imports the other.
"""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
PACKAGE = PurePosixPath("src/geotether")


def sources(commit: str | None) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield path below the package and text of every module."""
    if commit is None:
        for file in sorted((ROOT / PACKAGE).rglob("*.py")):
            yield PurePosixPath(file.relative_to(ROOT / PACKAGE)), file.read_text(encoding="utf-8")
        return
    listed = git("ls-tree", "-r", "--name-only", commit, str(PACKAGE)).split("\n")
    for name in listed:
        if name.endswith(".py"):
            yield PurePosixPath(name).relative_to(PACKAGE), git("show", f"{commit}:{name}")


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def imported_rooms(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("geotether."):
            yield str(node.module).split(".")[1]


def main() -> None:
    commit = sys.argv[1] if len(sys.argv) > 1 else None
    files, lines, imports = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for path, text in sources(commit):
        room = path.parts[0].removesuffix(".py")
        files[room] += 1
        lines[room] += text.count("\n")
        imports.update((room, other) for other in imported_rooms(text) if other != room)
    print("| room | files | lines | imports of other rooms |\n|---|---:|---:|---:|")
    for room in sorted(files):
        print(f"| {room} | {files[room]} | {lines[room]:,} | {sum(n for (a, _), n in imports.items() if a == room)} |")
    print(
        f"| all | {sum(files.values())} | {sum(lines.values()):,} | {sum(imports.values())} in {len(imports)} pairs |"
    )


if __name__ == "__main__":
    main()
