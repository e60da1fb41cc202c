"""Mirrors src/geotether/objectives/tying.py."""

import math

import pytest
import torch

from geotether.objectives.masks import NearbyPairs
from geotether.objectives.negatives import NEGATIVES
from geotether.objectives.sigmoid import sigmoid_loss
from geotether.objectives.tying import plain_tying_loss, sigmoid_tying_loss, tying_loss

GROUPS = [slice(0, 3), slice(3, 7), slice(7, 12)]
SCALES = [1.0, 14.3, 40.0]


def share_of(own, others):
    """-log of exp(own) among itself and the others."""
    return math.log(sum(math.exp(x - own) for x in [own, *others]))


def by_hand(location, modality, negatives, ignore):
    """Every negatives as papers put it, a row at a time, with no library loss."""
    unit = [[row / row.norm() for row in x] for x in (location, modality)]
    places, seen = unit
    losses = [0.0] * len(GROUPS)
    for k, rows in enumerate(GROUPS):
        for i in range(rows.start, rows.stop):
            rivals = [j for j in range(len(places)) if j != i]
            toward = [j for j in rivals if not ignore[i][j]]
            kin = [j for j in rivals if rows.start <= j < rows.stop]

            def logit(a, b, scale=SCALES[k]):
                return scale * (a @ b).item()

            own = logit(seen[i], places[i])
            if negatives == "modality_to_location":
                loss = share_of(own, [logit(seen[i], places[j]) for j in toward])
            elif negatives == "location_to_modality":
                loss = share_of(own, [logit(places[i], seen[j]) for j in toward])
            elif negatives == "all_pairs":
                to_places = [logit(seen[i], places[j]) for j in toward]
                loss = share_of(own, to_places + [logit(seen[i], seen[j]) for j in toward])
            else:
                there = share_of(own, [logit(seen[i], places[j]) for j in kin if not ignore[i][j]])
                back = share_of(own, [logit(seen[j], places[i]) for j in kin if not ignore[j][i]])
                loss = (there + back) / 2
            losses[k] += loss / (rows.stop - rows.start)
    return losses


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("ignored", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("chunk_rows", [None, 5])
def test_equals_the_definition(random_pair, random_mask, negatives, ignored, chunk_rows):
    location, modality = random_pair(12, 6)
    ignore = random_mask(12, ignored)
    got = tying_loss(location, modality, GROUPS, SCALES, negatives, ignore, chunk_rows)
    want = by_hand(location, modality, negatives, ignore.tolist())
    assert [loss.item() for loss in got] == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("chunk_rows", [None, 5])
def test_equals_the_plain_loss_in_value_and_gradient(random_pair, negatives, chunk_rows):
    inputs = [*random_pair(12, 6), *(torch.tensor(scale, dtype=torch.float64).requires_grad_() for scale in SCALES)]

    def found(loss, *options):
        losses = loss(*inputs[:2], GROUPS, inputs[2:], negatives, *options)
        return losses, torch.autograd.grad(losses[0] + 2 * losses[1] - losses[2], inputs)

    torch.testing.assert_close(found(tying_loss, None, chunk_rows), found(plain_tying_loss))


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("largest_scale", [40.0, 600.0], ids=["bounded", "unbounded"])
def test_gradient_is_exact(random_pair, random_mask, negatives, largest_scale):
    """Against finite differences, those of all logit scales included; every group gets a weight of its own."""
    log_scales = [torch.tensor(math.log(s), dtype=torch.float64, requires_grad=True) for s in (1.0, 9.0, largest_scale)]
    ignore = random_mask(12, 0.3)

    def loss(location, modality, *logs):
        losses = tying_loss(location, modality, GROUPS, [x.exp() for x in logs], negatives, ignore)
        return losses[0] + 2 * losses[1] - losses[2]

    assert torch.autograd.gradcheck(loss, (*random_pair(12, 2), *log_scales), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_nearby_pairs_are_excluded_by_great_circle_distance(random_pair, random_places, negatives, haversine_km):
    """Oracle for the distances: haversine, pair by pair."""
    location, modality = random_pair(12, 6)
    lonlat = random_places(12)
    got = tying_loss(location, modality, GROUPS, SCALES, negatives, NearbyPairs(lonlat, 4000.0), chunk_rows=5)
    near = [[haversine_km(a, b) < 4000.0 for b in lonlat.tolist()] for a in lonlat.tolist()]
    assert 12 < sum(map(sum, near)) < 100
    assert [loss.item() for loss in got] == pytest.approx(by_hand(location, modality, negatives, near))


@pytest.mark.parametrize(
    "negatives, rivals",
    [("modality_to_location", 12), ("location_to_modality", 12), ("all_pairs", 23), ("within_modality", None)],
)
def test_without_information_the_loss_is_the_log_of_the_candidates(negatives, rivals):
    same = torch.ones(12, 4)
    losses = tying_loss(same, same, GROUPS, SCALES, negatives)
    want = [math.log(rivals or rows.stop - rows.start) for rows in GROUPS]
    assert [loss.item() for loss in losses] == pytest.approx(want, rel=1e-5)


def test_sigmoid_takes_each_modality_by_itself(random_pair, random_mask):
    location, modality = random_pair(12, 6)
    ignore = random_mask(12, 0.3)
    biases = [-10.0, 0.0, 2.0]
    got = sigmoid_tying_loss(location, modality, GROUPS, SCALES, biases, ignore)
    want = [
        sigmoid_loss(modality[rows], location[rows], scale, bias, ignore[rows, rows])
        for rows, scale, bias in zip(GROUPS, SCALES, biases, strict=True)
    ]
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"negatives": "within_modalities"}, "Did you mean 'within_modality'"),
        ({"group": [slice(0, 3), slice(4, 12)], "logit_scale": [1.0, 1.0]}, "follow one another without gap"),
        ({"group": [slice(0, 3), slice(3, 3)], "logit_scale": [1.0, 1.0]}, "have a row each"),
        ({"group": [slice(0, 3), slice(3, 7)], "logit_scale": [1.0, 1.0]}, "cover 7 rows, but the batch has 12"),
        ({"logit_scale": [1.0, 1.0]}, "logit_scale has 2 entries for 3 groups"),
        ({"modality": torch.ones(11, 6)}, r"location has shape \(12, 6\) and modality \(11, 6\)"),
        ({"ignore": NearbyPairs(torch.zeros(9, 2, dtype=torch.float64), 1.0)}, "has 9 rows, but the batch has 12 rows"),
    ],
)
def test_inputs_that_do_not_fit_are_named(random_pair, change, message):
    location, modality = random_pair(12, 6)
    fitting = {
        "location": location,
        "modality": modality,
        "group": GROUPS,
        "logit_scale": SCALES,
        "negatives": "all_pairs",
        "ignore": None,
    }
    with pytest.raises(ValueError, match=message):
        tying_loss(**{**fitting, **change})
