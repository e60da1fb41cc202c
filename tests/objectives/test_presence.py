"""Mirrors src/geotether/objectives/presence.py."""

import pytest
import torch

from geotether.objectives.presence import check_sensors, common_rows, zero_loss


def test_common_rows_are_those_of_all_named_sensors():
    present = {"a": torch.tensor([True, True, False]), "b": torch.tensor([False, True, True])}
    assert common_rows(["a", "b"], present).tolist() == [False, True, False]
    assert common_rows(["a", "c"], present).tolist() == [True, True, False]
    assert common_rows(["c"], present) is None
    assert common_rows(["a"], None) is None


def test_zero_loss_is_zero_with_a_zero_gradient_whatever_the_values():
    a = torch.full((2, 3), torch.nan, requires_grad=True)
    b = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    loss = zero_loss(a, b)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(a.grad, torch.zeros(2, 3))
    assert torch.equal(b.grad, torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("sensors", "present", "message"),
    [
        ({}, None, "needs 1 or more sensors, got 0: none"),
        ({"s1": 3, "s2": 4}, None, r"differ in their rows \(s1: 3, s2: 4\)"),
        ({"s1": 0}, None, "s1 have no rows"),
        ({"s1": 3}, {"s3": 3}, "names 's3', but the sensors are s1"),
        ({"s1": 3}, {"s1": 4}, "has 4 entries for 's1', but the batch has 3 rows"),
    ],
)
def test_wrong_batches_are_named(sensors, present, message):
    masks = present and {name: torch.ones(rows).bool() for name, rows in present.items()}
    with pytest.raises(ValueError, match=message):
        check_sensors({name: torch.zeros(rows, 2) for name, rows in sensors.items()}, masks)
