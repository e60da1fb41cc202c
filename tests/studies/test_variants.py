"""Mirrors src/geotether/studies/variants.py."""

import itertools

import pytest

from geotether.studies.variants import Variant, variants, without


@pytest.mark.parametrize("count", [3, 4, 10])
def test_every_choice_that_is_needed_comes_once(count):
    names = [f"m{i}" for i in range(count)]
    found = {variant.modalities for variant in variants(names)}
    every = {c for size in (1, count - 1, count) for c in itertools.combinations(names, size)}
    assert found == every
    assert len(variants(names)) == 2 * count + 1


def test_of_two_modalities_being_without_one_is_the_other_alone():
    assert variants(["image", "text"]) == [
        Variant("all", ("image", "text")),
        Variant("only text", ("text",)),
        Variant("only image", ("image",)),
    ]
    assert without(["image", "text"], "image").name == "only text"


def test_only_what_is_asked_for():
    assert [v.name for v in variants(["a", "b", "c"], ["c"])] == ["all", "without c", "only c"]


@pytest.mark.parametrize(
    ("names", "wanted", "message"),
    [
        (["image"], None, "two or more, got image"),
        ([], None, "two or more, got none"),
        (["image", "image"], None, "may come once"),
        (["image", "text"], ["imag"], "Unknown modality 'imag'; did you mean 'image'"),
    ],
)
def test_wrong_names_are_said(names, wanted, message):
    with pytest.raises(ValueError, match=message):
        variants(names, wanted)
