"""Mirrors src/geotether/objectives/negativess.py."""

import os
import subprocess
import sys
from pathlib import Path


def test_names_are_known_without_torch():
    """A configuration is checked before anything heavy is imported."""
    code = "import sys, geotether.objectives.negatives; sys.exit('torch' in sys.modules)"
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ, "PYTHONPATH": source})
    assert done.returncode == 0
