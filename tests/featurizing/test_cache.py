"""Mirrors src/geotether/featurizing/build.py: tables that are kept."""

import numpy as np
import pytest

from geotether.featurizing import job as room
from geotether.featurizing.build import cached_table


@pytest.fixture
def found(places, tmp_path):
    """Ask for a table; say whether it was built."""
    path, folder = [places], tmp_path / "cache"

    def ask(**options):
        file = folder / "toys.parquet"
        before = file.stat().st_mtime_ns if file.exists() else None
        got = cached_table(
            {"source": "toy", "path": str(path[0]), **options}, folder, "toys", workers=1, progress="none"
        )
        assert got == file
        return file.stat().st_mtime_ns != before

    ask.path = path
    return ask


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"features": {"width": 2}}, {"licence": "CC0"}, {"split": None}, {"tolerance": 0.1}, {"ids": "rows"}],
)
def test_another_specification_rebuilds_the_table(found, change):
    assert found()
    assert found(**change)
    assert not found(**change)


def test_other_data_or_code_rebuild_the_table(found, places, monkeypatch):
    found()
    np.save(places, np.load(places)[:500])
    assert found()
    monkeypatch.setattr(room, "code_hash", lambda module: "later code")
    assert found()
    assert not found()


def test_a_folder_that_moves_keeps_its_tables(found, places, tmp_path):
    found()
    (tmp_path / "moved").mkdir()
    found.path[0] = places.rename(tmp_path / "moved" / "places.npy")
    assert not found()


def test_a_damaged_table_is_rebuilt(found, tmp_path):
    found()
    (tmp_path / "cache" / "toys.parquet").write_text("no Parquet")
    assert found()


def test_a_foreign_class_is_identified_by_its_code(places):
    import toy_places

    code = room.features_code(toy_places.ToySource(places), toy_places.ToyFeatures())
    assert len(code) == 64
    typed = type("Typed", (toy_places.ToySource,), {"__module__": "builtins"})  # as typed at a prompt: there is no file
    assert room.features_code(typed(places), toy_places.ToyFeatures()) != code
