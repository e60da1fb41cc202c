"""Resumable pre-training runs of a study: comparable variants with equal steps, each trained once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geotether.batches.schedule import MeltSchedule, build_schedule
from geotether.code import TRAINING, code_hash
from geotether.files.disk import replacing_file
from geotether.tables.table import Table
from geotether.training.config import RunConfig
from geotether.training.pretraining import pretrain
from geotether.training.state import FREE_SETTINGS, MODEL_FOLDER, RunInterrupted, is_unfinished

EQUAL = ("rows", "batch")
MIN_STEPS = 20
RECORD = "study.json"


@dataclass(frozen=True)
class TrainedRun:
    """A finished run of a study: what it was trained on, and the hashes of everything that decided it.

    Attributes:
        folder: The run's folder, with the model in `model/`.
        config_hash: Of the configuration without settings that do not change results.
        data_hash: Of the tables' names and contents.
        code_hash: Of the code that trained it.
    """

    modalities: tuple[str, ...]
    seed: int
    steps: int
    folder: Path
    config_hash: str
    data_hash: str
    code_hash: str

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.folder / MODEL_FOLDER


def steps_of(config: RunConfig, tables: Mapping[str, Table], runs: int, budget: int | None = None) -> int:
    """Return the number of steps of every run of a study.

    A budget (steps of all runs together) is divided equally among `runs`; without one, the length is `steps` of the
    configuration, or its `epochs` of the full set.

    Raises:
        ValueError: If the budget leaves a run fewer steps than its warm-up or than 20.
    """
    if budget is None:
        if config.steps is not None:
            return config.steps
        sizes = {name: len(table.part("train")) for name, table in tables.items()}
        schedule = build_schedule(config.schedule.name, sizes, config.batch_size, **config.schedule.options)
        return schedule.steps_in(config.epochs or 1)
    least = max(MIN_STEPS, config.warmup_steps + 1)
    if budget // runs < least:
        raise ValueError(
            f"A budget of {budget} steps leaves {budget // runs} for each of {runs} runs, fewer than {least}: "
            f"set the budget to {least * runs} or more, take fewer seeds or modalities, or shorten warmup_steps."
        )
    return budget // runs


def variant_config(
    config: RunConfig, tables: Mapping[str, Table], names: Sequence[str], steps: int, equal: str = "rows"
) -> RunConfig:
    """Make the configuration of one variant of `names`, comparable with the others; every run takes the same steps.

    With `equal` "rows", each modality also gets the same rows per step as in the full set, so that a variant with fewer
    modalities has smaller batches and differs only by the absence of the others. "batch" gives every variant the same
    batch size, as in the paper, so that the other modalities get more rows.

    Raises:
        ValueError: If `equal` is unknown, or the schedule does not allow it.
    """
    if equal not in EQUAL:
        raise ValueError(f"Unknown choice {equal!r} of equal; there are {', '.join(EQUAL)}.")
    if config.schedule.name == "pairwise":
        raise ValueError("The schedule pairwise ties one modality only; a study of several takes melt or salt.")
    if equal == "rows" and config.schedule.name != "melt":
        raise ValueError("Under SALT one modality fills each batch, so rows cannot be equal: choose batch.")
    update: dict[str, Any] = {"steps": steps, "epochs": None, "tables": {}}
    if equal == "rows":
        sizes = {name: len(table.part("train")) for name, table in tables.items()}
        among_all = MeltSchedule(sizes, config.batch_size, config.schedule.shares or "equal").rows_per_step
        update["batch_size"] = sum(among_all[name] for name in names)
    return config.model_copy(update=update)


def pretrain_variant(
    config: RunConfig,
    tables: Mapping[str, Table],
    names: Sequence[str],
    seed: int,
    folder: Path,
    progress: str = "none",
    trained_by: str | None = None,
) -> TrainedRun:
    """Pre-train on some of the tables, continue an interrupted run, or return a finished one.

    The name of the run's folder contains a hash of configuration, tables, code and seed, so a finished run is reused
    only if all of them are the same; otherwise a new folder is made.

    Args:
        config: From `variant_config`; its seed is not used.
        tables: The full set.
        names: Modalities to train on.
        seed: Seed of weights and batches.
        folder: Folder of the study.
        progress: As for `pretrain`.
        trained_by: Hash of other training code, to return its finished run without training.

    Raises:
        FileNotFoundError: If `trained_by` is given and there is no finished run of that code.
        RunInterrupted: After Ctrl-C, once the state is saved.
    """
    config = config.model_copy(update={"seed": seed})
    chosen = {name: tables[name] for name in names}
    code = trained_by or code_hash(TRAINING)
    hashes = {"config_hash": config_hash(config), "data_hash": data_hash(chosen), "code_hash": code}
    key = hashlib.sha256("".join(hashes.values()).encode()).hexdigest()
    place = folder / f"{'+'.join(names)[:60]}-seed{seed}-{key[:12]}"
    waiting = is_unfinished(place)
    run = TrainedRun(tuple(names), seed, config.steps or 0, place, **hashes)
    if not waiting and (place / MODEL_FOLDER / "config.json").is_file():
        return run
    if code != code_hash(TRAINING):
        raise FileNotFoundError(
            f"{folder} holds no finished run of {', '.join(names)} (seed {seed}) by code {trained_by}: other settings, "
            "other tables or another hash? Leave the hash out to train with the present code."
        )
    with replacing_file(place / RECORD) as part:
        part.write_text(json.dumps({"modalities": list(names), "seed": seed, **hashes}, indent=1), encoding="utf-8")
    try:
        pretrain(chosen, config=config, out=place, resume=waiting, progress=progress)
    except RunInterrupted:
        raise RunInterrupted(f"Stopped; all is saved in {folder}: run the same command again to continue.") from None
    return run


def config_hash(config: RunConfig) -> str:
    """Hash a configuration without the settings that do not change results, such as paths of tables."""
    plain = config.model_dump(mode="json", exclude=set(FREE_SETTINGS))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def data_hash(tables: Mapping[str, Table]) -> str:
    """Hash the names and contents of tables, in their order."""
    return hashlib.sha256(json.dumps([[n, t.content_hash] for n, t in tables.items()]).encode()).hexdigest()
