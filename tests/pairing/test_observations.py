import numpy as np
import pytest

from geotether.pairing.observations import arranged_rows, gather, new_array
from geotether.pairing.specification import ModalitySpec

CHIP = np.ones((1, 2, 2), np.uint8)


def modality(kind, **options):
    return ModalitySpec(kind=kind, values="a", **options)


def test_room_in_memory_and_on_disk():
    assert not isinstance(new_array((2, 3), np.float32), np.memmap)
    mapped = new_array((2, 3), np.int16, memory_share=0.0)
    assert isinstance(mapped, np.memmap)
    mapped[1] = 7
    assert mapped.tolist() == [[0, 0, 0], [7, 7, 7]]


def test_axes_of_the_file_become_ours():
    chips = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(
        arranged_rows(chips, modality("chip", axes="bands_last"), "a"), chips.transpose(0, 3, 1, 2)
    )
    series = chips[:, 0]
    np.testing.assert_array_equal(
        arranged_rows(series, modality("series", axes="bands_first"), "a"), series.transpose(0, 2, 1)
    )
    assert arranged_rows(chips[:, 0], modality("chip"), "a").shape == (2, 1, 4, 5)


@pytest.mark.parametrize(
    "kind, shape, axes, file_shape",
    [
        ("series", [4, 2], None, (4, 2)),
        ("series", [4, 2], "bands_first", (2, 4)),
        ("chip", [2, 3, 4], None, (2, 3, 4)),
        ("chip", [2, 3, 4], "bands_last", (3, 4, 2)),
    ],
)
def test_flat_rows_take_the_shape_in_the_order_of_the_file(kind, shape, axes, file_shape):
    inside = np.arange(2 * np.prod(file_shape)).reshape(2, *file_shape)
    flat, spec = inside.reshape(2, -1), modality(kind, shape=shape, axes=axes)
    got = arranged_rows(flat, spec, "a")
    assert got.shape == (2, *shape)
    np.testing.assert_array_equal(got, arranged_rows(inside, spec, "a"))


def test_numbers_that_mean_missing_become_nan():
    got = arranged_rows(np.array([[1, -9999], [0, 3]]), modality("vector", missing=[-9999, 0]), "a")
    np.testing.assert_array_equal(got, [[1, np.nan], [np.nan, 3]])


@pytest.mark.parametrize(
    "values, spec, message",
    [
        (np.ones((2, 6)), modality("series"), r"a has rows of shape \(6,\); a series needs \(t, bands\)"),
        (np.ones((2, 6)), modality("series", shape=[4, 2]), r"a has 6 numbers .* \[4, 2\]"),
        (np.ones((2, 5, 2)), modality("series", shape=[4, 2]), "a has 5 steps; the specified shape has 4"),
        (
            np.ones((2, 4, 3)),
            modality("series", shape=[4, 2]),
            r"shape \(4, 3\); the specified shape is \(4, 2\)",
        ),
        (np.ones((2, 3)), modality("vector", shape=[4]), r"rows of shape \(3,\)"),
    ],
)
def test_wrong_shapes(values, spec, message):
    with pytest.raises(ValueError, match=message):
        arranged_rows(values, spec, "a")


def test_gather():
    found = [(0, "x", np.ones((1, 2, 2), np.uint8)), (1, "y", None), (2, "z", np.full((1, 2, 2), 9, np.uint8))]
    for share in (0.25, 0.0):
        chips = gather(3, iter(found), modality("chip"), memory_share=share)
        assert (chips.values.dtype, chips.values[2, 0, 0, 0]) == (np.uint8, 9)
        assert chips.present.tolist() == [True, False, True]
    series = [(0, "x", np.ones((2, 1))), (1, "y", np.ones((3, 1)))]
    gathered = gather(3, iter(series), modality("series"))
    np.testing.assert_array_equal(gathered.values[:, :, 0], [[1, 1, np.nan], [1, 1, 1], [np.nan] * 3])
    assert gathered.present.tolist() == [True, True, False]
