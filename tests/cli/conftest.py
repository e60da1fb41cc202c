"""Run the command line in this process."""

import sys

import pytest

from geotether.cli.app import main


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
