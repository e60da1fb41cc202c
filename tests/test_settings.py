"""Mirrors src/geotether/settings.py."""

import pytest

from geotether.settings import parse_override, parse_yaml, read_layer, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2.5E+3", -2500.0),
        ("3", 3),
        ("1.5", 1.5),
        ("null", None),
        ("true", True),
        ("[1, 16]", [1, 16]),
        ("sphere_c", "sphere_c"),
        ("'1e-4'", "1e-4"),
        ("e5", "e5"),
    ],
)
def test_values_are_yaml_and_exponents_are_numbers(text, value):
    parsed = parse_yaml(text, "a test")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.getcwd []",
        "steps: !!int ''",
        "steps: !!bool x",
        "steps: !!timestamp x",
        "steps: !!float x",
        "steps: !!binary é",
        "when: 2024-13-45",
        "steps: 1\nseed: 2\nsteps: 3",
        "name: {a: {b: 1, b: 2}}",
        "{[1]: 2}",
        "{{a: b}: c}",
        "a: *gone",
        "steps: [1, 2",
        "a: \x07",
        "&a [*a]",
        "".join(
            f"- &{name} [{', '.join([item] * 99)}]\n" for item, name in ("xa", ("*a", "b"), ("*b", "c"), ("*c", "d"))
        ),
        "[" * 5000,
        "- " * 5000 + "a",
    ],
)
def test_values_that_yaml_cannot_contain_are_an_error_that_names_the_file(tmp_path, text):
    (tmp_path / "odd.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.yaml"):
        read_yaml(tmp_path / "odd.yaml")


@pytest.mark.parametrize("content", ["steps: 3 # é".encode("latin-1"), "steps: 3".encode("utf-16")])
def test_a_file_in_another_encoding_is_named(tmp_path, content):
    (tmp_path / "odd.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"odd\.yaml is not UTF-8"):
        read_layer(tmp_path / "odd.yaml")


def test_a_byte_order_mark_and_merged_keys_are_read(tmp_path):
    text = "base: &base {steps: 1, seed: 2}\nrun: {<<: *base, steps: 3}\n"
    (tmp_path / "bom.yaml").write_text(text, encoding="utf-8-sig")
    assert read_layer(tmp_path / "bom.yaml")["run"] == {"steps": 3, "seed": 2}


def test_an_override_may_hold_an_equals_sign():
    assert parse_override("tables.text=a=b.parquet") == {"tables": {"text": "a=b.parquet"}}


@pytest.mark.parametrize("override", ["steps", "=3", "encoder..l_max=3", ".steps=1"])
def test_a_malformed_override_is_named(override):
    with pytest.raises(ValueError, match="written key=value"):
        parse_override(override)


def test_a_file_must_hold_a_mapping(tmp_path):
    (tmp_path / "list.yaml").write_text("- steps\n")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    with pytest.raises(ValueError, match=r"must hold `key: value` lines, got a list"):
        read_layer(tmp_path / "list.yaml")
    assert read_layer(tmp_path / "empty.yaml") == {}
    with pytest.raises(FileNotFoundError, match=r"no configuration file .*gone\.yaml"):
        read_layer(tmp_path / "gone.yaml")
