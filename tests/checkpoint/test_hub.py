"""Mirrors src/geotether/checkpoint/hub.py, against a folder that answers as the Hub does."""

import json
import logging
import shutil
import sys
import time

import numpy as np
import pytest
import yaml

import geotether
from geotether.checkpoint.hub import cached_models, hub_card, hub_name, snapshot_of
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.loading import named_encoder

# Of huggingface_hub itself, while it uploads.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

LONLAT = [[5.66, 51.97], [-74.01, 40.71]]
FILES = ["README.md", "config.json", "model.safetensors", "provenance.json"]


def small(seed=0):
    parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 4}
    card = '# Mine\n\n```python\nmodel = geotether.load("path/to/this/folder")\n```\n'
    provenance = {"tables": {}, "licence": "CC-BY-4.0, with credits"}
    return Encoder(build_location_encoder(parts, seed), provenance=provenance, card=card)


def test_a_model_is_uploaded_and_comes_back(hub, caplog):
    encoder = small()
    name = encoder.push_to_hub("me/mine", private=True)
    repo, commit = hub_name(name)
    assert repo == "me/mine"
    assert sorted(path.name for path in (hub.root / repo / commit).iterdir()) == FILES
    with caplog.at_level(logging.INFO, logger="geotether"):
        again = geotether.load("me/mine")
    assert sum("Downloading hf:me/mine" in one.message for one in caplog.records) == 1
    np.testing.assert_array_equal(again.encode(LONLAT), encoder.encode(LONLAT))
    assert again.provenance["hub"] == {"repo": "me/mine", "revision": commit}
    assert snapshot_of(again.folder) == ("me/mine", commit)
    _, front, text = again.card.split("---\n", 2)
    metadata = yaml.safe_load(front)
    assert metadata["license"] == "cc-by-4.0"
    assert metadata["library_name"] == "geotether"
    assert "location-encoder" in metadata["tags"]
    assert 'geotether.load("hf:me/mine")' in text
    again.push_to_hub("me/mine", licence="mit")  # the metadata is replaced, not repeated
    card = geotether.load("hf:me/mine").card
    assert yaml.safe_load(card.split("---\n")[1]) == metadata | {"license": "mit"}


def test_revisions_are_branches_tags_or_commits(hub):
    first = hub_name(small(0).push_to_hub("me/mine"))[1]
    small(1).push_to_hub("me/mine", revision="next")
    small(2).push_to_hub("me/mine")
    wanted = [small(seed).encode(LONLAT) for seed in range(3)]
    for name, revision, seed in (("me/mine", first, 0), ("hf:me/mine@next", None, 1), ("hf:me/mine", None, 2)):
        np.testing.assert_array_equal(geotether.load(name, revision=revision).encode(LONLAT), wanted[seed])
    name, function = named_encoder(f"hf:me/mine@{first}")
    assert name == "mine"
    np.testing.assert_array_equal(function(np.array(LONLAT)), wanted[0])
    assert len(cached_models()) == 3
    with pytest.raises(FileNotFoundError, match="no revision 'v9'"):
        geotether.load("hf:me/mine@v9")
    with pytest.raises(ValueError, match="give one"):
        geotether.load("hf:me/mine@next", revision="main")


def test_what_is_in_the_cache_is_not_fetched_again_and_needs_no_network(hub, monkeypatch):
    name = small().push_to_hub("me/mine")
    geotether.load("hf:me/mine")
    hub.requests.clear()
    geotether.load("hf:me/mine")
    assert [one for one in hub.requests if one.startswith("GET")] == []
    hub.requests.clear()
    assert geotether.load("me/mine", local_files_only=True).dim == 4
    assert geotether.load(name, local_files_only=True).dim == 4
    assert hub.requests == []
    hub.unplug()
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between attempts of huggingface_hub
    assert geotether.load("hf:me/mine").dim == 4
    with pytest.raises(FileNotFoundError, match="cannot be reached"):
        geotether.load("hf:me/other")
    with pytest.raises(FileNotFoundError, match="local_files_only"):
        geotether.load("hf:me/other", local_files_only=True)
    with pytest.raises(OSError, match="cannot be reached"):
        small().push_to_hub("me/mine")


def test_only_the_files_of_a_model_are_fetched(hub):
    _, commit = hub_name(small().push_to_hub("me/mine"))
    for name in ("pytorch_model.bin", "modeling.py", "extra.safetensors"):
        (hub.root / "me" / "mine" / commit / name).write_bytes(b"import os")
    folder = geotether.load("hf:me/mine").folder
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert not [one for one in hub.requests if "pytorch_model" in one or "modeling" in one or "extra" in one]


def test_a_changed_file_is_refused(hub):
    _, commit = hub_name(small(0).push_to_hub("me/mine"))
    _, other = hub_name(small(1).push_to_hub("me/other"))
    shutil.copy(hub.root / "me/other" / other / "model.safetensors", hub.root / "me/mine" / commit)
    with pytest.raises(ValueError, match="do not belong together"):
        geotether.load("hf:me/mine")


@pytest.mark.parametrize(
    "content",
    [None, "{}", '{"model_type": "bert"}', "[]", "not JSON"],
    ids=["no config", "empty", "of another library", "list", "broken"],
)
def test_a_repository_of_something_else_is_refused_before_its_weights_are_fetched(hub, content):
    _, commit = hub_name(small().push_to_hub("me/bert"))
    path = hub.root / "me" / "bert" / commit / "config.json"
    path.unlink() if content is None else path.write_text(content)
    hub.requests.clear()
    with pytest.raises(ValueError, match="me/bert on the Hub is not a model of geotether"):
        geotether.load("hf:me/bert")
    assert not [one for one in hub.requests if "safetensors" in one]


def test_private_and_unknown_models_name_the_log_in(hub, monkeypatch):
    small().push_to_hub("me/secret", private=True)
    monkeypatch.delenv("HF_TOKEN")
    for name in ("hf:me/secret", "hf:me/nothing", "me/secret"):
        with pytest.raises(FileNotFoundError, match="HF_TOKEN"):
            geotether.load(name)
    with pytest.raises(OSError, match="HF_TOKEN"):
        small().push_to_hub("me/secret")


def test_names_that_are_not_of_the_hub(hub, monkeypatch, tmp_path):
    small().save("me/mine")
    assert geotether.load("me/mine").folder.name == "mine"  # a folder of that name comes first
    with pytest.raises(FileNotFoundError, match="me/mime"):
        geotether.load("me/mime")  # a misspelt path, as there is a folder `me`
    for name in ("hf:mine", "hf:a/b/c", "hf:a/b@", "hf:", "hf:../x y"):
        with pytest.raises(ValueError, match="hf:user/name"):
            geotether.load(name)
    with pytest.raises(ValueError, match="for models of the Hub"):
        geotether.load("me/mine", revision="v1")
    with pytest.raises(ValueError, match="user/name"):
        small().push_to_hub("mine")
    with pytest.raises(FileNotFoundError, match="hf:you/mine"):
        named_encoder("you/mine")  # on the command line, only with hf:
    assert hub.requests == []
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[hub\]'"):
        geotether.load("hf:you/mine")


@pytest.mark.parametrize(
    ("provenance", "licence"),
    [({"licence": "Apache-2.0, as the package"}, "apache-2.0"), ({"licence": "my own terms"}, "other"), ({}, None)],
    ids=["known", "other", "none"],
)
def test_the_licence_of_a_card(provenance, licence, caplog):
    card = hub_card("", "me/mine", json.loads(json.dumps(provenance)))
    assert yaml.safe_load(card.split("---\n")[1]).get("license") == licence
    assert ("licence=" in caplog.text) == (licence is None)
