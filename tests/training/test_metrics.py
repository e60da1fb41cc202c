"""Mirrors src/geotether/training/metrics.py."""

import json

import pytest

from geotether.training.metrics import MetricsFile, read_metrics


def test_lines_are_on_disk_before_the_file_is_closed(tmp_path):
    with MetricsFile(tmp_path, first_step=0) as metrics:
        metrics.write({"step": 0, "loss": 6.25})
        assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 0, "loss": 6.25}


def test_a_resumed_run_drops_what_it_is_about_to_do_again(tmp_path):
    with MetricsFile(tmp_path, first_step=0) as metrics:
        for step in range(5):
            metrics.write({"step": step, "run": 1})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')  # killed in the middle of a line
    with MetricsFile(tmp_path, first_step=3) as metrics:
        metrics.write({"step": 3, "run": 2})
    assert [(line["step"], line["run"]) for line in read_metrics(tmp_path)] == [(0, 1), (1, 1), (2, 1), (3, 2)]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_new_run_starts_an_empty_file(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n')
    with MetricsFile(tmp_path, first_step=0):
        assert read_metrics(tmp_path) == []


def test_no_folder_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with MetricsFile(None, first_step=0) as metrics:
        metrics.write({"step": 0})
    assert list(tmp_path.iterdir()) == []


def test_damage_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no metrics file"):
        read_metrics(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\nnonsense\n{"step": 1}\n')
    with pytest.raises(ValueError, match=r"Line 2 of .* is not JSON: 'nonsense'"):
        read_metrics(tmp_path)
