"""Mirrors src/geotether/features/sentences.py, with a tiny model of random weights."""

import json
import pickle
import sys

import numpy as np
import pytest

from geotether.features.sentences import SentenceFeatures

WORDS = ["wageningen", "lies", "on", "the", "rhine", "a", "landslide", "was", "triggered", "by", "rain", "near", "."]
TEXTS = ["Wageningen lies on the Rhine.", "rain", "A landslide was triggered by rain near Wageningen. " * 3, "the the"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, torchvision_imports):
    """A BERT of two layers and a WordPiece vocabulary, as sentence-transformers saves it."""
    pytest.importorskip("sentence_transformers")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    path = tmp_path_factory.mktemp("model")
    (path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=18, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=64,
        )  # fmt: skip
        BertModel(config).save_pretrained(path / "bert")
    BertTokenizerFast(vocab=str(path / "vocab.txt")).save_pretrained(path / "bert")
    bert = Transformer(str(path / "bert"), max_seq_length=48)
    SentenceTransformer(modules=[bert, Pooling(16)], device="cpu").save(str(path / "whole"))
    return path / "whole"


def test_embeddings_are_those_of_the_model(folder):
    from sentence_transformers import SentenceTransformer

    features = SentenceFeatures(model=str(folder)).fit(TEXTS)
    want = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(features.transform(TEXTS), want, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(want, axis=1), 1, atol=1e-5)
    assert features.transform(TEXTS).dtype == np.float32
    assert features.names() == [f"dimension {number}" for number in range(1, 17)]
    assert features.transform([]).shape == (0, 16)


def test_batches_and_order_do_not_matter(folder):
    want = SentenceFeatures(model=str(folder)).fit(TEXTS).transform(TEXTS)
    single = SentenceFeatures(model=str(folder), batch=1).fit(TEXTS)
    np.testing.assert_allclose(single.transform(TEXTS), want, atol=1e-6)
    np.testing.assert_allclose(single.transform(TEXTS[::-1])[::-1], want, atol=1e-6)


def test_options_change_what_is_read(folder):
    plain = SentenceFeatures(model=str(folder)).fit(TEXTS).transform(TEXTS)
    short = SentenceFeatures(model=str(folder), max_length=4).fit(TEXTS)
    cut = short.transform(["rain near the rhine", "rain near a landslide"])
    np.testing.assert_allclose(cut[0], cut[1], atol=1e-6)  # beside [CLS] and [SEP] two words are left
    prompted = SentenceFeatures(model=str(folder), prompt="the the ").fit(TEXTS)
    np.testing.assert_allclose(prompted.transform(["rain"])[0], short_of(folder, "the the rain"), atol=1e-6)
    raw = SentenceFeatures(model=str(folder), normalise=False).fit(TEXTS).transform(TEXTS)
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1)
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), plain, atol=1e-5)


def short_of(folder, text):
    return SentenceFeatures(model=str(folder)).fit([text]).transform([text])[0]


def test_restored_features_are_the_same(folder):
    features = SentenceFeatures(model=str(folder), batch=2).fit(TEXTS)
    values, arrays = features.fitted()
    again = SentenceFeatures(**json.loads(json.dumps(features.settings())))
    again = pickle.loads(pickle.dumps(again.restore(json.loads(json.dumps(values)), arrays)))
    np.testing.assert_array_equal(again.transform(TEXTS), features.transform(TEXTS))
    with pytest.raises(ValueError, match="has other weights"):
        SentenceFeatures(model=str(folder)).restore(values | {"weights": "0" * 64}, arrays)


def test_a_model_that_is_not_here_says_what_to_put_where(tmp_path, monkeypatch, torchvision_imports):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(FileNotFoundError, match=r"missing.*download=true.*model.safetensors.*\.cache/huggingface"):
        SentenceFeatures(model="nobody/has-this-model").fit(TEXTS)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="contains no model that sentence-transformers can load"):
        SentenceFeatures(model=str(tmp_path)).fit(TEXTS)


def test_code_of_a_model_is_never_run(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "evil")
    modules = json.loads((tmp_path / "evil" / "modules.json").read_text())
    modules[0]["type"] = "evil.Evil"
    (tmp_path / "evil" / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "evil" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    with pytest.raises((FileNotFoundError, ImportError)):
        SentenceFeatures(model=str(tmp_path / "evil")).fit(TEXTS)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "options, message",
    [({"batch": 0}, "batch must be 1"), ({"max_length": 0}, "max_length must be 1"), ({"model": ""}, "empty text")],
)
def test_unfit_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SentenceFeatures(**options)


def test_misuse_is_named(folder):
    with pytest.raises(ValueError, match="call fit"):
        SentenceFeatures(model=str(folder)).transform(TEXTS)
    with pytest.raises(TypeError, match="one string"):
        SentenceFeatures(model=str(folder)).fit(TEXTS).transform("rain")
    assert SentenceFeatures().refuse(["a", " "]) == {1: "empty text"}


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[text\]'"):
        SentenceFeatures().fit(TEXTS)


def test_a_library_that_does_not_import_is_not_called_missing(monkeypatch, tmp_path):
    (tmp_path / "sentence_transformers.py").write_text("raise ImportError('cannot import name Cache')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
    with pytest.raises(ImportError, match="is installed, but does not import: ImportError: cannot import name Cache"):
        SentenceFeatures(model="any").fit(TEXTS)
