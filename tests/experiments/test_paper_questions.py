"""Mirrors experiments/paper_questions.py: which models a question needs, and what is printed."""

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


def test_differences_are_written_with_their_intervals(script, make_outcomes):
    made = {name: make_outcomes({name: good}) for name, good in (("good", 0.9), ("bad", 0.2))}
    judged = {name: {0: found, 1: found} for name, found in made.items()}
    assert script.score_lines(judged, ["good"])[0] == "| model | elevation |"
    line = script.difference_lines(judged, [("good", "bad")])[2]
    assert line.startswith("| good - bad | **+")
    assert script.difference_lines(judged, [("bad", "bad")])[2] == "| bad - bad | +0.0 [0.0, 0.0] |"
