"""Mirrors chips.py."""

import numpy as np
import pytest

from geotether.pairing.layouts.chips import ChipRows

CHIPS = np.random.default_rng(0).integers(0, 9, (4, 2, 3, 3))


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize(
    "dtype, kept", [("uint8", "uint8"), ("int16", "int16"), ("float64", "float32"), ("int32", "float32")]
)
def test_chips_are_kept_in_their_number_type(tmp_path, on_disk, dtype, kept):
    rows = ChipRows("s2", 6, ("B02", "B03"), tmp_path if on_disk else None)
    rows.add(None)
    for chip in CHIPS.astype(dtype):
        rows.add(chip)
    rows.add(None)
    sensor = rows.sensor()
    assert sensor.values.dtype == kept
    assert sensor.present.tolist() == [False, True, True, True, True, False]
    np.testing.assert_array_equal(sensor.values[1:5], CHIPS)
    assert isinstance(sensor.values, np.memmap) == on_disk
    assert list(tmp_path.iterdir()) == []  # the file has no name
    empty = sensor.values[[0, 5]]
    assert np.isnan(empty).all() if kept == "float32" else not empty.any()


def test_integers_are_widened_but_not_narrowed(tmp_path):
    rows = ChipRows("s2", 2)
    rows.add(np.zeros((1, 2, 2), np.uint16))
    rows.add(np.full((1, 2, 2), 255, np.uint8))
    assert rows.sensor().values.max() == 255
    rows = ChipRows("s2", 2)
    rows.add(np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"x\.tif: s2 .*uint16.*uint8"):
        rows.add(np.zeros((1, 2, 2), np.uint16), "x.tif")


def test_infinite_pixels_and_missing_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ChipRows("s2", 6, scratch=tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"p30\.tif: s1 is -inf at \(1, 0, 2\), band VH"):
        ChipRows("s1", 2, ("VV", "VH")).add(np.where(np.arange(18).reshape(2, 3, 3) == 11, -np.inf, 0.0), "p30.tif")
    with pytest.raises(ValueError, match="none of 2 rows has s1"):
        ChipRows("s1", 2).sensor()
