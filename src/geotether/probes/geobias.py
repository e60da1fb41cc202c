"""Geo-bias: the spatial self-information of right and wrong predictions around places, by Moran's I."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, Shaped

from geotether.geodesy.coordinates import check_lonlat, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, chord_of_km, sphere_tree
from geotether.probes.target import KINDS

BACKGROUND_PER_POINT = 5.0
# Additional neighbours searched, to include all ties with the last: the innermost ring has seven places.
TIES = 8


@dataclass(frozen=True, eq=False)
class GeoBias:
    """Spatial self-information of a set of predictions, in nats; larger is more clustered and so more biased.

    Attributes:
        unmarked, marked: Mean self-information of the pattern of test places, and of that of right and wrong
            predictions, over the centres weighted by the test places around them; NaN without centres. The first
            depends on the predictions only by the choice of centres.
        centers: Row numbers of the centres, shape (c,).
        counts: Test places within the radius of each centre, itself included, shape (c,).
        unmarked_at, marked_at: Scores of each centre, shape (c,).
        share_correct: Share of right predictions among all places.
    """

    unmarked: float
    marked: float
    centers: Integer[np.ndarray, " c"]
    counts: Integer[np.ndarray, " c"]
    unmarked_at: Float64[np.ndarray, " c"]
    marked_at: Float64[np.ndarray, " c"]
    share_correct: float


def geo_bias(
    lonlat: Float[np.ndarray, "n 2"],
    correct: Bool[np.ndarray, " _"],
    radius_km: float | int = 100.0,
    neighbors: int = 4,
    max_centers: int | None = 2000,
    seed: int = 0,
) -> GeoBias:
    """Score the geographic bias of predictions: unmarked and marked spatial self-information (SSI).

    Around each wrong prediction, about five background places of value 0 per test place within the radius are added.
    Unmarked, test places have the value 1; marked, 1 where the prediction is right and -1 where it is wrong. Each place
    is linked to its nearest others, and the score is minus the logarithm of the two-sided tail probability of Moran's I
    under its normal approximation.

    Args:
        lonlat: Test places, degrees, shape (n, 2).
        correct: True where the prediction is right, shape (n,); see `is_correct`.
        radius_km: Radius of a neighbourhood.
        neighbors: Number of nearest places that each place is linked to.
        max_centers: Number of centres (wrong predictions) drawn if there are more. None: all.
        seed: Seed of the draw of centres.

    Returns:
        The scores. Without any centre both means are NaN.

    Raises:
        ValueError: If lengths differ, there are no places, or an option is out of range.

    Source:
        Wu et al. (2024), "TorchSpatial", NeurIPS Datasets and Benchmarks, arXiv:2406.15658, section 4 (there "base"
        and "relative" in its first version); the geometry of the background as in seai-lab/PyGBS.

    Example:
        >>> east = np.arange(40) * 0.1
        >>> lonlat = np.stack([east, 0.3 * np.sin(9 * east)], axis=1)
        >>> bias = geo_bias(lonlat, east > 2.0)
        >>> len(bias.centers), bias.marked > 1.5
        (21, True)
    """
    check_lonlat(lonlat)
    if len(correct) != len(lonlat):
        raise ValueError(f"{len(lonlat)} places, but {len(correct)} predictions.")
    if not len(lonlat):
        raise ValueError("geo_bias needs at least one test place, got none.")
    if not 0 < radius_km < 10_000:
        raise ValueError(f"radius_km must be between 0 and 10000, got {radius_km}.")
    if not 1 <= neighbors <= 19:
        raise ValueError(f"neighbors must be 1 to 19, got {neighbors}: the smallest neighbourhood has 21 places.")
    chosen = np.flatnonzero(~correct)
    if max_centers is not None and len(chosen) > max_centers:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, max_centers, replace=False))
    xyz, tree = unit_vectors(lonlat.astype(np.float64)), sphere_tree(lonlat)
    marks = np.where(correct, 1.0, -1.0)
    grids: dict[int, Float64[np.ndarray, "b 3"]] = {}
    counts, scores = np.empty(len(chosen), dtype=np.int64), np.empty((len(chosen), 2))
    for i, center in enumerate(chosen):
        near = np.array(tree.query_ball_point(xyz[center], chord_of_km(radius_km) * (1 + 1e-12)))
        counts[i] = len(near)
        if len(near) not in grids:
            grids[len(near)] = background_grid(radius_km, len(near))
        around = grids[len(near)] @ frame_at(xyz[center])
        scores[i] = self_information(np.concatenate([xyz[near], around]), marks[near], neighbors)
    mean = np.average(scores, axis=0, weights=counts) if len(chosen) else np.full(2, np.nan)
    return GeoBias(float(mean[0]), float(mean[1]), chosen, counts, scores[:, 0], scores[:, 1], float(np.mean(correct)))


def self_information(
    points: Float64[np.ndarray, "p 3"], marks: Float64[np.ndarray, " m"], neighbors: int
) -> tuple[float, float]:
    """Return the unmarked and marked score of a neighbourhood: first m test places, then background places."""
    links = nearest_others(points, neighbors)
    values = np.zeros((2, len(points)))
    values[0, : len(marks)], values[1, : len(marks)] = 1.0, marks
    unmarked, marked = (surprisal(moran_sum(one, links), *moran_moments(one, links)) for one in values)
    return unmarked, marked


def nearest_others(points: Float64[np.ndarray, "p 3"], count: int) -> Integer[np.ndarray, "p k"]:
    """Return the row numbers of the nearest other points; ties by the lowest number.

    Points at the same place count as others. Rings of background places have many ties, which rounding would decide
    differently between machines.
    """
    from scipy.spatial import cKDTree

    distance, index = cKDTree(points).query(points, k=min(count + 1 + TIES, len(points)))
    index = np.asarray(index)
    distance = np.where(index == np.arange(len(points))[:, None], np.inf, np.round(distance, 10))
    order = np.lexsort((index, distance), axis=1)[:, :count]
    return np.take_along_axis(index, order, axis=1)


def background_grid(radius_km: float | int, count: int) -> Float64[np.ndarray, "b 3"]:
    """Return unit vectors of rings around the north pole, `BACKGROUND_PER_POINT` per test place plus a margin.

    The spacing of rings, and of places on them, is the square root of the area per place. The centre is left free for a
    test place; the last ring is on the radius or up to one spacing beyond.
    """
    radius = radius_km / EARTH_RADIUS_KM
    density = math.ceil(BACKGROUND_PER_POINT * count / (math.pi * radius**2))
    spacing = 1.0 / math.sqrt(density)
    rings = []
    for ring in range(1, math.ceil(radius / spacing) + 1):
        turn = -math.pi + 2.0 * math.pi * np.arange(size := math.ceil(2.0 * math.pi * ring)) / size
        angle = spacing * ring
        height = np.full(size, math.cos(angle))
        rings.append(np.stack([math.sin(angle) * np.cos(turn), math.sin(angle) * np.sin(turn), height], axis=1))
    return np.concatenate(rings)


def frame_at(center: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "3 3"]:
    """Return north, east and up at a place as rows: the rotation from the north pole to the place."""
    x, y, z = center
    flat = math.hypot(x, y)
    east = np.array([-y / flat, x / flat, 0.0]) if flat > 1e-12 else np.array([0.0, 1.0, 0.0])
    return np.stack([np.cross(center, east), east, np.array([x, y, z])])


def is_correct(
    true: Shaped[np.ndarray, " n"],
    predicted: Shaped[np.ndarray, " _"],
    kind: str,
    tolerance: float | int | None = None,
) -> Bool[np.ndarray, " n"]:
    """Return which predictions are right, shape (n,): the same class, or a number within the tolerance.

    Args:
        true: True classes or numbers, shape (n,).
        predicted: Predicted ones, shape (n,).
        kind: "classification" or "regression".
        tolerance: Largest absolute error of a right number, in its unit. None: half the standard deviation of the true
            values, which is the same for every encoder. Must be None for classes.

    Raises:
        ValueError: If lengths differ, the kind is unknown, or the tolerance is negative or given for classes.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}; got {kind!r}.")
    if len(true) != len(predicted):
        raise ValueError(f"{len(true)} true values, but {len(predicted)} predictions.")
    if kind == "classification":
        if tolerance is not None:
            raise ValueError(f"tolerance={tolerance} is for numbers; a class is right or wrong, leave it None.")
        return np.asarray(true == predicted)
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance must be 0 or more, got {tolerance}.")
    limit = 0.5 * float(np.std(true)) if tolerance is None else float(tolerance)
    return np.abs(predicted.astype(np.float64) - true.astype(np.float64)) <= limit


def moran_sum(values: Float64[np.ndarray, " n"], links: Integer[np.ndarray, "n k"]) -> float:
    """Return the sum over all links of the product of both deviations from the mean: Moran's I before scaling.

    Args:
        values: One number per place, shape (n,).
        links: Row numbers of the linked places of each place, shape (n, k).

    Source:
        Moran (1950), Biometrika 37:17.
    """
    centered = values - values.mean()
    return float(centered @ centered[links].sum(axis=1))


def moran_moments(values: Float64[np.ndarray, " n"], links: Integer[np.ndarray, "n k"]) -> tuple[float, float]:
    """Return mean and standard deviation of `moran_sum` over all permutations of the values, exactly.

    Args:
        values: One number per place, shape (n,), n at least 4, not all equal.
        links: Shape (n, k).

    Source:
        Cliff & Ord (1981), Spatial Processes, section 2.3.2, scaled from Moran's I to the sum.
    """
    n, weight = len(values), float(links.size)
    centered = values - values.mean()
    square = float((centered**2).sum())
    kurtosis = n * float((centered**4).sum()) / square**2
    mutual = float((links[links] == np.arange(n)[:, None, None]).any(axis=2).sum())
    s1 = weight + mutual
    s2 = float(((links.shape[1] + np.bincount(links.ravel(), minlength=n)) ** 2).sum())
    mean = -1.0 / (n - 1)
    even = n * ((n**2 - 3 * n + 3) * s1 - n * s2 + 3 * weight**2)
    peaked = kurtosis * ((n**2 - n) * s1 - 2 * n * s2 + 6 * weight**2)
    variance = (even - peaked) / ((n - 1) * (n - 2) * (n - 3) * weight**2) - mean**2
    scale = weight * square / n
    return mean * scale, math.sqrt(max(variance, 0.0)) * scale


def surprisal(value: float, mean: float, deviation: float) -> float:
    """Return minus the logarithm of the two-sided tail probability of a normal value, in nats.

    The result is 0 at the mean, without an upper limit, and 0 if the deviation is 0.
    """
    from scipy.special import log_ndtr

    if deviation <= 0:
        return 0.0
    return max(0.0, -math.log(2.0) - float(log_ndtr(-abs(value - mean) / deviation)))
