"""Boosting probe: gradient-boosted trees of scikit-learn on the leading principal components."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer

from geotether.probes.target import TargetProbe

COMPONENTS = 64
TREES = 100
# Every tree of a classification is one per class; with more classes, fits take minutes.
MOST_CLASSES = 20
_TREES_OF_CLASSES = 40
_LEAST_PROBABILITY = 1e-6


@dataclass(eq=False)
class BoostingProbe(TargetProbe):
    """Gradient boosting by histograms, with settings that suit hundreds to thousands of labels; nothing is tuned.

    Features with more columns than `components` are standardised and rotated to their leading principal components,
    which makes a fit several times as fast.

    Args:
        kind: "regression" or "classification" (20 classes at most).
        components: Largest number of columns that trees are grown on.

    Example:
        >>> x = np.linspace(0, 1, 200)[:, None]
        >>> probe = BoostingProbe().fit(x, np.where(x[:, 0] > 0.5, 3.0, 1.0))
        >>> probe.predict(np.array([[0.2], [0.8]])).round(1)
        array([1., 3.])
    """

    kind: str = "regression"
    components: int = COMPONENTS

    def _fit(self, features: Float[np.ndarray, "n d"], folds: Integer[np.ndarray, " n"] | None) -> None:
        from sklearn.decomposition import PCA
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        classes = self.kind == "classification"
        if self.kind == "multilabel":
            raise ValueError("the boosting probe has no multilabel form; use ridge.")
        if classes and len(self.target_.classes) > MOST_CLASSES:
            raise ValueError(
                f"the boosting probe takes {MOST_CLASSES} classes at most, got {len(self.target_.classes)}; "
                "use ridge or logistic."
            )
        grower = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        trees = grower(
            max_iter=_TREES_OF_CLASSES if classes else TREES,
            learning_rate=0.15 if classes else 0.1,
            max_leaf_nodes=15,
            min_samples_leaf=20,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=0,
        )
        wide = features.shape[1] > self.components
        count = min(self.components, len(features) - 1)
        self.model_ = make_pipeline(StandardScaler(), PCA(count, random_state=0), trees) if wide else trees
        self.model_.fit(features, self.target_.codes if classes else self.target_.values.astype(np.float64))

    def columns(self, features: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, "m t"]:
        """Return the number, or the logarithm of the probability of each class."""
        if not len(features):
            return np.empty((0, self.target_.columns.shape[1]))
        if self.kind == "regression":
            return np.asarray(self.model_.predict(features), dtype=np.float64)[:, None]
        if len(self.target_.classes) == 1:
            return np.zeros((len(features), 1))
        return np.log(np.maximum(self.model_.predict_proba(features), _LEAST_PROBABILITY))
