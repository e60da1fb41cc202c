"""Mirrors src/geotether/diagnostics/summary.py."""

import numpy as np
import pytest

from geotether.diagnostics.diagnosis import diagnose
from geotether.diagnostics.places import even_places
from geotether.diagnostics.resolution import Resolution
from geotether.diagnostics.summary import MEANINGS, lines_of, plain, resolution_words, table_of
from geotether.geodesy.coordinates import unit_vectors


@pytest.fixture(scope="module")
def found():
    tables = {"photos": even_places(9, seed=1), "texts": even_places(5, seed=2)}
    answers = {"rain": np.arange(20) > 4, "snow": np.ones(20, dtype=bool)}
    return diagnose(unit_vectors, even_places(60), tables, even_places(20, seed=3), answers, resolution_places=4)


def test_every_line_has_a_meaning_and_every_meaning_a_line(found):
    lines = lines_of(found)
    assert {line.name.split(":")[0] for line in lines} == set(MEANINGS)
    assert all(line.meaning and line.value for line in lines)


def test_the_table_says_what_was_measured(found):
    said = table_of(found)
    assert f"{found.dimensionality.effective_rank:.3g} of 3" in said
    assert "coverage: any modality" in said
    assert "within 100 km of one of 14 places" in said
    assert "around 5 wrong answers; 75.0% right" in said
    assert "no wrong answers; 100.0% right" in said
    assert said.endswith("both poles are one place.")
    columns = {line.index(value.value) for line, value in zip(said.splitlines(), lines_of(found), strict=False)}
    assert len(columns) == 1


def test_a_collapsed_encoder_is_described():
    said = table_of(diagnose(lambda p: np.ones((len(p), 2)), even_places(12), resolution_places=2))
    assert "undefined (TwoNN), undefined (MLE); 11 of 12 equal to others, left out" in said
    assert "beyond 10,000 km for 100% of the places" in said


def test_a_resolution_beyond_the_rings_is_described():
    km = np.array([100.0, 200.0, 300.0, np.inf])
    one = Resolution(np.zeros((4, 2)), km, np.array([50.0, 5000.0]), np.ones(2), 0.5, False)
    assert resolution_words(one) == "300 km (200 km to beyond 5,000 km); beyond 5,000 km for 25% of the places"


def test_numbers_keep_the_digits_that_matter():
    assert [plain(v) for v in (0.012345, 1.98765, 123456.7, float("nan"), float("inf"))] == [
        "0.0123", "1.99", "123,457", "undefined", "infinite",
    ]  # fmt: skip
