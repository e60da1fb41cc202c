"""Compare the steps of several processes with one core each with those of one process with one core.

    python benchmarks/processes.py [--recipe paper] [--batch-size 2048] [--count 2] [--rounds 15]
    python benchmarks/processes.py --parts 8 --batch-size 32768   # memory and time of gradient caching, one process

The first process trains steps alone while the others sleep, then all train the same steps together, in turn, so that
other load affects both alike. Each process is bound to a core of its own. The step is the loop's: rows drawn, loss,
gradient, clipping, update, metrics read. Medians of wall time are compared, and of processor time, which other load
does not lengthen (but which leaves out the time that a process waits for another).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import torch
import torch.distributed as dist
from measuring import machine, raised_mb
from training_step import FEATURES, Watched, make_method

from geotether.processes import Processes, joined
from geotether.training.metrics import read_scalars
from geotether.training.optimizer import build_optimizer
from geotether.training.randomness import seed_step

STEPS = 4  # of each round


class Trainer:
    """Runs steps of a method, as the loop does."""

    def __init__(self, method: Watched) -> None:
        self.method, self.processes = method, Processes.current()
        self.model = method.build(torch.device("cpu"))
        self.optimizer = build_optimizer(self.model, 1e-4, 0.01)
        self.done = 0

    def step(self) -> None:
        """Run one step."""
        seed_step(0, self.done, "cpu")
        stopping = self.processes.any_of(lambda: False)
        loss, parts = self.method.losses(self.model, self.done)
        self.optimizer.zero_grad()
        values = self.processes.backward(self.model, {"loss": loss, **parts})
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        read_scalars(values)
        stopping()
        self.done += 1

    def timed(self) -> tuple[float, float]:
        """Return the wall time and the processor time of a step, averaged over a round."""
        wall, own = time.perf_counter(), time.process_time()
        for _ in range(STEPS):
            self.step()
        return (time.perf_counter() - wall) / STEPS, (time.process_time() - own) / STEPS


def work(options: argparse.Namespace) -> None:
    """Run one of the processes."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[options.rank % len(cores)]})
    torch.set_num_threads(1)
    alone = Trainer(make_method(options.recipe, options.batch_size, "float32")) if options.rank == 0 else None
    dist.init_process_group("gloo", init_method=f"file://{options.meet}", rank=options.rank, world_size=options.count)
    times: dict[str, list[tuple[float, float]]] = {"one": [], "together": []}
    with joined():
        together = Trainer(make_method(options.recipe, options.batch_size, "float32"))
        for number in range(options.rounds + 1):
            if alone is not None:
                times["one"].append(alone.timed())
            dist.barrier()
            times["together"].append(together.timed())
            if number == 0:  # to warm up
                times = {name: [] for name in times}
    if alone is None:
        return
    print(machine())
    print(f"recipe {options.recipe}, batch {alone.method.config.batch_size}, {len(alone.method.tables)} modalities")
    for place, kind in enumerate(("wall", "processor")):
        one, several = (statistics.median(entry[place] for entry in times[name]) for name in ("one", "together"))
        print(
            f"{kind:9s} time of a step: one process {1e3 * one:.1f} ms, {options.count} processes "
            f"{1e3 * several:.1f} ms, {one / several:.2f} times as fast   (bar for two: 1.7)"
        )


def cache(options: argparse.Namespace) -> None:
    """Time a step with and without parts, and the memory that it takes."""
    torch.set_num_threads(1)
    method = make_method(options.recipe, options.batch_size, "float32")
    method.config = method.config.model_copy(update={"gradient_parts": options.parts})
    trainer = Trainer(method)
    started = time.process_time()
    peak = raised_mb(trainer.step)
    seconds = time.process_time() - started
    print(f"recipe {options.recipe}, batch {method.config.batch_size}, {options.parts} parts: {peak:.0f} MB, ", end="")
    print(f"{seconds:.2f} s of processor time a step")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=FEATURES, default="paper")
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--count", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--parts", type=int, help="measure gradient caching with this number of parts, and with 1")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meet", help=argparse.SUPPRESS)
    parser.add_argument("--one-way", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_way:
        cache(options)
        return
    if options.rank is not None:
        work(options)
        return
    command: list[Any] = [sys.executable, __file__, *sys.argv[1:]]
    if options.parts is not None:
        for parts in (1, options.parts):
            subprocess.run([*command, "--one-way", "--parts", str(parts)], check=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        meet = ["--meet", f"{folder}/meet"]
        started = [subprocess.Popen([*command, *meet, "--rank", str(rank)]) for rank in range(options.count)]
        assert not any(process.wait() for process in started)


if __name__ == "__main__":
    main()
