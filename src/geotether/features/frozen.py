"""Frozen backbones: networks that learn nothing here, whose weights lie in a file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float32

from geotether.features.weights import in_equal_batches, weights_digest

if TYPE_CHECKING:
    import torch


class Network(NamedTuple):
    """A network on its device.

    Attributes:
        prepare: Turns one image, shape (height, width, bands), into the tensor that the network takes.
        run: Turns a batch of these tensors into features, shape (n, dim).
        dim: Number of features.
    """

    prepare: Callable[[np.ndarray], "torch.Tensor"]
    run: Callable[["torch.Tensor"], "torch.Tensor"]
    dim: int


class FrozenBackbone(ABC):
    """Features of images from a frozen network without its head; see `Featurizer`.

    Every image is computed in a batch of the same size, so its numbers do not depend on the images that come with it.
    A subclass checks its own options, says where the weights are, makes the network, and refuses images that the
    network was not trained for. Each argument of its constructor is an attribute of the same name.

    Args:
        model: Name of the network.
        weights: A local file, or None or a word for the published weights.
        batch: Images at once.
        device: "cpu", "cuda" or "cuda:1".
        download: Whether published weights may be fetched from the network.
        label: What the features are called; their numbers follow.

    Attributes:
        out_dim: Number of features.
    """

    takes: ClassVar[str] = "images"
    fit_rows: ClassVar[int] = 1  # nothing is learned

    def __init__(self, model: str, weights: str | None, batch: int, device: str, download: bool, label: str) -> None:
        self.model = model
        self.weights = None if weights is None else str(weights)
        self.batch = batch
        self.device = device
        self.download = download
        self.label = label
        self._file = self._weights_file()
        self._network: Network | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the network behind: a worker loads it from the file."""
        return self.__dict__ | {"_network": None}

    @property
    def out_dim(self) -> int:
        """Number of features."""
        return self._loaded().dim

    def fit(self, images: Sequence[np.ndarray]) -> "FrozenBackbone":
        """Learn nothing, but load the weights, so that a wrong file is found out at once."""
        self._loaded()
        return self

    def transform(self, images: Sequence[np.ndarray]) -> Float32[np.ndarray, "n d"]:
        """Compute the features of images.

        Args:
            images: Arrays (height, width, bands) of any sizes; see the class for bands and numbers.

        Returns:
            Shape (n, out_dim).

        Raises:
            ValueError: If an image cannot be taken; see `refuse`.
        """
        reasons = self.refuse(images)
        if reasons:
            row, reason = next(iter(reasons.items()))
            raise ValueError(f"Image {row}: {reason}.")
        network = self._loaded()
        inputs = (network.prepare(image) for image in images)
        return in_equal_batches(network.run, inputs, len(images), self.batch, self.device, network.dim)

    @abstractmethod
    def refuse(self, images: Sequence[np.ndarray]) -> dict[int, str]:
        """Say which images `transform` cannot take, position to reason."""

    def settings(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        import inspect

        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def fitted(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Give the SHA-256 of the weights, so that others are noticed."""
        return {"weights_sha256": weights_digest(self._file)}, {}

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "FrozenBackbone":
        """Check that the weights are those that were used.

        Raises:
            ValueError: If they are others.
        """
        if values["weights_sha256"] != weights_digest(self._file):
            raise ValueError(f"{self._file} holds other weights than those that made these features.")
        return self

    def names(self) -> list[str]:
        """Name the features: "resnet50 0", "resnet50 1", ..."""
        return [f"{self.label} {number}" for number in range(self.out_dim)]

    def _loaded(self) -> Network:
        if self._network is None:
            self._network = self._load()
        return self._network

    @abstractmethod
    def _weights_file(self) -> Path:
        """Find the weights.

        Raises:
            FileNotFoundError: If they are not there; the message says where to get them and where to put them.
        """

    @abstractmethod
    def _load(self) -> Network:
        """Make the network with its weights; called once in each process.

        Raises:
            ValueError: If the weights are not the network's.
        """
