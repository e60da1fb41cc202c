"""Geo-bias: how surprising the pattern of right and wrong answers around places is, by Moran's I."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, Shaped

from geotether.geodesy.coordinates import check_lonlat, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, chord_of_km, sphere_tree
from geotether.probes.moran import MOMENTS, moran_moments, moran_sum, surprisal
from geotether.probes.target import KINDS

CENTERS = ("wrong", "all")
BACKGROUND_PER_POINT = 5.0
# Further neighbours looked at, so that all ties with the last are known: the innermost ring has seven places.
TIES = 8


@dataclass(frozen=True, eq=False)
class GeoBias:
    """Spatial self-information of a set of answers, in nats; larger is more clustered and so more biased.

    Attributes:
        unmarked: Mean over the centres, each weighted by the test places around it, of the surprise at where the test
            places lie; NaN without centres. It depends on the answers only through the choice of centres.
        marked: The same of the surprise at which of them are right and which wrong.
        centers: Row numbers of the centres, shape (c,).
        counts: Test places within the radius of each centre, itself included, shape (c,).
        unmarked_at: Score of each centre, shape (c,).
        marked_at: Score of each centre, shape (c,).
        share_correct: Share of right answers among all places.
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
    centers: str = "wrong",
    max_centers: int | None = 2000,
    moments: str = "permutation",
    seed: int = 0,
) -> GeoBias:
    """Score the geographic bias of answers: unmarked and marked spatial self-information (SSI).

    Around each centre the test places within the radius are joined by a grid of background places, about five for
    each test place, of value 0. Unmarked, test places have the value 1; marked, 1 where the answer is right and -1
    where it is wrong. Each place is linked to its nearest others, and the score is minus the logarithm of the
    two-sided tail probability of Moran's I under its normal approximation.

    Args:
        lonlat: Test places, degrees, shape (n, 2).
        correct: True where the answer is right, shape (n,); see `is_correct`.
        radius_km: Radius of a neighbourhood.
        neighbors: Nearest places that each place is linked to.
        centers: "wrong": around every wrong answer, as published; "all": around every place.
        max_centers: If there are more, as many are drawn. None: take all.
        moments: "permutation": exact mean and variance of Moran's I when values are dealt to the places at random;
            "lattice": the approximation in PyGBS, for comparison with its numbers. See `moran_moments`.
        seed: Seed of that draw.

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
        raise ValueError(f"{len(lonlat)} places, but {len(correct)} answers.")
    if not len(lonlat):
        raise ValueError("geo_bias needs at least one test place, got none.")
    if centers not in CENTERS or moments not in MOMENTS:
        known = f"centers is one of {', '.join(CENTERS)}, moments one of {', '.join(MOMENTS)}"
        raise ValueError(f"{known}; got {centers!r} and {moments!r}.")
    if not 0 < radius_km < 10_000:
        raise ValueError(f"radius_km must lie between 0 and 10000, got {radius_km}.")
    if not 1 <= neighbors <= 19:
        raise ValueError(f"neighbors must be 1 to 19, got {neighbors}: the smallest neighbourhood has 21 places.")
    chosen = np.flatnonzero(~correct) if centers == "wrong" else np.arange(len(lonlat))
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
        scores[i] = self_information(np.concatenate([xyz[near], around]), marks[near], neighbors, moments)
    mean = np.average(scores, axis=0, weights=counts) if len(chosen) else np.full(2, np.nan)
    return GeoBias(float(mean[0]), float(mean[1]), chosen, counts, scores[:, 0], scores[:, 1], float(np.mean(correct)))


def self_information(
    points: Float64[np.ndarray, "p 3"], marks: Float64[np.ndarray, " m"], neighbors: int, moments: str
) -> tuple[float, float]:
    """Unmarked and marked score of one neighbourhood whose first m points are test places and the rest background."""
    links = nearest_others(points, neighbors)
    values = np.zeros((2, len(points)))
    values[0, : len(marks)], values[1, : len(marks)] = 1.0, marks
    unmarked, marked = (
        surprisal(moran_sum(one, links), *moran_moments(one, links, moments)) for one in (values[0], values[1])
    )
    return unmarked, marked


def nearest_others(points: Float64[np.ndarray, "p 3"], count: int) -> Integer[np.ndarray, "p k"]:
    """Row numbers of the nearest other points; of equally far ones, those with the lowest numbers.

    A point at the very same place counts as another. Rings of background places are full of ties, which rounding would
    decide differently on every machine.
    """
    from scipy.spatial import cKDTree

    distance, index = cKDTree(points).query(points, k=min(count + 1 + TIES, len(points)))
    index = np.asarray(index)
    distance = np.where(index == np.arange(len(points))[:, None], np.inf, np.round(distance, 10))
    order = np.lexsort((index, distance), axis=1)[:, :count]
    return np.take_along_axis(index, order, axis=1)


def background_grid(radius_km: float | int, count: int) -> Float64[np.ndarray, "b 3"]:
    """Rings of places around the north pole, `BACKGROUND_PER_POINT` for each of `count` test places and a margin.

    Rings and the places on them are as far apart as the square root of the area that each place has. The centre stays
    free, for a test place is there; the last ring lies on the radius or up to one spacing beyond.

    Args:
        radius_km: Radius of the neighbourhood.
        count: Test places in it.

    Returns:
        Unit vectors, shape (b, 3), with the pole as third axis.
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
    """North, east and up at a place, as rows: what turns the north pole's surroundings into the place's own."""
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
    """Say which answers are right: the same class, or a number that is near enough.

    Args:
        true: True classes or numbers, shape (n,).
        predicted: Predicted ones, shape (n,).
        kind: "classification" or "regression".
        tolerance: Largest absolute error of a right number, in its unit. None: half the standard deviation of the true
            values, which is the same for every encoder. Of no meaning for classes, where it must be None.

    Returns:
        Shape (n,), boolean.

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
