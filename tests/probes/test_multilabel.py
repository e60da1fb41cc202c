"""Mirrors src/geotether/probes/multilabel.py."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from geotether.probes.multilabel import MultiLabelProbe
from geotether.probes.scores import average_precisions, choose_thresholds, judge_labels


def problem(num_rows, num_columns, num_labels=4, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((num_rows, num_columns)) * rng.uniform(0.1, 9, num_columns)
    standard = features / features.std(axis=0)
    logits = standard @ rng.standard_normal((num_columns, num_labels)) - np.arange(num_labels)
    return features.astype(np.float32), (logits + rng.standard_normal(logits.shape) > 0).astype(np.float64)


def objective(weights, intercept, standard, labels, penalty):
    logits = standard @ weights + intercept
    loss = np.logaddexp(0, logits) - labels * logits
    return loss.sum() / len(labels) + penalty / (2 * len(labels)) * (weights**2).sum()


@pytest.mark.parametrize(("num_rows", "num_columns"), [(300, 12), (60, 150)], ids=["tall", "wide"])
@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_reaches_the_optimum_of_scikit_learn_label_by_label(num_rows, num_columns, penalty):
    features, labels = problem(num_rows, num_columns)
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    got = MultiLabelProbe(penalties=(penalty,), max_steps=300).fit(features, labels)
    models = [LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000).fit(standard, own) for own in labels.T]
    weights = np.stack([model.coef_[0] for model in models], axis=1)
    intercept = np.array([model.intercept_[0] for model in models])
    want = objective(weights, intercept, standard, labels, penalty)
    assert objective(got.weights_, got.intercept_, standard, labels, penalty) == pytest.approx(want, abs=1e-4)
    probabilities = np.stack([model.predict_proba(standard)[:, 1] for model in models], axis=1)
    np.testing.assert_allclose(got.columns(features), probabilities, atol=5e-3)


@pytest.mark.parametrize(("num_rows", "num_columns", "weak"), [(400, 5, True), (60, 200, False)])
def test_the_penalty_with_the_best_validation_rows_is_chosen(num_rows, num_columns, weak):
    """Differences between columns that move together ask for a weak one, many columns of noise for a strong one."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((num_rows, num_columns))
    labels = (features[:, :3] > 0.5).astype(float)
    if weak:
        features += 5 * rng.standard_normal((num_rows, 1))
    penalties = (1e-3, 10.0, 1e6)
    precisions = {}
    for penalty in penalties:
        one = MultiLabelProbe((penalty,)).fit(features, labels)
        precisions[penalty] = average_precisions(one.validation_labels_, one.validation_probabilities_).macro
    chosen = MultiLabelProbe(penalties).fit(features, labels).penalty_
    assert precisions[chosen] >= max(precisions.values()) - 0.01
    assert (precisions[1e-3] > precisions[1e6] + 0.02) == weak


def test_thresholds_are_those_of_the_validation_rows():
    features, labels = problem(200, 6)
    validation = np.arange(200) < 50
    probe = MultiLabelProbe((10.0,)).fit(features, labels, validation)
    np.testing.assert_array_equal(probe.validation_labels_, labels[:50])
    trained_without = MultiLabelProbe((10.0,)).fit(features[50:], labels[50:])
    # The same but for the scale of the features, which all rows decide.
    np.testing.assert_allclose(probe.validation_probabilities_, trained_without.columns(features[:50]), atol=0.05)
    want = choose_thresholds(probe.validation_labels_, probe.validation_probabilities_, "macro")
    np.testing.assert_array_equal(probe.thresholds_, want)
    np.testing.assert_array_equal(probe.predict(features), probe.columns(features) >= want)


def test_it_evaluates_test_rows():
    features, labels = problem(400, 6)
    probe = MultiLabelProbe().fit(features[:300], labels[:300])
    found = probe.judge(features[300:], labels[300:])
    want = judge_labels(
        labels[300:], probe.columns(features[300:]), (probe.validation_labels_, probe.validation_probabilities_)
    )
    assert found == want
    chance = labels[300:].mean(axis=0).mean()
    assert found.macro_map > chance + 0.3
    assert found.macro_f1 > 0.6


def test_rows_without_labels_are_left_out():
    features, labels = problem(100, 5)
    more = np.concatenate([labels, np.full((20, 4), np.nan)])
    noise = np.random.default_rng(1).standard_normal((20, 5)).astype(np.float32) * 100
    validation = np.arange(100) % 4 == 0
    got = MultiLabelProbe().fit(np.concatenate([features, noise]), more, np.append(validation, np.ones(20, bool)))
    want = MultiLabelProbe().fit(features, labels, validation)
    np.testing.assert_array_equal(got.columns(features), want.columns(features))


def test_labels_that_all_or_no_rows_have_are_predicted_at_their_frequency():
    features, labels = problem(50, 3)
    labels[:, 0], labels[:, 1] = 0, 1
    probe = MultiLabelProbe().fit(features, labels)
    found = probe.columns(features)
    assert found[:, 0] == pytest.approx(0.5 / 51)
    assert found[:, 1] == pytest.approx(50.5 / 51)
    assert np.isfinite(probe.weights_).all()
    nothing = MultiLabelProbe().fit(features, 0 * labels)
    assert (nothing.predict(features) == 0).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda fit, x, y: fit(x, y[:19]), "20 rows of features, but 19"),
        (lambda fit, x, y: fit(x, y, np.ones(19, bool)), "19 entries for 20"),
        (lambda fit, x, y: fit(x, y, np.ones(20, bool)), "of 20 rows with labels 20"),
        (lambda fit, x, y: fit(x, y, np.zeros(20, bool)), "of 20 rows with labels 0"),
        (lambda fit, x, y: fit(x, np.full((20, 4), np.nan)), "of 0 rows with labels 0"),
        (lambda fit, x, y: fit(x[:1], y[:1]), "of 1 rows with labels 0"),
        (lambda fit, x, y: MultiLabelProbe(()).fit(x, y), "above 0"),
        (lambda fit, x, y: MultiLabelProbe((0.0,)).fit(x, y), "above 0"),
        (lambda fit, x, y: fit(x, np.where(np.arange(20)[:, None] == 4, 0.5, y)), "row 4"),
    ],
)
def test_wrong_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call(MultiLabelProbe().fit, *problem(20, 3))
