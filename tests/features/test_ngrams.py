"""Mirrors src/geotether/features/ngrams.py."""

import numpy as np
import pytest

from geotether.features.ngrams import NgramFeatures

DUTCH = ["Wageningen", "Groningen", "Scheveningen", "Vlissingen", "Harlingen", "Vlaardingen", "Beringen", "Tongeren"]
CHINESE = [
    "北京 Beijing",
    "南京 Nanjing",
    "东京",
    "北海 Beihai",
    "南宁 Nanning",
    "南昌 Nanchang",
    "北屯",
    "海南 Hainan",
]


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_names_of_one_language_are_alike():
    texts = DUTCH + CHINESE
    features = NgramFeatures(dim=6, seed=0).fit(texts).transform(texts)
    assert features.shape == (16, 6)
    assert features.dtype == np.float32
    within = np.mean([cosine(a, b) for a in features[:8] for b in features[:8]])
    across = np.mean([cosine(a, b) for a in features[:8] for b in features[8:]])
    assert within > 0.3 > across + 0.1


def test_full_rank_keeps_all_inner_products():
    """With as many directions as texts, the SVD is a rotation of the weighted counts."""
    texts = DUTCH[:5]
    fitted = NgramFeatures(dim=5, seed=0).fit(texts)
    weighted = fitted._weighted(fitted._counts(texts)).toarray()
    features = fitted.transform(texts)
    np.testing.assert_allclose(features @ features.T, weighted @ weighted.T, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(weighted, axis=1), 1, rtol=1e-5)


def test_fitting_and_transforming_at_once_is_the_same():
    texts, rows = DUTCH + CHINESE, np.array([0, 3, 5, 8, 9, 12])
    want = NgramFeatures(dim=4, seed=0).fit([texts[row] for row in rows]).transform(texts)
    np.testing.assert_allclose(NgramFeatures(dim=4, seed=0).fit_transform(texts, rows), want, atol=1e-6)
    both = NgramFeatures(dim=4, seed=0)
    np.testing.assert_allclose(both.fit_transform(texts), both.transform(texts), atol=1e-6)


def test_unseen_ngrams_give_zeros():
    features = NgramFeatures(dim=3, seed=0).fit(DUTCH).transform(["ժողով"])
    np.testing.assert_array_equal(features, np.zeros((1, 3), np.float32))


@pytest.mark.parametrize(
    "texts, message",
    [
        ([], "no texts"),
        (["a", " "], "Row 1 is an empty text"),
        (["ab"], "need at least 4 texts, got 1"),
        (["a"] * 9, "different n-grams, too few for 4"),
    ],
)
def test_invalid_texts_are_errors(texts, message):
    with pytest.raises(ValueError, match=message):
        NgramFeatures(dim=4).fit(texts)


def test_misuse_is_named():
    with pytest.raises(TypeError, match="one string"):
        NgramFeatures(dim=2).fit("Wageningen")
    assert NgramFeatures().refuse(["a", " ", ""]) == {1: "empty text", 2: "empty text"}
