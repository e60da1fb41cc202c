"""Mirrors src/geotether/features/sentences.py, with a tiny model of random weights."""

import json
import sys

import numpy as np
import pytest

from geotether.features.sentences import SentenceFeatures

TEXTS = ["Wageningen lies on the Rhine.", "rain", "A landslide was triggered by rain near Wageningen. " * 3, "the the"]


def test_embeddings_are_those_of_the_model(sentence_model):
    from sentence_transformers import SentenceTransformer

    features = SentenceFeatures(model=str(sentence_model)).fit(TEXTS)
    want = SentenceTransformer(str(sentence_model), device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(features.transform(TEXTS), want, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(want, axis=1), 1, atol=1e-5)
    assert features.transform(TEXTS).dtype == np.float32
    assert features.names() == [f"dimension {number}" for number in range(1, 17)]
    assert features.transform([]).shape == (0, 16)


def test_batches_and_order_do_not_matter(sentence_model):
    want = SentenceFeatures(model=str(sentence_model)).fit(TEXTS).transform(TEXTS)
    single = SentenceFeatures(model=str(sentence_model), batch=1).fit(TEXTS)
    np.testing.assert_allclose(single.transform(TEXTS), want, atol=1e-6)
    np.testing.assert_allclose(single.transform(TEXTS[::-1])[::-1], want, atol=1e-6)


def test_options_change_what_is_read(sentence_model):
    raw_features = SentenceFeatures(model=str(sentence_model)).fit(TEXTS)
    plain = raw_features.transform(TEXTS)
    short = SentenceFeatures(model=str(sentence_model), max_length=4).fit(TEXTS)
    cut = short.transform(["rain near the rhine", "rain near a landslide"])
    np.testing.assert_allclose(cut[0], cut[1], atol=1e-6)  # beside [CLS] and [SEP] two words are left
    prompted = SentenceFeatures(model=str(sentence_model), prompt="the the ").fit(TEXTS)
    np.testing.assert_allclose(prompted.transform(["rain"])[0], raw_features.transform(["the the rain"])[0], atol=1e-6)
    raw = SentenceFeatures(model=str(sentence_model), normalise=False).fit(TEXTS).transform(TEXTS)
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1)
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), plain, atol=1e-5)


def test_an_error_about_a_missing_model_says_which_file_to_put_where(tmp_path, monkeypatch, torchvision_imports):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(FileNotFoundError, match=r"missing.*download=true.*model.safetensors.*\.cache/huggingface"):
        SentenceFeatures(model="nobody/has-this-model").fit(TEXTS)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="contains no model that sentence-transformers can load"):
        SentenceFeatures(model=str(tmp_path)).fit(TEXTS)


def test_code_of_a_model_is_never_run(sentence_model, tmp_path):
    import shutil

    shutil.copytree(sentence_model, tmp_path / "evil")
    modules = json.loads((tmp_path / "evil" / "modules.json").read_text())
    modules[0]["type"] = "evil.Evil"
    (tmp_path / "evil" / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "evil" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    with pytest.raises((FileNotFoundError, ImportError)):
        SentenceFeatures(model=str(tmp_path / "evil")).fit(TEXTS)
    assert not (tmp_path / "ran").exists()


def test_misuse_is_named(sentence_model):
    with pytest.raises(TypeError, match="one string"):
        SentenceFeatures(model=str(sentence_model)).fit(TEXTS).transform("rain")
    assert SentenceFeatures().refuse(["a", " "]) == {1: "empty text"}


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[text\]'"):
        SentenceFeatures().fit(TEXTS)


def test_a_library_that_fails_to_import_is_not_reported_as_missing(monkeypatch, tmp_path):
    (tmp_path / "sentence_transformers.py").write_text("raise ImportError('cannot import name Cache')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
    with pytest.raises(ImportError, match="is installed, but does not import: ImportError: cannot import name Cache"):
        SentenceFeatures(model="any").fit(TEXTS)


def test_other_weights_than_the_fitted_ones_are_refused(sentence_model):
    values, arrays = SentenceFeatures(model=str(sentence_model)).fit(TEXTS).fitted()
    with pytest.raises(ValueError, match="has other weights"):
        SentenceFeatures(model=str(sentence_model)).restore(values | {"weights": "0" * 64}, arrays)
