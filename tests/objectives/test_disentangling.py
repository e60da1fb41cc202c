"""Mirrors src/geotether/objectives/disentangling.py."""

import math

import pytest
import torch
from torch import nn

from geotether.objectives.disentangling import disentangling_terms, join_parts
from geotether.objectives.masks import NearbyPairs
from geotether.objectives.tying import mean_over_rows, tying_loss

GROUP = [slice(0, 2), slice(2, 5), slice(5, 9)]
SCALE = [5.0, 10.0, 20.0]


@pytest.fixture
def batch(random_pair):
    location, shared = random_pair(9, 4)
    logits, _ = random_pair(9, 3, seed=4)
    generator = torch.Generator().manual_seed(7)
    pairs = [
        [torch.randn(part.stop - part.start, k, generator=generator, dtype=torch.float64) for _ in range(2)]
        for part, k in zip(GROUP, (2, 5, 3), strict=True)
    ]
    return location, shared, logits, [a for a, _ in pairs], [b for _, b in pairs]


def by_hand(location, shared, logits, rebuilt, features):
    """The three definitions with loops; the place is picked among all places of the batch."""
    rows = [(m, i) for m, part in enumerate(GROUP) for i in range(part.start, part.stop)]
    found = {"location": 0.0, "discrimination": 0.0, "reconstruction": 0.0}
    location, shared = location.detach(), shared.detach()
    for m, i in rows:
        s = [SCALE[m] * float(shared[i] @ g / shared[i].norm() / g.norm()) for g in location]
        found["location"] += (math.log(sum(map(math.exp, s))) - s[i]) / 9
        logit = logits[i].tolist()
        found["discrimination"] += (math.log(sum(map(math.exp, logit))) - logit[m]) / 9
        a, b = rebuilt[m][i - GROUP[m].start].tolist(), features[m][i - GROUP[m].start].tolist()
        found["reconstruction"] += sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / 9
    return found


def test_terms_equal_the_definition(batch):
    location, shared, *others = batch
    found = disentangling_terms(location, shared, GROUP, SCALE, "modality_to_location", *others)
    assert {name: term.item() for name, term in found.items()} == pytest.approx(by_hand(*batch), abs=1e-6)


@pytest.mark.parametrize("negatives", ["all_pairs", "within_modality", "location_to_modality"])
def test_the_location_term_is_that_of_tying(batch, random_places, negatives):
    location, shared, *_ = batch
    nearby = NearbyPairs(random_places(9), 500.0)
    found = disentangling_terms(location, shared, GROUP, SCALE, negatives, ignore=nearby, terms=["location"])
    want = mean_over_rows(tying_loss(location, shared, GROUP, SCALE, negatives, nearby), GROUP)
    torch.testing.assert_close(found["location"], want)
    assert list(found) == ["location"]


@pytest.mark.parametrize("teach_shared", [True, False])
def test_gradients_go_where_they_should(teach_shared):
    torch.manual_seed(0)
    x, place = torch.randn(9, 6), torch.randn(9, 4, requires_grad=True)
    embedding = nn.Linear(6, 7)(x)
    shared, specific = embedding[:, :4], embedding[:, 4:]
    shared.retain_grad()
    specific.retain_grad()
    joined = join_parts(shared, specific, teach_shared)
    rebuilt = [nn.Linear(7, 2)(joined[part]) for part in GROUP]
    features = [torch.randn(part.stop - part.start, 2, requires_grad=True) for part in GROUP]
    found = disentangling_terms(
        place, shared, GROUP, SCALE, "modality_to_location", nn.Linear(3, 3)(specific), rebuilt, features
    )
    reached = {
        "location": {"place", "shared"},
        "discrimination": {"specific"},
        "reconstruction": {"specific", "shared"} if teach_shared else {"specific"},
    }
    for term, loss in found.items():
        gradients = torch.autograd.grad(
            loss, [place, shared, specific, *features], retain_graph=True, allow_unused=True
        )
        names = ["place", "shared", "specific", "features", "features", "features"]
        got = {name for name, g in zip(names, gradients, strict=True) if g is not None and g.abs().sum() > 0}
        assert got == reached[term], term


def test_a_group_may_be_any_modality(batch):
    """SALT's batches have one modality, and which one changes."""
    location, shared, logits, *_ = batch
    found = disentangling_terms(
        location, shared, [slice(0, 9)], [1.0], "within_modality", logits, modality=[2], terms=["discrimination"]
    )
    want = torch.nn.functional.cross_entropy(logits, torch.full((9,), 2))
    torch.testing.assert_close(found["discrimination"], want)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((lambda logits, rebuilt, _: ()), "needs `modality_of_specific`"),
        ((lambda logits, rebuilt, _: (logits,)), "needs `rebuilt` and `features`"),
        ((lambda logits, rebuilt, wanted: (logits[:, :2], rebuilt, wanted)), "has logits for 2"),
        ((lambda logits, rebuilt, wanted: (logits, rebuilt[:2], wanted)), "rebuilt has 2 entries for 3 groups"),
        ((lambda logits, rebuilt, wanted: (logits, rebuilt, [one[:, :2] for one in wanted])), r"group 1 .*\(3, 5\)"),
    ],
)
def test_arguments_that_do_not_fit_are_errors(batch, given, message):
    location, shared, *others = batch
    with pytest.raises(ValueError, match=message):
        disentangling_terms(location, shared, GROUP, SCALE, "within_modality", *given(*others))
    with pytest.raises(ValueError, match="shared part has 9 rows, the specific one 8"):
        join_parts(shared, shared[:8])
