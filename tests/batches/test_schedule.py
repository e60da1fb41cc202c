"""Mirrors src/geotether/batches/schedule.py."""

import itertools
import random

import pytest

from geotether.batches.schedule import (
    SCHEDULE_OPTIONS,
    TyingSchedule,
    apportion,
    build_schedule,
)

SIZES = [{"image": 300}, {"image": 300, "text": 100}, {"image": 95, "text": 1000, "light": 17, "birds": 300}]
OPTIONS = [
    ("melt", {"shares": "equal"}),
    ("melt", {"shares": "proportional"}),
    ("salt", {}),
    ("salt", {"steps_per_epoch": "smallest"}),
    ("salt", {"steps_per_epoch": 5}),
    ("salt", {"switch": "step"}),
    ("pairwise", {"modality": "image"}),
]
EVERY = [
    pytest.param(name, sizes, batch, options, id=f"{name}-{'-'.join(map(str, options.values()))}-{len(sizes)}-{batch}")
    for (name, options), sizes, batch in itertools.product(OPTIONS, SIZES, [8, 33, 400])
]
STEPS = 120


@pytest.mark.parametrize("name, sizes, batch, options", EVERY)
def test_shares_sum_to_the_batch(name, sizes, batch, options):
    schedule = build_schedule(name, sizes, batch, **options)
    assert isinstance(schedule, TyingSchedule)
    for step in range(STEPS):
        ties = schedule.ties(step)
        assert sum(tie.rows for tie in ties) == batch
        assert min(tie.rows for tie in ties) >= 2
        assert len({tie.modality for tie in ties}) == len(ties)


@pytest.mark.parametrize("name, sizes, batch, options", EVERY)
def test_rows_before_is_the_sum_of_the_ties_before(name, sizes, batch, options):
    schedule = build_schedule(name, sizes, batch, **options)
    consumed = dict.fromkeys([options["modality"]] if name == "pairwise" else sizes, 0)
    for step in range(STEPS):
        assert {modality: schedule.rows_before(modality, step) for modality in consumed} == consumed
        for tie in schedule.ties(step):
            consumed[tie.modality] += tie.rows


@pytest.mark.parametrize("name, sizes, batch, options", EVERY)
def test_epochs_count_up_and_agree_with_their_steps(name, sizes, batch, options):
    schedule = build_schedule(name, sizes, batch, **options)
    epochs = [schedule.epoch_of(step) for step in range(STEPS)]
    assert epochs[0] == 0
    assert all(later - earlier in (0, 1) for earlier, later in itertools.pairwise(epochs))
    for epoch in range(epochs[-1] + 1):
        assert schedule.steps_in(epoch) == epochs.index(epoch)


def test_melt_shares_of_the_paper_are_equal():
    melt = build_schedule("melt", {"image": 100_000, "text": 5_000, "light": 30}, 2048)
    assert [tie.rows for tie in melt.ties(7)] == [683, 683, 682]
    assert melt.steps_in(1) == 105_030 // 2048


def test_proportional_shares_follow_the_tables():
    melt = build_schedule("melt", {"image": 3000, "text": 1000}, 100, shares="proportional")
    assert [tie.rows for tie in melt.ties(0)] == [75, 25]
    assert melt.steps_in(1) == 40
    assert melt.rows_before("image", 40) == 3000  # one epoch is one pass over each table


def test_salt_goes_round_robin_by_epoch():
    salt = build_schedule("salt", {"image": 250, "text": 100, "light": 30}, 100)
    active = [salt.ties(step)[0].modality for step in range(8)]
    assert active == ["image", "image", "text", "light", "image", "image", "text", "light"]
    assert [salt.epoch_of(step) for step in range(8)] == [0, 0, 1, 2, 3, 3, 4, 5]


def test_salt_by_step_changes_every_step_and_has_the_epochs_of_melt():
    salt = build_schedule("salt", {"image": 250, "text": 150}, 100, switch="step")
    assert [salt.ties(step)[0].modality for step in range(4)] == ["image", "text", "image", "text"]
    assert salt.steps_in(3) == 12


def test_salt_can_keep_all_turns_as_short_as_the_smallest():
    salt = build_schedule("salt", {"image": 1000, "text": 200}, 100, steps_per_epoch="smallest")
    active = [salt.ties(step)[0].modality for step in range(7)]
    assert active == ["image", "image", "text", "text", "image", "image", "text"]


def test_pairwise_takes_the_only_table():
    assert build_schedule("pairwise", {"text": 100}, 10).ties(3)[0].modality == "text"


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("melts", {}, r"Unknown schedule 'melts'; known: melt, salt, pairwise\. Did you mean 'melt'\?"),
        ("melt", {"share": "equal"}, r"Unknown option of schedule 'melt': 'share'; known: shares\. Did you mean"),
        ("melt", {"switch": "epoch"}, "Unknown option of schedule 'melt'"),
        ("melt", {"shares": "fair"}, "Unknown shares 'fair'; known: equal, proportional"),
        ("salt", {"switch": "steps"}, r"Unknown switch 'steps'; known: epoch, step\. Did you mean 'step'"),
        ("salt", {"steps_per_epoch": 0}, "steps_per_epoch must be 1 or more, got 0"),
        ("salt", {"steps_per_epoch": "small"}, "Unknown steps_per_epoch 'small'; known: smallest"),
        ("salt", {"switch": "step", "steps_per_epoch": 4}, 'switch="epoch" only'),
        ("pairwise", {}, "'pairwise' needs one of image, text: set modality"),
        ("pairwise", {"modality": "txt"}, r"Unknown modality 'txt'; known: image, text\. Did you mean 'text'"),
    ],
)
def test_an_error_about_an_unknown_name_lists_the_known_names(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_schedule(name, {"image": 300, "text": 100}, 50, **options)


@pytest.mark.parametrize("name", SCHEDULE_OPTIONS)
@pytest.mark.parametrize(
    ("sizes", "batch", "message"),
    [({}, 10, "at least one table"), ({"image": 0}, 10, "'image' has 0 rows"), ({"image": 10}, 1, "batch_size to 2")],
)
def test_sizes_are_checked(name, sizes, batch, message):
    with pytest.raises(ValueError, match=message):
        build_schedule(name, sizes, batch)
    with pytest.raises(ValueError, match="Unknown modality 'txt'; known: text"):
        build_schedule(name, {"text": 100}, 10).rows_before("txt", 3)


def test_a_batch_too_small_for_all_modalities_is_an_error():
    with pytest.raises(ValueError, match="3 tables in a batch need at least 2 rows each: set batch_size to 6"):
        build_schedule("melt", {"a": 9, "b": 9, "c": 9}, 5)


@pytest.mark.parametrize("seed", range(50))
def test_shares_sum_to_the_rows_and_follow_the_weights(seed):
    chance = random.Random(seed)
    weights = [chance.randint(1, 10 ** chance.randint(1, 6)) for _ in range(chance.randint(1, 9))]
    rows = chance.randint(2 * len(weights), 3000)
    shares = apportion(rows, weights)
    assert sum(shares) == rows
    assert min(shares) >= 2
    larger = [s for s in shares if s > 2]
    for i, first in enumerate(weights):
        for j, second in enumerate(weights):
            assert first <= second or shares[i] >= shares[j] - 1 or shares[j] == 2
    # Above the least share, nobody is more than a row away from what the weights alone would give.
    if len(larger) == len(shares):
        assert all(abs(s - rows * w / sum(weights)) < 1 for s, w in zip(shares, weights, strict=True))


@pytest.mark.parametrize(
    "rows, weights, want",
    [
        (2048, [1, 1, 1], [683, 683, 682]),
        (10, [7, 2, 1], [6, 2, 2]),  # the last is due 1 and gets 2; eight are left for 7 to 2
        (6, [1, 1000, 1], [2, 2, 2]),
        (100, [3, 1], [75, 25]),
    ],
)
def test_agrees_with_shares_computed_by_hand(rows, weights, want):
    assert apportion(rows, weights) == want
