"""The files of the page: links, sizes, and what a strict content security policy needs; no browser."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import geotether.serving

PAGE = Path(geotether.serving.__file__).parent / "page"
OWN = [path for path in sorted(PAGE.iterdir()) if path.is_file()]
SCRIPTS = [path for path in OWN if path.suffix == ".js"]
MAX_COMPRESSED = 1_500_000
MAX_OWN_COMPRESSED = 60_000
LINKS = ("src", "href")
REFERENCES = ("aria-controls", "aria-labelledby", "for")  # attributes that name ids


class Elements(HTMLParser):
    """Tags with attributes, and the text inside of script and style."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.all and self.all[-1][0] in ("script", "style"):
            self.inline += data.strip()


@pytest.fixture(scope="module")
def elements():
    parser = Elements()
    parser.feed((PAGE / "index.html").read_text())
    return parser


def test_html_has_no_inline_script_or_style(elements):
    assert elements.inline == ""
    for tag, attributes in elements.all:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")], (tag, attributes)


def test_links_of_the_html_are_files_of_the_page(elements):
    links = [attributes[name] for _, attributes in elements.all for name in LINKS if attributes.get(name)]
    files = [link for link in links if not link.startswith(("#", "data:"))]
    assert len(files) >= 4
    for link in files:
        assert link.startswith("static/"), link
        assert (PAGE / link.removeprefix("static/")).is_file(), link


def test_ids_are_unique_and_references_resolve(elements):
    ids = [attributes["id"] for _, attributes in elements.all if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in elements.all:
        for name in REFERENCES:
            assert set((attributes.get(name) or "").split()) <= set(ids), attributes


def test_ids_used_by_scripts_are_in_the_html(elements):
    ids = {attributes["id"] for _, attributes in elements.all if "id" in attributes}
    made_by_scripts = {"point-facts"}
    for script in SCRIPTS:
        assert set(re.findall(r'byId\("([^"]+)"\)', script.read_text())) <= ids | made_by_scripts, script.name


def test_modules_import_files_that_exist():
    for script in SCRIPTS:
        for target in re.findall(r'(?:from|import\()\s*"([^"]+)"', script.read_text()):
            assert (script.parent / target).is_file(), (script.name, target)


def test_scripts_never_make_markup_or_code_of_texts():
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|cssText|srcdoc"
    )
    assert not [(script.name, found) for script in SCRIPTS for found in forbidden.findall(script.read_text())]


def test_nothing_is_fetched_from_elsewhere():
    allowed = {"http://www.w3.org/2000/svg"}  # the name of a format
    for path in OWN:
        assert set(re.findall(r"https?://[^\s\"'`)]+", path.read_text())) <= allowed, path.name


def test_sizes():
    compressed = {path: len(gzip.compress(path.read_bytes(), 6)) for path in PAGE.rglob("*") if path.is_file()}
    assert sum(compressed.values()) < MAX_COMPRESSED
    assert sum(compressed[path] for path in OWN) < MAX_OWN_COMPRESSED


def test_licence_of_the_map_library_is_packed():
    assert "MapLibre contributors" in (PAGE / "maplibre" / "LICENSE.txt").read_text()
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert "src/geotether/serving/page/maplibre/LICENSE.txt" in project
