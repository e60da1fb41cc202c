"""Public names of the package, and the cost of importing it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import geotether

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(geotether.__file__).parents[1])}


def test_every_public_name_resolves():
    missing = [name for name in geotether.__all__ if getattr(geotether, name, None) is None]
    assert not missing


def test_lazy_names_and_the_names_for_type_checkers_are_the_same():
    source = ast.parse(Path(geotether.__file__).read_text())
    guarded = next(node for node in source.body if isinstance(node, ast.If))
    homes = {alias.name: node.module for node in guarded.body for alias in node.names}
    assert homes == geotether._HOMES
    assert sorted(geotether.__all__) == sorted([*homes, "__version__"])


def test_an_error_about_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="pretrain"):
        geotether.pretrian  # noqa: B018


def test_importing_geotether_imports_nothing_heavy():
    code = (
        "import sys, geotether; print([m for m in ('torch', 'sklearn', 'pyarrow', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout.strip() == "[]"
