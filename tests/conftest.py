"""Every shape annotation of the package is checked while the tests run."""

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook("geotether", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

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
