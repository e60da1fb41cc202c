"""Mirrors src/geotether/training/paired_config.py and paired_recipes.py."""

from pathlib import Path

import pytest

from geotether.training.config import LoopConfig, config_yaml
from geotether.training.paired_config import PairedConfig, load_paired_config, over_recipe, own_layer
from geotether.training.recipes import PAIRED_RECIPES, recipe_layer

RECIPE_FILES = Path(__file__).parents[2] / "recipes" / "paired"


@pytest.mark.parametrize("recipe", PAIRED_RECIPES)
def test_every_recipe_is_complete(recipe):
    extra = ["modality=s1"] if recipe in ("single", "distilled") else []
    config = load_paired_config(overrides=["target=crop", *extra], recipe=recipe)
    assert config.recipe == recipe
    assert config.method == ("ties" if recipe in ("mosaic", "simclr", "clip") else recipe)


def test_the_published_settings_of_mdico():
    config = load_paired_config(overrides=["target=crop"])
    assert (config.learning_rate, config.weight_decay, config.batch_size, config.dim) == (1e-3, 0.0, 128, 128)
    assert (config.patience, config.min_delta, config.keep) == (5, 0.01, "best")
    terms = config.colearning
    assert (terms.task, terms.auxiliary, terms.contrast, terms.discrimination) == (1, 1, 1, 1)
    assert (terms.temperature, terms.wiring, terms.weighting) == (0.1, "figure", "fixed")


def test_what_is_written_reads_back(tmp_path):
    config = load_paired_config(overrides=["target=crop", "paired={path: x.npz}", f"data={tmp_path}"])
    (tmp_path / "config.yaml").write_text(config_yaml(config))
    assert load_paired_config(tmp_path / "config.yaml") == config


def test_paths_are_seen_from_the_file(tmp_path):
    (tmp_path / "c.yaml").write_text("paired: x.npz\ntarget: crop\n")
    config = load_paired_config(tmp_path / "c.yaml")
    assert (config.paired, config.data) == (tmp_path / "x.npz", tmp_path)
    assert own_layer(tmp_path / "c.yaml", ["recipe=clip", "seed=3"]) == {
        "paired": tmp_path / "x.npz", "target": "crop", "data": tmp_path, "seed": 3,
    }  # fmt: skip


def test_what_is_said_of_one_recipe_is_for_that_alone(tmp_path):
    (tmp_path / "c.yaml").write_text("target: crop\nepochs: 7\nrecipes: {fused: {steps: 40}, clip: {dim: 32}}\n")
    fused = load_paired_config(tmp_path / "c.yaml", recipe="fused")
    assert (fused.epochs, fused.steps, fused.dim) == (None, 40, 128)
    clip = load_paired_config(tmp_path / "c.yaml", ["recipes.clip.seed=3"], recipe="clip")
    assert (clip.epochs, clip.steps, clip.dim, clip.seed) == (7, None, 32, 3)
    with pytest.raises(ValueError, match=r"no recipe 'fusd'; known: .* Did you mean 'fused'\?"):
        over_recipe("clip", {"recipes": {"fusd": {}}})
    with pytest.raises(ValueError, match="recipes must name recipes and their settings"):
        over_recipe("clip", {"recipes": {"fused": 3}})


def test_what_is_typed_goes_over_what_the_file_says_of_one_recipe(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "target: crop\nepochs: 3\nrecipes: {fused: {steps: 9, learning_rate: 0.5}, mosaic: {ties: {label: 3}}}"
    )
    assert load_paired_config(tmp_path / "c.yaml", ["steps=7"], "fused").steps == 7
    assert load_paired_config(tmp_path / "c.yaml", ["epochs=7"], "fused").steps is None
    assert load_paired_config(tmp_path / "c.yaml", ["ties.label=0"], "mosaic").ties.label == 0
    of_one = ["recipes.fused.learning_rate=0.25", "learning_rate=0.125"]
    assert load_paired_config(tmp_path / "c.yaml", of_one, "fused").learning_rate == 0.25
    assert load_paired_config(tmp_path / "c.yaml", of_one, "mdico").learning_rate == 0.125
    assert load_paired_config(tmp_path / "c.yaml", recipe="fused").learning_rate == 0.5
    assert over_recipe("fused", own_layer(tmp_path / "c.yaml", ["steps=7"]))["steps"] == 7


@pytest.mark.parametrize("file", sorted(RECIPE_FILES.glob("*.yaml")), ids=lambda file: file.stem)
@pytest.mark.parametrize("recipe", [None, "fused", "mosaic", "simclr", "clip"])
def test_every_recipe_file_fits_every_method(file, recipe):
    config = load_paired_config(file, recipe=recipe)
    assert config.target is not None
    if recipe == "simclr" and "places" not in file.stem:
        assert not config.ties.label


def test_every_setting_is_explained():
    for field in PairedConfig.model_fields:
        explained = LoopConfig.__doc__ if field in LoopConfig.model_fields else PairedConfig.__doc__
        assert f"        {field}: " in (explained or ""), field


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["target=crop", "method=mdicoo"], "unknown method 'mdicoo'. Did you mean 'mdico'"),
        (["target=crop", "method=single"], "the method single needs modality=NAME"),
        (["target=crop", "modality=s1"], "the method mdico takes all sensors"),
        ([], "needs target=NAME"),
        (["method=ties"], "ties without labels: ties.label=0"),
        (["target=crop", "colearning.task=0", "colearning.auxiliary=0"], "task or auxiliary must be above 0"),
        (["method=ties", "ties={view: 0, sample: 0, label: 0}"], "one of view, sample, label and location"),
        (["target=crop", "method=ties", "ties.discrimination=1"], "needs specific_dim"),
        (["target=crop", "method=ties", "ties.specific_dim=128"], "ties.specific_dim must be below dim, 128"),
        (["target=crop", "start_from=x"], "start_from is for single, fused and distilled, not for mdico"),
        (["target=crop", "labels=0"], "labels"),
        (["target=crop", "colearning.wiring=picture"], "'figure', 'code' or 'no_unused'"),
        (["target=crop", "colearnin.task=1"], "Did you mean 'colearning'"),
    ],
)
def test_faults_are_named(overrides, message):
    with pytest.raises(ValueError, match="The configuration cannot be used") as error:
        load_paired_config(overrides=overrides)
    assert message in str(error.value)


def test_an_unknown_recipe_is_named():
    with pytest.raises(ValueError, match=r"no recipe 'mosaik'.*Did you mean 'mosaic'"):
        recipe_layer("mosaik", PAIRED_RECIPES)
