"""The demo from data to report: pre-train, evaluate, draw."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geotether.benchmark.baselines import CONTEXT_ALONE, baseline_encoders, joined_with_fourier
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.planet import planet_tasks
from geotether.benchmark.run import evaluate
from geotether.benchmark.score_table import write_scores
from geotether.context.build import raster_context
from geotether.context.config import ContextConfig, RasterConfig
from geotether.context.rasters import ArrayRaster
from geotether.demo.report import draw_figures, recall_sentence, write_card, write_demo_report
from geotether.encoder import Encoder
from geotether.encoders.context import LocalContext
from geotether.files.disk import replacing_file
from geotether.loading import EncoderFunction, load_encoder
from geotether.searching import land_candidates, open_index
from geotether.searching.recall import cross_modal_recall
from geotether.sources.planet import MOSAIC_STEP, planet_facts, read_mosaic
from geotether.tables.featurize import PLANET_MODALITIES, planet_table
from geotether.tables.table import Table
from geotether.tasks.task import Task
from geotether.training.config import RunConfig, load_config
from geotether.training.pretraining import pretrain
from geotether.training.state import RunInterrupted, is_unfinished

logger = logging.getLogger(__name__)

SEARCHED_PLACES = 20_000  # about 80 km apart
TIED = "MELT, all modalities"
SEEDS = (0, 1, 2, 3, 4)
# What fits into a minute: every encoder by ridge on blocks; some on a random split, for comparison. Larger numbers of
# labels and other probes are left to `geotether evaluate`.
LADDER = (243, 810, 2700)
RUNG = 2700
COMPARED = (
    TIED,
    "mean",
    "xyz",
    "raw Fourier features",
    "raw encoding",
    "nearest in space",
    "inverse distance",
    CONTEXT_ALONE,
    "untrained",
)


def demo_config(seed: int = 0, quick: bool = False) -> RunConfig:
    """Return the recipe `default` with finer harmonics and all numbers of the readout; `quick` is small and short."""
    overrides = [f"seed={seed}", "encoder.positional.l_max=30", "encoder.dim=768"]
    if quick:
        overrides += ["encoder.positional.l_max=10", "encoder.network.hidden_dim=64"]
        overrides += ["steps=10", "batch_size=256", "warmup_steps=2", "validate_every=5"]
    return load_config(overrides=overrides)


def demo_context(seed: int = 0, quick: bool = False) -> LocalContext:
    """Make the context of the demo: mosaics of the satellite and night-light chips, at three scales, or two if quick.

    All chips are used, whatever their split: the context is an input, and no label is made from it.
    """
    options: dict[str, dict[str, Any]] = {
        "satellite": {},
        "night_lights": {"transform": "sqrt", "filters": 16, "components": 12},
    }
    config = ContextConfig(
        rasters={name: RasterConfig(path=Path(f"{name}.jpg"), **some) for name, some in options.items()},
        scales_km=[100.0, 300.0] if quick else [30.0, 100.0, 300.0],
    )
    rasters = {name: [ArrayRaster(read_mosaic(name), -180.0, 90.0, MOSAIC_STEP, name)] for name in options}
    context = raster_context(rasters, config, seed=seed)
    hashes = planet_facts()["sha256"]
    origins = {"satellite": "NASA Earth Observatory, Blue Marble", "night_lights": "NASA and NOAA, Earth's City Lights"}
    facts = {name: {"file": f"{name}.jpg", "sha256": hashes[f"{name}.jpg"]} for name in options}
    context.provenance = {
        "rasters": {
            name: {**facts[name], "bands": rasters[name][0].names, "licence": "public domain", "origin": origins[name]}
            for name in options
        }
    }
    return context


def run_demo(out: str | Path, seed: int = 0, quick: bool = False) -> Path:
    """Pre-train on the demo planet with MELT, evaluate four tasks with baselines, and write the results to a folder.

    Args:
        out: Folder; gets `model/`, `metrics.jsonl`, `scores.csv`, `recall.json`, `figures/*.png`, `report.html`, and
            `single/` with the encoders of each modality alone, trained with as many steps and as many rows
            of that modality per step.
        seed: Seed of weights and batches of all runs.
        quick: Take a few steps and two seeds, to check the installation, not to evaluate the encoder.

    Returns:
        The path of the report.

    Raises:
        ValueError: If `out` holds an unfinished run with other settings.
        OSError: If the folder cannot be written to.
    """
    out, started = Path(out), time.perf_counter()
    (out / "figures").mkdir(parents=True, exist_ok=True)
    config = demo_config(seed, quick)

    tables: dict[str, Table] = {}
    for modality in PLANET_MODALITIES:
        tables[modality] = planet_table(modality, seed)
        _say(started, f"features of {len(tables[modality]):,} {modality}")

    context = demo_context(seed, quick)
    _say(started, "local context of satellite and night lights")
    # Each single-modality model sees as many rows of its modality per step as MELT does, and the same context.
    alone = config.model_copy(update={"batch_size": config.batch_size // len(tables)})
    pretrain_or_resume(config, tables, out, context)
    _say(started, "pre-trained on all modalities together")
    for modality, table in tables.items():
        pretrain_or_resume(alone, {modality: table}, out / "single" / modality, context)
        _say(started, f"pre-trained on {modality} alone")

    tasks = planet_tasks()
    model = Encoder.load(out / "model")
    encoders: dict[str, EncoderFunction] = {TIED: load_encoder(model)}
    encoders |= {f"{name} alone": load_encoder(Encoder.load(out / "single" / name / "model")) for name in tables}
    encoders |= baseline_encoders(model.module, seed=seed)
    scores = judge(encoders, tasks, (243,) if quick else LADDER, SEEDS[:2] if quick else SEEDS)
    write_scores(scores, out / "scores.csv")
    _say(started, f"{len(scores):,} scores of {len(encoders)} encoders on {len(tasks)} tasks")

    index = open_index(model, land_candidates(SEARCHED_PLACES))
    recall = [cross_modal_recall(model, index, modality, table) for modality, table in tables.items()]
    with replacing_file(out / "recall.json") as part:
        part.write_text(json.dumps({one.modality: one.plain() for one in recall}, indent=2) + "\n", encoding="utf-8")
    _say(started, recall_sentence(recall))

    figures = draw_figures(out, tables, tasks, encoders[TIED], scores, TIED)
    write_card(out / "model", scores, out / "figures", recall)
    report = write_demo_report(out, scores, figures, model, time.perf_counter() - started, recall)
    _say(started, "figures and report")
    return report


def pretrain_or_resume(
    config: RunConfig, tables: Mapping[str, Table], out: Path, context: LocalContext | None = None
) -> None:
    """Pre-train, or resume an interrupted run, so that the same command continues an interrupted demo."""
    waiting = is_unfinished(out)
    try:
        given: Any = {"resume": waiting, "fresh": not waiting, "raster_context": context}
        pretrain(tables, config=config, out=out, keep_state=False, **given)
    except RunInterrupted:
        raise RunInterrupted(f"Stopped; the state is saved in {out}: run the same command again to continue.") from None


def judge(
    encoders: Mapping[str, EncoderFunction], tasks: Sequence[Task], ladder: Sequence[int], seeds: Sequence[int]
) -> list[Outcome]:
    """Score every encoder by ridge on spatial blocks, and some of them on a random split.

    Args:
        encoders: By name.
        tasks: The demo planet's tasks.
        ladder: Numbers of labels; the random split takes 2,700 of them, or the largest.
        seeds: One draw of labels each.
    """
    rung = RUNG if RUNG in ladder else max(ladder)
    compared = {name: encoders[name] for name in COMPARED}
    joined = joined_with_fourier({TIED: encoders[TIED]}, ("ridge",), (rung,))
    scores = evaluate({**encoders, **joined}, tasks, probes=("ridge",), splits=("own",), labels=ladder, seeds=seeds)
    return scores + evaluate(compared, tasks, probes=("ridge",), splits=("random",), labels=(rung,), seeds=seeds)


def _say(started: float, what: str) -> None:
    logger.info("%5.0f s  %s", time.perf_counter() - started, what)
