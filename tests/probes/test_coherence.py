"""Mirrors src/geotether/probes/coherence.py."""

import itertools
import math

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score, silhouette_score

from geotether.probes.coherence import class_overlap, coherence, label_sets, overlap_of_rows, overlapping_rows


@pytest.fixture
def clusters():
    """Three label sets of 8, 8 and 6 rows around directions of their own, and two rows of a fourth."""
    rng = np.random.default_rng(0)
    labels = np.repeat([[1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]], [8, 8, 6, 2], axis=0).astype(float)
    centres = rng.standard_normal((4, 5))
    embeddings = np.repeat(centres, [8, 8, 6, 2], axis=0) + 0.4 * rng.standard_normal((24, 5))
    return embeddings, labels


def test_measures_equal_scikit_learn_on_directions(clusters):
    embeddings, labels = clusters
    rows, sets = embeddings[:22] / np.linalg.norm(embeddings[:22], axis=1, keepdims=True), label_sets(labels)[:22]
    found, own = coherence(embeddings, labels), KMeans(3, n_init=10, random_state=0).fit_predict(rows)
    assert found.silhouette == pytest.approx(silhouette_score(embeddings[:22], sets, metric="cosine"))
    assert found.nmi == pytest.approx(normalized_mutual_info_score(sets, own))
    assert (found.sets, found.rows, found.left_out) == (3, 22, 2)


def test_perfect_clusters_and_no_clusters():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.eye(4), 50, axis=0)
    perfect = coherence(labels + 1e-3 * rng.standard_normal((200, 4)), labels)
    assert perfect.silhouette > 0.99
    assert (perfect.nmi, perfect.ami) == pytest.approx((1, 1))
    noise = coherence(rng.standard_normal((200, 4)), labels)
    assert abs(noise.silhouette) < 0.1
    assert abs(noise.ami) < 0.05
    assert noise.nmi < 0.1


def test_the_length_of_embeddings_does_not_matter(clusters):
    embeddings, labels = clusters
    stretched = embeddings * np.random.default_rng(1).uniform(0.1, 10, (24, 1))
    assert coherence(stretched, labels).silhouette == pytest.approx(coherence(embeddings, labels).silhouette)


def test_the_same_seed_gives_the_same_numbers(clusters):
    embeddings, labels = clusters
    noise = np.random.default_rng(3).standard_normal(embeddings.shape)
    assert coherence(noise, labels, seed=4) == coherence(noise, labels, seed=4)
    few = coherence(noise, labels, min_rows=2, max_rows=20, seed=4)
    assert few.rows <= 20
    assert few.rows + few.left_out == 24


def test_rows_without_labels_are_left_out(clusters):
    embeddings, labels = clusters
    more = np.concatenate([labels, np.full((3, 3), np.nan)])
    found = coherence(np.concatenate([embeddings, np.zeros((3, 5))]), more)
    want = coherence(embeddings, labels)
    assert found.nmi == want.nmi
    assert found.left_out == want.left_out + 3


def test_collapsed_embeddings_are_evaluated_without_a_warning():
    labels = np.repeat(np.eye(3), 6, axis=0)
    found = coherence(np.ones((18, 4)), labels)
    assert (found.silhouette, found.nmi) == pytest.approx((0, 0), abs=1e-6)


def test_overlap_of_classes_and_rows_equals_a_loop():
    rng = np.random.default_rng(0)
    labels = (rng.random((30, 5)) < 0.4).astype(float)
    labels[3], labels[4] = np.nan, 0
    rows = [set(np.flatnonzero(row == 1)) for row in labels]
    overlap = class_overlap(labels)
    for a, b in itertools.product(range(5), repeat=2):
        either = sum(a in row or b in row for row in rows)
        assert overlap[a, b] == pytest.approx(sum(a in row and b in row for row in rows) / either)
    own = overlap_of_rows(labels, overlap)
    for row, value in zip(rows, own, strict=True):
        pairs = list(itertools.combinations(sorted(row), 2))
        if pairs:
            assert value == pytest.approx(sum(overlap[a, b] for a, b in pairs) / len(pairs))
        else:
            assert math.isnan(value)
    middle = np.median([value for value in own if not math.isnan(value)])
    want = [not math.isnan(value) and value > middle for value in own]
    assert overlapping_rows(labels).tolist() == want
    assert 0 < sum(want) < 15


def test_overlap_of_test_rows_depends_on_training_rows():
    """Water and forest come together in training, so they overlap in test, whatever else the test rows hold."""
    training = np.array([[1, 1, 0, 0]] * 6 + [[0, 0, 1, 1]] + [[0, 0, 1, 0], [0, 0, 0, 1]] * 3 + [[1, 0, 1, 0]])
    test = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 0, 1]])
    assert overlapping_rows(test, training).tolist() == [False, False, False, False]  # 6 of 8 pairs are the median
    training = np.concatenate([training, [[0, 0, 1, 1]] * 7, [[0, 0, 1, 0], [0, 0, 0, 1]] * 5])
    assert overlapping_rows(test, training).tolist() == [True, False, False, False]
    assert overlapping_rows(np.concatenate([test, test]), training).tolist() == 2 * [True, False, False, False]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x, y: coherence(x, y[:23]), "24 embeddings, but 23"),
        (lambda x, y: coherence(x[:8], y[:8]), "only 1 label sets"),
        (lambda x, y: coherence(x[:1], y[:1]), "only 0 label sets"),
        (lambda x, y: coherence(x, y, min_rows=1), "min_rows 1"),
        (lambda x, y: coherence(0 * x, y), "row 0"),
        (lambda x, y: overlapping_rows(y, y[:8]), "none of the 8 training rows"),
        (lambda x, y: overlapping_rows(y, y[:, :2]), "3 labels, .* 2 classes"),
        (lambda x, y: class_overlap(np.where(np.eye(24, 3, -2), np.nan, y)), "row 2"),
    ],
)
def test_wrong_input_is_named(clusters, call, said):
    with pytest.raises(ValueError, match=said):
        call(*clusters)
