"""Compare the cost of each loss on paired sensors with its matrix products.

    python benchmarks/paired_losses.py [--batch 256 1024] [--width 128] [--labels 19] [--device cpu]

Two sensors, two views, float32, forward and backward. "Products" are those that the loss needs at least (embeddings
by embeddings, and both products of backward) on tensors of the same shapes, and nothing else: no softmax, no
normalisation, no labels. Everything alternates in one process, so that other load affects all alike; medians are
compared.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from geotether.objectives.colearning import SensorOutputs, colearning_terms, distillation_loss, weighted_sum
from geotether.objectives.disentangling import disentangling_terms
from geotether.objectives.info_nce import info_nce
from geotether.objectives.multilabel import merge, multilabel_contrast
from geotether.objectives.supervised import task_loss
from geotether.objectives.views import across_sensors, nt_xent, pairwise_nt_xent, within_sensors

TAU = 0.1
FEATURES = 256


def products(rows: int, columns: int, width: int, device: str) -> Callable[[], None]:
    """Compute the similarities of (rows, columns) pairs and the gradients of both sides."""
    left, right = torch.randn(rows, width, device=device), torch.randn(columns, width, device=device)
    gradient = torch.randn(rows, columns, device=device)

    def run() -> None:
        left @ right.T
        gradient @ right
        gradient.T @ left

    return run


def backward_of(loss: Callable[[], Tensor], leaves: list[Tensor]) -> Callable[[], None]:
    def run() -> None:
        torch.autograd.grad(loss(), leaves)

    return run


def build(n: int, width: int, k: int, device: str) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    """Return for each loss a function that computes it and one that computes its products."""

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, requires_grad=True)

    a, b, c, d = (random(n, width) for _ in range(4))
    labels = (torch.rand(n, k, device=device) < 3 / k).float()
    partly = labels.masked_fill(torch.rand(n, 1, device=device) < 0.5, float("nan"))
    merged, merged_labels = random(4 * n, width), labels.repeat(4, 1)
    classes = torch.randint(0, k, (n,), device=device)
    half = width // 2
    parts = [
        SensorOutputs(random(n, k), random(n, k), random(n, k), random(n, half), random(n, 2), random(n, 2))
        for _ in "ab"
    ]
    outputs = dict(zip(("s1", "s2"), parts, strict=True))
    outs = [field for part in parts for field in vars(part).values()]
    views = {"s1": (a, b), "s2": (c, d)}
    logits, rebuilt = random(n, 2), random(n, FEATURES)
    group = [slice(0, n // 2), slice(n // 2, n)]
    features = torch.randn(n, FEATURES, device=device)
    # 2n views against each other: the square of 2n, which symmetry could halve, but no library's product does.
    all_views = products(2 * n, 2 * n, width, device)
    pair, everything = products(n, n, width, device), products(4 * n, 4 * n, width, device)
    shared = products(2 * n, 2 * n, half, device)

    def contrast(labels: Tensor) -> Tensor:
        """Compute all terms of MoSAiC."""
        across = (across_sensors({"s1": a, "s2": c}, TAU) + across_sensors({"s1": b, "s2": d}, TAU)) / 2
        return within_sensors(views, TAU) + across + multilabel_contrast(*merge(views, labels), TAU)

    def mosaic() -> None:
        all_views(), all_views(), pair(), pair(), everything()

    def colearn() -> Tensor:
        return weighted_sum(colearning_terms(outputs, "classes", classes))

    def split() -> Tensor:
        own = [rebuilt[part] for part in group]
        wanted = [features[part] for part in group]
        found = disentangling_terms(a, b, group, [10.0, 10.0], "modality_to_location", logits, own, wanted)
        return weighted_sum(found)

    losses: dict[str, tuple[Callable[[], Tensor], list[Tensor], Callable[[], None]]] = {
        "info_nce": (lambda: info_nce(a, b, 1 / TAU), [a, b], pair),
        "nt_xent": (lambda: nt_xent(a, b, TAU), [a, b], all_views),
        "pairwise_nt_xent": (lambda: pairwise_nt_xent({"s1": a, "s2": b}, TAU), [a, b], all_views),
        "multilabel_contrast": (lambda: multilabel_contrast(merged, merged_labels, TAU), [merged], everything),
        "MoSAiC": (lambda: contrast(labels), [a, b, c, d], mosaic),
        "MoSAiC, half labelled": (lambda: contrast(partly), [a, b, c, d], mosaic),
        "MDiCo": (colearn, outs, shared),
        "shared / specific": (split, [a, b, logits, rebuilt], pair),
        "task_loss (no product)": (lambda: task_loss("labels", parts[0].task, partly), [parts[0].task], pair),
        "distillation (no product)": (
            lambda: distillation_loss("classes", parts[0].task, parts[1].task, 2.0),
            [parts[0].task],
            pair,
        ),
    }
    return {name: (backward_of(loss, leaves), alone) for name, (loss, leaves, alone) in losses.items()}


def median_seconds(runs: dict[str, Callable[[], None]], rounds: int, device: str) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 2):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if device != "cpu":
                torch.cuda.synchronize()
            if turn >= 2:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--labels", type=int, default=19)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {arguments.device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for batch in arguments.batch:
        built = build(batch, arguments.width, arguments.labels, arguments.device)
        runs = {name: run for name, (run, _) in built.items()}
        runs |= {f"{name} products": alone for name, (_, alone) in built.items()}
        medians = median_seconds(runs, arguments.rounds, arguments.device)
        print(f"\nbatch {batch}, width {arguments.width}, {arguments.labels} labels")
        print(f"{'':28s}{'loss':>10s}{'products':>12s}{'ratio':>8s}")
        for name in built:
            loss, alone = medians[name], medians[f"{name} products"]
            print(f"{name:28s}{1e3 * loss:7.2f} ms{1e3 * alone:9.2f} ms{loss / alone:8.2f}")


if __name__ == "__main__":
    main()
