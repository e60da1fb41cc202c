"""Mirrors src/geotether/files/numbers.py."""

import math

import numpy as np
import pyarrow as pa
import pytest

from geotether.files.numbers import MISSING, numbers_of, odd_among_numbers

NAN = math.nan


@pytest.mark.parametrize(
    "cells, want, odd",
    [
        (["5.66", " 7 ", "+3", "1e5", "inf"], [5.66, 7, 3, 1e5, math.inf], []),
        (["1_0", "0x1F", "five", "5.66°", "1.2.3"], [NAN] * 5, [0, 1, 2, 3, 4]),
        (["5,66", "51,97", "x"], [5.66, 51.97, NAN], [2]),
        (["1,234,567", "1,234.5", "12"], [1234567, 1234.5, 12], []),
        (["60,565", "404"], [NAN, 404], [0]),  # 60.565 or 60565
        (["60,565", "404", "1.5"], [60565, 404, 1.5], []),
        (["60.565", "5,66"], [60565, 5.66], []),
        (["1.234,5", "7"], [1234.5, 7], []),
        (["60 565", "1\u202f234,5", "1'000"], [60565, 1234.5, 1000], []),
        (["-0,127", "3"], [-0.127, 3], []),
        ([True, None], [NAN, NAN], [0]),
        ([[1.0], None], [NAN, NAN], [0]),
        ([2**60, None], [float(2**60), NAN], []),
    ],
)
def test_cells_are_numbers_or_odd(cells, want, odd):
    values, found = numbers_of(pa.chunked_array([cells]))
    np.testing.assert_array_equal(values, want)
    assert found == {row: cells[row] for row in odd}


def test_a_comma_is_a_decimal_mark_where_that_is_asked_for():
    assert numbers_of(pa.chunked_array([["5,660", "7"]]), comma=True)[0].tolist() == [5.66, 7]


@pytest.mark.parametrize("kind", [pa.decimal32(9, 2), pa.decimal64(9, 2), pa.decimal128(9, 2), pa.decimal256(50, 2),
                                  pa.float16(), pa.uint64(), pa.string_view(), pa.large_string()])  # fmt: skip
def test_every_arrow_type_of_numbers_and_texts_is_read(kind):
    whole = pa.array(["4", None, "12"] if "string" in str(kind) else [4, None, 12])
    column = pa.chunked_array(
        [whole.cast(pa.decimal128(19, 0)).cast(kind) if "deci" in str(kind) else whole.cast(kind)]
    )
    np.testing.assert_array_equal(numbers_of(column)[0], [4, NAN, 12])


def test_run_ends_and_dictionaries_of_numbers_are_read():
    ends = pa.RunEndEncodedArray.from_arrays([2, 3], pa.array([1.5, None]))
    np.testing.assert_array_equal(numbers_of(pa.chunked_array([ends]))[0], [1.5, 1.5, NAN])
    coded = pa.DictionaryArray.from_arrays(pa.array([0, None]), pa.array(["7"], pa.string_view()))
    np.testing.assert_array_equal(numbers_of(pa.chunked_array([coded]))[0], [7, NAN])


@pytest.mark.parametrize("missing", [*MISSING, " NA ", "N/A", "NaN"])
def test_marks_of_a_missing_number_are_not_odd(missing):
    values, odd = numbers_of(pa.chunked_array([["1", missing]]))
    assert np.isnan(values[1])
    assert odd == {}


@pytest.mark.parametrize(
    "cells, odd",
    [
        ([*map(str, range(18)), "n.b.", "12a"], {18: "n.b.", 19: "12a"}),
        ([*map(str, range(17)), "n.b.", "12a"], {}),  # fewer than nine in ten are numbers
        ([*map(str, range(20)), "", "NA"], {}),
        (["a", "b"], {}),
        ([1.0, 2.0], {}),
        ([], {}),
    ],
)
def test_few_odd_values_among_numbers_are_found_with_their_rows(cells, odd):
    assert odd_among_numbers(pa.chunked_array([pa.array(cells, None if cells else pa.string())])) == odd
