import numpy as np
import pytest

from geotether.tables.modality import Modality


@pytest.mark.parametrize(
    "kind, shape, num_bands",
    [("vector", (3, 5), 5), ("series", (3, 12, 2), 2), ("chip", (3, 4, 8, 8), 4)],
)
def test_shape_of_a_row_and_bands(kind, shape, num_bands):
    modality = Modality(kind, np.ones(shape))
    assert (len(modality), modality.shape, modality.num_bands) == (3, shape[1:], num_bands)
    assert modality.values.dtype == np.float32
    assert modality.present.all()


@pytest.mark.parametrize(
    "given, kept",
    [("uint8", "uint8"), ("uint16", "uint16"), ("int16", "int16"), ("int32", "float32"), ("float16", "float32")],
)
def test_small_integers_of_chips_are_kept(given, kept):
    assert Modality("chip", np.ones((2, 1, 3, 3), dtype=given)).values.dtype == kept
    assert Modality("vector", np.ones((2, 3), dtype=given)).values.dtype == np.float32


def test_rows_of_nan_lack_the_modality():
    values = np.array([[[1.0, np.nan]], [[np.nan, np.nan]], [[2.0, 3.0]]])
    assert Modality("series", values).present.tolist() == [True, False, True]
    given = Modality("series", values, np.array([True, True, False]))
    assert given.present.tolist() == [True, False, False]


def test_infinite_values_are_refused_only_in_present_rows():
    values = np.array([[1.0], [np.inf]])
    assert len(Modality("vector", values, np.array([True, False]))) == 2
    with pytest.raises(ValueError, match=r"row 1 is inf at \(0,\)"):
        Modality("vector", values)
    with pytest.raises(ValueError, match="row 0 is inf"):  # beyond float32
        Modality("vector", np.array([[1e300], [1.0]]))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("image", np.ones((2, 3))), "one of vector, series, chip, got 'image'"),
        (("series", np.ones((2, 3))), r"needs values of shape \(n, t, bands\), got \(2, 3\)"),
        (("vector", np.ones((0, 3))), "no axis may be empty"),
        (("vector", np.ones((2, 3)), np.array([True])), "for each of 2 rows, got bool"),
        (("vector", np.ones((2, 3)), np.array([1, 0])), "got int64"),
        (("vector", np.eye(2), np.array([True, False]), (), True), "complete"),
        (("series", np.ones((2, 3, 1)), np.empty(0, bool), (), True), "complete"),
        (("vector", np.ones((2, 3)), np.empty(0, bool), ("a", "b")), "2 names of bands for 3 bands"),
    ],
)
def test_wrong_inputs(arguments, message):
    with pytest.raises(ValueError, match=message):
        Modality(*arguments)


def test_rows_keep_their_order_and_presence():
    modality = Modality("vector", np.array([[0.0], [1.0], [np.nan]]), bands=("b",))
    taken = modality.rows(np.array([2, 0]))
    np.testing.assert_array_equal(taken.values, [[np.nan], [0.0]])
    assert (taken.present.tolist(), taken.bands) == ([False, True], ("b",))
