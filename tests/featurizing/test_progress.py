"""Mirrors src/geotether/featurizing/progress.py."""

import pytest

from geotether.featurizing.progress import row_progress, spoken_time


def test_about_twenty_plain_lines_where_there_is_no_terminal(capsys):
    with row_progress("birds", total=1000) as show:
        for done in range(1, 1001):
            show(done, done // 500)
    lines = capsys.readouterr().err.splitlines()
    assert 18 <= len(lines) <= 22
    assert lines[0].startswith("birds: 50 of 1,000 rows")
    assert "left" in lines[0]
    assert lines[-1].startswith("birds: 1,000 of 1,000 rows  2 rejected")
    assert "left" not in lines[-1]


def test_the_speed_excludes_the_rows_of_an_earlier_run(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("geotether.featurizing.progress.time.monotonic", lambda: now[0])
    with row_progress("birds", total=1000, first=900) as show:
        now[0] = 110.0
        show(950, 0)
    assert "5 rows/s  10 s left" in capsys.readouterr().err


def test_the_bar_style_draws_and_none_is_silent(capsys):
    for style in ("bar", "none"):
        with row_progress("birds", total=10, style=style) as show:
            show(10, 1)
        assert ("birds" in capsys.readouterr().err) == (style == "bar")


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (59.6, "1 min 0 s"), (3599.9, "1 h 0 min")])
def test_times_never_have_sixty_of_a_unit(seconds, text):
    assert spoken_time(seconds) == text
