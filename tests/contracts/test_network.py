"""Only the room `datasets` downloads and only `serving` listens: no other imports network libraries."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "geotether"
NETWORK = {"aiohttp", "asyncio", "ftplib", "http", "httpx", "pooch", "requests", "socket", "urllib", "urllib3"}
# Parsing an address uses no network.
HARMLESS = {"urllib.parse"}


def imported(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_only_two_rooms_import_what_reaches_the_network():
    found = {
        (str(file.relative_to(PACKAGE)), name)
        for file in PACKAGE.rglob("*.py")
        for name in imported(file)
        if name.split(".")[0] in NETWORK and name not in HARMLESS
    }
    assert {file.split("/")[0] for file, _ in found} == {"datasets", "serving"}, sorted(found)


def test_listing_data_sets_needs_no_network_library():
    code = (
        "import sys; sys.argv = ['geotether', 'data', 'list']\nfrom geotether.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n"
        "    print('LOADED', [m for m in ('requests', 'pooch') if m in sys.modules])"
    )
    environment = {"PYTHONPATH": str(PACKAGE.parent), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "natural-earth-countries" in done.stdout
    assert "LOADED []" in done.stdout
