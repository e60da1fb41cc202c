"""Run the command line in this process."""

import importlib.util
import sys
from pathlib import Path

import pytest

from geotether.cli.app import main


@pytest.fixture(scope="session")
def small_files():
    """Writers of a small file in every format: tests/contracts/right_inputs.py."""
    path = Path(__file__).parents[1] / "contracts" / "right_inputs.py"
    module = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("right_inputs", path))
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def geotether(monkeypatch, capsys):
    """Run the command line; returns exit status, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["geotether", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return run
