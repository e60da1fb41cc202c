"""Mirrors src/geotether/user_folders.py."""

import sys
from pathlib import Path

import pytest

from geotether.user_folders import user_cache, user_data


@pytest.mark.skipif(sys.platform != "linux", reason="XDG folders are those of Linux")
def test_folders_follow_the_environment_or_the_home(monkeypatch, tmp_path):
    for variable, folder, usual in (
        ("XDG_CACHE_HOME", user_cache, ".cache"),
        ("XDG_DATA_HOME", user_data, ".local/share"),
    ):
        monkeypatch.setenv(variable, str(tmp_path))
        assert folder() == tmp_path / "geotether"
        monkeypatch.setenv(variable, "")  # the specification: empty counts as not set
        assert folder() == Path.home() / usual / "geotether"
