"""Predictions for every labelled place by probes that got labels of other blocks only; for maps."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer, Shaped

from geotether.benchmark.plan import draw_rows
from geotether.loading import EncoderFunction, encode_places
from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import fit_ridges, predict_ridges
from geotether.probes.spatial_cv import block_folds
from geotether.tasks.task import Task


def predict_out_of_block(
    encoder: EncoderFunction,
    tasks: Sequence[Task],
    labels: int = 2700,
    block_km: float | int = 1000.0,
    num_folds: int = 5,
    seed: int = 0,
) -> tuple[Integer[np.ndarray, " n"], list[Shaped[np.ndarray, " n"]]]:
    """Predict all labelled rows of tasks by ridge, fold by fold of whole spatial blocks.

    A map of the test rows alone has holes at the training rows. Here each block is predicted from labels outside it, so
    the map covers all places. The tasks' own splits are not used, so this is not a score of the benchmark.

    Args:
        encoder: Function of lonlat (n, 2) that returns (n, d).
        tasks: With equal places and equal labelled rows; they share one decomposition per fold.
        labels: Labelled rows drawn for every fold, or all if there are fewer.
        block_km: Side of the blocks.
        num_folds: Number of folds.
        seed: Seed of blocks and draws.

    Returns:
        Row numbers of the labelled rows, shape (n,), and for each task the predictions in the same order.

    Raises:
        ValueError: If the tasks differ in places or labelled rows, or all places are in one block.
    """
    first = tasks[0]
    for task in tasks[1:]:
        if not (np.array_equal(task.lonlat, first.lonlat) and np.array_equal(task.valid, first.valid)):
            raise ValueError(
                f"tasks {first.name!r} and {task.name!r} differ in places or labelled rows; predict each alone."
            )
    rows = np.flatnonzero(first.valid)
    lonlat = first.lonlat[rows]
    features = encode_places(encoder, lonlat)
    folds = block_folds(lonlat, num_folds, block_km, seed)
    if folds.max() == 0:
        raise ValueError(
            f"task {first.name!r}: all places are in one block of {block_km:g} km; use a smaller block_km."
        )
    targets = [task.targets(rows) for task in tasks]
    values = [np.empty(len(rows), dtype=target.values.dtype) for target in targets]
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        others = np.flatnonzero(~held)
        drawn = draw_rows(others, min(labels, len(others)), seed)
        inner = block_folds(lonlat[drawn], 50, block_km, seed)
        inner = inner if inner.max() > 0 else np.arange(len(drawn))
        probes = fit_ridges(RidgeDecomposition(features[drawn]), [target.rows(drawn) for target in targets], inner)
        for kept, predicted in zip(values, predict_ridges(probes, features[held]), strict=True):
            kept[held] = predicted
    return rows, values
