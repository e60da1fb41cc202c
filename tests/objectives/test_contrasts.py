"""What holds for every contrast of two sides."""

import pytest
import torch

from geotether.objectives.info_nce import info_nce
from geotether.objectives.multilabel import multilabel_contrast
from geotether.objectives.sigmoid import sigmoid_loss
from geotether.objectives.views import nt_xent, pairwise_nt_xent


def of_labels(left, right):
    classes = torch.arange(len(left) // 2 + 1).repeat_interleave(2)[: len(left)]
    labels = torch.nn.functional.one_hot(classes).to(left.dtype)
    return multilabel_contrast(torch.cat([left, right]), torch.cat([labels, labels]), 0.1)


CONTRASTS = {
    "info_nce": lambda left, right: info_nce(left, right, 14.3),
    "sigmoid": lambda left, right: sigmoid_loss(left, right, 10.0, -10.0),
    "nt_xent": lambda left, right: nt_xent(left, right, 0.1),
    "pairwise_nt_xent": lambda left, right: pairwise_nt_xent({"a": left, "b": right}, 0.1),
    "labels": of_labels,
}


@pytest.mark.parametrize("contrast", CONTRASTS.values(), ids=CONTRASTS)
def test_the_order_and_length_of_embeddings_do_not_matter(random_pair, contrast):
    left, right = random_pair(6, 8)
    want = contrast(left, right)
    torch.testing.assert_close(contrast(right, left), want)
    torch.testing.assert_close(contrast(7 * left, right / 3), want)


@pytest.mark.parametrize("contrast", CONTRASTS.values(), ids=CONTRASTS)
def test_half_precision_and_autocast_are_widened(random_pair, contrast):
    left, right = (x.detach().bfloat16() for x in random_pair(16, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = contrast(left, right)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, contrast(left.float(), right.float()))


@pytest.mark.parametrize("name", ["info_nce", "nt_xent", "pairwise_nt_xent"])
def test_one_row_has_nothing_to_compete_with(random_pair, name):
    left, right = random_pair(1, 4)
    loss = CONTRASTS[name](left, right)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert left.grad.abs().max() < 1e-12


@pytest.mark.parametrize("name", ["info_nce", "sigmoid", "nt_xent"])
@pytest.mark.parametrize(("rows", "said"), [((6, 5), r"\(6, 8\) and .*\(5, 8\)"), ((0, 0), "no rows")])
def test_sides_without_partners_are_named(random_pair, name, rows, said):
    left, right = random_pair(6, 8)
    with pytest.raises(ValueError, match=said):
        CONTRASTS[name](left[: rows[0]], right[: rows[1]])
