"""Features of short texts from their character n-grams, in any script and without a vocabulary."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float32, Integer

from geotether.features.featurizer import PlainSettings

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_BUCKETS = 2**16


class NgramFeatures(PlainSettings):
    """Character n-grams, hashed, weighted by TF-IDF and reduced to `dim` features by a truncated SVD.

    Args:
        dim: Number of features.
        ngram_range: Shortest and longest n-gram; they do not cross the borders of words.
        seed: Seed of the randomised SVD. The same texts and seed give the same features.

    Attributes:
        out_dim: Number of features, `dim`.

    Source:
        Weinberger et al. (2009), arXiv:0902.2206 (hashing); Deerwester et al. (1990), J. Am. Soc. Inf. Sci.
        41:391 (latent semantic analysis); Halko et al. (2011), arXiv:0909.4061 (the randomised SVD).

    Example:
        >>> towns = ["Wageningen", "Groningen", "Beijing", "Nanjing"]
        >>> features = NgramFeatures(dim=2, seed=0).fit(towns).transform(towns)
        >>> features.shape
        (4, 2)
    """

    takes: ClassVar[str] = "texts"
    fit_rows: ClassVar[int] = 100_000
    array_state = ("buckets", "rarity", "directions")

    def __init__(self, dim: int = 256, ngram_range: Sequence[int] = (2, 4), seed: int = 0) -> None:
        if dim < 1:
            raise ValueError(f"dim must be 1 or more, got {dim}.")
        # a list in YAML
        shortest, longest = ngram_range if len(ngram_range) == 2 else (0, 0)
        if not 1 <= shortest <= longest:
            raise ValueError(
                f"ngram_range must be (shortest, longest) with 1 <= shortest <= longest, got {ngram_range}."
            )
        self.dim = dim
        self.ngram_range = (shortest, longest)
        self.seed = seed
        self.out_dim = dim

    def fit(self, texts: Sequence[str]) -> "NgramFeatures":
        """Fit the weights of the n-grams, and the directions in which at least `dim` texts differ most."""
        return self._fit_counts(self._counts(texts))

    def fit_transform(
        self, texts: Sequence[str], fit_rows: Integer[np.ndarray, "m"] | None = None
    ) -> Float32[np.ndarray, "n k"]:
        """Fit to the texts of `fit_rows` (by default all) and compute the features of all.

        It takes half the time of two calls.
        """
        counts = self._counts(texts)
        self._fit_counts(counts if fit_rows is None else counts[fit_rows])
        return self._transform_counts(counts)

    def transform(self, texts: Sequence[str]) -> Float32[np.ndarray, "n k"]:
        """Compute the features of texts, shape (n, dim); zeros for a text without any n-gram seen in `fit`."""
        self.check_fitted()
        return self._transform_counts(self._counts(texts))

    def refuse(self, texts: Sequence[str]) -> dict[int, str]:
        """Refuse empty texts."""
        return {row: "empty text" for row, text in enumerate(texts) if not text.strip()}

    def names(self) -> list[str]:
        """Return the names of the features: "direction 1" and so on, the strongest first."""
        return [f"direction {number + 1}" for number in range(self.dim)]

    def _fit_counts(self, counts: "csr_matrix") -> "NgramFeatures":
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.utils.extmath import randomized_svd

        count = counts.shape[0]
        if count < self.dim:
            raise ValueError(f"{self.dim} features need at least {self.dim} texts, got {count}; lower dim.")
        frequency = counts.getnnz(axis=0)
        used = np.flatnonzero(frequency >= max(3, count // 2000))  # rarer n-grams cost time and connect few texts
        if len(used) < 4 * self.dim:
            used = np.flatnonzero(frequency)
        if len(used) < self.dim:
            raise ValueError(f"The texts have only {len(used)} different n-grams, too few for {self.dim} features.")
        self.buckets_ = used
        self.rarity_ = TfidfTransformer(sublinear_tf=True).fit(counts[:, used]).idf_
        _, _, self.directions_ = randomized_svd(self._weighted(counts), self.dim, n_iter=2, random_state=self.seed)
        return self

    def _weighted(self, counts: "csr_matrix") -> "csr_matrix":
        from sklearn.feature_extraction.text import TfidfTransformer

        weights = TfidfTransformer(sublinear_tf=True)
        weights.idf_ = self.rarity_
        return weights.transform(counts[:, self.buckets_])

    def _transform_counts(self, counts: "csr_matrix") -> np.ndarray:
        return (self._weighted(counts) @ self.directions_.T).astype(np.float32, copy=False)

    def _counts(self, texts: Sequence[str]) -> "csr_matrix":
        from sklearn.feature_extraction.text import HashingVectorizer

        if isinstance(texts, str):
            raise TypeError("texts must be a list of strings, got one string; put it into a list.")
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"Row {row} is not a text but {type(text).__name__} ({text!r}).")
            if not text.strip():
                raise ValueError(f"Row {row} is an empty text; omit such rows.")
        if len(texts) == 0:
            raise ValueError("There are no texts.")
        hashing = HashingVectorizer(
            analyzer="char_wb",
            ngram_range=self.ngram_range,
            n_features=_BUCKETS,
            alternate_sign=False,
            norm=None,
            dtype=np.float32,
        )
        return hashing.transform(texts)
