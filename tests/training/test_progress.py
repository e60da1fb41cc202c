"""Mirrors src/geotether/training/progress.py."""

import io

import pytest

from geotether.training.progress import Progress

LINE = {"loss": 6.2345, "learning_rate": 1e-3, "seconds": 1.25}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_are_few_and_hold_no_control_characters(capsys):
    with Progress(total_steps=500) as progress:
        for step in range(500):
            progress.show(step, LINE)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "step 1/500  loss 6.2345  rate 1.00e-03  1.2 s"
    assert lines[-1].startswith("step 500/500")
    assert 15 <= len(lines) <= 25
    assert not any("\x1b" in line or "\r" in line for line in lines)


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress(total_steps=4, first_step=2) as progress:
        for step in (2, 3):
            progress.show(step, LINE)
        progress.say("held out [bold] 5.0")
    shown = terminal.getvalue()
    assert "4/4" in shown
    assert "loss 6.234" in shown or "loss 6.235" in shown
    assert "held out [bold] 5.0" in shown  # brackets are text, not markup


def test_validation_names_chance(capsys):
    with Progress(total_steps=4) as progress:
        progress.show_validation(
            3, {"validation/loss": 5.5, "validation/loss/text": 5.5, "validation/chance/text": 6.931}
        )
    assert capsys.readouterr().err == "held out after step 4: 5.5000  text 5.500 (chance 6.93)\n"


def test_silence(capsys):
    with Progress(total_steps=2, style="none") as progress:
        progress.show(0, LINE)
        progress.say("nothing")
    assert capsys.readouterr() == ("", "")


def test_an_unknown_style_is_named():
    with pytest.raises(ValueError, match="auto, bar, lines, none; got 'loud'"):
        Progress(total_steps=2, style="loud")
