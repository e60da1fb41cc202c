"""Coherence of clusters: how embeddings cluster by label set, and which rows have overlapping classes."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped

from geotether.probes.scores import known_label_rows
from geotether.probes.spread import unit_rows


@dataclass(frozen=True)
class Coherence:
    """How well embeddings cluster by label set.

    Args:
        silhouette: Mean silhouette with every label set as a cluster, -1 to 1; 0 is no structure.
        nmi: Normalised mutual information of k-means clusters and label sets, 0 to 1. It is far above 0 by
            chance for many clusters of few rows, so compare at equal numbers of rows.
        ami: The same, adjusted so that chance is 0.
        sets: Number of label sets, which is the number of clusters.
        rows: Number of rows judged.
        left_out: Number of rows left out: without known labels, of rare label sets, or beyond `max_rows`.
    """

    silhouette: float
    nmi: float
    ami: float
    sets: int
    rows: int
    left_out: int


def coherence(
    embeddings: Float[np.ndarray, "n d"],
    labels: Shaped[np.ndarray, "m c"],
    min_rows: int = 5,
    max_rows: int = 5_000,
    seed: int = 0,
) -> Coherence:
    """Measure how embeddings cluster by label set, on rows scaled to length 1.

    Args:
        embeddings: Shape (n, d), no row all zeros.
        labels: 0 and 1, shape (n, c); whole rows of NaN are left out. Rows without labels form a label set too.
        min_rows: Label sets of fewer rows are left out; 2 or more.
        max_rows: Number of rows drawn if there are more; the silhouette compares all pairs.
        seed: Seed of the draw and of k-means.

    Returns:
        Silhouette by cosine distance; NMI and AMI of k-means (10 starts) with as many clusters as label sets.

    Raises:
        ValueError: If rows differ, `min_rows` is below 2, `max_rows` below `min_rows`, or fewer than two label sets
            have enough rows.

    Source:
        Rousseeuw (1987), J. Comput. Appl. Math. 20:53 (silhouette); Strehl & Ghosh (2002), JMLR 3:583 (NMI); Vinh,
        Epps & Bailey (2010), JMLR 11:2837 (AMI). All by scikit-learn.

    Example:
        >>> rng, labels = np.random.default_rng(0), np.repeat(np.eye(2), 10, axis=0)
        >>> found = coherence(labels + 0.01 * rng.standard_normal((20, 2)), labels)
        >>> found.sets, round(found.nmi, 3), found.silhouette > 0.9
        (2, 1.0, True)
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score, silhouette_score

    if len(embeddings) != len(labels):
        raise ValueError(f"{len(embeddings)} embeddings, but {len(labels)} rows of labels.")
    if min_rows < 2 or max_rows < min_rows:
        raise ValueError(
            f"min_rows must be 2 or more and max_rows no less; got min_rows {min_rows}, max_rows {max_rows}."
        )
    chosen = np.flatnonzero(known_label_rows(labels))
    if len(chosen) > max_rows:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, max_rows, replace=False))
    sets = label_sets(labels[chosen])
    frequent = np.bincount(sets)[sets] >= min_rows if len(sets) else np.zeros(0, dtype=bool)
    chosen, sets = chosen[frequent], sets[frequent]
    count = len(np.unique(sets))
    if count < 2:
        raise ValueError(
            f"only {count} label sets have {min_rows} or more rows; coherence needs at least two: pass more rows or "
            "a smaller min_rows."
        )
    directions = unit_rows(embeddings[chosen])
    with warnings.catch_warnings():
        # Embeddings may have collapsed to fewer points than label sets; they are scored all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(n_clusters=count, n_init=10, random_state=seed).fit_predict(directions)
    return Coherence(
        float(silhouette_score(directions, sets, metric="cosine")),
        float(normalized_mutual_info_score(sets, clusters)),
        float(adjusted_mutual_info_score(sets, clusters)),
        count,
        len(chosen),
        len(embeddings) - len(chosen),
    )


def label_sets(labels: Shaped[np.ndarray, "n c"]) -> Integer[np.ndarray, " n"]:
    """Number the different label sets, in the order of their 0 and 1."""
    return np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)


def class_overlap(labels: Shaped[np.ndarray, "n c"]) -> Float64[np.ndarray, "c c"]:
    """Compute how often two labels occur together: rows with both divided by rows with either.

    Args:
        labels: 0 and 1, shape (n, c); whole rows of NaN are left out.

    Returns:
        Shape (c, c), 0 to 1; 1 on the diagonal, 0 for labels that no row has.

    Raises:
        ValueError: If a row is NaN in part, or known entries are not 0 and 1.

    Source:
        Jaccard (1912), New Phytologist 11:37.
    """
    known = labels[known_label_rows(labels)].astype(np.float64)
    both = known.T @ known
    number = both.diagonal()
    return both / np.maximum(number[:, None] + number - both, 1.0)


def overlap_of_rows(labels: Shaped[np.ndarray, "n c"], overlap: Float[np.ndarray, "k k"]) -> Float64[np.ndarray, " n"]:
    """Average the overlap of classes over the pairs of labels of each row; NaN for rows with fewer than two labels."""
    if labels.shape[1] != len(overlap):
        raise ValueError(f"rows have {labels.shape[1]} labels, but the overlap is of {len(overlap)} classes.")
    known = known_label_rows(labels)
    own = np.where(known[:, None], labels, 0).astype(np.float64)
    number = own.sum(axis=1)
    between = overlap - np.diag(overlap.diagonal())
    pairs = number * (number - 1)
    return np.divide(((own @ between) * own).sum(axis=1), pairs, out=np.full(len(labels), np.nan), where=pairs > 0)


def overlapping_rows(
    labels: Shaped[np.ndarray, "n c"], training: Shaped[np.ndarray, "t k"] | None = None
) -> Shaped[np.ndarray, " n"]:
    """Mark the rows whose classes overlap most with each other.

    A row overlaps if it has two or more labels and the mean `class_overlap` of its pairs of labels, computed on the
    training rows, is above the median of that mean over the training rows with two or more labels.

    Args:
        labels: 0 and 1 of the rows to mark, shape (n, c); whole rows of NaN are never marked.
        training: Labels of the training rows, shape (t, c); None: `labels` are the training rows.

    Returns:
        Booleans, shape (n,): about half of the training rows with two or more labels, fewer where many have the median.

    Raises:
        ValueError: If the number of labels differs, no training row has two labels, or as in `class_overlap`.

    Source:
        Ours; MoSAiC (Gupta et al. 2025, arXiv:2507.08683) reports strongly overlapping classes without a definition.
    """
    training = labels if training is None else training
    overlap = class_overlap(training)
    own = overlap_of_rows(training, overlap)
    if np.isnan(own).all():
        raise ValueError(f"none of the {len(training)} training rows has two labels, so no classes overlap.")
    # Comparisons with NaN are false. Equal means may differ in their last digit.
    return overlap_of_rows(labels, overlap) > np.nanmedian(own) + 1e-12
