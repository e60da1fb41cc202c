"""Mirrors src/geotether/encoders/sensors/normalisation.py."""

import pytest
import torch

from geotether.encoders.sensors.normalisation import BatchNorm


def test_many_rows_are_normalised_as_by_torch():
    ours, theirs = BatchNorm(4), torch.nn.BatchNorm1d(4)
    for shape in ((9, 4), (9, 4, 5)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3 + 1
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    chips, of_chips = torch.randn(5, 4, 3, 6, generator=torch.Generator().manual_seed(1)), torch.nn.BatchNorm2d(4)
    torch.testing.assert_close(BatchNorm(4)(chips), of_chips(chips))
    with pytest.raises(ValueError, match="got shape"):
        ours(torch.zeros(4))


def test_a_single_row_takes_the_running_statistics_and_leaves_them():
    norm = BatchNorm(4)
    norm(torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    row = torch.ones(1, 4, requires_grad=True)
    trained = norm(row)
    torch.testing.assert_close(norm.state_dict(), before)
    torch.testing.assert_close(trained, norm.eval()(row))
    assert norm.train()(torch.zeros(0, 4)).shape == (0, 4)
