"""The training loop of every method, from the first step to the trained model; read it from top to bottom."""

import copy
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from geotether.devices import advising_on_memory, products_in_tf32
from geotether.files.disk import replacing_file
from geotether.processes import Processes
from geotether.training.config import LoopConfig, config_yaml
from geotether.training.metrics import MetricsFile, Progress, UnreadMetrics, final_warning, rising_warning
from geotether.training.optimizer import average_into, build_optimizer, learning_rate_at, set_learning_rate
from geotether.training.randomness import seed_step
from geotether.training.recording import RecordedSteps, recordable
from geotether.training.state import (
    MODEL_FOLDER,
    Interruption,
    RunInterrupted,
    RunState,
    check_folder,
    finish_state,
    load_state,
    pack_tensors,
    save_state,
    unpack_tensors,
)

if TYPE_CHECKING:
    from geotether.encoder import Encoder
    from geotether.predict import PairedModel


READ_EVERY = 20
"""Steps between two readings of the metrics from a GPU; each reading waits for the GPU."""


@runtime_checkable
class Method(Protocol):
    """One method on one set of data, from the initial weights to the trained model.

    Attributes:
        config: The run's configuration; the loop reads its length, optimiser, validation and saving.
    """

    @property
    def config(self) -> LoopConfig:
        """The run's configuration."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What a resumed run must agree with: `config`, plain values, and `tables` and `rasters`, name to hash."""

    def check(self) -> None:
        """Raise ValueError if configuration and data do not fit; cheap, and before anything is written."""

    def build(self, device: torch.device) -> nn.Module:
        """Build the model with its initial weights, in training mode, and prepare what every step needs."""

    def steps_in(self, epochs: int) -> int:
        """Return the number of steps in that many epochs; known once the model is built."""

    def epoch_of(self, step: int) -> int:
        """Return the epoch that a step belongs to, counted from 0."""

    def losses(self, model: nn.Module, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """Return the loss of one step with its graph, and further metrics; a pure function of the step.

        Each of several processes returns an estimate; their mean is the value of the batch. On a GPU it must not read
        a value of a tensor, which would wait for the device.
        """

    def has_validation(self) -> bool:
        """Return whether there are validation rows."""

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Measure on the validation rows, in evaluation mode; `validation/loss` decides which weights are best."""

    def finish(self, model: nn.Module, state: RunState) -> "Encoder | PairedModel":
        """Make the trained model from the final module, which is in evaluation mode."""


def choose_device(wish: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device.

    Raises:
        ValueError: If a GPU is asked for and there is none, or this machine has more processes of the run than GPUs.
    """
    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise ValueError("device: cuda needs an NVIDIA GPU that torch can see; use device: auto or cpu.")
    if wish == "cpu" or not available:
        return torch.device("cpu")
    processes, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count()
    if Processes.current().count > 1 and processes > gpus:
        raise ValueError(
            f"torchrun started {processes} processes on this machine, which has {gpus} GPUs: give --nproc-per-node "
            f"{gpus}, or device: cpu."
        )
    return torch.device("cuda", torch.cuda.current_device())


def train(
    method: Method,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    fresh: bool = False,
    progress: str = "auto",
    callbacks: Sequence[Any] = (),
    keep_state: bool = True,
) -> "Encoder | PairedModel":
    """Train by one method; the options are those of `geotether.training.pretraining.pretrain`.

    Everything random is a function of the seed and the step, so a run that was killed and resumed on the same machine
    ends with the same weights, bit for bit, as one that was not interrupted. With several processes (see
    `geotether.processes`) only the first writes, shows progress and calls callbacks; all return the trained model.

    Returns:
        The trained model, with the last weights, their average or the best, as configured.
    """
    out, config, processes = None if out is None else Path(out), method.config, Processes.current()
    for one in callbacks:
        if not callable(getattr(one, "on_step", None)):
            raise TypeError(
                f"{one!r:.60} is a {type(one).__name__} without on_step(step, values); "
                "write a class with that method, or take one from geotether.training.callbacks."
            )
    method.check()
    processes.check_agreement("The configuration or the content of a table", method.identity)
    if out is not None:
        processes.from_first(lambda: check_folder(out, method.identity, resume, fresh))
    device = choose_device(config.device)
    model = method.build(device)
    total_steps = config.steps or method.steps_in(config.epochs or 1)
    validate_every = method.steps_in(1) if config.validate_every == "epoch" else config.validate_every
    watched = validate_every is not None and method.has_validation()
    averaged = copy.deepcopy(model).eval() if config.ema_decay else None
    replayed = recordable(method, device, processes)
    optimizer = build_optimizer(model, config.learning_rate, config.weight_decay, device if replayed else None)
    state, best = RunState(), None
    if out is not None and resume:
        state, tensors = processes.from_first(lambda: load_state(out, method.identity))
        best = unpack_tensors({name: tensor.to(device) for name, tensor in tensors.items()}, model, optimizer, averaged)
    else:
        processes.equalise(model)
    written = out if processes.is_first else None
    if written is not None:
        with replacing_file(written / "config.yaml") as part:
            part.write_text(config_yaml(config), encoding="utf-8")

    def save() -> str:
        """Save the state, and return a sentence on how to continue."""
        if written is not None:
            save_state(written, state, pack_tensors(model, optimizer, averaged, best), method.identity)
        if out is None:
            return "Nothing was saved, because no folder was given (out=...)."
        return f"The state is saved in {out}: run the same command with --resume (or resume=True) to continue."

    def update(loss: Tensor, parts: Mapping[str, Tensor | float]) -> dict[str, Tensor | float]:
        """Update the weights by the gradient of a step's loss, and return its metrics."""
        optimizer.zero_grad()
        values = processes.backward(model, {"loss": loss, **parts})
        if config.clip_norm is not None:
            clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        return values

    recorded = RecordedSteps(replayed, model, update) if replayed else None

    save()
    started, warned = time.perf_counter() - state.seconds, False
    read_every = config.read_every or (1 if device.type == "cpu" else READ_EVERY)
    unread = UnreadMetrics()

    with (
        Interruption() as interruption,
        MetricsFile(written, state.step) as metrics,
        Progress(total_steps, state.step, progress if processes.is_first else "none") as shown,
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        processes.saving(save),
        products_in_tf32(config.precision == "tf32"),
        advising_on_memory("Set batch_size lower or, for location ties, gradient_parts to 4 or more."),
    ):
        if config.epochs:
            shown.say(f"{config.epochs} epochs are {total_steps:,} steps.")
        if total_steps <= config.warmup_steps:
            shown.say(
                f"The run has {total_steps} steps and a warm-up of {config.warmup_steps}: the learning rate never "
                "reaches its peak. Set warmup_steps lower, or train for longer."
            )
        while state.step < total_steps and not state.stopped:
            step = state.step
            learning_rate = learning_rate_at(
                step, total_steps, config.learning_rate, config.warmup_steps, config.final_share
            )
            set_learning_rate(optimizer, learning_rate)
            seed_step(config.seed, step, device)
            stopping = processes.any_of(lambda: interruption.requested)
            values = recorded(step) if recorded else update(*method.losses(model, step))
            if averaged is not None and config.ema_decay is not None:
                average_into(averaged.parameters(), model.parameters(), config.ema_decay, step)
            state.step += 1

            state.seconds = time.perf_counter() - started
            known = {"step": step, "epoch": method.epoch_of(step), "learning_rate": learning_rate}
            unread.add({**known, "seconds": round(state.seconds, 3), **values})
            last = state.step == total_steps
            validates = watched and (last or state.step % (validate_every or 1) == 0)
            saves = state.step % (config.save_every or math.inf) == 0
            if not (last or validates or saves or stopping() or state.step % read_every == 0):
                continue

            lines = unread.read()
            for line in lines:
                if not math.isfinite(line["loss"]):
                    raise FloatingPointError(
                        f"The loss is {line['loss']} at step {line['step']}: lower learning_rate, set clip_norm."
                    )
                shown.show(line["step"], line)
            if validates:
                with torch.no_grad():
                    lines[-1] |= processes.from_first(lambda: method.validate((averaged or model).eval()))
                model.train()
                shown.show_validation(step, lines[-1])
                if not warned and (warning := rising_warning([*metrics.lines, *lines])):
                    shown.say(warning)
                    warned = True
                if state.take(lines[-1]["validation/loss"], config.min_delta) and config.keep == "best":
                    best = copy.deepcopy((averaged or model).state_dict())
                state.stopped = config.patience is not None and state.stale_validations >= config.patience
            for line in lines:
                metrics.write(line)
                for callback in callbacks if processes.is_first else ():
                    callback.on_step(line["step"], line)
            if stopping():
                raise RunInterrupted(f"Stopped after step {state.step} of {total_steps}. {save()}")
            if saves:
                save()

    if keep_state:
        save()
    final = averaged or model
    if best is not None:
        final.load_state_dict(best)
    trained = method.finish(final.eval(), state)
    trained.history = metrics.lines
    if warning := final_warning(metrics.lines, best is not None):
        shown.say(warning)
    if written is not None:
        trained.save(written / MODEL_FOLDER)
        finish_state(written, keep_state)
    return trained
