"""Fields of a table's observations: their components, averaged near places and filled in between."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32

from geotether.context.smoothing import NodeGrid, gaussian_sums
from geotether.encoders.heads import FeatureDecoder
from geotether.moments import CHUNK_ROWS
from geotether.tables.table import Table

# Values beyond a few of these many standard deviations are drawn in: single rows would decide whole fields.
SQUEEZE = 4.0
# Gaussians, in multiples of the reach, from near to far.
WIDTHS = (1.0, 3.0, 9.0, 27.0)
# The value of the wider neighbourhood counts as much as this share of an observation at the node.
PRIOR = 0.1
# A node is known if an observation lies within this many times the reach, two of these widths.
KNOWN_REACH = 6.0
_KNOWN_WIDTH, _KNOWN_COUNT = 3.0, float(np.exp(-2.0))


def squeeze(values: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Draw large values in: 4 tanh(x / 4), for values of unit standard deviation."""
    return (SQUEEZE * np.tanh(values / SQUEEZE)).astype(np.float32)


def merged_places(
    lonlat: Float[np.ndarray, "n 2"], values: Float[np.ndarray, "n k"]
) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m k"]]:
    """Average the observations of each place (to 1e-6 degrees), so that a place counts once."""
    places, where, counts = np.unique(lonlat.round(6), axis=0, return_inverse=True, return_counts=True)
    rows = np.argsort(where.reshape(-1), kind="stable")
    sums = np.add.reduceat(values[rows].astype(np.float64), np.cumsum(counts) - counts, axis=0)
    return places, (sums / counts[:, None]).astype(values.dtype)


def observed_components(table: Table, components: int) -> Float32[np.ndarray, "n k"]:
    """Return the leading principal components of a table's features, squeezed.

    Their sizes keep their proportions; before squeezing, the variances of those kept add up to one.
    """
    decoder = FeatureDecoder.of(table.features, components)
    values = np.concatenate(
        [
            decoder.targets(torch.tensor(table.features[start : start + CHUNK_ROWS])).numpy()
            for start in range(0, len(table), CHUNK_ROWS)
        ]
    )
    spread = values.std(axis=0).clip(1e-9)
    return spread * squeeze(values / spread)


def push_pull(
    lonlat: Float[np.ndarray, "n 2"],
    values: Float[np.ndarray, "n k"],
    nodes: NodeGrid,
    reach_km: float,
    widths: Sequence[float] = WIDTHS,
) -> tuple[Float32[np.ndarray, "rows columns k"], Bool[np.ndarray, "rows columns"]]:
    """Average observations around nodes: near an observation its own value, far away that of a wider neighbourhood.

    From the widest Gaussian to the narrowest, value = (sum + 0.1 wider value) / (count + 0.1), where an observation at
    the node adds 1 to the count; far from everything the value tends to 0.

    Args:
        lonlat: Distinct places in degrees, shape (n, 2), inside the nodes' area.
        values: Observed values, shape (n, k), of mean 0.
        nodes: Where averages are wanted.
        reach_km: Standard deviation of the narrowest Gaussian.
        widths: Standard deviations of all, in multiples of the reach.

    Returns:
        Averages, and which nodes have an observation within six times the reach.

    Source:
        Gortler et al. (1996), The Lumigraph, section 3.4 (push-pull filling of gaps).
    """
    counted = np.concatenate([values, np.ones((len(values), 1))], axis=1).astype(np.float32)
    spread = _spread(lonlat, counted, nodes)
    averages = np.zeros((nodes.rows, nodes.columns, values.shape[1]), dtype=np.float32)
    known = np.zeros((nodes.rows, nodes.columns), dtype=bool)
    for width in sorted(widths, reverse=True):
        sums = gaussian_sums(spread, nodes, width * reach_km, nodes)
        averages = (sums[..., :-1] + PRIOR * averages) / (sums[..., -1:].clip(0) + PRIOR)
        if width == _KNOWN_WIDTH:
            known = sums[..., -1] >= _KNOWN_COUNT
    return averages, known


def observation_field(
    table: Table, components: int, nodes: NodeGrid, reach_km: float
) -> tuple[Float32[np.ndarray, "rows columns k"], Bool[np.ndarray, "rows columns"]]:
    """Return the field of a table's leading components on nodes; see `push_pull`."""
    lonlat, values = merged_places(table.lonlat, observed_components(table, components))
    return push_pull(lonlat, values, nodes, reach_km)


def _spread(
    lonlat: Float[np.ndarray, "n 2"], values: Float32[np.ndarray, "n k"], nodes: NodeGrid
) -> Float32[np.ndarray, "rows columns k"]:
    """Share the values of each place among the four nodes around it, bilinearly, and add them up."""
    down = np.clip((nodes.north - lonlat[:, 1]) / nodes.step, 0, nodes.rows - 1)
    east = (lonlat[:, 0] - nodes.west) % 360 / nodes.step
    row, column = np.floor(down).astype(np.int64), np.floor(east).astype(np.int64)
    down, east = down - row, east - column
    found = np.zeros((nodes.rows * nodes.columns, values.shape[1]), dtype=np.float32)
    for below in (0, 1):
        for right in (0, 1):
            share = (down if below else 1 - down) * (east if right else 1 - east)
            here = np.minimum(row + below, nodes.rows - 1) * nodes.columns + (column + right) % nodes.turn
            used = share > 0
            np.add.at(found, here[used], values[used] * share[used, None].astype(np.float32))
    return found.reshape(nodes.rows, nodes.columns, values.shape[1])
