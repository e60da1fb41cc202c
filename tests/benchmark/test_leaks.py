"""Mirrors src/geotether/benchmark/leaks.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from geotether.benchmark.leaks import leak_notes
from geotether.benchmark.plan import plan_tasks
from geotether.diagnostics.places import even_places
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tasks.task import Task

RNG = np.random.default_rng(0)
PLACES = even_places(300)
PH, CLAY, NOISE = RNG.normal(6, 1, 300), RNG.exponential(5, 300), RNG.standard_normal(300)
ZONE = np.where(PLACES[:, 1] > 20, "north", np.where(PLACES[:, 1] < -20, "south", "middle"))
FEATURES = np.stack([(PH - 6) / 2, np.log(CLAY), ZONE == "north", ZONE == "south"], axis=1).astype(np.float32)
NAMES = ["ph", "log clay", "zone=north", "zone=south"]


def trained_on(table, found=True):
    """An encoder whose provenance names one table, which is still there or not."""
    provenance = {"tables": {"soil": {"sha256": table.content_hash, "rows": len(table), "features": NAMES}}}
    return SimpleNamespace(model=SimpleNamespace(provenance=provenance, found={"soil": table} if found else {}))


SOIL = Table.single("soil", PLACES, FEATURES, origin=Origin(made={"features": NAMES}))


def notes(encoder, labels, places=PLACES, name="label", kind="regression", split="random"):
    plans = plan_tasks([Task(name, kind, places, labels)], (split,), (20,), (0,), "test", 0.0)
    return leak_notes({"mine": encoder}, plans, lambda model: model.found)


@pytest.mark.parametrize(
    ("labels", "kind", "feature"),
    [
        (PH, "regression", "'ph'"),
        (-3 * PH + 0.05 * NOISE, "regression", "'ph'"),  # renamed, another unit, rounded
        (CLAY, "regression", "'log clay'"),  # of which the table holds the logarithm
        (ZONE, "classification", "'zone="),
        (PH + 0.8 * np.log(CLAY), "regression", "sum of the features"),
    ],
)
def test_a_label_that_was_a_training_feature_is_found_under_another_name(labels, kind, feature):
    (note,) = notes(trained_on(SOIL), labels, kind=kind)
    assert note.startswith("LEAK: the label of task 'label'")
    assert feature in note
    assert "60 of 60 judged places" in note


def test_other_labels_and_other_places_are_no_leak():
    assert notes(trained_on(SOIL), NOISE) == []
    assert notes(trained_on(SOIL), 0.7 * PH + NOISE) == []
    assert notes(trained_on(SOIL), PH, even_places(300, seed=9)) == []
    assert notes(SimpleNamespace(), PH) == notes(lambda lonlat: lonlat, PH) == []


def test_rows_that_the_table_held_out_are_no_leak():
    part = np.where(PLACES[:, 0] > 0, "test", "train")
    held = Table.single("soil", PLACES, FEATURES, split=part)
    for rows, count in ((part == "test", 0), (part == "train", 1)):
        assert len(notes(trained_on(held), PH[rows], PLACES[rows])) == count


@pytest.mark.parametrize(("name", "found"), [("pH", 1), ("Clay", 1), ("zone", 1), ("height", 0)])
def test_without_the_table_names_are_compared(name, found):
    said = notes(trained_on(SOIL, found=False), NOISE, name=name)
    assert len(said) == found
    assert all("the table is gone" in note for note in said)


def test_a_model_folder_of_an_earlier_version_records_no_names():
    encoder = trained_on(SOIL, found=False)
    del encoder.model.provenance["tables"]["soil"]["features"]
    assert notes(encoder, PH) == []
