"""Mirrors src/geotether/studies/paired.py, with paired_judge and paired_report."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from geotether.benchmark.store import ResultStore
from geotether.pairing.open import open_paired
from geotether.studies import paired
from geotether.studies.paired import COLEARNING_STUDY, METHOD_NAMES, TIES_STUDY, compare_paired, paired_variants
from geotether.studies.paired_judge import PairedOutcome, fold_repeats, plain_features, seed_repeats, without_test_rows
from geotether.studies.paired_report import difference_lines, main_measure, score_lines, write_paired_report
from geotether.tables.modality import Modality
from geotether.training.config import own_layer


@pytest.fixture
def given(small_pairing):
    layer = {key: yaml.safe_load(value) for key, value in (line.split("=", 1) for line in small_pairing)}
    encoder = {"name": "tempcnn", "channels": 8, "num_layers": 1, "kernel": 3}
    return {**layer, "encoders": {"radar": encoder, "optical": encoder}, "target": "crop"}


def run(names, table, given, out, repeats=2, **options):
    variants = paired_variants(names, table, list(table.modalities))
    return compare_paired(given, variants, seed_repeats(table, repeats), out, **options)


def test_every_method_is_trained_and_evaluated(make_fields, given, tmp_path):
    found = run(METHOD_NAMES, make_fields(200), {**given, "steps": 2}, tmp_path)
    assert {one.method for one in found} == set(METHOD_NAMES)
    assert {one.how for one in found} == {"direct", "linear probe", "fine-tuned", "embedding"}
    sources = {(one.method, one.source) for one in found if one.how == "direct"}
    assert {("mdico", "radar"), ("mdico", "optical"), ("single", "radar"), ("distilled", "optical")} <= sources
    assert ("fused", "radar+optical") in sources
    assert ("mdico", "radar+optical") not in sources
    assert {one.repeat for one in found} == {0, 1}
    text = write_paired_report(found, "mdico", tmp_path)
    assert "| mdico (direct) minus | judged by | radar | optical |" in text
    assert (tmp_path / "report.md").read_text() == text
    assert len((tmp_path / "outcomes.csv").read_text().splitlines()) == len(found) + 1


def test_finished_parts_are_kept_and_changed_ones_recomputed(make_fields, given, tmp_path, monkeypatch):
    table, trained = make_fields(), []
    pretrain = paired.pretrain
    monkeypatch.setattr(paired, "pretrain", lambda *a, **o: trained.append(1) or pretrain(*a, **o))
    first = run(["fused"], table, given, tmp_path)
    assert len(trained) == 2
    assert run(["fused"], table, given, tmp_path) == first
    assert len(trained) == 2
    run(["fused"], table, {**given, "learning_rate": 0.01}, tmp_path)
    assert len(trained) == 4


def test_the_key_includes_code_that_trains_or_evaluates(make_fields, given, tmp_path, monkeypatch):
    table, codes = make_fields(), {paired.TRAINING: "a", paired.JUDGING: "b"}
    monkeypatch.setattr(paired, "code_hash", codes.get)
    sizes = []
    for change in ({}, {}, {paired.JUDGING: "c"}, {paired.TRAINING: "c"}):
        codes |= change
        run(["linear"], table, given, tmp_path)
        with ResultStore(tmp_path / "outcomes.sqlite") as store:
            sizes.append(len(store))
    assert sizes == [2, 2, 4, 6]


GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def test_the_results_of_an_earlier_version_count(tmp_path, monkeypatch):
    """Made by commit 7f3391b on Python 3.11, as lines of JSON."""
    shutil.copy(GOLDEN / "paired_compare" / "outcomes.jsonl", tmp_path)
    given = own_layer(GOLDEN / "paired_compare" / "study.yaml", [])
    table = open_paired(GOLDEN / "fields.npz")
    for attribute in ("pretrain", "judge_linear"):
        monkeypatch.setattr(paired, attribute, lambda *_, **__: pytest.fail("judged again"))
    found = run(["linear", "single"], table, given, tmp_path)
    lines = (tmp_path / "outcomes.jsonl").read_text().splitlines()
    recorded = [PairedOutcome(**row) for line in lines for row in json.loads(line)["outcomes"]]
    assert found == recorded
    (tmp_path / "outcomes.jsonl").write_text(lines[0][:-9])
    with pytest.raises(ValueError, match=r"outcomes\.jsonl is not a store of results, or damaged"):
        run(["linear"], table, given, tmp_path)


def test_methods_without_labels_are_trained_once_for_all_shares(make_fields, given, tmp_path, monkeypatch):
    table, trained = make_fields(), []
    pretrain = paired.pretrain
    monkeypatch.setattr(paired, "pretrain", lambda *a, **o: trained.append(o["config"].recipe) or pretrain(*a, **o))
    shares = (0.3, 1.0)
    found = run(["clip", "labels alone"], table, {**given, "steps": 2}, tmp_path, labels=shares, fine_tune=False)
    assert sorted(trained) == ["clip"] * 2 + ["mosaic"] * 4
    one = {share: [o.value for o in found if o.method == "clip" and o.labels == share] for share in shares}
    assert len(one[0.3]) == len(one[1.0])
    coherence = {o.labels: o.value for o in found if (o.method, o.measure, o.repeat) == ("clip", "silhouette", 0)}
    assert coherence[0.3] == coherence[1.0]
    text = write_paired_report(found, "clip", tmp_path)
    assert text.count("| clip (embedding) minus | judged by | radar | optical | radar+optical |") == 2 * 3


def test_ablations_apply_to_any_weights(make_fields, given):
    table = make_fields()
    given = {**given, "ties": {"view": 0.5, "sample": 2.0, "label": 3.0, "location": 1.0, "labelled_share": 0.3}}
    names = ["mosaic", "mosaic with location", "mosaic without label", "labels alone", "simclr", "clip"]
    ties = {one.name: one.configure(given, 0, 1.0).ties for one in paired_variants(names, table, ["radar"])}
    weights = {name: (own.view, own.sample, own.label, own.location) for name, own in ties.items()}
    assert weights == {
        "mosaic": (0.5, 2.0, 3.0, 1.0),
        "mosaic with location": (0.5, 2.0, 3.0, 1.0),
        "mosaic without label": (0.5, 2.0, 0.0, 1.0),
        "labels alone": (0.0, 0.0, 3.0, 0.0),
        "simclr": (0.5, 0.0, 0.0, 0.0),
        "clip": (0.0, 2.0, 0.0, 0.0),
    }
    assert [own.labelled_share for own in ties.values()] == [0.3, 0.3, None, 0.3, None, None]


def test_the_linear_baseline_is_a_logistic_regression(make_fields, given, tmp_path):
    table = make_fields(300, gaps=False)
    found = run(["linear"], table, given, tmp_path)
    rows = table.target("crop").known
    x, y = plain_features(table.modality("radar")), table.target("crop").values
    train, test = (rows & (table.split == split) for split in ("train", "test"))
    scale = StandardScaler().fit(x[train])
    scores = []
    for strength in (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0):
        model = LogisticRegression(C=strength, max_iter=2000).fit(scale.transform(x[train]), y[train])
        scores.append(model.score(scale.transform(x[test]), y[test]))
    ours = [one.value for one in found if one.source == "radar" and one.measure == "accuracy"]
    assert min(scores) - 0.02 <= ours[0] == ours[1] <= max(scores) + 0.02


def test_shares_of_labels_are_what_the_probe_sees(make_fields, given, tmp_path):
    found = run(["linear"], make_fields(400), given, tmp_path, labels=(0.03, 1.0))
    at = {
        share: np.mean([one.value for one in found if one.labels == share and one.measure == "accuracy"])
        for share in (0.03, 1.0)
    }
    assert at[0.03] < at[1.0]
    write_paired_report(found, "linear", tmp_path)
    assert (tmp_path / "labels.png").stat().st_size > 10_000


def test_the_key_includes_code_that_fine_tunes(make_fields, given, tmp_path):
    table, given = make_fields(), {**given, "steps": 2}
    keys = []
    for steps in (2, 2, 3):
        run(["simclr"], table, {**given, "recipes": {"fused": {"steps": steps}}}, tmp_path)
        with ResultStore(tmp_path / "outcomes.sqlite") as store:
            keys.append(len(store))
    assert keys == [2, 2, 4]


def test_labels_have_rows_that_overlap_and_numbers_an_r2(make_fields, given, tmp_path):
    flags = run(["linear"], make_fields(400), {**given, "target": "flags"}, tmp_path / "flags")
    assert main_measure(flags) == "macro mAP"
    assert {one.rows for one in flags} == {"all", "overlapping"}
    yields = run(["linear", "simclr"], make_fields(), {**given, "target": "yield"}, tmp_path / "yield")
    assert main_measure(yields) == "R2"
    assert not [one for one in yields if one.how == "embedding"]  # numbers are no label sets


def test_folds_cover_every_row_once_and_keep_groups_whole(make_fields):
    table = make_fields(200)
    repeats = fold_repeats(table, 5)
    tested = np.sum([repeat.table.split == "test" for repeat in repeats], axis=0)
    assert tested.tolist() == [1] * len(table)
    for repeat in repeats:
        for name in ("test", "validation"):
            inside = set(table.group[repeat.table.split == name])
            assert not inside & set(table.group[repeat.table.split != name])


def test_a_fold_is_repeated_with_other_seeds_and_the_same_rows(make_fields):
    table = make_fields(200)
    once, twice = fold_repeats(table, 5, seed=3), fold_repeats(table, 5, seed=3, times=2)
    assert [(one.number, one.seed, one.unit) for one in twice] == [(at, 3 + at, at % 5) for at in range(10)]
    for one, first in zip(twice, once + once, strict=True):
        assert one.table.split.tolist() == first.table.split.tolist()
    with pytest.raises(ValueError, match="1 or more, got 0"):
        fold_repeats(table, 5, times=0)


def test_settings_are_chosen_without_a_test_row(make_fields):
    table = make_fields(200)
    rest = without_test_rows(table)
    assert set(rest.id) == set(table.id[table.split != "test"])
    judged = [repeat.table.id[repeat.table.split == "test"] for repeat in fold_repeats(rest, 4)]
    assert sorted(np.concatenate(judged)) == sorted(rest.id)
    with pytest.raises(ValueError, match="no split with test rows to set aside"):
        without_test_rows(make_fields(split=False))
    with pytest.raises(ValueError, match="no split with test rows to set aside"):
        without_test_rows(rest)


def test_the_report_says_how_often_and_which_differences_are_sure(tmp_path):
    def outcomes(method, values):
        return [
            PairedOutcome(method, "s1", "direct", 1.0, at, "accuracy", value, unit=at % 5)
            for at, value in enumerate(values * 2)
        ]

    found = outcomes("mdico", [0.50, 0.61, 0.52, 0.60, 0.57]) + outcomes("single", [0.40, 0.50, 0.41, 0.51, 0.46])
    found += outcomes("shared", [0.47, 0.60, 0.50, 0.54, 0.53]) + outcomes("fused", [0.47, 0.69, 0.50, 0.54, 0.53])
    text = write_paired_report(found, "mdico", tmp_path, shared=1 / 3)
    assert "Mean accuracy of 5 folds, each trained 2 times and averaged" in text
    assert "| single | direct | **+10.4 [9.3, 11.5]** † |" in text
    assert "| shared | direct | **+3.2 [0.8, 5.6]** |" in text  # without the dagger: wider it holds zero
    assert "| fused | direct | +1.4" in text
    single = [one for one in found if one.method == "single"]
    single += [replace(one, how="embedding", measure="AMI") for one in single]
    alone = write_paired_report(single, "single", tmp_path)
    assert "Embeddings, AMI" in alone
    assert "minus" not in alone
    assert "†" not in write_paired_report(found, "mdico", tmp_path).replace("trained", "")


def test_chips_as_plain_features():
    chips = np.random.default_rng(0).integers(0, 255, (4, 2, 5, 5)).astype(np.uint8)
    features = plain_features(Modality("chip", chips))
    assert features.shape == (4, 10)
    np.testing.assert_allclose(features[:, 0], chips[:, 0].reshape(4, -1).mean(1), rtol=1e-5)
    np.testing.assert_allclose(features[2, 7], np.median(chips[2, 1]), rtol=1e-5)


def test_unknown_methods_and_missing_parts_are_named(make_fields):
    table = make_fields()
    with pytest.raises(ValueError, match=r"Unknown method 'mosaik'. Did you mean 'mosaic'\?"):
        paired_variants(["mosaik"], table, ["radar"])
    with pytest.raises(ValueError, match="'fused' is named twice"):
        paired_variants(["fused", "fused"], table, ["radar"])
    with pytest.raises(ValueError, match="folds must be 3 or more"):
        fold_repeats(table, 2)
    with pytest.raises(ValueError, match="judge by folds instead"):
        seed_repeats(make_fields(split=False), 5)
    assert set(COLEARNING_STUDY) | set(TIES_STUDY) <= set(METHOD_NAMES)
    assert "mosaic with location" not in TIES_STUDY  # a table may have no places
    assert score_lines([], "accuracy", 1.0).count("\n") == 1
    assert difference_lines([], "mdico", "direct", "accuracy", 1.0) == ""
