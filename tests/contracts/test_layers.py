"""Imports go down the stairs, never up: the layout of the package as a test."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "geotether"

# From the ground up. Rooms that share a step may not import each other.
STAIRS = [
    {"version", "user_cache"},
    {"code", "geodesy", "moments", "plugins", "suggestions"},
    {"files"},
    {"sources", "features", "encoders", "objectives", "probes"},
    {"tables", "checkpoint", "peers", "tasks", "datasets"},
    {"batches", "encoder", "featurizing", "pairing"},
    {"predict"},
    {"loading"},
    {"training", "benchmark", "diagnostics"},
    {"maps"},
    {"report"},
    {"demo", "studies"},
    {"cli"},
]
STEP = {room: height for height, rooms in enumerate(STAIRS) for room in rooms}


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("geotether.")}
    return rooms


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_only_go_down(file):
    here = room_of(file)
    if here in {"__init__", "__main__"}:  # the front door may greet every room
        return
    uphill = {there for there in imported_rooms(file) - {here} if STEP[there] >= STEP[here]}
    assert not uphill, f"{file.name} in '{here}' imports {sorted(uphill)}, which lies level with it or above"


def test_no_room_is_a_junk_drawer():
    drawers = {"utils", "util", "helpers", "misc", "common", "tools"}
    assert not [f for f in PACKAGE.rglob("*.py") if f.stem in drawers or f.parent.name in drawers]
