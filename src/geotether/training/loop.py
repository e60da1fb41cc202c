"""THE loop: pre-training from the first step to the model folder, to be read from top to bottom."""

import copy
import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from geotether.batches.batch import assemble
from geotether.batches.schedule import build_schedule
from geotether.checkpoint import save_model
from geotether.encoders.model import TiedModel
from geotether.geodesy.jitter import jitter_lonlat
from geotether.sources.disk import replacing_file
from geotether.tables.table import FeatureTable
from geotether.training.card import model_card
from geotether.training.config import RunConfig, config_yaml
from geotether.training.door import check_tables, choose_device, taking_part
from geotether.training.interruption import Interruption, RunInterrupted, farewell
from geotether.training.loss import batch_loss, batch_regression, mean_regression
from geotether.training.metrics import MetricsFile
from geotether.training.model import build_memory, build_model
from geotether.training.optimizer import average_into, build_optimizer, learning_rate_at, set_learning_rate
from geotether.training.progress import Progress
from geotether.training.provenance import plain_settings, run_provenance
from geotether.training.randomness import seed_step, step_generator
from geotether.training.state import (
    MODEL_FOLDER,
    RunState,
    check_folder,
    discard_state,
    load_state,
    pack_tensors,
    save_state,
    unpack_tensors,
)
from geotether.training.validation import held_out_batch, pool_recall, read_scalars, validate


def pretrain(
    config: RunConfig,
    tables: Mapping[str, FeatureTable],
    out: str | Path | None = None,
    *,
    resume: bool = False,
    progress: str = "auto",
    card_notes: str = "",
) -> TiedModel:
    """Pre-train a location encoder on any number of modalities.

    Everything random is a function of the seed and the step, so a run that was killed and resumed on the
    same machine ends with the same weights, bit for bit, as one that was left alone.

    Args:
        config: What to do; from `load_config`.
        tables: Modality to its feature table. Rows whose split is `train` are learned from (all rows of a
            table without a split), rows whose split is `validation` are watched, others are not touched.
        out: Folder of the run: `config.yaml`, `metrics.jsonl`, `state/` while it runs, `model/` at the end.
            None writes nothing.
        resume: Go on with the unfinished run in `out`.
        progress: `auto` (a bar on a terminal, plain lines elsewhere), `bar`, `lines` or `none`.
        card_notes: Markdown for the model card, such as scores or a coverage map.

    Returns:
        The model that is handed out: the last weights, their average or the best, as configured; in
        evaluation mode.

    Raises:
        ValueError: If tables and configuration do not fit, or the state belongs to another run.
        FileExistsError: If `out` holds an unfinished run and `resume` is not set.
        RunInterrupted: After Ctrl-C, once the state is saved.
        FloatingPointError: If the loss is no longer a number.
    """
    out = None if out is None else Path(out)
    tables = taking_part(config, tables)
    check_tables(config, tables)
    if out is not None:
        check_folder(out, resume)
    device = choose_device(config.device)
    training = {modality: table.training_rows() for modality, table in tables.items()}
    held_out = held_out_batch(tables, config.validation_rows, config.seed, device) if config.validate_every else {}
    sizes = {modality: len(table) for modality, table in training.items()}
    schedule = build_schedule(config.schedule.name, sizes, config.batch_size, **config.schedule.options)
    total_steps = config.steps or schedule.steps_in(config.epochs or 1)

    model = build_model(config, training).to(device).train()
    averaged = copy.deepcopy(model).eval() if config.ema_decay else None
    optimizer = build_optimizer(model, config.learning_rate, config.weight_decay)
    state, best = RunState(), None
    identity = {
        "config": config.model_dump(mode="json"),
        "tables": {modality: table.content_hash for modality, table in tables.items()},
    }
    if out is not None and resume:
        state, tensors = load_state(out, identity, str(device))
        best = unpack_tensors(tensors, model, optimizer, averaged)
    elif out is not None:
        with replacing_file(out / "config.yaml") as part:
            part.write_text(config_yaml(config), encoding="utf-8")
        save_state(out, state, pack_tensors(model, optimizer, averaged, best), identity)
    started = time.perf_counter() - state.seconds

    with (
        Interruption() as interruption,
        MetricsFile(out, state.step) as metrics,
        Progress(total_steps, state.step, progress) as shown,
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        while state.step < total_steps and not state.stopped:
            step = state.step
            learning_rate = learning_rate_at(
                step, total_steps, config.learning_rate, config.warmup_steps, config.final_share
            )
            set_learning_rate(optimizer, learning_rate)
            seed_step(config.seed, step, device)
            batch = assemble(training, schedule, step, config.seed).to(device)
            lonlat = jitter_lonlat(batch.lonlat, config.jitter_m, step_generator(config.seed, step, "jitter", device))

            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                location = model.location(lonlat)
                observed = torch.cat([model.encode_modality(name, rows) for name, rows in batch.features.items()])
            location, observed = location.float(), observed.float()
            loss, losses = batch_loss(model, location, observed, batch.lonlat, batch.groups, config.objective)
            errors = batch_regression(model, location, batch.features, batch.groups) if model.decoders else []
            if errors:
                loss = loss + config.objective.regression_weight * mean_regression(errors)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if config.clip_norm is not None:
                clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            if averaged is not None and config.ema_decay is not None:
                average_into(averaged.parameters(), model.parameters(), config.ema_decay, step)
            state.step += 1

            values: dict[str, Tensor] = {"loss": loss}
            for (name, rows), modality_loss in zip(batch.groups.items(), losses, strict=True):
                values[f"loss/{name}"] = modality_loss
                values[f"recall@10/{name}"] = pool_recall(location[rows], observed[rows])
                values[f"logit_scale/{name}"] = model.logit_scale(name)
            values |= {f"regression/{name}": error for name, error in zip(batch.groups, errors, strict=False)}
            line = {"step": step, "epoch": schedule.epoch_of(step), **read_scalars(values)}
            state.seconds = time.perf_counter() - started
            line |= {"learning_rate": learning_rate, "seconds": round(state.seconds, 3)}
            if not math.isfinite(line["loss"]):
                raise FloatingPointError(
                    f"The loss is {line['loss']} at step {step}: lower learning_rate, set clip_norm."
                )
            metrics.write(line)
            shown.show(step, line)

            if held_out and (state.step % (config.validate_every or 1) == 0 or state.step == total_steps):
                line = {"step": step, **validate(averaged or model, held_out)}
                metrics.write(line)
                shown.show_validation(step, line)
                state.stale_validations += 1
                if state.best_loss is None or line["validation/loss"] < state.best_loss:
                    state.best_loss, state.best_step, state.stale_validations = line["validation/loss"], state.step, 0
                    best = copy.deepcopy((averaged or model).state_dict()) if config.keep == "best" else None
                state.stopped = config.patience is not None and state.stale_validations >= config.patience
            if out is not None and (interruption.requested or state.step % (config.save_every or math.inf) == 0):
                save_state(out, state, pack_tensors(model, optimizer, averaged, best), identity)
            if interruption.requested:
                raise RunInterrupted(farewell(state.step, total_steps, out))

    handed_out = averaged or model
    if best is not None:
        handed_out.load_state_dict(best)
    handed_out.eval()
    handed_out.location.remember(build_memory(config, training))
    handed_out.location.settle()
    if out is not None:
        settings, provenance = plain_settings(config), run_provenance(config, tables, state)
        card = model_card(settings, provenance, handed_out.location.handout_dim, card_notes)
        save_model(
            out / MODEL_FOLDER, handed_out.location, settings, provenance, card, handed_out.heads, handed_out.decoders
        )
        discard_state(out)
    return handed_out
