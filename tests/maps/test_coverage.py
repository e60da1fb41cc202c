"""Mirrors src/geotether/maps/coverage.py."""

import numpy as np
import pytest

from geotether.maps.coverage import coverage_map
from geotether.maps.figure import save_figure


@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_map_a_modality_with_its_number_of_places(tmp_path, count):
    places = {f"m{i}": np.random.default_rng(i).uniform(-50, 50, (10**i if i < 5 else 1, 2)) for i in range(count)}
    figure = coverage_map(places, "where the data lie")
    assert [axes.get_title() for axes in figure.axes][:count] == [f"m{i} · {10**i:,} places" for i in range(count)]
    save_figure(figure, tmp_path / "coverage.png", dpi=60)


def test_an_even_choice_of_many_places_is_drawn():
    figure = coverage_map({"many": np.zeros((50_000, 2))})
    assert len(figure.axes[0].collections[0].get_offsets()) == 16_667


def test_no_modality_is_refused():
    with pytest.raises(ValueError, match="at least one modality"):
        coverage_map({})
