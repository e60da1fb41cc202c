"""Mirrors src/geotether/objectives/readings.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geotether.objectives.readings import READINGS, check_reading


@pytest.mark.parametrize("reading", READINGS)
def test_known_readings_pass(reading):
    check_reading(reading)


def test_unknown_reading_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"modality_to_location.*all_pairs.*Did you mean 'within_modality'\?"):
        check_reading("within_modalities")


def test_names_are_known_without_torch():
    """A configuration is checked before anything heavy is imported."""
    code = "import sys, geotether.objectives.readings; sys.exit('torch' in sys.modules)"
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ, "PYTHONPATH": source})
    assert done.returncode == 0
