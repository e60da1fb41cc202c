"""What README promises is there, and its code runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

from geotether.cli.app import app
from geotether.encoders.build import build_location_encoder
from geotether.tables.table import Table
from geotether.training.pretraining import pretrain

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def table(name):
    rng = np.random.default_rng(len(name))
    lonlat = np.stack([rng.uniform(-180, 180, 300), rng.uniform(-80, 80, 300)], -1)
    return Table.single(name, lonlat, rng.standard_normal((300, 4), np.float32))


def test_the_code_on_the_first_screen_runs(tmp_path):
    code = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    small = ["steps=2", "batch_size=16", "encoder.network.hidden_dim=8", "warmup_steps=0", "validate_every=null"]
    import geotether

    config = geotether.load_config(overrides=small)
    pretrain({"mine": table("mine")}, config=config, out=tmp_path / "demo-out", progress="none")
    code = code.replace("demo-out/", f"{tmp_path}/demo-out/").replace("runs/first", f"{tmp_path}/runs/first")
    code = code.replace("steps=200", "steps=2, batch_size=16, warmup_steps=0, validate_every=None")
    mine = table("mine")
    names = {"lonlat": mine.lonlat, "features": mine.features, "other_table": table("other")}
    exec(compile(code, "README.md", "exec"), names)
    assert names["embedding"].shape == (3, names["model"].dim)
    assert (tmp_path / "runs" / "first" / "model" / "model.safetensors").is_file()


def test_the_commands_are_those_of_the_command_line():
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"^geotether (\w+)", README, re.M)) == known


def test_make_has_the_two_targets():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_the_encoder_of_the_docs_can_be_built():
    yaml = pytest.importorskip("yaml")
    text = re.search(r"```yaml\n(encoder:.*?)```", (ROOT / "docs" / "encoders.md").read_text(), re.S).group(1)
    assert build_location_encoder(yaml.safe_load(text)["encoder"], seed=0).handout_dim == 1248  # 961 + 256, rounded up
