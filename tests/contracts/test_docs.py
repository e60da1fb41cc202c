"""Every command and every block of Python in README.md and docs/ runs as printed, on small files."""

import gzip
import importlib.util
import json
import re
import shlex
import shutil
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import typer
import yaml
from PIL import Image
from typer.testing import CliRunner

import geotether
from geotether.cli.app import app, region_joined
from geotether.plugins import Registry
from geotether.prediction.candidates import BASELINES, CANDIDATES
from geotether.probes.geobias import geo_bias

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# Commands that are only parsed: the start of the command, and why.
PARSED = {
    "geotether demo": "takes a minute; tests/demo runs it",
    "geotether data get": "needs the network; tests/datasets and tests/cli/test_data.py run it against a local server",
    "geotether table build walk.gpx": "needs a package to be installed; tests/cli/test_table.py runs it",
    "geotether evaluate world": "fits the readout of an untrained model of its size; README's run with a small one",
    "geotether evaluate runs/first/model --out judged": "takes a minute on the demo planet; the next line runs",
    "geotether export world --out": "takes 15 seconds; tests/encoders/test_graph.py exports smaller models",
    "geotether export MODEL --out FILE.onnx": "as above",
    "hf:": "needs the network; tests/checkpoint/test_hub.py uses a local server",
    "geotether contribution run.yaml --out worth --seeds 3 --budget": "as above",
    "--scheduler": "needs a cluster; tests/featurizing/test_cluster.py runs one",
    "geotether adapt": "takes a minute; tests/cli/test_adapt.py runs it",
    "geotether pretrain recipes/world.yaml": "needs the raw data of ten modalities",
    "geotether paired compare recipes/": "needs published data sets",
    "geotether paired train recipes/": "needs published data sets",
    "geotether evaluate run/model --points DATA": "needs published labels",
    "geotether export world --resolution 0.25": "takes a minute with the large model; the lines before it run",
    "geotether search runs/world/model --evaluate": "needs the tables of its training",
    "geotether map world probe_places.csv": "takes half a minute with the large model; the next line runs",
    "geotether compare MELT=model": "needs the models of a full demo",
}
# Blocks of Python that are only compiled: a line of the block, and why.
COMPILED = {
    "geotether.adapt(": "takes a minute; tests/studies/test_adaptation.py runs it",
    "class GpxSource:": "a plug-in; tests/cli/test_table.py installs and runs it",
    "path = get_dataset(": "needs the network",
    "hf:": "needs the network; tests/checkpoint/test_hub.py uses a local server",
    'InferenceSession("world.onnx")': "tests/encoders/test_graph.py runs such a file, without torch",
    'read_layout("bigearthnet"': "needs a published data set; tests/pairing reads its layout",
    "paper_tasks(": "needs published files; tests/tasks builds these tasks",
    'RasterSource(\n    "bluemarble': "needs a published raster; tests/sources/grids reads such windows",
}
# Options added to make a command quick.
QUICK = {
    "diagnose": "--places 60",
    "contribution": "--seeds 1 --budget 80 --labels 60 --draws 2",
    "compare": "--probe ridge --split own --labels 60 --seeds 1",
    "evaluate": "--seeds 2",
    "search": "--places 1500",
    "serve": "--port 0 --resolution 30",
    "paired compare": "--method linear --no-fine-tune",
}
# The files that stand for the capital words of README's synopsis.
PLACEHOLDERS = {
    "FILE": "birds.csv", "TABLE.parquet": "table.parquet", "CONFIG.yaml": "run.yaml", "DIR": "made",
    "MODEL": "runs/first/model", "POINTS.csv": "sites.csv", "POINTS.parquet": "points.parquet", "COLUMN": "mass",
    "ENCODER": "runs/first/model", "ENCODER...": "runs/first/model", "MODEL...": "runs/first/model",
    "TASKS.yaml": "tasks.yaml",
    "FIELDS.yaml": "fields.yaml", "FIELDS": "fields.yaml", "FILE|MODEL|TABLE": "birds.csv", "key=value": "seed=3",
    "DEG": "5", "LON": "5.66", "LAT": "51.97",
}  # fmt: skip
CODE_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)


def commands(page: Path) -> list[str]:
    """Return every `geotether ...` of a page, in code blocks and between backticks."""
    text, found = page.read_text(), []
    for language, code in CODE_BLOCK.findall(text):
        if language in ("", "sh", "bash", "console"):
            lines = code.replace("\\\n", " ").splitlines()
            found += [line[line.index("geotether ") :] for line in lines if re.match(r"(cd \S+ && )?geotether ", line)]
    for mention in re.findall(r"`(geotether [a-z][^`]*)`", CODE_BLOCK.sub("", text)):
        is_name = re.fullmatch(r"[a-z ]+", mention)  # a command's name in a sentence
        found.append(f"{mention} --help" if is_name else mention)
    return [re.sub(r"\s+", " ", command.split("  #")[0]).strip() for command in found]


def blocks(page: Path) -> list[str]:
    return [code for language, code in CODE_BLOCK.findall(page.read_text()) if language == "python"]


def reason(printed: str, known: dict[str, str]) -> str | None:
    return next((why for start, why in known.items() if start in printed), None)


def argv(command: str) -> list[str]:
    """Split a command, with the placeholders of a synopsis replaced by files."""
    words = [PLACEHOLDERS.get(word.strip("[]"), word.strip("[]")) for word in shlex.split(command)[1:]]
    words = region_joined([word for word in words if word != "..."])
    if words[0] == "predict" and words[1] == PLACEHOLDERS["MODEL"]:
        words[1] = "made-paired/model"  # of the command above
        words[words.index("--out") + 1] = "predicted.csv"
    return [f"made-{words[0]}" if word == PLACEHOLDERS["DIR"] else word for word in words]


def command_tree(command=None) -> dict:
    """Return the command line as nested mappings: name to the commands of a group, or to a command."""
    command = command or typer.main.get_command(app)
    return {name: command_tree(sub) if hasattr(sub, "commands") else sub for name, sub in command.commands.items()}


def command_name(words: list[str]) -> str:
    """Return the name of the command that the words start with, such as "table build"."""
    tree, name = command_tree(), []
    while isinstance(tree, dict):
        assert words[len(name)] in tree, f"geotether {' '.join(words)}: no such command"
        name.append(words[len(name)])
        tree = tree[name[-1]]
    return " ".join(name)


def parse(words: list[str], monkeypatch) -> None:
    """Parse a command line, with options and arguments, without running the command."""
    root = typer.main.get_command(app)
    leaf = root
    for step in command_name(words).split():
        leaf = leaf.commands[step]
    with monkeypatch.context() as parsing:
        parsing.setattr(leaf, "callback", lambda **_: "")
        root.main(words, standalone_mode=False)


def places(rng, rows: int) -> np.ndarray:
    return np.stack([rng.uniform(-180, 180, rows), np.degrees(np.arcsin(rng.uniform(-0.98, 0.98, rows)))], axis=1)


def write_rows(path: Path, lonlat: np.ndarray, **columns) -> None:
    table = pa.table({"lon": lonlat[:, 0], "lat": lonlat[:, 1], **columns})
    if path.suffix == ".csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(table, str(path))
    else:
        pq.write_table(table, path)


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A folder with a small file under each name that the pages use."""
    folder, rng = tmp_path_factory.mktemp("world"), np.random.default_rng(0)
    lonlat = places(rng, 600)
    warmth = np.sin(np.radians(lonlat[:, 1]))
    parts = np.array(["train", "test"])[np.arange(600) % 2]
    kinds = np.where(np.abs(lonlat[:, 1]) < 25, "maize", "rye")
    for name in ("birds.csv", "birds_raw.parquet", "new.csv"):
        write_rows(folder / name, lonlat, mass=warmth + 1, wing=rng.uniform(size=600), diet=kinds)
    (folder / "birds.yaml").write_text(
        "path: birds.csv\nlicence: CC BY 4.0\nfeatures: {name: columns, max_levels: 30}\n"
    )
    write_rows(folder / "sites.csv", lonlat, **{"yield": warmth, "crop": kinds, "split": parts})
    write_rows(folder / "alphaearth.parquet", lonlat, **{f"A{at:02d}": rng.uniform(size=600) for at in range(64)})
    write_rows(folder / "emb.parquet", lonlat, **{f"e{at}": rng.uniform(size=600) for at in range(4)})
    shutil.copy(folder / "emb.parquet", folder / "theirs.parquet")
    texts = [
        {"lon": x, "lat": y, "text": f"{kind} {round(y)} field"} for (x, y), kind in zip(lonlat, kinds, strict=True)
    ]
    with gzip.open(folder / "wiki.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in texts)
    terms = "gbifID\tdecimalLongitude\tdecimalLatitude\tcoordinateUncertaintyInMeters\tclass\torder\toccurrenceStatus\n"
    lines = [
        f"{at}\t{x}\t{y}\t10\tAves\t{'Strigi' if at % 2 else 'Passeri'}formes\tPRESENT\n"
        for at, (x, y) in enumerate(lonlat)
    ]
    with zipfile.ZipFile(folder / "0012345-gbif.zip", "w") as archive:
        archive.writestr("0012345-gbif.csv", terms + "".join(lines))
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / "chip.png")
    (folder / "tasks.yaml").write_text("- {name: warmth, table: sites.csv, label: 'yield', split: split}\n")
    (folder / "code.py").write_text("import numpy as np\ndef f(lon, lat):\n    return np.stack([lon, lat], axis=1)\n")
    for name in ("satellite", "texts", "soil", "places", "birds"):
        features = np.stack([warmth, rng.uniform(size=600)], axis=1).astype(np.float32)
        geotether.write_table(geotether.Table.single(name, lonlat, features), folder / f"{name}.parquet")
    small = {
        "tables": {"satellite": "satellite.parquet", "soil": "soil.parquet"},
        "encoder": {
            "positional": {"name": "spherical_harmonics", "l_max": 3},
            "network": {"name": "siren", "hidden_dim": 16},
            "embed_dim": 8,
        },
        "steps": 4, "batch_size": 32, "warmup_steps": 0, "validate_every": None,
    }  # fmt: skip
    (folder / "run.yaml").write_text(yaml.safe_dump(small))
    tables = {name: geotether.read_table(folder / f"{name}.parquet") for name in small["tables"]}
    config = geotether.load_config(folder / "run.yaml")
    geotether.pretrain(tables, config=config, out=folder / "runs" / "first", progress="none")
    shutil.copytree(folder / "runs" / "first", folder / "demo-out")
    write_checkpoints(folder)
    write_fields(folder, lonlat[:120], rng)
    return folder


def write_checkpoints(folder: Path) -> None:
    """Write checkpoints with the names and shapes of the published ones."""
    found = importlib.util.spec_from_file_location("peer_checkpoints", ROOT / "tests" / "peers" / "conftest.py")
    peers = importlib.util.module_from_spec(found)
    found.loader.exec_module(peers)
    torch.save(peers.satclip_content(), folder / "satclip-vit16-l40.ckpt")
    torch.save(peers.satclip_content(), folder / "satclip-l40.ckpt")
    torch.save(peers.satclip_content(), folder / "their.ckpt")
    torch.save(peers.geoclip_state(), folder / "location_encoder_weights.pth")


def write_fields(folder: Path, lonlat: np.ndarray, rng) -> None:
    """Write the samples of docs/paired.md, and its configuration with a few steps and small encoders."""
    y = np.arange(len(lonlat)) % 3
    s1, s2 = (rng.normal(size=(len(lonlat), 12, 2)) + y[:, None, None] for _ in range(2))
    split = np.array(["train", "train", "train", "validation", "test", "test"])[np.arange(len(y)) // 3 % 6]
    names = np.array(["maize", "rye", "wheat"])
    np.savez(
        folder / "fields.npz", s1=s1, s2=s2, y=y, crop_names=names, split=split, lon=lonlat[:, 0], lat=lonlat[:, 1]
    )
    text = next(
        code for code in CODE_BLOCK.findall((ROOT / "docs" / "paired.md").read_text()) if "# fields.yaml" in code[1]
    )
    encoder = {"name": "tempcnn", "channels": 8, "num_layers": 1, "kernel": 3}
    quick = {"encoders": {"s1": encoder, "s2": encoder}, "dim": 16, "batch_size": 24, "epochs": None, "steps": 3}
    layer = {**yaml.safe_load(text[1]), **quick, "validate_every": 2}
    layer["paired"] |= {"lon": "lon", "lat": "lat"}
    (folder / "fields.yaml").write_text(yaml.safe_dump(layer))


@pytest.fixture
def page_folder(request, world, tmp_path, monkeypatch):
    """A copy of the world for one page, as the current folder."""
    folder = tmp_path / "here"
    shutil.copytree(world, folder)
    if request.node.name in ("test_commands[training.md]", "test_python[README.md]"):  # they write this run
        shutil.rmtree(folder / "runs")
    if request.node.callspec.params["page"].name == "columns-and-texts.md":
        shutil.copy(folder / "birds_raw.parquet", folder / "birds.parquet")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("geotether.serving.server.run", answers_once)
    monkeypatch.setattr("geotether.probes.geobias.geo_bias", partial(geo_bias, max_centers=50))
    monkeypatch.delitem(CANDIDATES, "boosting")
    for slow in ("Gaussian process in space", "coordinates alone"):
        monkeypatch.delitem(BASELINES, slow)
    return folder


def answers_once(app, listener, ready, **options):
    """Stand in for a server that runs until it is stopped: ask it once."""
    from fastapi.testclient import TestClient

    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/model").status_code == 200


def names_for(page: Path, folder: Path) -> dict:
    """Return the objects that the blocks of a page assume."""
    sites = pq.read_table(folder / "emb.parquet")
    rng = np.random.default_rng(1)
    names = {
        "np": np,
        "geotether": geotether,
        "Path": Path,
        "lon": sites["lon"].to_numpy(),
        "lat": sites["lat"].to_numpy(),
    }
    if page.name == "README.md":
        mine = geotether.read_table("satellite.parquet")
        names |= {"lonlat": mine.lonlat, "features": mine.features, "other_table": geotether.read_table("soil.parquet")}
    if page.name in ("evaluation.md", "peers.md", "contribution.md"):
        names |= {"tasks": geotether.read_tasks("tasks.yaml"), "model": geotether.load("runs/first/model")}
        names |= {"their_model": lambda latlon: latlon, "their_function": lambda lat, lon: np.stack([lat, lon], axis=1)}
    if page.name == "contribution.md":
        names["config"] = geotether.load_config("run.yaml")
        names["tables"] = {name: geotether.read_table(f"{name}.parquet") for name in ("satellite", "soil")}
    if page.name == "tools.md":  # its Python reads what its commands write
        for command in commands(page):
            done = CliRunner().invoke(app, argv(command))
            assert done.exit_code == 0, (command, done.output)
    if page.name == "onnx.md":
        geotether.load("runs/first/model").export_graph("model.pt2")
    if page.name == "paired.md":
        names["values"] = rng.normal(size=(5, 12, 2)).astype(np.float32)
    if page.name == "paired-objectives.md":
        names |= {name: torch.randn(6, 4) for name in ("view", "other_view")}
        names |= {
            "labels": torch.randint(0, 2, (6, 3)).float(),
            "present": {s: torch.ones(6).bool() for s in ("s1", "s2")},
        }
        known = rng.integers(0, 2, (60, 3)).astype(float)
        names |= {"train": rng.normal(size=(60, 4)), "train_labels": known, "test": rng.normal(size=(60, 4))}
        names |= {"test_labels": known, "is_validation": np.arange(60) % 3 == 0}
    return names


QUICK_PYTHON = {
    "steps=200": "steps=2, batch_size=16, warmup_steps=0, validate_every=None",
    "seeds=(0, 1, 2), budget=20_000": "seeds=(0,), budget=60, labels=60, draws=2",
    'tasks, "compared")': 'tasks, "compared", ("ridge",), ("own",), (60,), (0,))',
    'evaluate({"theirs": theirs}, tasks)': 'evaluate({"theirs": theirs}, tasks, labels=(60,), seeds=(0, 1))',
    'data="/data"': 'data="."',
}


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_commands(page, page_folder, monkeypatch):
    for command in commands(page):
        words = argv(command)
        if reason(command, PARSED):
            parse(words, monkeypatch)
            continue
        quick = QUICK.get(command_name(words), "") if not {"--help", "--among"} & set(words) else ""
        done = CliRunner().invoke(app, [*words, *shlex.split(quick)])
        assert done.exit_code == 0, (command, done.output, done.exception)


@pytest.fixture
def registries():
    """Forget what the page registers, so that other tests of this process do not see it."""
    before = {kind: dict(registry) for kind, registry in Registry.all.items()}
    yield
    for kind, registry in Registry.all.items():
        for name in set(registry) - set(before.get(kind, registry)):
            del registry[name]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_python(page, page_folder, registries):
    names = names_for(page, page_folder)
    for block in blocks(page):
        for printed, quick in QUICK_PYTHON.items():
            block = block.replace(printed, quick)
        code = compile(block, page.name, "exec")
        if not reason(block, COMPILED):
            exec(code, names)


def test_every_exception_is_still_printed():
    printed = "\n".join(part for page in PAGES for part in [*commands(page), *blocks(page)])
    assert [start for start in [*PARSED, *COMPILED, *QUICK_PYTHON] if start not in printed] == []


def test_files_named_by_commands_exist():
    named = {word for page in PAGES for command in commands(page) for word in command.split() if "recipes/" in word}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
