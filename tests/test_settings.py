"""Mirrors src/geotether/settings.py."""

import pytest

from geotether.settings import parse_override, parse_yaml, read_layer


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


def test_unsafe_tags_are_refused():
    with pytest.raises(ValueError, match="a test is not valid YAML"):
        parse_yaml("!!python/object/apply:os.getcwd []", "a test")


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
