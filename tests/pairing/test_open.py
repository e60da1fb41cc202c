import re

import numpy as np
import pytest

from geotether.pairing import layouts
from geotether.pairing.open import open_paired
from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.store import write_table
from geotether.tables.table import Table
from geotether.tables.target import Target


@pytest.fixture
def table():
    sensors = {
        "s1": Modality("vector", np.array([[1.0], [2.0], [np.nan]])),
        "s2": Modality("vector", np.array([[np.nan], [2.0], [3.0]])),
    }
    crop = Target("classes", np.array([0, 1, -1]), ("maize", "wheat"))
    return Table("fields", sensors, {"crop": crop}, origin=Origin(licence="MIT", source="us"))


@pytest.fixture
def layout(monkeypatch, table):
    """A published layout of one's own."""

    def read_fields(path, split="train", limit=None):
        assert (split, limit) in (("train", None), ("test", 2))
        return table

    monkeypatch.setitem(layouts.LAYOUTS, "fields", "made_up:read_fields")
    monkeypatch.setattr(layouts, "import_module", lambda name: type("module", (), {"read_fields": read_fields}))


def test_a_table_that_we_wrote(table, tmp_path):
    write_table(table, tmp_path / "t.npz")
    assert open_paired(tmp_path / "t.npz").content_hash == table.content_hash
    assert open_paired(str(tmp_path / "t.npz")).name == "fields"
    spec = {"path": "t.npz", "name": "mine", "require": ["s1", "s2"], "licence": "CC0"}
    some = open_paired(spec, tmp_path)
    assert (some.name, some.id.tolist()) == ("mine", ["1"])
    assert (some.origin.licence, some.origin.source) == ("CC0", "us")
    with pytest.raises(ValueError, match="leave out split"):
        open_paired({"path": "t.npz", "split": "x"}, tmp_path)
    with pytest.raises(ValueError, match=r"require names 's3'. Did you mean 's[12]'"):
        open_paired({"path": "t.npz", "require": ["s3"]}, tmp_path)


def test_no_row_has_everything(table, tmp_path):
    write_table(table.rows(np.array([0, 2])), tmp_path / "t.npz")
    with pytest.raises(ValueError, match=r"none of the others has 's2'"):
        open_paired({"path": "t.npz", "require": ["s1", "s2"]}, tmp_path)


def test_a_layout(layout, tmp_path):
    (tmp_path / "there").mkdir()
    spec = {"path": "there", "layout": "fields", "options": {"split": "test", "limit": 2}}
    assert open_paired(spec, tmp_path).name == "fields"
    assert open_paired({**spec, "require": ["s1"]}, tmp_path).id.tolist() == ["0", "1"]
    with pytest.raises(ValueError, match=r"no layout 'feilds'.*Did you mean 'fields'"):
        open_paired({**spec, "layout": "feilds"}, tmp_path)
    with pytest.raises(ValueError, match=r"option.*'splt'.*Did you mean 'split'"):
        open_paired({**spec, "options": {"splt": "test"}}, tmp_path)
    with pytest.raises(ValueError, match=r"the layout fields .*leave out modalities, lon, lat"):
        open_paired({**spec, "modalities": {"a": {"kind": "vector", "values": "b"}}, "lon": "x", "lat": "y"}, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*elsewhere"):
        open_paired({**spec, "path": "elsewhere"}, tmp_path)


def test_paths_of_a_yaml_are_relative_to_its_folder_or_to_data(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((2, 1)))
    (tmp_path / "recipes").mkdir()
    text = "paired: {path: PATH, modalities: {x: {kind: vector, values: x}}}"
    (tmp_path / "here.yaml").write_text(text.replace("PATH", "d.npz"))
    assert len(open_paired(tmp_path / "here.yaml")) == 2
    (tmp_path / "recipes" / "there.yaml").write_text(text.replace("PATH", "d.npz"))
    assert len(open_paired(tmp_path / "recipes" / "there.yaml", tmp_path)) == 2
    with pytest.raises(FileNotFoundError, match=r"recipes/d\.npz"):
        open_paired(tmp_path / "recipes" / "there.yaml")
    (tmp_path / "all.yaml").write_text(text.replace("PATH", str(tmp_path / "d.npz")))
    assert len(open_paired(tmp_path / "all.yaml", "/nowhere")) == 2


def test_a_file_without_a_specification_is_an_error(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((2, 1)))
    with pytest.raises(ValueError, match=r"d\.npz.*modalities"):
        open_paired(tmp_path / "d.npz")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        open_paired(tmp_path / "none.npz")


def test_other_files(tmp_path):
    (tmp_path / "d.xlsx").write_text("x")
    with pytest.raises(ValueError, match=r"files of paired data end in \.npz, \.csv.*'\.xlsx'"):
        open_paired({"path": "d.xlsx", "modalities": {"a": {"kind": "vector", "values": "b"}}}, tmp_path)


@pytest.mark.parametrize(
    ("values", "missing", "warned"),
    [
        ([[1.0, -9999.0], [2.0, 3.0], [np.nan, -9999.0]], [], "holds -9999 2 times. .* missing: .-9999."),
        ([[1, -999], [2, 3]], [], "holds -999 1 times"),
        ([[1.0, -9999.0], [2.0, 3.0]], [-9999], None),
        ([[-990.0, -999.0], [-981.0, 3.0]], [], None),  # a number like the others
        ([[np.nan, np.nan], [2.0, 3.0]], [], None),
    ],
)
def test_a_usual_mark_of_missing_numbers_is_warned_of(tmp_path, caplog, values, missing, warned):
    np.savez(tmp_path / "d.npz", x=np.array(values))
    modality = {"kind": "vector", "values": "x", "missing": missing}
    open_paired({"path": str(tmp_path / "d.npz"), "modalities": {"x": modality}})
    assert bool(re.search(f"modality 'x' {warned}", caplog.text)) == (warned is not None)
    assert len(caplog.records) == (warned is not None)
