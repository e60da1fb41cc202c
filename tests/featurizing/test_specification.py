"""Mirrors src/geotether/featurizing/specification.py."""

from pathlib import Path

import pytest

from geotether.featurizing.specification import SplitSpec, TableSpec, read_spec


def test_keys_are_taken_and_the_rest_goes_to_the_source(tmp_path):
    (tmp_path / "birds.yaml").write_text(
        "path: data/birds.csv\nsource: columns\ntolerance: 1e-2\nexclude: [notes]\nlicence: CC0\n"
        "features: {name: columns, max_levels: 30}\nsplit: {block_km: 100}\nencode_time: [hour]\noptions: {rows: 3}\n"
    )
    spec = read_spec(tmp_path / "birds.yaml")
    assert spec.options == {"exclude": ["notes"], "rows": 3}
    assert spec.tolerance == 0.01
    assert spec.features == {"name": "columns", "max_levels": 30}
    assert spec.split == SplitSpec(block_km=100)
    assert spec.encode_time == ("hour",)
    assert spec.rows is None
    assert spec.place == str(tmp_path / "data" / "birds.csv")
    assert spec.plain()["path"] == "data/birds.csv"


@pytest.mark.parametrize(
    "values",
    [
        {"source": {"name": "columns", "path": "a.csv", "rows": 3}},
        {"path": "a.csv", "source": {"name": "columns", "rows": 3}},
        {"path": "a.csv", "source": {"name": "columns"}, "options": {"rows": 3}},
    ],
)
def test_source_with_its_options_in_one_mapping(values):
    assert TableSpec.of(values) == TableSpec.of({"path": "a.csv", "source": "columns", "options": {"rows": 3}})


def test_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", "elsewhere")
    assert TableSpec.of({"path": "~/a.csv"}, "base").place == f"{tmp_path}/a.csv"
    assert TableSpec.of({"path": "/a.csv"}, "base").place == "/a.csv"
    assert TableSpec.of({"path": "$PLACE/a.csv"}, "base").place == "base/$PLACE/a.csv"
    assert TableSpec.of({"path": Path("a.csv")}, "base").place == "base/a.csv"
    assert TableSpec.of({"path": "postgres://host/birds"}, "base").place == "postgres://host/birds"


def test_rows_and_seed_are_passed_to_a_source_and_paths_are_relative_to_the_base(toys, tmp_path, monkeypatch):
    import toy_places

    class Sampled(toy_places.ToySource):
        def __init__(self, path, seed: int = 0, land: str | Path | None = None, name: str = ""):
            super().__init__(path)
            self.seed, self.land, self.name = seed, land, name

    monkeypatch.setattr(toy_places, "ToySource", Sampled)
    (tmp_path / "a.npy").touch()
    (tmp_path / "land.shp").touch()
    values = {"path": "a.npy", "source": "toy", "land": "land.shp", "name": "land.shp"}
    source = TableSpec.of({**values, "seed": 4}, tmp_path).open()
    assert (source.seed, source.land, source.name) == (4, str(tmp_path / "land.shp"), "land.shp")
    assert TableSpec.of({**values, "land": "gone.shp"}, tmp_path).open().land == "gone.shp"
    assert TableSpec.of({**values, "seed": 4, "options": {"seed": 5}}, tmp_path).open().seed == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: columns\n", r"birds\.yaml: .*needs `path`.*it has source"),
        ("", r"needs `path`.*it has nothing"),
        ("- a\n", "key: value"),
        ("path: a.csv\nsplit: {block_km: -1}\n", r"from a\.csv: split\.block_km: "),
        ("path: a.csv\nfeatures: 3\n", "features: "),
        ("path: a.csv\noptions: 3\n", "`options` must map"),
        ("path: a.csv\nencode_time: [week]\n", "'day_of_year', 'hour' or 'year'"),
        ("path: {a: 1\n", "not valid YAML"),
    ],
)
def test_a_wrong_specification_is_named(tmp_path, text, message):
    (tmp_path / "birds.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_spec(tmp_path / "birds.yaml")
