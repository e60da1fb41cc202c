"""What the recorded contracts share: the command line in this process, and a file of recorded values."""

import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from geotether.cli import main

# Programs that tests run.
collect_ignore = ["mutated_inputs.py", "right_inputs.py"]
GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@pytest.fixture
def golden():
    """The folder of recorded files."""
    return GOLDEN


@pytest.fixture
def recording():
    """Whether values are recorded instead of compared."""
    return bool(os.environ.get("GEOTETHER_RECORD"))


@pytest.fixture
def geotether(monkeypatch):
    """Run a command in this process; a fault raises."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["geotether", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code, arguments

    return run


@pytest.fixture
def same_as_recorded(recording):
    """Compare plain values with those recorded under a key: numbers within a tolerance, everything else exactly."""

    def compare(file, key, found, tolerance):
        path = GOLDEN / file
        known = json.loads(path.read_text()) if path.exists() else {}
        found = json.loads(json.dumps(found))
        if recording:
            lines = (f"{json.dumps(name)}: {json.dumps(one)}" for name, one in sorted((known | {key: found}).items()))
            path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        else:
            assert key in known, f"nothing is recorded for {key!r} in {file}"
            _compare(found, known[key], tolerance, key)

    return compare


def _compare(found, known, tolerance, where):
    if isinstance(known, dict):
        assert list(found) == list(known), where
        for name in known:
            _compare(found[name], known[name], tolerance, f"{where}, {name}")
    elif isinstance(known, list) and known and all(isinstance(one, float) for one in known):
        # Numbers near 0 are compared on the scale of the others in their list.
        scale = max((abs(one) for one in known if math.isfinite(one)), default=0.0)
        np.testing.assert_allclose(found, known, rtol=tolerance, atol=tolerance * scale, err_msg=where)
    elif isinstance(known, float):
        assert found == pytest.approx(known, rel=tolerance, abs=tolerance, nan_ok=True), where
    else:
        assert found == known, where
