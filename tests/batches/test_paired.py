"""Mirrors src/geotether/batches/paired.py."""

import numpy as np
import pytest

from geotether.batches.paired import gather_samples


def test_rows_come_in_order_and_what_is_lacking_is_nan(make_fields):
    table = make_fields()
    batch = gather_samples(table, np.array([7, 5, 0]), ["optical", "radar"])
    assert list(batch.values) == ["optical", "radar"]
    np.testing.assert_array_equal(batch.values["radar"].numpy(), table.modality("radar").values[[7, 5, 0]])
    assert batch.present["optical"].tolist() == [True, False, True]
    assert batch.values["optical"][1].isnan().all()
    np.testing.assert_array_equal(batch.lonlat.numpy(), table.lonlat[[7, 5, 0]])
    batch.values["radar"].zero_()
    assert np.nansum(np.abs(table.modality("radar").values[7])) > 0  # copies


def test_an_unknown_sensor_is_refused(make_fields):
    with pytest.raises(ValueError, match=r"has no modality 'rada'.*Did you mean 'radar'"):
        gather_samples(make_fields(), np.array([0]), ["rada"])
