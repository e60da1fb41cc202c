"""Mirrors src/geotether/benchmark/score_table.py."""

import pandas as pd
import pytest

from geotether.benchmark.score_table import best_of, collect, markdown_table, read_scores, score_grid, write_scores

QUALITY = {"ours": 0.7, "xyz": 0.3, "nearest in space": 0.5}


def test_csv_is_read_back_and_by_pandas(make_outcomes, tmp_path):
    outcomes = make_outcomes(QUALITY)
    write_scores(outcomes, tmp_path / "scores.csv")
    assert read_scores(tmp_path / "scores.csv") == [one.row() for one in outcomes]
    frame = pd.read_csv(tmp_path / "scores.csv")
    assert list(frame) == [
        "task", "encoder", "probe", "split", "labels", "metric", "seed", "fold", "value", "chosen"
    ]  # fmt: skip
    assert len(frame) == 9
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


def test_a_failed_write_leaves_the_old_file(make_outcomes, tmp_path):
    path = tmp_path / "scores.csv"
    write_scores(make_outcomes(), path)
    before = path.read_text()

    def broken():
        yield make_outcomes()[0]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_scores(broken(), path)
    assert path.read_text() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_folders_are_made_and_foreign_files_are_named(make_outcomes, tmp_path):
    write_scores(make_outcomes(), tmp_path / "new" / "scores.csv")
    assert len(read_scores(tmp_path / "new" / "scores.csv")) == 6
    (tmp_path / "x.csv").write_text("task,value\n")
    with pytest.raises(ValueError, match="no column chosen, encoder, fold, labels"):
        read_scores(tmp_path / "x.csv")


def test_seeds_of_a_score_are_combined(make_outcomes):
    found = collect(make_outcomes(QUALITY, labels=(243, 2700)))
    assert len(found) == 6
    assert [one.seed for one in found["elevation", "ours", "ridge", "own", 243]] == [0, 1, 2]


def test_grid_never_mixes_linear_and_neural_probes(make_outcomes):
    outcomes = make_outcomes(QUALITY) + make_outcomes({"ours": 0.99}, probe="mlp")
    encoders, tasks, grid = score_grid(outcomes, "ridge", "own", 2700)
    assert encoders == ["ours", "xyz", "nearest in space"]
    assert best_of(grid, encoders, tasks[0]) == "ours"
    assert grid["ours", "elevation, R2"].mean == pytest.approx(0.7, abs=0.05)
    assert grid["ours", "elevation, R2"].seeds == 3
    assert score_grid(outcomes, "mlp", "own", 2700)[0] == ["nearest in space", "ours"]


def test_markdown_has_the_best_in_bold(make_outcomes):
    lines = markdown_table(make_outcomes(QUALITY)).splitlines()
    assert lines[0] == "| encoder | elevation, R2 |"
    assert lines[2].startswith("| ours | **0.")
    assert lines[3].startswith("| xyz | 0.")


def test_an_error_about_missing_scores_lists_the_existing_ones(make_outcomes):
    with pytest.raises(ValueError, match=r"no scores for probe 'ridge', split 'random'.*\('ridge', 'own', 2700\)"):
        score_grid(make_outcomes(), "ridge", "random", 2700)


def test_nothing_is_bold_if_all_encoders_are_equal(make_outcomes):
    same = make_outcomes({"ours": 0.5, "xyz": 0.5})
    assert "**" not in markdown_table(same, "ridge", "own", 2700)
    assert markdown_table(make_outcomes(), "ridge", "own", 2700).count("**") == 2
