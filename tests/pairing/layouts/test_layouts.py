"""Mirrors layouts/__init__.py: what is registered there exists, is documented and refuses what is unknown."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest

from geotether.pairing.layouts import LAYOUTS, read_layout

PAGE = (Path(__file__).parents[3] / "docs" / "paired-layouts.md").read_text()


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_layout_is_there_and_every_option_documented(name):
    module, _, function = LAYOUTS[name].partition(":")
    read = getattr(import_module(module), function)
    options = list(inspect.signature(read).parameters)
    assert options[0] == "path"
    section = PAGE.split(f"## {name}\n")[1].split("\n## ")[0]
    assert [option for option in options[1:] if f"`{option}`" not in section] == []


def test_unknown_layouts_and_options(tmp_path):
    with pytest.raises(ValueError, match="Did you mean 'sen12ms'"):
        read_layout("sen12", tmp_path)
    with pytest.raises(ValueError, match=r"option of the layout lfmc 'month'.*Did you mean 'months'"):
        read_layout("lfmc", tmp_path, {"month": 3})
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_layout("lfmc", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("treesatai", {"series": "weeks"}, "series must be one of months, dates"),
        ("treesatai", {"steps": 5}, "months are always 12"),
        ("treesatai", {"series": "dates", "steps": 0}, "steps must be 1"),
        ("treesatai", {"max_cloud": 101}, "percentage"),
        ("treesatai", {"threshold": 7}, "threshold .*got"),
        ("sen12ms", {"scheme": "IGBP"}, "no scheme 'IGBP'"),
        ("sen12ms", {"threshold": 0}, "threshold .*got"),
        ("sen12ms", {"seasons": ["autumn"]}, "no season 'autumn'; known: spring"),
        ("sen12ms", {"modalities": []}, "at least one modality. Known: s1, s2"),
        ("sen12ms", {"s2_bands": ["B8a"]}, "Did you mean 'B8A'"),
        ("sen12ms", {"size": 0}, "size .*0"),
        ("bigearthnet", {"enlarge": "linear"}, "bilinear, nearest, cubic.*'linear'"),
        ("bigearthnet", {"s2_bands": ["B10"]}, "no band of Sentinel-2 'B10'"),
        ("bigearthnet", {"classes": 20}, "must be 19 or 43"),
        ("geotiff_pairs", {"tile": 0}, "tile must be"),
    ],
)
def test_implausible_options_are_errors(tmp_path, name, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_layout(name, tmp_path, options)


@pytest.mark.parametrize("name", ["bigearthnet", "cropharvest", "geotiff_pairs", "lfmc", "sen12ms", "treesatai"])
def test_an_empty_folder_is_an_error_that_names_it(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        read_layout(name, tmp_path)
