"""Quick-look layers of an embedding: three principal components as colours, and clusters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from geotether.exporting.precision import Coding
from geotether.exporting.raster import Band
from geotether.regions.named import country_of

# A colour shows the range between these percentiles of the sample.
_LOW, _HIGH = 2.0, 98.0
_CLUSTERS, _MOST_CLUSTERS = 8, 64
# Colour-blind readers can tell these apart: Paul Tol, "muted" (https://personal.sron.nl/~pault).
_MUTED = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499")


@dataclass(frozen=True)
class Principal:
    """The first three principal components as red, green and blue, 1 to 255; 0 is no data.

    Attributes:
        mean: Mean of the sample, shape (d,).
        axes: Directions, shape (d, 3).
        low: The score that becomes 1, per component.
        high: The score that becomes 255.
        variance: Share of the variance that each component has.
    """

    mean: np.ndarray
    axes: np.ndarray
    low: np.ndarray
    high: np.ndarray
    variance: tuple[float, ...]
    dtype: str = "uint8"
    nodata: float = 0
    colours: None = None
    title: str = "three principal components of the embedding"

    @classmethod
    def fit(cls, sample: Float32[np.ndarray, "n d"]) -> "Principal":
        """Find the components of a sample of at least one embedding of at least three numbers.

        Raises:
            ValueError: If there are fewer than three numbers per place.
        """
        from sklearn.decomposition import PCA

        if sample.shape[1] < 3:
            raise ValueError(f"--layer rgb needs three numbers per place or more; the model has {sample.shape[1]}.")
        rows = sample.astype(np.float64)
        if len(rows) < 4:  # a spread of zero, without a warning
            rows = np.concatenate([rows, np.repeat(rows[:1], 4 - len(rows), axis=0)])
        with np.errstate(invalid="ignore"):  # equal rows have no variance to divide by
            found = PCA(3, svd_solver="full").fit(rows)
        scores = found.transform(rows)
        low, high = np.percentile(scores, [_LOW, _HIGH], axis=0)
        shares = np.nan_to_num(found.explained_variance_ratio_)
        return cls(found.mean_, found.components_.T, low, high, tuple(round(float(share), 4) for share in shares))

    @property
    def bands(self) -> tuple[Band, ...]:
        """Red, green and blue."""
        texts = [f"principal component {number}, {share:.1%} of variance" for number, share in self._numbered()]
        return tuple(Band(name, "", text) for name, text in zip(("red", "green", "blue"), texts, strict=True))

    @property
    def notes(self) -> dict[str, Any]:
        """Shares of the variance, and the percentiles that the colours end at."""
        return {"layer": "rgb", "variance": list(self.variance), "percentiles": [_LOW, _HIGH]}

    def stored(self, embeddings: Float32[np.ndarray, "n d"]) -> UInt8[np.ndarray, "n 3"]:
        """Return the colours of places."""
        scores = (embeddings - self.mean) @ self.axes
        share = (scores - self.low) / np.where(self.high > self.low, self.high - self.low, 1.0)
        return (1 + np.rint(254 * np.clip(share, 0, 1))).astype(np.uint8)

    def _numbered(self) -> list[tuple[int, float]]:
        return list(enumerate(self.variance, 1))


@dataclass(frozen=True)
class Clusters:
    """The number of the cluster that each place belongs to, from 1; 0 is no data.

    Attributes:
        centers: Centres of the clusters, shape (k, d), ordered such that similar clusters follow each other.
        sizes: Number of places of the sample in each.
    """

    centers: np.ndarray
    sizes: tuple[int, ...]
    dtype: str = "uint8"
    nodata: float = 0
    title: str = "clusters of the embedding"

    @classmethod
    def fit(cls, sample: Float32[np.ndarray, "n d"], count: int) -> "Clusters":
        """Cluster a sample by k-means, seeded.

        Raises:
            ValueError: If the sample has fewer places than clusters.
        """
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA

        if len(np.unique(sample, axis=0)) < count:
            raise ValueError(
                f"--layer clusters:{count} needs {count} places that differ; the region has {len(sample)}."
            )
        rows = sample.astype(np.float64)
        found = KMeans(count, n_init=3, random_state=0).fit(rows)
        order = np.argsort(PCA(1, svd_solver="full").fit(rows).transform(found.cluster_centers_)[:, 0], kind="stable")
        sizes = np.bincount(found.labels_, minlength=count)[order]
        return cls(found.cluster_centers_[order], tuple(sizes.tolist()))

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band."""
        return (Band("cluster", "", f"number of the cluster, 1 to {len(self.sizes)}"),)

    @property
    def colours(self) -> Mapping[int, tuple[int, int, int]]:
        """A colour per cluster that colour-blind readers can tell from the others, as far as so many can be told."""
        from matplotlib import colormaps
        from matplotlib.colors import to_rgb

        count = len(self.sizes)
        named = [to_rgb(colour) for colour in _MUTED[:count]]
        spread = [colormaps["cividis"](at)[:3] for at in np.linspace(0, 1, count)]
        chosen = named if count <= len(_MUTED) else spread
        return {number: _levels(colour) for number, colour in enumerate(chosen, 1)}

    @property
    def notes(self) -> dict[str, Any]:
        """Number of clusters."""
        return {"layer": f"clusters:{len(self.sizes)}"}

    def stored(self, embeddings: Float32[np.ndarray, "n d"]) -> UInt8[np.ndarray, "n 1"]:
        """Return the number of the nearest centre of places."""
        rows = embeddings.astype(np.float64)
        distance = (self.centers**2).sum(axis=1) - 2 * rows @ self.centers.T
        return (1 + distance.argmin(axis=1)).astype(np.uint8)[:, None]


def check_layer(layer: str) -> tuple[str, int]:
    """Read a layer from a text: "rgb", "clusters" or "clusters:K" with K from 2 to 64.

    Raises:
        ValueError: If it is none of these.

    Example:
        >>> check_layer("clusters:12")
        ('clusters', 12)
    """
    found = re.fullmatch(r"(rgb)|clusters(?::(\d{1,3}))?", layer.strip().lower())
    count = int(found[2] or _CLUSTERS) if found else 0
    if found is None or not 2 <= count <= _MOST_CLUSTERS:
        raise ValueError(f"--layer is rgb, clusters or clusters:K with K from 2 to {_MOST_CLUSTERS}; got {layer!r}.")
    return ("rgb", 3) if found[1] else ("clusters", count)


def fit_layer(layer: str, sample: Float32[np.ndarray, "n d"], land: Bool[np.ndarray, "n"]) -> Coding:
    """Fit a layer on the places of a sample that are on land, or on all if fewer than 100 are.

    Args:
        layer: As for `check_layer`.
        sample: Embeddings, shape (n, d).
        land: The places on land, shape (n,).
    """
    kind, count = check_layer(layer)
    chosen = sample[land] if land.sum() >= 100 else sample
    return Principal.fit(chosen) if kind == "rgb" else Clusters.fit(chosen, count)


def on_land(lonlat: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
    """Mark the places within a country, Antarctica or an island, as Natural Earth draws them at 1:50 million."""
    return np.array([bool(country) for country in country_of(lonlat)])


def _levels(colour: tuple[float, ...]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in colour[:3])
    return red, green, blue
