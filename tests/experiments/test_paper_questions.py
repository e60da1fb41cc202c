"""Mirrors experiments/paper_questions.py: which models a question needs, and what is printed."""

import json

import pytest

pytest.importorskip("pandas")
VALIDATION = ["validation/loss", *(f"validation/loss/{name}" for name in ("satellite", "text", "night_lights"))]


def test_every_question_names_models_that_exist_and_every_model_serves_one(script):
    assert set(script.models_of(script.QUESTIONS)) == set(script.MODELS)
    assert script.models_of([2])[:2] == ["SALT S+T+N", "MELT S+T+N"]


def test_every_configuration_is_valid_and_pairs_have_equal_batches(script):
    for model in script.MODELS.values():
        config = script.settings(model)
        assert config.batch_size == {"paper": 2048, "default": 1024}[model.recipe]
    assert script.settings(script.MODELS["SALT S+T+N"]).schedule.name == "salt"
    assert script.settings(script.MODELS["S, symmetric (SatCLIP)"]).objective.reading == "within_modality"


def test_the_tasks_are_the_four_of_the_paper(script, shared_data):
    tasks = script.world_tasks(shared_data)
    assert [(task.name, task.kind) for task in tasks] == [
        ("country", "classification"), ("population_density", "regression"), ("elevation", "regression"),
        ("biome", "classification"),
    ]  # fmt: skip
    for task in tasks:
        assert len(task.rows("train")) > 15_000
        assert len(task.rows("validation")) > 1000
        assert len(task.rows("test")) > 1000


def test_differences_are_written_with_their_intervals(script, make_outcomes):
    made = {name: make_outcomes({name: good}) for name, good in (("good", 0.9), ("bad", 0.2))}
    judged = {name: {0: found, 1: found} for name, found in made.items()}
    assert script.score_lines(judged, ["good"])[0] == "| model | elevation |"
    line = script.difference_lines(judged, [("good", "bad")])[2]
    assert line.startswith("| good - bad | **+")
    assert script.difference_lines(judged, [("bad", "bad")])[2] == "| bad - bad | +0.0 [0.0, 0.0] |"


def test_spikes_are_read_from_the_runs(script, tmp_path):
    turns = [name for _ in range(4) for name in script.STN for _ in range(3)]
    lines = {
        "salt": [{"step": s, "loss": 5.0 + s % 2, f"loss/{m}": 5.0 + s % 2} for s, m in enumerate(turns)],
        "melt": [{"step": s, "loss": 5.0, **{f"loss/{m}": 5.0 - s / 100 for m in script.STN}} for s in range(36)],
    }
    run = type("Run", (), {})
    runs = {}
    for name in script.QUESTIONS[2]:
        kind = "melt" if name.startswith("MELT") else "salt"
        folder = tmp_path / name
        folder.mkdir()
        seen = [{"step": s, **dict.fromkeys(VALIDATION, 6.0 - s)} for s in (5, 9)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines[kind], *seen]))
        runs[name] = {0: run()}
        runs[name][0].folder = folder
    found = script.spike_lines(runs)
    assert len(found) == 2 + 3 * len(runs)
    # Three returns each, between 5 and 6 by turns under SALT; MELT falls by 0.07 over a pause of seven steps.
    assert found[2].startswith("| MELT S+T+N | satellite | 3 | -0.070 (-0.070 to -0.070) |")
    assert found[5].startswith("| SALT S+T+N | satellite | 3 | +0.333 (-0.900 to +1.000) |")
