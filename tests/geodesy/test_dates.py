"""Mirrors src/geotether/geodesy/dates.py."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from geotether.geodesy.dates import times_of


@pytest.mark.parametrize(
    "given, want",
    [
        ("1998", "1998-01-01T00:00"),
        ("1998-7", "1998-07-01T00:00"),
        ("2024-02-29", "2024-02-29T00:00"),
        ("20240229", "2024-02-29T00:00"),
        ("2024-02-29T23:30:00Z", "2024-02-29T23:30"),
        ("2024-02-29 23:30+05:30", "2024-02-29T18:00"),
        ("2024-12-31T23:30:00-0100", "2025-01-01T00:30"),
        (" 2001-05-01/2001-05-09 ", "2001-05-01T00:00"),
        ("0001-01-01", "0001-01-01T00:00"),
    ],
)
def test_iso_texts(given, want):
    times, bad = times_of(pa.array([given]))
    assert times[0] == np.datetime64(want, "ms")
    assert not bad[0]


@pytest.mark.parametrize("given", ["spring", "2023-02-29", "31-12-2001", "1998-13", "12"])
def test_other_texts_are_not_understood(given):
    times, bad = times_of(pa.array([given]))
    assert np.isnat(times[0])
    assert bad[0]


def test_numbers_are_years_or_written_dates():
    times, bad = times_of(pa.array([1998, 20240229, 0, 20241399, None, -5]))
    assert [str(time)[:10] for time in times] == ["1998-01-01", "2024-02-29", "NaT", "NaT", "NaT", "NaT"]
    assert bad.tolist() == [False, False, True, True, False, True]
    times, bad = times_of(pa.array([1998.0, float("nan"), 1998.5, float("inf")]))
    assert str(times[0]) == "1998-01-01T00:00:00.000"
    assert bad.tolist() == [False, False, True, True]


def test_arrow_types_are_brought_to_utc_milliseconds():
    zone = datetime.timezone(datetime.timedelta(hours=2))
    moment = datetime.datetime(2024, 6, 1, 12, 0, 0, 1500, tzinfo=zone)
    aware = pa.array([moment, None], pa.timestamp("us", "Europe/Amsterdam"))
    times, bad = times_of(pa.chunked_array([aware]))
    assert times[0] == np.datetime64("2024-06-01T10:00:00.001")
    assert np.isnat(times[1])
    assert not bad.any()
    for kind in (pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns")):
        times, _ = times_of(pa.array([datetime.datetime(2024, 6, 1)]).cast(kind))
        assert times.dtype == "datetime64[ms]"
        assert times[0] == np.datetime64("2024-06-01")
    assert str(times_of(pa.array(["2024"]).dictionary_encode())[0][0])[:4] == "2024"


def test_gaps_and_other_types():
    times, bad = times_of(pa.array(["", " ", None]))
    assert np.isnat(times).all()
    assert not bad.any()
    assert times_of(pa.array([True, None]))[1].tolist() == [True, False]
    assert times_of(pa.array([], pa.string()))[0].shape == (0,)
