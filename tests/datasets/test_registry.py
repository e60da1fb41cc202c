"""Mirrors src/geotether/datasets/registry.py and checks every entry of the built-in registry."""

import pytest
import yaml

from geotether.datasets import find_dataset, read_registry
from geotether.sources.catalogue import SOURCES
from geotether.tasks.specification import BUILDERS

WANTED = [
    "s2-100k", "mp16", "gadm", "gpw4", "natural-earth-countries", "resolve-ecoregions", "olson-ecoregions",
    "terrain-tiles", "etopo", "worldclim", "chelsa", "geonames", "wikipedia", "glottolog", "openflights", "gbif",
]  # fmt: skip
GOOD = {
    "name": "towns",
    "title": "Towns",
    "homepage": "https://towns.example",
    "licence": "CC0",
    "citation": "Nobody (2024)",
    "builder": {"source": "columns"},
    "data": "towns.csv",
    "files": [{"name": "towns.csv", "address": "https://towns.example/towns.csv"}],
}


def test_the_required_data_sets_are_registered():
    assert set(WANTED) <= set(read_registry())


@pytest.mark.parametrize("name", read_registry())
def test_every_entry_can_be_used(name):
    dataset = read_registry()[name]
    assert dataset.builder.task in BUILDERS or dataset.builder.source in SOURCES
    made = [one.unpack for one in dataset.files if one.unpack] + [one.table.to for one in dataset.files if one.table]
    given = [one.name for one in dataset.files]
    starts = [text.split("/")[0] for text in [*made, *given]]
    assert dataset.data == "." or dataset.data.split("/")[0] in starts, "what the builder reads comes from no file"
    for file in dataset.files:
        assert file.seen, "where address and hash were found must be said"
        assert file.address or dataset.how_to


def write(path, *entries):
    path.write_text(yaml.safe_dump(list(entries)))
    return path


def test_a_user_registry_is_added_to_the_built_in_one(tmp_path, monkeypatch):
    mine = write(tmp_path / "mine.yaml", GOOD, {**GOOD, "name": "etopo"})
    ours = write(tmp_path / "ours.yaml", {**GOOD, "title": "Ours"})
    assert read_registry(mine)["etopo"].title == "Towns"
    monkeypatch.setenv("GEOTETHER_REGISTRY", str(ours))
    assert read_registry()["towns"].title == "Ours"
    assert read_registry(mine)["towns"].title == "Towns"
    assert read_registry()["etopo"].builder.task == "elevation"


def entry(**changes):
    return {**GOOD, **changes}


def file(**changes):
    return entry(files=[{**GOOD["files"][0], **changes}])


WRONG = {
    "a key is misspelt": (entry(license="CC0"), "license: Extra inputs"),
    "a key is missing": ({k: v for k, v in GOOD.items() if k != "licence"}, "licence: is missing"),
    "an unknown source": (entry(builder={"source": "colums"}), "no source 'colums'; known: columns"),
    "two builders": (entry(builder={"source": "columns", "task": "biomes"}), "one of the two"),
    "a path out of the folder": (file(name="../towns.csv"), "inside the data set's folder"),
    "an absolute path": (entry(data="/etc/passwd"), "inside the data set's folder"),
    "an address of this disk": (file(address="file:///etc/passwd"), "http or https address"),
    "a hash that is none": (file(sha256="abc"), "sha256"),
    "checked without a hash": (file(checked=True), "checked, but has no sha256"),
    "unpacking no archive": (file(unpack="towns"), "unpack is for .zip"),
    "no address and no way": (file(address=[]), "how_to must say"),
    "tiles without a zoom": (file(name="{z}/{x}/{y}.png"), "belong together"),
    "a zoom without tiles": (file(zoom=3), "belong together"),
    "a name with spaces": (entry(name="my towns"), "name: must match"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_entry_is_named_with_its_fault(tmp_path, fault):
    wrong, message = WRONG[fault]
    with pytest.raises(ValueError, match=message) as error:
        read_registry(write(tmp_path / "mine.yaml", GOOD, {**wrong, "name": wrong.get("name", "towns")}))
    assert "mine.yaml" in str(error.value)


def test_wrong_files(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"There is no registry .*nowhere\.yaml\.$"):
        read_registry(tmp_path / "nowhere.yaml")
    monkeypatch.setenv("GEOTETHER_REGISTRY", str(tmp_path / "nowhere.yaml"))
    with pytest.raises(FileNotFoundError, match="GEOTETHER_REGISTRY"):
        read_registry()
    monkeypatch.delenv("GEOTETHER_REGISTRY")
    (tmp_path / "a.yaml").write_text("towns: {")
    with pytest.raises(ValueError, match="is not valid YAML"):
        read_registry(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("towns: {}")
    with pytest.raises(ValueError, match="must be a list of data sets"):
        read_registry(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_bytes(b"- name: Z\xfcrich")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_registry(tmp_path / "a.yaml")
    with pytest.raises(ValueError, match="two data sets are called 'towns'"):
        read_registry(write(tmp_path / "a.yaml", GOOD, GOOD))


def test_an_error_about_an_unknown_name_suggests_the_closest():
    with pytest.raises(ValueError, match=r"no data set 'glotolog'; known: s2-100k, .*Did you mean 'glottolog'\?"):
        find_dataset(read_registry(), "glotolog")
