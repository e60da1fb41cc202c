"""Mirrors src/geotether/maps/figure.py."""

import itertools

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from geotether.maps.figure import COLOURS, MARKERS, name_lines, new_figure, save_figure

# Machado, Oliveira & Fernandes (2009), severity 1: what red-blind and green-blind readers see, in linear RGB.
SIGHT = {
    "all colours": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])


def lab(colour: str, sight) -> np.ndarray:
    """Convert a colour as it is seen to CIELAB, in which a distance of 10 is plain to the eye."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = XYZ @ np.clip(np.asarray(sight) @ linear, 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / 3 * (29 / 6) ** 2 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_colours_can_be_told_apart(sight):
    seen = [lab(colour, SIGHT[sight]) for colour in COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 20
    assert len(set(MARKERS)) == len(COLOURS)


def test_names_stand_beside_the_ends_of_lines_without_overlap():
    axes = new_figure(4, 3).subplots()
    axes.set_ylim(0, 1)
    name_lines(axes, {"b": (1.0, 0.5, "red"), "a": (1.0, 0.51, "blue"), "low": (1.0, -7.0, "red")}, gap=0.1)
    heights = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert heights == pytest.approx({"b": 0.455, "a": 0.555, "low": 0.0})


def test_equal_figures_are_equal_files_and_missing_folders_are_made(tmp_path):
    paths = [save_figure(new_figure(2, 1, "title"), tmp_path / "new" / name, dpi=50) for name in ("a.png", "b.png")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert matplotlib.image.imread(paths[0]).shape[:2] == (50, 100)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.png", "b.png"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        save_figure(new_figure(1, 1), tmp_path / "file" / "a.png")
