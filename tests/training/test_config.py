"""Mirrors src/geotether/training/config.py."""

from pathlib import Path

import pytest
import yaml

from geotether.plugins import plugins_in_use, use_plugins
from geotether.settings import flatten, overlay
from geotether.training.config import (
    LOCATION_TIES,
    LoopConfig,
    PairedConfig,
    RunConfig,
    config_yaml,
    load_config,
    make_config,
    over_recipe,
    own_layer,
)
from geotether.training.recipes import RECIPES, recipe_layer

RECIPE_FILES = Path(__file__).parents[2] / "recipes" / "paired"
PAIRED = [name for name, layer in RECIPES.items() if "method" in layer]


@pytest.mark.parametrize("recipe", sorted({*RECIPES} - {*PAIRED}))
def test_every_recipe_is_a_whole_configuration(recipe):
    config = load_config(recipe=recipe)
    assert (config.recipe, config.method) == (recipe, LOCATION_TIES)
    for key, value in flatten(RECIPES[recipe]).items():
        assert flatten(config.model_dump())[key] == value


def test_paper_is_the_published_setting():
    paper = load_config(recipe="paper")
    assert (paper.batch_size, paper.learning_rate, paper.epochs, paper.steps) == (2048, 1e-4, 50, None)
    assert paper.encoder.positional == {"name": "spherical_harmonics", "l_max": 39}  # L = 40 counts from 1
    assert (paper.encoder.network["hidden_dim"], paper.encoder.network["num_layers"]) == (512, 2)
    assert paper.final_share == 1.0  # a constant rate


def test_later_layers_take_precedence(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("recipe: paper\nseed: 3\nlearning_rate: 2e-4\nencoder: {positional: {l_max: 9}}\n")
    config = load_config(file, ["learning_rate=1e-3", "steps=20"])
    assert config.batch_size == 2048
    assert config.seed == 3
    assert config.encoder.positional["l_max"] == 9
    assert config.learning_rate == 1e-3
    assert (config.steps, config.epochs) == (20, None)
    assert load_config(file, recipe="default").recipe == "default"


def test_another_positional_encoding_drops_the_options_of_the_first():
    config = load_config(overrides=["encoder.positional.name=wrap", "encoder.network.name=linear"])
    assert config.encoder.positional == {"name": "wrap"}
    assert config.encoder.network == {"name": "linear"}


def test_table_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.yaml").write_text("tables: {text: places.parquet}\n")
    monkeypatch.chdir(tmp_path)
    assert load_config("run/run.yaml").tables == {"text": tmp_path / "run" / "places.parquet"}


def test_the_saved_configuration_reads_back_to_itself(tmp_path):
    config = load_config(overrides=["epochs=7", "schedule.name=salt", "schedule.steps_per_epoch=smallest", "seed=5"])
    (tmp_path / "config.yaml").write_text(config_yaml(config))
    assert load_config(tmp_path / "config.yaml") == config
    assert yaml.safe_load(config_yaml(config))["learning_rate"] == config.learning_rate


def test_plugins_of_the_command_line_are_written_down(tmp_path, monkeypatch):
    (tmp_path / "mine.py").touch()
    monkeypatch.setenv("GEOTETHER_PLUGINS", "")
    use_plugins([tmp_path / "mine.py"])
    (tmp_path / "config.yaml").write_text(config_yaml(load_config()))
    monkeypatch.setenv("GEOTETHER_PLUGINS", "")
    assert load_config(tmp_path / "config.yaml").plugins == [str(tmp_path / "mine.py")]
    assert plugins_in_use() == [str(tmp_path / "mine.py")]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learnig_rate=1", r"learnig_rate: unknown key 'learnig_rate'. Did you mean 'learning_rate'\? Known: recipe"),
        ("encoder.positionall=1", r"encoder\.positionall: unknown key.*Did you mean 'positional'\?"),
        ("encoder.positional.lmax=3", r"encoder\.positional\.lmax: unknown key 'lmax' for spherical_harm.*'l_max'"),
        ("encoder.network.hiden_dim=3", r"encoder\.network\.hiden_dim: unknown key.*Did you mean 'hidden_dim'\?"),
        ("encoder.positional.name=harmonics", r"unknown positional name 'harmonics'.*sphere_m_plus"),
        ("encoder.network.name=sirens", r"encoder\.network: unknown network name 'sirens'\. Did you mean 'siren'\?"),
        ("encoder.readout=last", r"encoder\.readout: unknown readout 'last'.*hidden_and_output"),
        ("objective.reading=within", r"objective\.reading: unknown reading 'within'.*all_pairs.*sigmoid"),
        ("schedule.name=pepper", r"schedule.name: unknown schedule 'pepper'\. Known: melt, salt, pairwise"),
        ("schedule.switch=step", r"schedule\.switch: unknown key 'switch' for the schedule melt"),
        ("schedule.shares=half", r"schedule\.shares: .*'equal' or 'proportional'"),
        (
            "recipe=papr",
            r"There is no recipe 'papr'; known: paper, default, .*\. Did you mean 'paper'\?",
        ),
        ("batch_size=1", r"batch_size: .*at least 2 \(got 1\)"),
        ("batch_size=many", r"batch_size: must be a whole number \(got 'many'\)"),
        ("learning_rate=0", r"learning_rate: .*greater than 0 \(got 0\)"),
        ("ema_decay=1", r"ema_decay: .*less than 1"),
        ("jitter_m=-1", r"jitter_m: .*at least 0"),
        ("steps=0", r"steps: .*at least 1"),
        ("precision=fp8", r"precision: .*'float32', 'tf32' or 'bf16'"),
        ("objective.init_temperature=0", r"objective\.init_temperature"),
        ("encoder=3", r"encoder: .*\(got 3\)"),
        ("encoder.readout=output", r"set encoder\.readout=projected or context\.observations\.components=0"),
        ("memory.components=3", r"replaced by context\.observations: set context\.observations\.components"),
        ("encoder.readout=mixed_positional_and_output", r"encoder\.readout: .*set encoder\.readout=projected"),
        ("context.raster=null", r"context\.raster: unknown key 'raster'\. Did you mean 'rasters'\?"),
        ("context.rasters={land: {file: a.tif}}", r"context\.rasters\.land\.file: unknown key 'file'"),
        ("context.rasters={land: {path: a.tif, patch: 4}}", r"context\.rasters\.land\.patch: .*odd.*try 5.*\(got 4\)"),
        ("context.rasters={land: {path: a.tif, transform: log}}", r"transform: .*'sqrt' or 'log1p'"),
        ("context.observations.k=3", r"context\.observations\.k: unknown key 'k'.*Known: components"),
        ("context.scales_km=[]", r"context\.scales_km"),
        ("context.rasters={land: {path: a.tif, components: [3, 4]}}", r"components has 2 numbers, but scales_km has 4"),
        ("context.dropout=1", r"context\.dropout: .*less than 1"),
    ],
)
def test_an_error_names_its_path_and_the_known_keys(override, message):
    with pytest.raises(ValueError, match=message):
        load_config(overrides=[override])


def test_every_fault_is_named_at_once():
    with pytest.raises(ValueError, match=r"(?s)batch_size.*seed") as caught:
        load_config(overrides=["batch_size=1", "seed=-1"])
    assert "pydantic" not in str(caught.value)


def test_a_length_given_twice_is_an_error():
    with pytest.raises(ValueError, match="steps or epochs"):
        make_config({"steps": 3, "epochs": 1})
    with pytest.raises(ValueError, match="steps or epochs"):
        make_config({})


def test_keeping_the_best_needs_validation():
    with pytest.raises(ValueError, match="need validate_every"):
        load_config(overrides=["keep=best", "validate_every=null"])


def test_every_setting_is_documented():
    for kind in (RunConfig, PairedConfig):
        for field in kind.model_fields:
            explained = LoopConfig.__doc__ if field in LoopConfig.model_fields else kind.__doc__
            assert f"        {field}: " in (explained or ""), field


def test_a_recipe_is_a_copy():
    recipe_layer("paper")["encoder"]["embed_dim"] = 1
    assert RECIPES["paper"]["encoder"]["embed_dim"] == 256


def test_overlay_changes_neither_layer():
    under, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    merged = overlay(under, over)
    merged["a"]["b"] = 9
    assert (under, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def test_the_same_name_keeps_the_options_below():
    under = {"network": {"name": "siren", "hidden_dim": 512}}
    assert overlay(under, {"network": {"name": "siren", "omega_0": 20}}) == {
        "network": {"name": "siren", "hidden_dim": 512, "omega_0": 20}
    }


@pytest.mark.parametrize(("over", "left"), [({"epochs": 5, "steps": None}, "epochs"), ({"steps": 5}, "steps")])
def test_the_upper_length_of_the_run_removes_the_lower(over, left):
    merged = overlay({"steps": 500}, over)
    assert merged.get(left) == 5
    assert merged.get("steps" if left == "epochs" else "epochs") is None


@pytest.mark.parametrize("recipe", PAIRED)
def test_every_recipe_of_paired_sensors_is_complete(recipe):
    extra = ["modality=s1"] if recipe in ("single", "distilled") else []
    config = load_config(overrides=["target=crop", *extra], recipe=recipe)
    assert config.recipe == recipe
    assert config.method == ("ties" if recipe in ("mosaic", "simclr", "clip") else recipe)


def test_the_published_settings_of_mdico():
    config = load_config(overrides=["target=crop"])
    assert (config.learning_rate, config.weight_decay, config.batch_size, config.dim) == (1e-3, 0.0, 128, 128)
    assert (config.patience, config.min_delta, config.keep) == (5, 0.01, "best")
    terms = config.colearning
    assert (terms.task, terms.auxiliary, terms.contrast, terms.discrimination) == (1, 1, 1, 1)
    assert (terms.temperature, terms.wiring, terms.weighting) == (0.1, "figure", "fixed")


def test_a_written_table_is_read_back_equal(tmp_path):
    config = load_config(overrides=["target=crop", "paired={path: x.npz}", f"data={tmp_path}"])
    (tmp_path / "config.yaml").write_text(config_yaml(config))
    assert load_config(tmp_path / "config.yaml") == config


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "c.yaml").write_text("paired: x.npz\ntarget: crop\n")
    config = load_config(tmp_path / "c.yaml")
    assert (config.paired, config.data) == (tmp_path / "x.npz", tmp_path)
    assert own_layer(tmp_path / "c.yaml", ["recipe=clip", "seed=3"]) == {
        "paired": tmp_path / "x.npz", "target": "crop", "data": tmp_path, "seed": 3,
    }  # fmt: skip


def test_an_override_for_one_recipe_applies_to_it_alone(tmp_path):
    (tmp_path / "c.yaml").write_text("target: crop\nepochs: 7\nrecipes: {fused: {steps: 40}, clip: {dim: 32}}\n")
    fused = load_config(tmp_path / "c.yaml", recipe="fused")
    assert (fused.epochs, fused.steps, fused.dim) == (None, 40, 128)
    clip = load_config(tmp_path / "c.yaml", ["recipes.clip.seed=3"], recipe="clip")
    assert (clip.epochs, clip.steps, clip.dim, clip.seed) == (7, None, 32, 3)
    with pytest.raises(ValueError, match=r"no recipe 'fusd'; known: .* Did you mean 'fused'\?"):
        over_recipe("clip", {"recipes": {"fusd": {}}})
    with pytest.raises(ValueError, match="recipes must name recipes and their settings"):
        over_recipe("clip", {"recipes": {"fused": 3}})


def test_typed_overrides_take_precedence_over_those_of_one_recipe(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "target: crop\nepochs: 3\nrecipes: {fused: {steps: 9, learning_rate: 0.5}, mosaic: {ties: {label: 3}}}"
    )
    assert load_config(tmp_path / "c.yaml", ["steps=7"], "fused").steps == 7
    assert load_config(tmp_path / "c.yaml", ["epochs=7"], "fused").steps is None
    assert load_config(tmp_path / "c.yaml", ["ties.label=0"], "mosaic").ties.label == 0
    of_one = ["recipes.fused.learning_rate=0.25", "learning_rate=0.125"]
    assert load_config(tmp_path / "c.yaml", of_one, "fused").learning_rate == 0.25
    assert load_config(tmp_path / "c.yaml", of_one, "mdico").learning_rate == 0.125
    assert load_config(tmp_path / "c.yaml", recipe="fused").learning_rate == 0.5
    assert over_recipe("fused", own_layer(tmp_path / "c.yaml", ["steps=7"]))["steps"] == 7


@pytest.mark.parametrize("file", sorted(RECIPE_FILES.glob("*.yaml")), ids=lambda file: file.stem)
@pytest.mark.parametrize("recipe", [None, "fused", "mosaic", "simclr", "clip"])
def test_every_recipe_file_fits_every_method(file, recipe):
    config = load_config(file, recipe=recipe)
    assert config.target is not None
    if recipe == "simclr" and "places" not in file.stem:
        assert not config.ties.label


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["target=crop", "method=mdicoo"], "unknown method 'mdicoo'. Did you mean 'mdico'"),
        (["target=crop", "method=single"], "the method single needs modality=NAME"),
        (["target=crop", "modality=s1"], "the method mdico takes all sensors"),
        (["labels=0.5"], "needs target=NAME"),
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
def test_errors_are_reported_by_name(overrides, message):
    with pytest.raises(ValueError, match="The configuration cannot be used") as error:
        load_config(overrides=overrides)
    assert message in str(error.value)


def test_an_unknown_recipe_is_named():
    with pytest.raises(ValueError, match=r"no recipe 'mosaik'.*Did you mean 'mosaic'"):
        recipe_layer("mosaik")


@pytest.mark.parametrize("text", ["stepz: 3\n", "target: a\npaired: {path: a.npz, modalities: {s1: {kind: cube}}}\n"])
def test_every_fault_of_a_file_begins_with_its_path(tmp_path, text):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"^{tmp_path / 'run.yaml'}: "):
        load_config(tmp_path / "run.yaml")
