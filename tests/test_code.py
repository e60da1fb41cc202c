"""Mirrors src/geotether/code.py."""

import pytest

from geotether import code
from geotether.benchmark.store import JUDGING, JUDGING_ROOMS, judging_hash
from geotether.code import PACKAGE, TRAINING, code_hash, meaning, source_files


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a few files in the place of the real one."""
    root = tmp_path / "geotether"
    files = {
        "training/location.py": "from geotether.encoders.siren import Siren\nimport numpy\n",
        "training/loop.py": "import numpy\n",
        "training/report.py": "x = 1\n",
        "encoders/__init__.py": "",
        "encoders/siren.py": "def Siren():\n    '''Sines.'''\n    import geotether.geodesy.angles\n    return 1\n",
        "geodesy/angles.py": "pi = 3\n",
        "geodesy/unused.py": "e = 2\n",
        "version.py": "__version__ = '1'\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(code, "PACKAGE", root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    code_hash.cache_clear()
    yield root
    code_hash.cache_clear()


def test_the_files_are_those_that_are_imported(package):
    found = [file.relative_to(package).as_posix() for file in source_files(TRAINING)]
    of_location = ["encoders/__init__.py", "encoders/siren.py", "geodesy/angles.py", "training/location.py"]
    assert found == [*of_location, "training/loop.py"]
    assert source_files("training.location") == [package / name for name in of_location]


@pytest.mark.parametrize(
    ("file", "text", "same"),
    [
        ("geodesy/angles.py", "pi = 3.1\n", False),
        ("geodesy/angles.py", "'''Angles.'''\npi  =  3  # about\n", True),
        ("encoders/siren.py", "def Siren():\n    'Waves.'\n    import geotether.geodesy.angles\n    return 1", True),
        ("encoders/siren.py", "def Siren():\n    import geotether.geodesy.angles\n    return 2\n", False),
        ("geodesy/unused.py", "e = 3\n", True),
        ("training/report.py", "x = 2\n", True),
        ("version.py", "__version__ = '2'\n", True),
    ],
)  # fmt: skip
def test_the_hash_follows_what_the_code_does(package, file, text, same):
    before = code_hash()
    (package / file).write_text(text)
    code_hash.cache_clear()
    assert (code_hash() == before) == same


def later():
    """Forget what this process knows, as another process would not know it."""
    code_hash.cache_clear()
    code._cache.cache_clear()


def test_a_later_process_parses_only_changed_files(package, monkeypatch):
    before = code_hash()
    parsed = []
    monkeypatch.setattr(code, "meaning", lambda source: parsed.append(source) or meaning(source))
    later()
    assert code_hash() == before
    assert parsed == []
    (package / "geodesy/angles.py").write_text("pi = 3.1\n")
    later()
    assert code_hash() != before
    assert parsed == ["pi = 3.1\n"]


@pytest.mark.parametrize("damage", ["{", "[1]", '{"a": 3}', '{"a": [1, 2]}'])
def test_a_damaged_note_is_treated_as_missing(package, tmp_path, damage):
    before = code_hash()
    (note,) = (tmp_path / "home/geotether/code").iterdir()
    note.write_text(damage)
    later()
    assert code_hash() == before


def test_files_are_parsed_each_time_without_a_cache_folder(package, tmp_path):
    (tmp_path / "home").write_text("a file where the folder would be")
    before = code_hash()
    later()
    assert code_hash() == before


def test_rooms_limit_what_is_followed(package):
    found = source_files(TRAINING, ("training", "encoders"))
    assert {file.parent.name for file in found} == {"training", "encoders"}


def test_of_the_real_package():
    training = {file.relative_to(PACKAGE).as_posix() for file in source_files(TRAINING)}
    assert {"training/loop.py", "training/location.py", "objectives/tying.py", "batches/schedule.py",
            "tables/table.py", "encoders/location.py", "batches/batch.py"} <= training  # fmt: skip
    assert not {file for file in training if file.split("/")[0] in {"maps", "cli", "studies", "benchmark"}}
    # The thresholds of coverage are fitted at the end of a training.
    assert {f for f in training if f.startswith("probes/")} == {
        f"probes/{name}.py" for name in ("__init__", "applicability", "neighbors", "spatial_cv", "target")
    }
    judging = {file.relative_to(PACKAGE).as_posix() for file in source_files(JUDGING, JUDGING_ROOMS)}
    assert {"probes/linear.py", "benchmark/plan.py", "benchmark/outcome.py", "tasks/task.py", "moments.py"} <= judging
    assert {file.split("/")[0] for file in judging} == {*JUDGING_ROOMS} - {"moments"} | {"moments.py"}
    assert code_hash(TRAINING) != judging_hash()
