"""The command line starts fast, because nothing heavy is imported before a command runs."""

import os
import subprocess
import sys
from pathlib import Path

import geotether

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(geotether.__file__).parents[1])}
HEAVY = ("torch", "numpy", "pyarrow", "pydantic", "sklearn", "scipy", "matplotlib", "pandas", "PIL")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from geotether.cli.app import main; sys.argv = ['geotether', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n"
        f"    print('HEAVY', [m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert "HEAVY []" in done.stdout
    for command in ("demo", "pretrain", "encode", "evaluate", "describe"):
        assert command in done.stdout


def test_the_module_can_be_run():
    done = subprocess.run(
        [sys.executable, "-m", "geotether", "--version"], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    assert done.stdout.strip() == f"geotether {geotether.__version__}"
