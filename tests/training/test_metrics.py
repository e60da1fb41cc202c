"""Mirrors src/geotether/training/metrics.py."""

import io
import json
import math

import numpy as np
import pytest

from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.metrics import MetricsFile, Progress, final_warning, read_metrics, rising_warning
from geotether.training.pretraining import pretrain


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


def validation(a, b, chance=5.0):
    losses = {"validation/loss/a": a, "validation/loss/b": b, "validation/loss": (a + b) / 2}
    return losses | {"validation/chance/a": chance, "validation/chance/b": chance}


@pytest.mark.parametrize(
    ("course", "said_at"),
    [
        ([(9, 9), (8, 8), (4, 4)], None),  # from above, as a beginner
        ([(4, 4), (4.5, 4.9), (4.9, 4)], None),  # rising, but never above
        ([(9, 4), (8, 4), (8.1, 4), (7.9, 4), (8, 4)], None),  # noise on the way down
        ([(4, 4), (4, 5.1), (4, 5.3), (4, 5.4)], 2),
        ([(9, 4), (8, 4), (8.1, 4), (8.2, 4)], 3),
        ([(math.nan, 4), (math.inf, 4), (4, 4)], None),  # left to the loop
    ],
)
def test_a_loss_that_rises_above_chance_is_reported(course, said_at):
    lines = [{"step": 0, "loss": 9.0}, *(validation(*losses) for losses in course)]
    said = [rising_warning(lines[: number + 2]) for number in range(len(course))]
    assert next((number for number, text in enumerate(said) if text), None) == said_at
    if said_at is not None:
        assert "keep=best" in said[said_at]
        assert f"loss of {'b' if course[said_at][1] > 5 else 'a'} rises" in said[said_at]


def test_the_final_warning_is_about_the_returned_model():
    lines = [{"step": 0, "loss": 9.0}, *({"step": n, **validation(4, 4 + n)} for n in range(3))]
    assert "above chance: b 6.00 (chance 5.00). What is learned" in final_warning(lines)
    assert final_warning(lines, best=True) == ""
    assert final_warning(lines[:3]) == ""  # two validations show no trend
    assert final_warning([validation(9 - n, 9 - n) for n in range(4)]) == ""  # above chance, but it still falls
    assert final_warning([validation(4 + n, 4, chance=math.log(8)) for n in range(4)]) == ""  # eight rows
    assert final_warning([{"validation/loss": 9.0 + n} for n in range(4)]) == ""  # no level of chance


def test_a_run_on_noise_is_warned_of(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 240), rng.uniform(-80, 80, 240)], axis=1)
    split = np.where(np.arange(240) % 4 == 0, "validation", "train")
    table = Table.single("noise", lonlat, rng.standard_normal((240, 6)).astype(np.float32), split=split)
    overrides = ["steps=80", "batch_size=64", "validate_every=10", "warmup_steps=0", "encoder.network.hidden_dim=32"]
    encoder = pretrain({"noise": table}, config=load_config(overrides=overrides), out=tmp_path, progress="lines")
    said = capsys.readouterr().err
    assert said.count("held-out loss of noise rises above") == 1
    assert said.strip().splitlines()[-1] == final_warning(encoder.history)
    assert "above chance: noise" in final_warning(encoder.history)
