"""Kill commands at random moments, run them again, and compare what they write with an undisturbed run.

    python scripts/kill_commands.py [--kills 100] [--seed 0] [--only table pretrain ...] [--keep FOLDER]

For each command, a trial starts it and kills its process group with SIGKILL at a seeded random moment, up to six
times in a row, and then runs it to its end. Afterwards its output must have the same files as an undisturbed run, with
the same bytes (of the comparison: the same scores; of a run's metrics: all but the seconds), and nothing else may lie
beside it. The exit status is 1 if anything differs.

Each run is a fork of this process, which has imported the package already, so that the kills hit the work.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MODEL = "tables: {climate: climate.parquet}\nsteps: 40\nbatch_size: 64\nencoder: {positional: {l_max: 4}}\n"
MODEL += "validate_every: 10\nsave_every: 5\n"


@dataclass(frozen=True)
class Command:
    """A command line, and how a killed one is continued."""

    name: str
    arguments: list[str]
    again: tuple[str, ...] = ()  # further arguments of later runs, once `begun` exists
    begun: str = "."

    def started(self, folder: Path) -> bool:
        """Return whether a killed run has left something to continue."""
        return (folder / self.begun).exists()


COMMANDS = (
    Command("table", ["table", "build", "places.csv", "--out", "out/t.parquet", "--workers", "1"]),
    Command("images", ["table", "build", "photos", "--out", "out/t.parquet", "--workers", "3",
                       "--set", "index=index.csv"]),
    Command("pretrain", ["pretrain", "model.yaml", "--out", "out/run"], ("--resume",), "out/run/state/state.json"),
    Command("compare", ["compare", "mine=made/model", "--tasks", "tasks.yaml", "--out", "out/scores", "--seeds", "1",
                        "--split", "blocks-10", "--probe", "ridge", "--labels", "81"]),
    Command("encode", ["encode", "made/model", "points.csv", "--out", "out/e.csv"]),
)  # fmt: skip


def main() -> int:
    """Run the trials; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="kills of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=[one.name for one in COMMANDS])
    parser.add_argument("--keep", type=Path, help="keep the folder of each trial that differs in this folder")
    options = parser.parse_args()
    import_package()
    bad = 0
    print(f"{'command':10} {'seconds':>8} {'kills':>6} {'trials':>7} {'differ':>7}  what differs", flush=True)
    with tempfile.TemporaryDirectory(prefix="kill-commands-") as folder:
        inputs = make_inputs(Path(folder))
        for command in COMMANDS:
            if options.only is None or command.name in options.only:
                bad += trials(
                    command, inputs, options.kills, random.Random(f"{options.seed} {command.name}"), options.keep
                )
    return 1 if bad else 0


def trials(command: Command, inputs: Path, kills: int, chance: random.Random, keep: Path | None) -> int:
    """Kill one command `--kills` times; print a row of the table and return the number of trials that differ."""
    place = inputs.parent / "work"  # the same for all trials, because files name absolute paths
    seconds, expected = float("inf"), {}
    for _ in range(3):
        shutil.copytree(inputs, place)
        began = time.monotonic()
        status = run(place, command.arguments)
        seconds = min(seconds, time.monotonic() - began)
        if status != 0:
            print(f"{command.name:10} the undisturbed run failed:\n{(place / 'log').read_text()}")
        elif expected and difference(expected, contents(place)):
            print(f"{command.name:10} two undisturbed runs differ: {difference(expected, contents(place))}")
            status = 1
        expected = contents(place)
        shutil.rmtree(place)
        if status != 0:
            return 1
    killed = count = 0
    differ: list[str] = []
    while killed < kills:
        shutil.copytree(inputs, place)
        moments, again = [], ()
        for _ in range(min(chance.randint(1, 6), kills - killed)):
            moments.append(chance.uniform(0, seconds))
            status = run(place, [*command.arguments, *again], moments[-1])
            killed += status == -signal.SIGKILL
            again = command.again if command.started(place) else ()
        status = run(place, [*command.arguments, *again])
        said = difference(expected, contents(place)) if status == 0 else f"exit status {status}: {last_line(place)}"
        if said:
            differ.append(f"trial {count}, killed at {', '.join(f'{at:.3f}' for at in moments)} s: {said}")
            if keep:
                shutil.copytree(place, keep / f"{command.name}-{count}", dirs_exist_ok=True)
        shutil.rmtree(place)
        count += 1
    print(
        f"{command.name:10} {seconds:8.2f} {killed:6} {count:7} {len(differ):7}  {differ[0] if differ else '-'}",
        flush=True,
    )
    for line in differ[1:]:
        print(" " * 44 + line)
    return len(differ)


def run(folder: Path, arguments: list[str], kill_after: float | None = None) -> int:
    """Run a command line in a folder and a process group of its own; return its exit status, negative for a signal."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            os.setpgid(0, 0)
            os.chdir(folder)
            log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(log, stream)
            sys.argv = ["geotether", *arguments]
            from geotether.cli.app import main as geotether

            geotether()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    with suppress(PermissionError):  # the child may have done it and ended
        os.setpgid(process, process)  # here too: a kill may come before the child runs
    end = time.monotonic() + (600 if kill_after is None else kill_after)
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            break
        if time.monotonic() >= end:
            os.killpg(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            break
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(status)


def contents(folder: Path) -> dict[str, str]:
    """Hash every file that a trial has left, hidden ones included, except for its log."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != "log":
            found[name] = READERS.get(path.name, Path.read_bytes)(path)
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def without_seconds(path: Path) -> bytes:
    """Read a file of JSON, of JSON lines or of CSV without the times that steps or scores took."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        rows = list(csv.DictReader(text.splitlines()))
    else:
        rows = [json.loads(text)] if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    return json.dumps([{key: value for key, value in row.items() if "seconds" not in key} for row in rows]).encode()


# Files that hold times, or whose bytes depend on the order of writing.
READERS: dict[str, Callable[[Path], bytes]] = {
    **dict.fromkeys(("metrics.jsonl", "scores.csv", "state.json", "provenance.json"), without_seconds),
    "outcomes.sqlite": lambda path: b"the scores say the same",
}


def difference(expected: dict[str, str], found: dict[str, str]) -> str:
    """Name the files that are missing, left over or different; "" if there are none."""
    parts = {
        "missing": sorted(expected.keys() - found.keys()),
        "left over": sorted(found.keys() - expected.keys()),
        "other bytes": sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name]),
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)


def last_line(folder: Path) -> str:
    """Return the last line that a trial printed."""
    return (folder / "log").read_text(errors="replace").strip().rpartition("\n")[2][:300]


def make_inputs(folder: Path) -> Path:
    """Write a file of places, a folder of photographs, a table, a model and a task, all small and from one seed."""
    import numpy as np
    from PIL import Image

    inputs = folder / "inputs"
    (inputs / "photos").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 9000), np.degrees(np.arcsin(rng.uniform(-1, 1, 9000)))], axis=1).round(4)
    rain = np.cos(np.radians(lonlat[:, 1])) + 0.1 * rng.standard_normal(len(lonlat))
    rows = [
        f"{lon},{lat},site {row},{value:.4f}" for row, ((lon, lat), value) in enumerate(zip(lonlat, rain, strict=True))
    ]
    rows[7] = "999,0,nowhere,0"
    for name, kept in (("places", rows), ("points", rows[8:2000]), ("few", rows[10:900])):
        (inputs / f"{name}.csv").write_text("\n".join(["lon,lat,site,rain", *kept]))
    index = ["file,lon,lat"]
    for row in range(400):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(inputs / "photos" / f"{row}.png")
        index.append(f"{row}.png,{lonlat[row, 0]},{lonlat[row, 1]}")
    (inputs / "photos" / "index.csv").write_text("\n".join(index))
    (inputs / "model.yaml").write_text(MODEL)
    (inputs / "tasks.yaml").write_text("- {table: few.csv, label: rain}\n")
    for arguments in (
        ["table", "build", "few.csv", "--out", "climate.parquet", "--workers", "1", "--set", "id=site"],
        ["pretrain", "model.yaml", "--out", "made"],
    ):
        if run(inputs, arguments) != 0:
            raise SystemExit(f"The inputs cannot be made: {(inputs / 'log').read_text()}")
    (inputs / "log").unlink()
    return inputs


def import_package() -> None:
    """Import what the commands import, once for all runs."""
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="agg")
    import pandas  # noqa: F401
    import torch._dynamo  # three seconds, when an optimiser is first made

    torch.set_num_threads(1)
    import geotether.cli.app
    import geotether.featurizing.build
    import geotether.maps
    import geotether.studies.comparison
    import geotether.training.pretraining  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
