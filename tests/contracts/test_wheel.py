"""The built wheel contains the data files, and an installed one loads a shipped model by its name, offline."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder

ROOT = Path(__file__).parents[2]
CODE = """
import socket
def refuse(*arguments, **named):
    raise AssertionError("the network was used")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import geotether
encoder = geotether.load("tiny")
print(geotether.__file__)
print(encoder.encode(lon=[5.66, -74.01], lat=[51.97, 40.71]).shape)
"""


def test_an_installed_wheel_loads_a_shipped_model_offline(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    source = tmp_path / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 4}
    Encoder(build_location_encoder(parts, seed=0)).save(source / "src" / "geotether" / "models" / "tiny")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        names = set(archive.namelist())
    there = {str(path.relative_to(source / "src")) for path in (source / "src").rglob("*") if path.is_file()}
    assert there <= names
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [str(tmp_path / "installed" / "geotether" / "__init__.py"), "(2, 4)"]
