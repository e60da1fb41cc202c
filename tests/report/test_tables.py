"""Mirrors src/geotether/report/tables.py."""

import math

from geotether.probes.scores import Score
from geotether.report.tables import cell, definitions, score_table


def test_cells_and_definitions():
    assert cell(Score(0.5, math.nan, 1)) == "0.500"
    assert cell(Score(0.5, 0.1, 5)) == '0.500 <span class="half">± 0.100</span>'
    assert definitions({"a<b": "c&d"}) == "<dl><dt>a&lt;b</dt><dd>c&amp;d</dd></dl>"


def test_baselines_come_below():
    rows = [
        {
            "task": "t",
            "encoder": e,
            "probe": "ridge",
            "split": "block",
            "labels": 10,
            "metric": "R2",
            "seed": 0,
            "value": v,
        }
        for e, v in [("xyz", 0.2), ("mine", 0.1)]
    ]
    table = score_table(rows, "ridge", "block", 10, ["xyz"])
    assert table.index("mine") < table.index("xyz")
    assert '<td class="best">0.200</td>' in table
    assert "mean of 1 seed." in table
