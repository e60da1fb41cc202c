"""Mirrors src/geotether/training/metrics.py."""

import io
import json

import pytest

from geotether.training.metrics import MetricsFile, Progress, read_metrics


def test_lines_are_on_disk_before_the_file_is_closed(tmp_path):
    with MetricsFile(tmp_path, first_step=0) as metrics:
        metrics.write({"step": 0, "loss": 6.25})
        assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 0, "loss": 6.25}


def test_a_resumed_run_drops_the_lines_of_repeated_steps(tmp_path):
    with MetricsFile(tmp_path, first_step=0) as metrics:
        for step in range(5):
            metrics.write({"step": step, "run": 1})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')  # killed in the middle of a line
    with MetricsFile(tmp_path, first_step=3) as metrics:
        metrics.write({"step": 3, "run": 2})
    assert [(line["step"], line["run"]) for line in read_metrics(tmp_path)] == [(0, 1), (1, 1), (2, 1), (3, 2)]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_damage_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no metrics file"):
        read_metrics(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\nnonsense\n{"step": 1}\n')
    with pytest.raises(ValueError, match=r"Line 2 of .* is not JSON: 'nonsense'"):
        read_metrics(tmp_path)


LINE = {"loss": 6.2345, "learning_rate": 1e-3, "seconds": 1.25}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_progress_lines_are_few_and_have_no_control_characters(capsys):
    with Progress(total_steps=500) as progress:
        for step in range(500):
            progress.show(step, LINE)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "step 1/500  loss 6.2345  rate 1.00e-03  1.2 s"
    assert lines[-1].startswith("step 500/500")
    assert 15 <= len(lines) <= 25
    assert not any("\x1b" in line or "\r" in line for line in lines)


def test_the_style_none_is_silent_and_unknown_styles_are_errors(capsys):
    with Progress(total_steps=2, style="none") as progress:
        progress.show(0, LINE)
        progress.say("nothing")
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ValueError, match="auto, bar, lines, none; got 'loud'"):
        Progress(total_steps=2, style="loud")


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
