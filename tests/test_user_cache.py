"""Mirrors src/geotether/user_cache.py."""

from pathlib import Path

from geotether.user_cache import user_cache


def test_follows_the_environment_and_else_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "geotether"
    monkeypatch.setenv("XDG_CACHE_HOME", "")  # empty counts as not set, says the specification
    assert user_cache() == Path.home() / ".cache" / "geotether"
