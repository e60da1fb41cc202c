"""Mirrors src/geotether/cli/contribution.py."""

import numpy as np
import pytest

from geotether.cli.contribution import contribution
from geotether.tables.store import write_table
from geotether.tables.table import Table


@pytest.fixture
def study(tmp_path):
    """Two tables, a configuration and labelled points."""
    rng = np.random.default_rng(0)

    def places(rows):
        return np.stack([rng.uniform(-180, 180, rows), np.degrees(np.arcsin(rng.uniform(-0.98, 0.98, rows)))], -1)

    for name, width in (("colour", 3), ("sound", 2)):
        lonlat = places(150)
        features = np.sin(np.radians(lonlat[:, 1:])) + 0.1 * rng.standard_normal((150, width))
        write_table(Table.single(name, lonlat, features.astype(np.float32)), tmp_path / f"{name}.parquet")
    (tmp_path / "run.yaml").write_text(
        "tables: {colour: colour.parquet, sound: sound.parquet}\n"
        "encoder:\n  positional: {name: spherical_harmonics, l_max: 3}\n  network: {name: siren, hidden_dim: 16}\n"
        "  embed_dim: 8\nsteps: 30\nbatch_size: 32\nwarmup_steps: 2\nvalidate_every: null\n"
    )
    sites = places(600)
    lines = [f"{x:.4f},{y:.4f},{np.sin(np.radians(y)):.4f}" for x, y in sites]
    (tmp_path / "sites.csv").write_text("\n".join(["lon,lat,warmth", *lines]))
    return tmp_path


def test_from_configuration_to_tables(study):
    said = contribution(
        study / "run.yaml", study / "out", seeds=2, budget=120,
        points=study / "sites.csv", label=["warmth"], labels=200, draws=2,
    )  # fmt: skip
    assert "Added to the others (points)" in said
    assert "| task | colour | sound |" in said
    assert "6 runs of 20 steps" in said
    assert (study / "out" / "contribution.md").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": ["warmth"]}, "--points and --label belong together"),
        ({"seeds": 0}, "--seeds must be 1 or more"),
        ({"overrides": ["stesp=3"]}, "stesp"),
        ({"modality": ["smell"]}, "Unknown modality 'smell'"),
        ({"budget": 50, "seeds": 2}, "set the budget to 120 or more"),
    ],
)
def test_wrong_options_are_reported(study, options, message):
    with pytest.raises(ValueError, match=message):
        contribution(study / "run.yaml", study / "out", **options)
    assert not (study / "out").exists()


def test_a_configuration_with_one_table(study):
    (study / "one.yaml").write_text("tables: {colour: colour.parquet}\nsteps: 30\n")
    with pytest.raises(ValueError, match="two or more, got colour"):
        contribution(study / "one.yaml", study / "out")
