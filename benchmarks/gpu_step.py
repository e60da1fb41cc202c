"""Time training steps on a GPU, as they are written and recorded, and compare them with the GPU's busy time.

    python benchmarks/gpu_step.py [--recipes default paper world] [--precisions float32 tf32 bf16] [--steps 600]

The step is the real loop's, metrics read every 20 steps. "Busy" is the sum of the times of all kernels of a step, from
torch's profiler. "Products" are the matrix products of the step alone. The losses of the first 20 steps and the weights
after them are compared between recorded steps, steps as written, and the CPU.
"""

import argparse
import time
from contextlib import suppress
from itertools import pairwise
from typing import Any

import torch
from measuring import multiply
from training_step import Enough, Watched, make_method, products

from geotether.training.loop import READ_EVERY, train

PROFILED = 2 * READ_EVERY


class Clock:
    """A callback that times steps between two readings of the metrics, and profiles some of the last."""

    def __init__(self, steps: int, profiled: bool) -> None:
        self.steps, self.profiled, self.losses = steps, profiled, []  # type: ignore[var-annotated]
        self.read: dict[int, float] = {}
        self.profiler: Any = None

    def on_step(self, step: int, values: Any) -> None:
        """Record the time after each reading."""
        self.losses.append(values["loss"])
        if (step + 1) % READ_EVERY:
            return
        self.read[step + 1] = time.perf_counter()
        if step + 1 < self.steps:
            return
        if not self.profiled or self.profiler is not None:
            if self.profiler is not None:
                torch.cuda.synchronize()
                self.profiler.stop()
            raise Enough
        self.steps += PROFILED
        self.profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        self.profiler.start()

    @property
    def milliseconds(self) -> float:
        """Median over the readings after the first five, of milliseconds per step."""
        times = [self.read[step] for step in sorted(self.read) if 5 * READ_EVERY <= step <= self.steps - PROFILED]
        gaps = sorted(after - before for before, after in pairwise(times))
        return 1e3 * gaps[len(gaps) // 2] / READ_EVERY

    def kernels(self) -> list[tuple[str, float, float]]:
        """Return name, number and milliseconds per step of each kernel, the longest first."""
        found = []
        for event in self.profiler.key_averages():
            if event.device_type == torch.autograd.DeviceType.CUDA:
                found.append((event.key, event.count / PROFILED, event.self_device_time_total / 1e3 / PROFILED))
        return sorted(found, key=lambda one: -one[2])


class AsWritten(Watched):
    """A method whose steps are not recorded."""

    recordable = False


def run(method: Watched, steps: int, profiled: bool = False) -> Clock:
    """Train for some steps."""
    clock = Clock(steps, profiled)
    with suppress(Enough):
        train(method, progress="none", callbacks=[clock])
    return clock


def as_written(method: Watched) -> Watched:
    """Return the same method with steps that are not recorded."""
    return AsWritten(method.config, method.tables, raster_context=method.given)


def weights_of(method: Watched) -> torch.Tensor:
    """Return all weights of the trained model as one vector."""
    return torch.cat([weight.detach().flatten().cpu().double() for weight in method.model.parameters()])


def products_ms(method: Watched) -> float:
    """Return the milliseconds of the matrix products of a step."""
    on_gpu = [
        (a.cuda(), b.cuda()) for a, b in products(method.model, method.config.batch_size, method.config.objective)
    ]
    if method.config.precision == "bf16":
        on_gpu = [(a.bfloat16(), b.bfloat16()) for a, b in on_gpu]
    torch.backends.cuda.matmul.allow_tf32 = method.config.precision == "tf32"
    graph = torch.cuda.CUDAGraph()
    multiply(on_gpu)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        multiply(on_gpu)
    began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    graph.replay()
    began.record()
    for _ in range(20):
        graph.replay()
    ended.record()
    torch.cuda.synchronize()
    torch.backends.cuda.matmul.allow_tf32 = False
    return began.elapsed_time(ended) / 20


def compare(recipe: str, batch: int) -> None:
    """Print how far 20 steps that are recorded, as written, and on the CPU are apart."""
    made = {"recorded": make_method(recipe, batch, "float32", "cuda", 20_000, read_every=1)}
    made["as written"] = as_written(made["recorded"])
    made["CPU"] = make_method(recipe, batch, "float32", "cpu", 20_000, read_every=1)
    losses = {name: run(method, READ_EVERY).losses for name, method in made.items()}
    reference, base = weights_of(made["as written"]), losses["as written"]
    for name in ("recorded", "CPU"):
        apart = (weights_of(made[name]) - reference).norm() / reference.norm()
        loss = max(abs(a - b) / abs(b) for a, b in zip(losses[name], base, strict=True))
        print(f"{recipe}: {name} / as written after {READ_EVERY} steps: losses {loss:.1e}, weights {apart:.1e} apart")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["default", "paper", "world"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "tf32", "bf16"])
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each table")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--kernels", type=int, default=0, help="number of the slowest kernels to print")
    parser.add_argument("--compare", action="store_true", help="also compare values of 20 steps")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("This benchmark needs an NVIDIA GPU; benchmarks/training_step.py times steps on a CPU.")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batch {options.batch_size:,}")
    print("| recipe | precision | step, ms | busy, ms | kernels | as written, ms | products | million pairs/min |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for recipe in options.recipes:
        for precision in options.precisions:
            method = make_method(recipe, options.batch_size, precision, "cuda", options.rows)
            recorded = run(method, options.steps, profiled=True)
            kernels = recorded.kernels()
            bare = products_ms(method)
            written = run(as_written(method), 300)
            step, busy = recorded.milliseconds, sum(one[2] for one in kernels)
            print(
                f"| {recipe} | {precision} | {step:.2f} | {busy:.2f} | {sum(one[1] for one in kernels):.0f} | "
                f"{written.milliseconds:.2f} | {bare:.2f} | {options.batch_size * 60 / step / 1e3:.1f} |",
                flush=True,
            )
            for name, count, spent in kernels[: options.kernels]:
                print(f"    {spent:.3f} ms {count:5.1f} x {name[:110]}", flush=True)
        if options.compare:
            compare(recipe, 1024)


if __name__ == "__main__":
    main()
