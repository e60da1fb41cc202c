"""What docs/paired-data.md shows is what the code takes."""

import re
from pathlib import Path

import pytest

from geotether.pairing.specification import make_spec
from geotether.settings import parse_yaml

PAGE = (Path(__file__).parents[2] / "docs" / "paired-data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_every_example_is_a_specification(block):
    assert make_spec(parse_yaml(block, "the page")).path


def test_a_table_from_python_equals_the_documentation():
    block = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[-1]
    made = {}
    exec(block, made)
    assert made["table"].modality("s2").present.tolist() == [True, False, True]
    assert made["table"].target("crop").names == ("maize", "rye")
