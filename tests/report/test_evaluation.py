"""Mirrors src/geotether/report/evaluation.py and page.py."""

import base64
from html.parser import HTMLParser

import pytest

from geotether.maps.figure import new_figure, save_figure
from geotether.report.evaluation import score_table, write_report
from geotether.report.page import Cell, PageRow, PageTable


@pytest.fixture
def make_rows(make_outcomes):
    def make(name="ours"):
        quality = {"xyz": 0.3, name: 0.9, "nearest in space": 0.5}
        tasks, splits = ("elevation", "population"), ("random", "blocks-10")
        return make_outcomes(quality, tasks, (243, 2700), splits, seeds=range(5))

    return make


class Reader(HTMLParser):
    """Collects text, attributes and unbalanced tags."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.attributes, self.wrong = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert not reader.open
    assert not reader.wrong
    return reader


@pytest.fixture
def figure(tmp_path):
    return save_figure(new_figure(1, 1), tmp_path / "map.png", dpi=40)


def test_the_page_contains_everything_and_needs_no_other_file(make_rows, tmp_path, figure):
    path = write_report(
        tmp_path,
        "A title",
        make_rows(),
        {"A map": figure},
        {"seed": 0, "config": {"a": [1, 2]}},
        sections={"More": ["said", PageTable([PageRow("row", [Cell("0.1", "[0, 1]", bold=True)])], ("a", "b"))]},
    )
    reader = read(path)
    text, page = " ".join(reader.text), path.read_text(encoding="utf-8")
    assert "http" not in page
    assert base64.b64encode(figure.read_bytes()).decode() in page
    assert not [v for k, v in reader.attributes if k in ("src", "href") and not v.startswith("data:")]
    assert "ours is clearly better than every baseline on 2 of 2 tasks" in text
    assert "Probe ridge, unseen blocks of 10 degrees, 2,700 labels, mean of 5 seeds, 40 " in text
    assert text.index("10 degrees, 2,700") < text.index("random split, 2,700")
    assert '<td class="best">0.' in page
    for word in ("R2", "xyz", "random split", "nearest in space", '"a": ['):
        assert word in text
    assert "untrained" not in text
    assert "said" in text
    assert '<b>0.1</b> <span class="ends">[0, 1]</span>' in page
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.png", "report.html"]


def test_everything_is_escaped(make_rows, tmp_path, figure):
    evil = '<script>alert("1")</script>&'
    path = write_report(
        tmp_path, evil, make_rows(evil), {evil: figure}, {evil: evil, "nested": {evil: [evil]}}, evil, [evil]
    )
    assert "<script" not in path.read_text(encoding="utf-8")
    assert evil in " ".join(read(path).text)


def test_a_failed_report_leaves_the_old_one(make_rows, tmp_path, figure):
    path = write_report(tmp_path, "first", make_rows(), {}, {})
    (tmp_path / "x.png").write_text("no picture")
    for figures, error, message in [
        ({"gone": tmp_path / "gone.png"}, FileNotFoundError, "figure gone.png for 'gone' does not exist"),
        ({"bad": tmp_path / "x.png"}, ValueError, "x.png is not a PNG"),
    ]:
        with pytest.raises(error, match=message):
            write_report(tmp_path, "second", make_rows(), figures, {})
    assert "first" in path.read_text(encoding="utf-8")


def test_wrong_input_is_named(make_rows, tmp_path):
    with pytest.raises(ValueError, match="needs scores"):
        write_report(tmp_path, "t", [], {}, {})
    with pytest.raises(FileNotFoundError, match="make it first"):
        write_report(tmp_path / "no", "t", make_rows(), {}, {})
    with pytest.raises(ValueError, match=r"no scores with 99 labels; there are \[243, 2700\]"):
        write_report(tmp_path, "t", make_rows(), {}, {}, labels=99)


def test_baselines_are_listed_last_and_the_best_is_marked(make_outcomes):
    outcomes = make_outcomes({"xyz": 0.9, "mine": 0.1}, labels=(10,), seeds=(0,))
    table = score_table(outcomes, "ridge", "own", 10, ["xyz"])
    assert [(row.name, row.faint, row.cells[0].style) for row in table.rows] == [
        ("mine", False, ""),
        ("xyz", True, "best"),
    ]
