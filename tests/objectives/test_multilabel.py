"""Mirrors src/geotether/objectives/multilabel.py."""

import math

import pytest
import torch
from sklearn.metrics import jaccard_score

from geotether.objectives.multilabel import jaccard, known_labels, merge, multilabel_contrast


def by_hand(z, labels, temperature, exclude=None):
    """The definition with sets and loops."""
    known = [i for i in range(len(z)) if not math.isnan(labels[i][0])]
    sets = {i: {k for k, on in enumerate(labels[i]) if on} for i in known}
    z = z.detach()
    s = [[float(a @ b / a.norm() / b.norm()) / temperature for b in z] for a in z]
    losses = []
    for i in known:
        others = [j for j in known if j != i and not (exclude is not None and exclude[i][j])]
        weight = {j: len(sets[i] & sets[j]) / len(sets[i] | sets[j]) if sets[i] | sets[j] else 0.0 for j in others}
        if sum(weight.values()) == 0:
            continue
        log_sum = math.log(sum(math.exp(s[i][j]) for j in others))
        losses.append(-sum(w * (s[i][j] - log_sum) for j, w in weight.items()) / sum(weight.values()))
    return sum(losses) / len(losses) if losses else 0.0


@pytest.fixture
def batch():
    """12 rows of 4 labels: two unknown, one without a label, one with a label of its own, some equal."""
    generator = torch.Generator().manual_seed(5)
    z = torch.randn(12, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = (torch.rand(12, 4, generator=generator) < 0.4).double()
    labels[:, 3] = 0
    labels[0], labels[1], labels[2] = torch.nan, torch.nan, 0
    labels[3] = torch.tensor([0, 0, 0, 1])
    labels[4], labels[5] = torch.tensor([1, 1, 0, 0]), torch.tensor([1, 1, 0, 0])
    return z, labels


def test_jaccard_is_that_of_scikit_learn():
    labels = (torch.rand(9, 5, generator=torch.Generator().manual_seed(0)) < 0.4).double()
    got = jaccard(labels)
    for i, a in enumerate(labels.numpy()):
        for j, b in enumerate(labels.numpy()):
            assert got[i, j].item() == pytest.approx(jaccard_score(a, b, zero_division=0.0))


def test_jaccard_takes_booleans_and_refuses_counts():
    assert jaccard(torch.tensor([[True, True], [True, False]])).tolist() == [[1.0, 0.5], [0.5, 1.0]]
    assert jaccard(torch.zeros(2, 3)).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(ValueError, match=r"row 1 has other values: \[2.0, 0.0\]"):
        jaccard(torch.tensor([[1.0, 0.0], [2.0, 0.0]]))


@pytest.mark.parametrize("temperature", [0.005, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("chunk_rows", [None, 3])
def test_equals_the_definition(batch, temperature, chunk_rows):
    z, labels = batch
    got = multilabel_contrast(z, labels, temperature, chunk_rows=chunk_rows)
    assert got.item() == pytest.approx(by_hand(z, labels.tolist(), temperature), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.005, 0.1, 1.0])
@pytest.mark.parametrize("chunk_rows", [None, 3])
def test_rows_of_one_sample_can_be_left_out(batch, temperature, chunk_rows):
    z, labels = batch
    sample = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    sample[5], labels[5] = 4, labels[4]
    sample[8], sample[9], labels[8], labels[9] = 7, 7, labels[7], labels[7]
    got = multilabel_contrast(z, labels, temperature, sample, chunk_rows)
    exclude = (sample[:, None] == sample).tolist()
    assert got.item() == pytest.approx(by_hand(z, labels.tolist(), temperature, exclude), abs=1e-6)
    assert got.item() != pytest.approx(by_hand(z, labels.tolist(), temperature), abs=1e-3)
    with pytest.raises(ValueError, match="rows of sample 7 in `exclude` differ in their labels"):
        multilabel_contrast(z, labels, temperature, sample.masked_fill(sample == 3, 7))


def test_gradient_is_exact(batch):
    z, labels = batch
    tau = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    some = z.detach()[1:7, :3].requires_grad_()
    assert torch.autograd.gradcheck(lambda z, tau: multilabel_contrast(z, labels[1:7], tau), (some, tau))


def test_with_one_label_a_row_it_is_supcon(random_pair):
    z, _ = random_pair(10, 4)
    classes = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    unit = torch.nn.functional.normalize(z, dim=1)
    log_p = (unit @ unit.T / 0.2).masked_fill(torch.eye(10, dtype=torch.bool), -math.inf).log_softmax(dim=1)
    partner = (classes[:, None] == classes) & ~torch.eye(10, dtype=torch.bool)
    want = -(log_p.masked_fill(~partner, 0).sum(dim=1) / partner.sum(dim=1)).mean()
    got = multilabel_contrast(z, torch.nn.functional.one_hot(classes).double(), 0.2)
    torch.testing.assert_close(got, want)


def test_unlabelled_rows_have_no_influence(batch):
    z, labels = batch
    want = multilabel_contrast(z, labels, 0.1)
    with torch.no_grad():
        z[:2] = torch.nan
    got = multilabel_contrast(z, labels, 0.1)
    (gradient,) = torch.autograd.grad(got, z)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(multilabel_contrast(z[2:], labels[2:], 0.1), want)
    assert (gradient[:2] == 0).all()
    # The row without a label and the row with one of its own are no anchors, but they are pushed away.
    assert (gradient[2:].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize(
    "labels",
    [torch.eye(4), torch.zeros(4, 3), torch.full((4, 3), torch.nan), torch.ones(1, 2)],
    ids=["no label in common", "no labels", "all unknown", "one row"],
)
def test_a_batch_without_partners_is_zero_with_a_zero_gradient(random_pair, labels):
    z, _ = random_pair(len(labels), 5)
    loss = multilabel_contrast(z, labels, 0.1)
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.item() == 0.0
    assert torch.equal(gradient, torch.zeros_like(z))


@pytest.mark.parametrize("temperature", [0.01, 0.1])
def test_float32_is_accurate_to_its_digits(temperature):
    """Large label sets in common: the sums that stand in for the pairs must not lose what single pairs keep."""
    generator = torch.Generator().manual_seed(2)
    labels = (torch.rand(800, 3, generator=generator) < 0.5).double()
    z = torch.randn(800, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    exact = multilabel_contrast(z, labels, temperature)
    rough = multilabel_contrast(z.float(), labels.float(), temperature)
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=2e-6)
    (want,), (got,) = torch.autograd.grad(exact, z), torch.autograd.grad(rough, z)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5 * want.abs().max().item())


def test_wrong_batches_are_named(batch):
    z, labels = batch
    with pytest.raises(ValueError, match="z has 12 rows and labels 11"):
        multilabel_contrast(z, labels[:11], 0.1)
    with pytest.raises(ValueError, match="z has 0 rows and labels 0"):
        multilabel_contrast(z[:0], labels[:0], 0.1)
    with pytest.raises(ValueError, match="`exclude` has 3 entries, but the batch has 12 rows"):
        multilabel_contrast(z, labels, 0.1, torch.zeros(3, dtype=torch.int64))
    labels[7, 2] = torch.nan
    with pytest.raises(ValueError, match="row 7 has NaN for some labels only"):
        known_labels(labels)


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(6)
    return {
        name: tuple(torch.randn(6, 4, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
        for name in ("s1", "s2")
    }


LABELS = torch.tensor(
    [[1, 0], [1, 1], [0, 1], [1, 0], [math.nan, math.nan], [0, 1]],
    dtype=torch.float64,
)
PRESENT = {"s1": torch.tensor([True, False, True, True, True, True])}


def test_merging_repeats_labels_for_sensors_and_views(views):
    z, labels = merge(views, LABELS, PRESENT)
    want = [*views["s1"][0][PRESENT["s1"]], *views["s1"][1][PRESENT["s1"]], *views["s2"][0], *views["s2"][1]]
    assert torch.equal(z, torch.stack(want))
    there = LABELS[PRESENT["s1"]]
    torch.testing.assert_close(labels, torch.cat([there, there, LABELS, LABELS]), equal_nan=True)


def test_views_that_cannot_be_merged_are_named(views):
    with pytest.raises(ValueError, match=r"s2 \(view 2\): 6, labels: 5"):
        merge(views, LABELS[:5])
    with pytest.raises(ValueError, match=r"differ in width \(s1 \(view 1\): 4, s2 \(view 1\): 3\)"):
        merge({"s1": views["s1"][:1], "s2": [views["s2"][0][:, :3]]}, LABELS)
