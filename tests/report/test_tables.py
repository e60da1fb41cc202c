"""Mirrors src/geotether/report/tables.py."""

import math

from geotether.probes.scores import Score
from geotether.report.tables import cell, definitions, score_table


def test_cells_and_definitions():
    assert cell(Score(0.5, math.nan, math.nan, 1, 1)) == "0.500"
    assert cell(Score(0.5, 0.4, 0.6, 5, 30)) == '0.500 <span class="ends">[0.400, 0.600]</span>'
    assert definitions({"a<b": "c&d"}) == "<dl><dt>a&lt;b</dt><dd>c&amp;d</dd></dl>"


def test_baselines_come_below(make_outcomes):
    outcomes = make_outcomes({"xyz": 0.9, "mine": 0.1}, labels=(10,), seeds=(0,))
    table = score_table(outcomes, "ridge", "own", 10, ["xyz"])
    assert table.index("mine") < table.index("xyz")
    assert table.count('<td class="best">') == 1
    assert "mean of 1 seed, 20 blocks judged." in table
