"""Mirrors src/geotether/featurizing/plan.py: whether a table is up to date, and updates of its texts."""

import logging

import pytest

from geotether.featurizing.build import build_table
from geotether.featurizing.plan import Plan, is_up_to_date, renew_origin
from geotether.featurizing.specification import TableSpec
from geotether.tables.store import read_origin


@pytest.fixture
def planned(places, tmp_path):
    """Make the plan of a table, 20 of whose 1,000 rows were rejected when it was built under CC BY 4.0."""
    out = tmp_path / "t.parquet"

    def plan(**options):
        return Plan.of(TableSpec.of({"source": "toy", "path": str(places), "broken": 50, **options}), out)

    build_table(plan(licence="CC BY 4.0").spec, out, workers=1, progress="none")
    return plan


def test_to_ask_changes_nothing_and_says_nothing(planned, caplog):
    before = planned().out.read_bytes()
    with caplog.at_level(logging.INFO, "geotether"):
        assert is_up_to_date(planned(licence="CC0", tolerance=0.03))
        assert is_up_to_date(planned(tolerance=0.0))
        assert not is_up_to_date(planned(seed=1))
    assert planned().out.read_bytes() == before
    assert not caplog.records


def test_the_table_is_told_what_is_new_if_its_rejected_rows_are_tolerated(planned):
    assert planned(tolerance=0.02).tolerates(20, 1000)
    assert not planned(tolerance=0.019).tolerates(20, 1000)
    with pytest.raises(ValueError, match=r"20 of 1,000 rows .*tolerated 1\.9%"):
        renew_origin(planned(licence="CC0", tolerance=0.019))
    assert read_origin(planned().out).licence == "CC BY 4.0"
    renew_origin(planned(licence="CC0", tolerance=0.02))
    assert read_origin(planned().out).licence == "CC0"
