"""Every shape annotation of the package is checked while the tests run."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import typer


def jaxtyped(typechecker, of_shapes=jaxtyping.jaxtyped):
    """Check shapes where annotations have any, and types alone elsewhere, which takes a tenth of the time of a call.

    Quotes are in the names of what is imported for type checkers alone, which `jaxtyping` leaves out.
    """

    def decorated(defined):
        hints = list(map(inspect.formatannotation, getattr(defined, "__annotations__", {}).values()))
        plain = inspect.isfunction(defined) and not any("jaxtyping" in hint or "'" in hint for hint in hints)
        return (typechecker if plain else of_shapes(typechecker=typechecker))(defined)

    return decorated


jaxtyping.jaxtyped = jaxtyped  # the decorator that the hook writes
# As of `jaxtyping`, violations are TypeErrors.
CHECKS = "beartype.BeartypeConf(is_pep484_tower=True, violation_type=TypeError)"
jaxtyping.install_import_hook("geotether", f"beartype.beartype(conf={CHECKS})")

typer.main.get_command = functools.cache(typer.main.get_command)  # the command line is not made anew for each call
os.fsync = lambda descriptor: None  # a test does not outlive a loss of power

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Real data beside the checkout, for tests that can use it; they skip where it is not."""
    if not SHARED.is_dir():
        pytest.skip(f"real data are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def torchvision_imports():
    """Let torchvision be imported beside a torch for CPUs.

    The registry's torchvision is built for CUDA; without CUDA its compiled operators do not load, and its import fails
    on the two of them that it describes. Neither is used for transforms or backbones, so declaring them is enough.
    """
    from torch import library

    try:
        import torchvision
    except RuntimeError:
        operators = library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision


@pytest.fixture
def make_outcomes():
    """Outcomes of made-up predictions: every encoder is as good as its `quality`, 0 (noise) to 1 (perfect)."""
    import numpy as np

    from geotether.benchmark.outcome import Outcome, block_sums, score_of_sums

    def make(
        quality=None, tasks=("elevation",), labels=(2700,), splits=("own",), seeds=range(3), probe="ridge", rows=400
    ):
        found = []
        for encoder, good in (quality or {"ours": 0.9, "xyz": 0.3}).items():
            its_probe = {"nearest in space": "neighbors_in_space", "mean": "mean"}.get(encoder, probe)
            for task in tasks:
                for split in splits:
                    for count in labels:
                        for seed in seeds:
                            rng = np.random.default_rng([seed, len(task), count])
                            true, noise = rng.standard_normal((2, rows))
                            predicted = true + (1 - good) ** 0.5 * noise
                            blocks, sums = block_sums("R2", true, predicted, np.arange(rows) % 20 + 20 * (seed % 2))
                            value = float(score_of_sums("R2", sums.sum(axis=0)))
                            found.append(
                                Outcome(task, encoder, its_probe, split, count, seed, "", "R2", value, "", blocks, sums)
                            )
        return found

    return make


@pytest.fixture(scope="session")
def make_fields():
    """Samples that a radar and an optical sensor saw: both know the crop, each knows something of its own."""
    import numpy as np

    from geotether.tables.modality import Modality
    from geotether.tables.table import Table
    from geotether.tables.target import Target

    def make(rows=120, gaps=True, seed=0, split=True):
        rng = np.random.default_rng(seed)
        crop = rng.integers(0, 3, rows)
        season = np.sin(np.linspace(0, 3, 6))
        radar = rng.standard_normal((rows, 6, 2)) + 1.2 * crop[:, None, None] * season[None, :, None]
        optical = rng.standard_normal((rows, 6, 3)) - 2.0 * crop[:, None, None] * season[None, :, None]
        if gaps:
            radar[rng.random((rows, 6)) < 0.1] = np.nan
            optical[5] = np.nan  # a sample without optical
        known = crop.copy()
        known[rng.random(rows) < 0.1] = -1
        chance = rng.random((2, rows)) < 0.4
        flags = np.stack([crop == 0, crop >= 1, *chance], axis=1).astype(float)
        flags[known < 0] = np.nan
        targets = {
            "crop": Target("classes", known, ("maize", "rye", "wheat")),
            "flags": Target("labels", flags, ("low", "high", "odd", "late")),
            "yield": Target("numbers", np.where(known < 0, np.nan, 5.0 + 2 * crop), ("yield (t/ha)",)),
        }
        parts = np.array(["train", "train", "train", "validation", "test"])[np.arange(rows) % 5]
        lonlat = np.stack([rng.uniform(-179, 179, rows), rng.uniform(-60, 70, rows)], axis=1)
        sensors = {"radar": Modality("series", radar), "optical": Modality("series", optical)}
        group = np.array([f"block {row // 4}" for row in range(rows)])
        return Table(
            "fields", sensors, targets, lonlat=lonlat, split=parts if split else None, group=group if split else None
        )

    return make


@pytest.fixture(scope="session")
def small_pairing():
    """Overrides that make a run on `make_fields` take a second."""
    encoder = "{name: tempcnn, channels: 8, num_layers: 1, kernel: 3}"
    return [
        f"encoders={{radar: {encoder}, optical: {encoder}}}",
        "dim=16",
        "batch_size=24",
        "device=cpu",
        "epochs=null",
        "steps=12",
        "validate_every=4",
    ]


@pytest.fixture(scope="session")
def write_geotiff():
    """Write cells (height, width) or (bands, height, width) into a GeoTIFF: of the whole world, unless placed."""
    import warnings

    import numpy as np

    rasterio = pytest.importorskip("rasterio")

    def write(path, cells, transform=None, crs="EPSG:4326", driver="GTiff", names=(), scales=(), offsets=(), **profile):
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = np.asarray(cells)
        count, height, width = (1,) * (3 - cells.ndim) + cells.shape
        if transform is None and crs is not None:
            transform = (360 / width, 0, -180, 0, -180 / height, 90)
        grid = None if transform is None else rasterio.Affine(*transform)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path, "w", driver, width, height, count, crs, grid, cells.dtype, **profile) as file:
                file.write(cells.reshape(count, height, width))
                for attribute, values in {"descriptions": names, "scales": scales, "offsets": offsets}.items():
                    if values:
                        setattr(file, attribute, values)
        return path

    return write


@pytest.fixture
def damaged() -> Callable[..., Iterator[bytes]]:
    """Cut files short or change some of their bytes, mostly near the beginning, in the same way every time."""

    def copies(content: bytes, count: int, head: int = 200) -> Iterator[bytes]:
        rng = np.random.default_rng(0)
        for _ in range(count):
            copy = bytearray(content[: rng.integers(1, len(content)) if rng.random() < 0.2 else None])
            for _ in range(rng.integers(1, 4)):
                copy[rng.integers(min(len(copy), head) if rng.random() < 0.7 else len(copy))] = rng.integers(256)
            yield bytes(copy)

    return copies


@pytest.fixture
def make_context_encoder():
    """A location encoder with a context of rasters (a planet, half of it known) and observations (a country)."""
    from geotether.encoders.build import build_location_encoder
    from geotether.encoders.context import LocalContext

    def make(seed=0, **settings):
        rng = np.random.default_rng(seed)
        planet = {"source": "rasters", "scale_km": 300.0, "west": -180.0, "north": 90.0, "step": 5.0}
        country = {"source": "observations", "scale_km": 25.0, "west": 3.0, "north": 54.0, "step": 0.25}
        levels = [
            {**planet, "rows": 37, "columns": 72, "groups": {"land": 4, "lights": 2}},
            {**planet, "scale_km": 900.0, "step": 10.0, "rows": 19, "columns": 36, "groups": {"land": 4, "lights": 2}},
            {**country, "rows": 17, "columns": 21, "groups": {"rain": 3}},
        ]
        context = LocalContext(levels)
        for number, (level, dim) in enumerate(zip(levels, context.dims, strict=True)):
            lat = np.radians(level["north"] - np.arange(level["rows"]) * level["step"])[:, None]
            lon = np.radians(level["west"] + np.arange(level["columns"]) * level["step"])[None]
            xyz = np.stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon), -1)
            waves = np.sin(xyz @ rng.normal(0, (3, 3, 60)[number], (3, dim)) + rng.uniform(0, 6.28, dim))
            known = np.ones(waves.shape[:2], bool) if number == 2 else waves[..., 0] > -0.7
            context.fill(number, waves.astype(np.float32), known)
        config = {
            "positional": {"name": "spherical_harmonics", "l_max": 6, "taper_degree": 5.0, "scale": 21.5},
            "network": {"name": "mlp", "hidden_dim": 16, "dropout": 0.3},
            "embed_dim": 8,
            "readout": "projected",
            "network_degree": 3,
            "dim": 40,
        }
        return build_location_encoder(config | settings, seed, context).eval()

    return make


@pytest.fixture(scope="session")
def trained():
    """An encoder trained on 600 places: texts name the quarter of the Earth, images and columns show the latitude."""
    import pyarrow as pa

    from geotether.features.columns import ColumnFeatures
    from geotether.features.convolution import RandomConvolution
    from geotether.features.ngrams import NgramFeatures
    from geotether.tables.featurize import featurize_chips, featurize_texts
    from geotether.tables.table import Table
    from geotether.training.pretraining import pretrain

    small = {"positional": {"l_max": 6}, "network": {"hidden_dim": 32}, "embed_dim": 32, "dim": 16}
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 600), np.degrees(np.arcsin(rng.uniform(-0.9, 0.9, 600)))], axis=1)
    split = np.where(np.arange(600) % 5 == 0, "validation", "train")
    words = np.array(["walrus fjord", "kangaroo reef", "bison prairie", "llama pampas"])
    quarter = 2 * (lonlat[:, 0] < 0) + (lonlat[:, 1] < 0)
    texts = [f"{words[at]} {rng.integers(100)}" for at in quarter]
    level = np.clip(128 + lonlat[:, 1, None, None, None] * 1.3, 0, 255)
    chips = np.clip(level + rng.normal(0, 25, (600, 8, 8, 3)), 0, 255).astype(np.uint8)
    climate = pa.table({"warmth": 30 - np.abs(lonlat[:, 1]), "side": np.where(lonlat[:, 1] > 0, "north", "south")})
    columns = ColumnFeatures().fit(climate)
    tables = {
        "town": featurize_texts("town", lonlat, texts, NgramFeatures(dim=16), split),
        "chip": featurize_chips("chip", lonlat, chips, RandomConvolution(num_filters=8), split),
        "climate": Table.single(
            "climate", lonlat, columns.transform(climate), split=split, transform=("columns", columns)
        ),
    }
    return pretrain(tables, steps=60, batch_size=256, encoder=small, validate_every=None, progress="none", seed=1)


@pytest.fixture(scope="session")
def folder(trained, tmp_path_factory):
    """The model folder of that encoder."""
    path = tmp_path_factory.mktemp("searching") / "model"
    trained.save(path)
    return path


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """The folder of a small model of 8 numbers per place."""
    from geotether.encoder import Encoder
    from geotether.encoders.build import build_location_encoder

    parts = {"positional": {"name": "spherical_harmonics", "l_max": 4}, "network": {"name": "mlp", "hidden_dim": 16}}
    folder = tmp_path_factory.mktemp("models") / "small"
    Encoder(build_location_encoder({**parts, "embed_dim": 8}, seed=0)).save(folder)
    return folder
