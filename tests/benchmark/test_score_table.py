"""Mirrors src/geotether/benchmark/score_table.py."""

import pandas as pd
import pytest

from geotether.benchmark.score_table import best_of, markdown_table, read_scores, score_grid, summarise, write_scores


def make_rows():
    rows = []
    for encoder, probe, base in [
        ("ours", "ridge", 0.7),
        ("xyz", "ridge", 0.3),
        ("nearest", "neighbors_in_space", 0.5),
        ("ours", "mlp", 0.9),
    ]:
        for seed in range(3):
            rows.append(
                {"task": "elevation", "encoder": encoder, "probe": probe, "split": "block", "labels": 2700,
                 "metric": "R2", "seed": seed, "value": base + seed / 100}
            )  # fmt: skip
    return rows


def test_csv_is_read_back_and_by_pandas(tmp_path):
    rows = make_rows()
    write_scores(rows, tmp_path / "scores.csv")
    assert read_scores(tmp_path / "scores.csv") == rows
    frame = pd.read_csv(tmp_path / "scores.csv")
    assert list(frame) == ["task", "encoder", "probe", "split", "labels", "metric", "seed", "value"]
    assert len(frame) == 12
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "scores.csv"
    write_scores(make_rows(), path)
    before = path.read_text()
    with pytest.raises(ValueError, match="dict contains fields not in fieldnames"):
        write_scores([{"tusk": 1}], path)
    assert path.read_text() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_folders_are_made_and_foreign_files_are_named(tmp_path):
    write_scores(make_rows(), tmp_path / "new" / "scores.csv")
    assert len(read_scores(tmp_path / "new" / "scores.csv")) == len(make_rows())
    (tmp_path / "x.csv").write_text("task,value\n")
    with pytest.raises(ValueError, match="no column encoder, labels"):
        read_scores(tmp_path / "x.csv")


def test_summary_has_mean_and_interval():
    score = summarise(make_rows())["elevation", "ours", "ridge", "block", 2700, "R2"]
    assert (score.mean, score.count) == (pytest.approx(0.71), 3)
    assert score.half_width == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)


def test_grid_never_mixes_linear_and_neural_probes():
    encoders, tasks, grid = score_grid(make_rows(), "ridge", "block", 2700)
    assert encoders == ["ours", "xyz", "nearest"]
    assert best_of(grid, encoders, tasks[0]) == "ours"
    assert grid["ours", "elevation, R2"].mean == pytest.approx(0.71)


def test_markdown_has_the_best_in_bold():
    lines = markdown_table(make_rows()).splitlines()
    assert lines[0] == "| encoder | elevation, R2 |"
    assert lines[2] == "| ours | **0.710 ± 0.025** |"
    assert lines[4].startswith("| nearest | 0.510")


def test_no_such_scores_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no scores for probe 'ridge', split 'random'.*\('mlp', 'block', 2700\)"):
        score_grid(make_rows(), "ridge", "random", 2700)
