"""Layout of the package: rooms import only rooms below them, and small files have a reason."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "geotether"

# From the bottom. Rooms on the same step do not import each other.
STAIRS = [
    {"version", "user_folders", "processes"},
    {"suggestions", "draws", "devices"},
    {"code", "geodesy", "moments", "plugins"},
    {"files", "settings"},
    {"sources", "features", "encoders", "objectives", "probes", "regions"},
    {"coverage"},
    {"tables", "checkpoint", "peers", "tasks", "datasets"},
    {"batches", "context", "featurizing", "pairing"},
    {"searching"},
    {"encoder"},
    {"predict"},
    {"loading"},
    {"training", "benchmark", "diagnostics", "embedder", "exporting"},
    {"maps"},
    {"report"},
    {"demo", "prediction", "studies"},
    {"serving"},
    {"cli"},
]
STEP = {room: height for height, rooms in enumerate(STAIRS) for room in rooms}
MAX_FILES = 388
MIN_LINES = 40
# Files below MIN_LINES that only one other file imports, and why they are files of their own.
SMALL = {
    "geotether.cli.demo": "one file per command",
    "geotether.cli.serve": "one file per command",
    "geotether.serving.routes.about": "one file per subject of addresses",
}


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@cache
def imported_modules(module: str) -> set[str]:
    """Return the modules of the package that a module imports, also those inside functions."""
    names = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    found = {name if name in FILES else name.rpartition(".")[0] for name in names if name.startswith("geotether.")}
    return (found & set(FILES)) - {module}


def test_imports_only_go_down():
    uphill = [
        f"{module} imports {other}, which is on the same step or above"
        for module in FILES
        if room_of(module) not in ("", "__main__")  # the front door imports every room
        for other in sorted(imported_modules(module))
        if room_of(other) != room_of(module) and STEP[room_of(other)] >= STEP[room_of(module)]
    ]
    assert not uphill, "\n".join(uphill)


def test_every_room_has_a_step():
    assert {room_of(module) for module in FILES} - {"", "__main__"} == set(STEP)


def test_small_files_have_a_reason():
    users = Counter(other for module in FILES for other in imported_modules(module))
    small = {
        module
        for module, file in FILES.items()
        if file.name != "__init__.py" and len(file.read_text().splitlines()) < MIN_LINES and users[module] == 1
    }
    assert small <= set(SMALL), f"merge them into their only user or give a reason: {sorted(small - set(SMALL))}"


def test_number_of_files():
    assert len(FILES) <= MAX_FILES


def test_names_of_files_say_what_they_contain():
    vague = {"utils", "util", "helpers", "misc", "common", "tools"}
    assert not [f for f in PACKAGE.rglob("*.py") if f.stem in vague or f.parent.name in vague]
