"""Damaged files of all formats through the command line; `mutated_inputs.py` runs more of them, and one again."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "mutated_inputs.py"


def test_damaged_files_end_in_an_error_of_ours_that_names_the_file():
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, PROGRAM, "--count", "1500"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"repeat one: python {PROGRAM} --only NUMBER\n{done.stdout}{done.stderr[-2000:]}"
