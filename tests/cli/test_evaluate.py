"""Mirrors src/geotether/cli/evaluate.py: which rows are judged, and what is said about the scores."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.diagnostics.places import even_places
from geotether.tables.store import write_table
from geotether.tables.table import Table

MODEL = Path(__file__).parents[1] / "data" / "golden" / "model"
RNG = np.random.default_rng(0)


def write_points(path, lonlat, **columns):
    pq.write_table(pa.table({"lon": lonlat[:, 0], "lat": lonlat[:, 1], **columns}), path)
    return path


@pytest.fixture
def region(tmp_path):
    """438 places within 30 km."""
    lonlat = np.stack([RNG.uniform(7, 7.4, 438), RNG.uniform(50, 50.27, 438)], axis=1)
    return write_points(tmp_path / "region.parquet", lonlat, h=np.sin(20 * lonlat[:, 0]) + RNG.normal(0, 0.3, 438))


def test_test_rows_of_one_class_get_no_score(geotether, tmp_path):
    lonlat = even_places(400)
    split = np.where(lonlat[:, 0] > 0, "train", "test")
    owl = np.where((split == "train") & (np.arange(400) % 50 == 0), "present", "absent")
    points = write_points(tmp_path / "few.parquet", lonlat, owl=owl, split=split)
    options = ("--points", points, "--label", "owl", "--split", "own", "--seeds", 2, "--labels", 60)
    status, said, _ = geotether("evaluate", MODEL, *options, "--out", tmp_path / "out")
    assert status == 0
    assert said.startswith("Task 'owl', split 'own': all ")
    assert "judged rows have one class, 'absent'" in said
    assert "1.000" not in said
    assert "**" not in said
    page = (tmp_path / "out" / "report.html").read_text()
    assert "judged rows have one class" in page
    assert "1.000" not in page


def test_an_error_about_a_small_region_suggests_a_split_that_works(geotether, region):
    options = ("evaluate", MODEL, "--points", region, "--label", "h", "--seeds", 2)
    status, _, errors = geotether(*options)
    assert status == 1
    assert "region.parquet has no column 'split'" in errors
    named = errors.split("Give --split ")[1].split(",")[0]
    assert named == "blocks-10km"
    errors = geotether("evaluate", MODEL, "--points", region, "--label", "hh", "--seeds", 2)[2]
    assert "no label column 'hh'" in errors
    assert "'split'" not in errors
    status, said, errors = geotether(*options, "--split", "blocks-5km")
    assert status == 0, errors
    assert "blocks-5km split" in said
    assert " [" in said.split("| xyz |")[1].splitlines()[0]
    status, said, errors = geotether(*options, "--block-km", 10)
    assert status == 0, errors
    assert "blocks-10km split" in said
    assert "Split 'random' of h: no interval can be given" in said
    random = said.split("random split,")[1]
    assert "[" not in random.split("| xyz |")[1].splitlines()[0]


def test_errors_name_options_that_exclude_each_other_or_leave_nothing(geotether, region):
    options = ("evaluate", MODEL, "--points", region, "--label", "h")
    assert "--block-km" in geotether(*options, "--split", "own", "--block-km", 10)[2]
    assert "--buffer-km" in geotether(*options, "--block-km", 5, "--buffer-km", 100)[2]


def test_the_number_of_labels_is_explained_and_can_be_chosen(geotether, tmp_path):
    lonlat = even_places(600)
    points = write_points(tmp_path / "sites.parquet", lonlat, h=lonlat[:, 1])
    options = ("evaluate", MODEL, "--points", points, "--label", "h", "--split", "random", "--seeds", 2)
    said = geotether(*options)[1]
    assert "243 labels: the most of 243, 810, 2,700, ... that 480 training rows allow; --labels 480 uses all." in said
    every = geotether(*options, "--labels", 480)[1]
    assert "random split, 480 labels" in every
    assert "allow" not in every
    assert geotether(*options, "--labels", 480, "--seed", 7)[1] != every


def test_a_label_that_the_model_was_trained_on_is_reported_first(geotether, tmp_path):
    lonlat = even_places(300)
    ph = RNG.normal(6, 1, 300)
    table = Table.single("soil", lonlat, np.stack([ph, RNG.normal(0, 1, 300)], axis=1).astype(np.float32))
    write_table(table, tmp_path / "soil.parquet")
    (tmp_path / "run").mkdir()
    model = shutil.copytree(MODEL, tmp_path / "run" / "model")
    provenance = json.loads((model / "provenance.json").read_text())
    provenance["tables"] = {"soil": {**provenance["tables"]["colour"], "sha256": table.content_hash}}
    (model / "provenance.json").write_text(json.dumps(provenance))
    (tmp_path / "run" / "config.yaml").write_text(f"tables: {{soil: {tmp_path / 'soil.parquet'}}}\n")
    points = write_points(tmp_path / "sites.parquet", lonlat, acidity=-ph, other=RNG.normal(0, 1, 300))
    options = ("--points", points, "--label", "acidity", "--label", "other", "--split", "random", "--seeds", 2)
    status, said, errors = geotether("evaluate", model, *options, "--out", tmp_path / "out")
    assert status == 0, errors
    assert said.startswith("LEAK: the label of task 'acidity' is (nearly) the feature 0")
    assert "task 'other'" not in said
    assert "LEAK: " in (tmp_path / "out" / "report.html").read_text()


def test_whole_numbers_may_be_codes_of_classes(geotether, tmp_path):
    lonlat = even_places(300)
    codes = np.digitize(lonlat[:, 1], [-20, 20])
    points = write_points(tmp_path / "sites.parquet", lonlat, code=codes, h=lonlat[:, 1])
    options = ("evaluate", MODEL, "--points", points, "--split", "random", "--seeds", 2, "--labels", 200)
    warning = "'code' has 3 different values"
    numbers = geotether(*options, "--label", "code", "--label", "h")
    classes = geotether(*options, "--label", "code", "--kind", "classification")
    assert (numbers[0], classes[0]) == (0, 0), numbers[2] + classes[2]
    assert warning in numbers[2]
    assert "'h' has" not in numbers[2]
    assert "R2" in numbers[1]
    assert warning not in classes[2]
    assert "accuracy" in classes[1]
    assert "R2" not in classes[1]


CLASSES = np.array(["north", "middle", "south"])


def test_missing_labels_of_categories_stay_missing(geotether, tmp_path):
    """900 rows, a class by latitude, 570 of them without a label; the same as texts and in other types."""
    lonlat, said = even_places(900), {}
    zone = CLASSES[np.digitize(lonlat[:, 1], [-20, 20])].tolist()
    texts = pa.array([name if row < 330 else None for row, name in enumerate(zone)])
    columns = {"text": texts, "category": texts.dictionary_encode()}
    columns |= {"large text": texts.cast(pa.large_string()), "text view": texts.cast(pa.string_view())}
    for one, column in columns.items():
        points = write_points(tmp_path / "sites.parquet", lonlat, zone=column)
        options = ("--points", points, "--label", "zone", "--split", "random", "--seeds", 2, "--labels", 264)
        status, said[one], errors = geotether("evaluate", MODEL, *options)
        assert status == 0, errors
    assert len(set(said.values())) == 1
    assert float(said["text"].split("| nearest in space | ")[1].split()[0].strip("*")) > 0.85
    assert float(said["text"].split("| mean | ")[1].split()[0]) < 0.6  # 570 rows of one class would give 0.75


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        (pa.decimal128(9, 2), "R2"), (pa.decimal32(7, 2), "R2"), (pa.float16(), "R2"), (pa.int16(), "R2"),
        (pa.uint64(), "R2"), (pa.bool_(), "accuracy"), (pa.string(), "accuracy"), (pa.date32(), None),
        (pa.timestamp("ms"), None), (pa.duration("s"), None), (pa.time32("s"), None), (pa.binary(), None),
        (pa.list_(pa.int64()), None), (pa.struct({"a": pa.int64()}), None),
    ],
)  # fmt: skip
def test_labels_of_every_type_are_numbers_classes_or_refused_by_name(geotether, tmp_path, kind, metric):
    lonlat = even_places(300)
    whole = np.round(lonlat[:, 1] + 90).astype(np.int64)
    values = whole.tolist()
    if metric == "accuracy":
        values = [value > 90 if pa.types.is_boolean(kind) else f"band {value // 60}" for value in values]
    elif pa.types.is_decimal(kind):
        values = [f"{value}.25" for value in values]
    elif pa.types.is_list(kind) or pa.types.is_struct(kind):
        values = [[value] if pa.types.is_list(kind) else {"a": value} for value in values]
    elif pa.types.is_binary(kind):
        values = [str(value).encode() for value in values]
    column = (
        pa.array(values).cast(kind)
        if pa.types.is_decimal(kind) or pa.types.is_float16(kind)
        else pa.array(values, kind)
    )
    points = write_points(tmp_path / "sites.parquet", lonlat, val=column)
    options = ("--points", points, "--label", "val", "--split", "random", "--seeds", 2, "--labels", 200)
    status, said, errors = geotether("evaluate", MODEL, *options)
    if metric is None:
        assert status == 1
        assert "'val'" in errors
    else:
        assert status == 0, errors
        assert f"val, {metric}" in said
