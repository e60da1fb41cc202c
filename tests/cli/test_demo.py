"""Mirrors src/geotether/cli/demo.py: what it prints last; tests/demo runs the demo."""

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from geotether.cli.demo import demo


@pytest.fixture
def printed(monkeypatch):
    """What `geotether demo --out "my demo"` prints, if the program is called by a path or name."""

    def run(called, found):
        monkeypatch.setattr("geotether.demo.run.run_demo", lambda out, **_: out / "report.html")
        monkeypatch.setattr(sys, "argv", [str(called)])
        monkeypatch.setattr(shutil, "which", lambda name: found)
        return demo(Path("my demo"), seed=0, quick=False)

    return run


@pytest.mark.parametrize(
    ("called", "found", "typed"),
    [
        ("/usr/bin/geotether", "/usr/bin/geotether", ["geotether"]),
        (".venv/bin/geotether", None, [".venv/bin/geotether"]),  # as make demo calls it
        (".venv/bin/geotether", "/usr/bin/geotether", [".venv/bin/geotether"]),
        ("/site-packages/geotether/__main__.py", "/usr/bin/geotether", [sys.executable, "-m", "geotether"]),
    ],
)
def test_the_last_line_is_a_command_that_opens_the_model_in_the_browser(printed, called, found, typed):
    *_, last = printed(called, found).splitlines()
    assert shlex.split(last.partition(": ")[2]) == [*typed, "serve", str(Path("my demo") / "model")]
