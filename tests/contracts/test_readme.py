"""README's commands, links and targets exist; test_docs.py runs its code."""

import re
from pathlib import Path

import pytest

from geotether.cli.app import app
from geotether.encoders.build import build_location_encoder

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_commands_are_those_of_the_command_line():
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"^geotether (\w+)", README, re.M)) == known


def test_make_has_the_two_targets():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_in_the_documentation_exist(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_the_encoder_of_the_docs_can_be_built():
    yaml = pytest.importorskip("yaml")
    text = re.search(r"```yaml\n(encoder:.*?)```", (ROOT / "docs" / "encoders.md").read_text(), re.S).group(1)
    assert build_location_encoder(yaml.safe_load(text)["encoder"], seed=0).handout_dim == 256
