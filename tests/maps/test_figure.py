"""Mirrors src/geotether/maps/figure.py."""

import matplotlib.image
import pytest

from geotether.maps.figure import COLOURS, colour_of, new_figure, save_figure


def test_equal_figures_are_equal_files(tmp_path):
    paths = [save_figure(new_figure(2, 1, "title"), tmp_path / name, dpi=50) for name in ("a.png", "b.png")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert matplotlib.image.imread(paths[0]).shape[:2] == (50, 100)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_missing_folder_is_made_and_a_file_in_the_way_is_named(tmp_path):
    assert save_figure(new_figure(1, 1), tmp_path / "new" / "a.png").is_file()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        save_figure(new_figure(1, 1), tmp_path / "file" / "a.png")


def test_colours_follow_the_order_of_names():
    colours = colour_of(["b", "a", "b", *map(str, range(10))])
    assert list(colours)[:2] == ["b", "a"]
    assert colours["b"] == COLOURS[0] == colours["8"]
