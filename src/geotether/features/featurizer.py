"""The protocol of all features: fitted once, stored beside the table, applied to any new rows."""

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

TRANSFORM_ENDING = ".transform.safetensors"
"""Ending of the file that fitted features are stored in, beside a table or in a model folder."""


@runtime_checkable
class Featurizer(Protocol):
    """Features of observations.

    The constructor takes plain values only, so that YAML can contain them. With one thread, the features of a row do
    not depend on the other rows, bit for bit.

    Attributes:
        takes: Kind of the observations: "columns", "texts", "images" or "vectors"; see `geotether.sources.source`.
        fit_rows: Number of rows that `fit` needs; they are drawn at random from the training rows.
    """

    takes: ClassVar[str]
    fit_rows: ClassVar[int]

    def fit(self, content: Any) -> "Featurizer":
        """Fit to training rows."""
        ...

    def transform(self, content: Any) -> Float32[np.ndarray, "n d"]:
        """Compute features, shape (n, d)."""
        ...

    def refuse(self, content: Any) -> dict[int, str]:
        """Return why `transform` cannot take some rows, by position, such as images with other bands."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values."""
        ...

    def fitted(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the fitted state, as plain values for JSON and as arrays for safetensors."""
        ...

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Featurizer":
        """Restore the state returned by `fitted`; the features are then the same bit for bit."""
        ...

    def names(self) -> list[str]:
        """Return the names of the features once fitted, such as ["log mass", "mass missing", "diet=seeds"]."""
        ...


class PlainSettings:
    """A class whose constructor arguments are attributes of the same names, and its fitted state of names with _."""

    plain_state: ClassVar[tuple[str, ...]] = ()
    array_state: ClassVar[tuple[str, ...]] = ()

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def fitted(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the fitted state; see `Featurizer.fitted`."""
        self.check_fitted()
        plain, arrays = (
            {name: getattr(self, f"{name}_") for name in names if hasattr(self, f"{name}_")}
            for names in (self.plain_state, self.array_state)
        )
        return plain, arrays

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
        """Restore the state returned by `fitted`."""
        for name, value in (values | arrays).items():
            setattr(self, f"{name}_", value)
        return self

    def check_fitted(self) -> None:
        """Raise ValueError before `fit` or `restore`."""
        first = f"{(*self.plain_state, *self.array_state)[0]}_"
        if not hasattr(self, first):
            raise ValueError("These features are not fitted yet; call fit first.")


class ImageFeatures(PlainSettings, ABC):
    """Features of images, each of which can be used or refused with a reason."""

    takes: ClassVar[str] = "images"

    def refuse(self, images: Any) -> dict[int, str]:
        """Return the reason for each position of an image that `transform` cannot take."""
        return {row: reason for row, image in enumerate(images) if (reason := self._reason(image))}

    def check_usable(self, images: Any) -> None:
        """Raise ValueError for the first image that `refuse` names."""
        for row, reason in self.refuse(images).items():
            raise ValueError(f"Image {row}: {reason}.")

    @abstractmethod
    def _reason(self, image: np.ndarray) -> str:
        """Say why an image cannot be used; "" if it can."""
