"""The state of a run on disk, so that a killed or interrupted run resumes and a finished one can be extended."""

import json
import shutil
import signal
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer

from geotether.checkpoint.folder import CONFIG, PROVENANCE, read_json
from geotether.files.disk import replacing_file
from geotether.settings import flatten
from geotether.tables.table import drawn_hash
from geotether.training.recipes import LOCATION_TIES

MODEL_FOLDER = "model"
FOLDER_NAME = "state"
POINTER_NAME = "state.json"
FORMAT = 1

# Settings that do not influence the numbers: a run may continue with others.
FREE_SETTINGS = ("save_every", "read_every", "tables", "data", "cache", "recipe", "seen_cell_km", "gradient_parts")


@dataclass
class RunState:
    """Progress of a run, apart from tensors.

    Attributes:
        step: Updates done, which is also the next step.
        seconds: Time spent in the loop so far.
        best_loss: Lowest validation loss so far.
        best_step: Updates done when it was reached.
        stale_validations: Validations since then.
        stopped: Whether early stopping has ended the run.
        bar: Validation loss that counts as best for early stopping, which requires an improvement by `min_delta`.
    """

    step: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_step: int | None = None
    stale_validations: int = 0
    stopped: bool = False
    bar: float | None = None

    def take(self, loss: float, min_delta: float = 0.0) -> bool:
        """Record a validation loss; only one lower by more than `min_delta` ends a series of stale validations.

        Returns:
            Whether it is the lowest so far.
        """
        self.stale_validations += 1
        if self.bar is None or loss < self.bar - min_delta:
            self.bar, self.stale_validations = loss, 0
        if self.best_loss is None or loss < self.best_loss:
            self.best_loss, self.best_step = loss, self.step
            return True
        return False


class FinishedRunError(FileExistsError):
    """The folder contains this run, finished: same configuration, same data."""


def is_unfinished(folder: Path) -> bool:
    """Return whether a run's folder contains a run that was interrupted."""
    pointer = folder / FOLDER_NAME / POINTER_NAME
    try:
        return pointer.is_file() and not read_json(pointer).get("finished")
    except ValueError:  # damaged: `load_state` explains it
        return True


def check_folder(folder: Path, identity: Mapping[str, Any], resume: bool = False, fresh: bool = False) -> None:
    """Check that nothing is overwritten, and that there is a run to resume if one is to be resumed.

    Raises:
        ValueError: If both `resume` and `fresh` are set.
        FileNotFoundError: If `resume` is set and there is nothing to resume.
        FinishedRunError: If the folder's model comes from the same configuration and data.
        FileExistsError: If the folder contains an unfinished run, a model of another configuration or other data
            (the differences are named), or foreign files in `model`.
    """
    model = folder / MODEL_FOLDER
    if resume and fresh:
        raise ValueError("resume continues the run that is there and fresh starts again: give one of them.")
    if resume and not (folder / FOLDER_NAME / POINTER_NAME).is_file():
        raise FileNotFoundError(f"{folder} contains no run to resume; start it without resume.")
    if not resume and not fresh and is_unfinished(folder):
        raise FileExistsError(
            f"{folder} contains an unfinished run. Resume it (--resume, in Python resume=True), choose another folder, "
            "or start again with --fresh (fresh=True)."
        )
    if model.exists() and not (model / CONFIG).is_file() and not (model.is_dir() and not any(model.iterdir())):
        raise FileExistsError(f"{model} contains other files than a model; choose another folder.")
    if resume or fresh or not (model / CONFIG).is_file():
        return
    longer = False
    try:
        provenance = read_json(model / PROVENANCE)
        context = provenance.get("context") or {}
        rasters = {f"rasters.{name}": facts for name, facts in context.get("rasters", {}).items()}
        rasters |= {"land": context["land"]} if "land" in context else {}
        rasters = {"given": {"sha256": context["given"]}} if "given" in context else rasters
        saved = {
            "config": dict(read_json(model / CONFIG)["config"]),
            "tables": {
                name: drawn_hash(facts["sha256"], facts.get("block_rows"))
                for name, facts in provenance.get("tables", {}).items()
            },
            "rasters": {name: facts["sha256"] for name, facts in rasters.items()},
        }
        if "adapted" in provenance:  # the context names rasters of the model it started from, too
            saved["rasters"] = provenance["adapted"]["read"]
        differing = differences(saved, identity)
        longer = _is_longer(saved["config"], identity["config"]) and not differences(saved, identity, lengths=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        differing = [f"  its configuration and tables cannot be read from {model}"]
    if not differing:
        raise FinishedRunError(
            f"{folder} contains this run already, and it is finished: the model is {model}. "
            "To train it again, add --fresh (in Python fresh=True); to extend it, give more steps with --resume."
        )
    raise FileExistsError(
        f"{folder} contains a finished run of another configuration or of other data, which is not overwritten. "
        f"{'Extend it with --resume (resume=True), choose' if longer else 'Choose'} another folder, or overwrite with "
        "--fresh (in Python fresh=True). Differences:\n" + "\n".join(differing)
    )


def pack_tensors(
    model: nn.Module,
    optimizer: Optimizer,
    averaged: nn.Module | None,
    best: Mapping[str, Tensor] | None,
) -> dict[str, Tensor]:
    """Collect every tensor that the rest of the run depends on, under readable names."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for name, weight in model.named_parameters():
        for key, tensor in optimizer.state.get(weight, {}).items():
            tensors[f"optimizer/{name}/{key}"] = tensor
    if averaged is not None:
        tensors |= {f"averaged/{name}": tensor for name, tensor in averaged.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in (best or {}).items()}
    return tensors


def unpack_tensors(
    tensors: Mapping[str, Tensor], model: nn.Module, optimizer: Optimizer, averaged: nn.Module | None
) -> dict[str, Tensor] | None:
    """Restore packed tensors; weights are copied into place, so their memory layout does not change.

    Returns:
        The best weights so far, if the run keeps them.
    """

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    model.load_state_dict(part("model/"))
    if averaged is not None:
        averaged.load_state_dict(part("averaged/"))
    for name, weight in model.named_parameters():
        moments = part(f"optimizer/{name}/")
        if moments:
            optimizer.state[weight] = {key: tensor.clone() for key, tensor in moments.items()}
    return part("best/") or None


def save_state(folder: Path, state: RunState, tensors: Mapping[str, Tensor], identity: Mapping[str, Any]) -> None:
    """Save the state so that a crash at any moment leaves either the old state or the new one.

    The tensors go into a file named after the step; only then is `state.json`, which points to it, replaced.
    `identity` is what a resumed run must agree with: `config`, `tables` and `rasters` (name to content hash).

    Raises:
        OSError: If the disk is full or read-only; the previous state is kept.
    """
    place = folder / FOLDER_NAME
    target = place / f"step-{state.step:08d}.safetensors"
    pointer = {"format": FORMAT, "file": target.name, **asdict(state), **identity}
    with replacing_file(target) as part:
        part.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    with replacing_file(place / POINTER_NAME) as part:
        part.write_text(json.dumps(pointer, indent=1), encoding="utf-8")
    for older in place.iterdir():
        if older.name not in (target.name, POINTER_NAME):
            older.unlink()


def load_state(folder: Path, identity: Mapping[str, Any], device: str = "cpu") -> tuple[RunState, dict[str, Tensor]]:
    """Load the state of a run.

    Raises:
        ValueError: If it belongs to another configuration or other tables (what differs is named), or is damaged.
        FinishedRunError: If it is finished, and not to be extended.
    """
    place = folder / FOLDER_NAME
    pointer = place / POINTER_NAME
    try:
        saved = read_json(pointer)
        if saved.get("format") != FORMAT:
            raise ValueError(f"it has format {saved.get('format')!r}, this version reads {FORMAT}")
        finished = bool(saved.get("finished"))
        differing = differences(saved, identity, lengths=not finished)
        same = finished and not differing and not _is_longer(saved["config"], identity["config"])
        tensors = load_file(place / saved["file"], device=device)
        known: dict[str, Any] = {name: saved.get(name) for name in RunState.__dataclass_fields__}
        state = RunState(**known)
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"The state {pointer} or its file is damaged ({error}): delete {place} and start again."
        ) from error
    if same:
        raise FinishedRunError(
            f"The run in {folder} is finished. To extend it, give more steps or epochs than it had; "
            "to train it again, add --fresh (in Python fresh=True)."
        )
    if differing:
        raise ValueError(
            f"The run in {folder} cannot be resumed with these settings; "
            f"give the same ones or choose another folder:\n" + "\n".join(differing)
        )
    if finished:  # an extended run may pass the point at which it stopped early
        state.stopped, state.stale_validations = False, 0
    return state, tensors


def finish_state(folder: Path, keep: bool) -> None:
    """Note that a run's model is complete, so that the run can be extended; or remove the state."""
    place = folder / FOLDER_NAME
    pointer = place / POINTER_NAME
    if keep:
        saved = read_json(pointer)
        with replacing_file(pointer) as part:
            part.write_text(json.dumps(saved | {"finished": True}, indent=1), encoding="utf-8")
    else:
        pointer.unlink(missing_ok=True)  # first, so that a crash here cannot leave a dangling pointer
        shutil.rmtree(place, ignore_errors=True)


def _is_longer(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return any((now.get(key) or 0) > (before.get(key) or 0) for key in ("steps", "epochs"))


def differences(saved: Mapping[str, Any], identity: Mapping[str, Any], lengths: bool = True) -> list[str]:
    """List the differences of two runs; empty if they would end with the same numbers.

    Args:
        saved: `config`, `tables` and `rasters` (name to content hash) of the earlier run.
        identity: The same of the later one.
        lengths: Whether another number of steps or epochs counts as a difference.
    """
    free = FREE_SETTINGS if lengths else (*FREE_SETTINGS, "steps", "epochs")
    plain = json.loads(json.dumps(identity["config"]))
    # Earlier versions did not name the method of location encoders.
    before, now = ({"method": LOCATION_TIES} | flatten(config) for config in (saved["config"], plain))
    lines = [
        f"  {key}: the run had {before.get(key)!r}, now {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and key.split(".")[0] not in free
    ]
    tables_before, tables_now = saved["tables"], identity["tables"]
    lines += _changes("table ", tables_before, tables_now)
    lines += _changes("context.", saved.get("rasters", {}), identity.get("rasters", {}))
    if not lines and list(tables_before) != list(tables_now):
        lines.append(f"  tables: the run had them in the order {list(tables_before)}, now {list(tables_now)}")
    return lines


def _changes(what: str, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """List the data that are new, missing or of another hash."""
    lines = []
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            there = "is new" if name not in before else "is missing" if name not in now else "has changed"
            lines.append(f"  {what}{name}: it {there}")
    return lines


class RunInterrupted(KeyboardInterrupt):
    """Raised after Ctrl-C or SIGTERM once the state is saved; the message says how to continue."""


class Interruption:
    """A context that turns Ctrl-C and SIGTERM into a flag, which the loop reads between steps.

    An update that is interrupted would leave weights that no seed can reproduce. A second Ctrl-C stops at once. Outside
    the main thread, where Python allows no handlers, Ctrl-C acts as usual.

    Attributes:
        requested: Whether the run should stop.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # keeps nohup and the like
                    self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
