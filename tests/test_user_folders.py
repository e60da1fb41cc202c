"""Mirrors src/geotether/user_folders.py."""

import sys
from pathlib import Path

import pytest

from geotether.user_folders import keyed_path, user_cache, user_data


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


def test_what_is_built_from_other_things_is_kept_under_another_name(tmp_path):
    one = keyed_path("tables", "birds", {"rows": 1, "file": Path("a.csv")}, tmp_path)
    assert one == keyed_path("tables", "birds", {"file": Path("a.csv"), "rows": 1}, tmp_path)
    assert one.parent == tmp_path
    assert keyed_path("tables", "birds", {"rows": 2, "file": Path("a.csv")}, tmp_path) != one
    assert keyed_path("tables", "birds", {}).parent == user_cache() / "tables"
