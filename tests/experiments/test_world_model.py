"""Mirrors experiments/world_model.py: what its command line takes."""

import shlex


def test_the_commands_of_its_own_text_are_understood(script):
    lines = [line.strip() for line in script.__doc__.splitlines() if "world_model.py" in line]
    asked = [
        script.parsed(shlex.split(line.replace("[", "").replace("]", "").replace(" ...", ""))[2:]) for line in lines
    ]
    assert [one.what for one in asked] == ["judge", "places", "worth"]
    assert asked[0].models == ["world=runs/world/model", "NAME=MODEL"]
    assert (asked[2].without, asked[2].only) == (["climate"], ["satellite"])
