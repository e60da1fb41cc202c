"""A location encoder as a transformer of scikit-learn."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from geotether.checkpoint.named import model_path
from geotether.files.disk import file_fingerprint
from geotether.files.frames import is_frame, lonlat_of, number_names
from geotether.loading import EncoderFunction, encode_places, load_encoder

_CHUNK_ROWS = 65_536
_WEIGHTS = ("model.safetensors", "model/model.safetensors")  # of a model folder, and of the folder of a run


class LocationEmbedder(TransformerMixin, BaseEstimator):
    """Transformer of places into their embeddings; nothing is trained by `fit`.

    Places are an array of shape (n, 2), longitude first, or a frame in which they are found as `Encoder.encode` finds
    them: columns such as lon and lat, or the geometry of a GeoDataFrame. Other columns are not used.

    A pickle contains the name or path of the model and not its weights: the model must be there when it is used again,
    and is refused if its weights have changed since `fit`. A model given as an object is pickled with its weights.

    Args:
        model: Name, folder or file of a model, or an object, as for `geotether.load_encoder`.
        dim: Numbers per place, if the model's readout is projected; "full" for all; None for its default.

    Attributes:
        dim_: Numbers per place.
        n_features_in_: 2.
        fingerprint_: Hash of the model's weights; None of a model given as an object or a function.

    Example:
        >>> from sklearn.linear_model import Ridge
        >>> from sklearn.pipeline import make_pipeline
        >>> lonlat = np.array([[5.66, 51.97], [-74.01, 40.71], [151.21, -33.87], [36.8, -1.3]])
        >>> pipeline = make_pipeline(LocationEmbedder("world", dim=8), Ridge()).fit(lonlat, [9.4, 12.6, 17.7, 19.0])
        >>> pipeline[0].transform(lonlat).shape
        (4, 8)
    """

    def __init__(self, model: Any = "world", dim: Any = 64) -> None:
        self.model = model
        self.dim = dim

    def fit(self, X: Any, y: Any = None) -> "LocationEmbedder":
        """Open the model and check the places.

        Args:
            X: n places, at least one.
            y: Not used.

        Raises:
            FileNotFoundError, TypeError, ValueError: If there is no such model, it does not return `dim` numbers, or
                `X` is not places.
        """
        lonlat = self._places(X)
        encoder, self.fingerprint_ = _opened(self.model, self.dim)
        self.n_features_in_ = 2
        self.dim_ = encode_places(encoder, lonlat[:1]).shape[1]
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "n d"]:
        """Embed places.

        Args:
            X: n places, at least one.

        Returns:
            Shape (n, dim_), float32 of models of geotether; a frame after `set_output`.

        Raises:
            sklearn.exceptions.NotFittedError: Before `fit`.
            ValueError: If the model's weights are not those at `fit`, or `X` is not places.
        """
        check_is_fitted(self)
        lonlat = self._places(X)
        encoder, fingerprint = _opened(self.model, self.dim)
        if fingerprint != self.fingerprint_:
            raise ValueError(
                f"The model {self.model} is not the one that this LocationEmbedder was fitted with: its weights have "
                "changed. Put the former model there, or fit again."
            )
        return encode_places(encoder, lonlat, chunk_rows=_CHUNK_ROWS)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns: e0, e1, ...; `input_features` is not used."""
        check_is_fitted(self)
        return np.array(number_names(self.dim_), dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # float32 of any input
        return tags

    def _places(self, X: Any) -> Float[np.ndarray, "n 2"]:
        if is_frame(X):
            return lonlat_of(X)
        X = check_array(X, dtype=np.float64, input_name="X", estimator=self)
        if X.shape[1] != 2:
            raise ValueError(
                f"X has {X.shape[1]} feature(s), but LocationEmbedder is expecting 2 features as input: longitude and "
                "latitude, in a ColumnTransformer if there are more."
            )
        return lonlat_of(X)


def _opened(model: Any, dim: int | str | None) -> tuple[EncoderFunction, str | None]:
    """Open a model, once per process where it is a file or folder, and hash its weights."""
    if not isinstance(model, str | Path):
        return load_encoder(model, dim), None
    path = model_path(model)
    weights = next((path / name for name in _WEIGHTS if (path / name).is_file()), path)
    if not weights.is_file():
        return load_encoder(model, dim), None
    facts = weights.stat()
    return _opened_file(str(model), dim, weights, (facts.st_size, facts.st_mtime_ns, facts.st_ino))


@lru_cache(maxsize=4)
def _opened_file(
    model: str, dim: int | str | None, weights: Path, facts: tuple[int, ...]
) -> tuple[EncoderFunction, str | None]:
    return load_encoder(model, dim), file_fingerprint(weights)
