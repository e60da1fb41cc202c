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
