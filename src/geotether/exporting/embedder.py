"""A model as what an export needs of it: its name, its fingerprint, and embeddings of places and of pixels."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64

from geotether.checkpoint.named import model_path, name_of
from geotether.encoder import Encoder
from geotether.files.disk import file_fingerprint
from geotether.loading import encode_places, load_encoder, named_encoder
from geotether.regions.grid import Grid

_WEIGHTS = "model.safetensors"
_CHUNK_ROWS = 4096


@dataclass(frozen=True)
class Embedder:
    """An encoder with everything that an export says about it.

    Attributes:
        name: Name of the model.
        fingerprint: SHA-256 of its weights, or of its embeddings of some places if it is not a file.
        dim: Numbers per place.
        encoder: The encoder, if it is one of geotether; it is then called from two threads.
        function: A function of lonlat, shape (n, 2), that returns (n, dim).
    """

    name: str
    fingerprint: str
    dim: int
    encoder: Encoder | None
    function: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def of(cls, model: Any, dim: int | str | None = None) -> "Embedder":
        """Open a model.

        Args:
            model: Anything that `geotether.load_encoder` takes.
            dim: Numbers per place of a model with a projected readout; "full" for all, None for its default.

        Raises:
            ValueError: If the model cannot return vectors of that length.
            FileNotFoundError, ImportError, TypeError: As `load_encoder`.
        """
        name, function = named_encoder(str(model)) if isinstance(model, str | Path) else ("", load_encoder(model))
        found = getattr(function, "model", None)
        encoder = found if isinstance(found, Encoder) else None
        if encoder is None:
            if dim is not None:
                raise ValueError(f"{name or 'This encoder'} has no projected readout; leave out --dim.")
            numbers = encode_places(function, np.array([[5.66, 51.97]])).shape[1]
            return cls(name or "encoder", _fingerprint(function), numbers, None, function)
        width = encoder.module.check_dim(dim)
        name = name or str(encoder.provenance.get("name") or (name_of(encoder.folder) if encoder.folder else "encoder"))

        encode = partial(_encode, encoder, width)  # which can be sent to other processes
        weights = model_path(model) if isinstance(model, str | Path) else encoder.folder
        if weights is not None and weights.is_dir():
            weights = next((one for one in (weights / _WEIGHTS, weights / "model" / _WEIGHTS) if one.is_file()), None)
        fingerprint = file_fingerprint(weights) if weights and weights.is_file() else _fingerprint(encode)
        if encoder.precision != "float32":  # other numbers of the same weights
            fingerprint = hashlib.sha256(f"{fingerprint} {encoder.precision}".encode()).hexdigest()
        return cls(name, fingerprint, width, encoder, encode)

    def places(self, lonlat: Float64[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n d"]:
        """Embed places."""
        rows = _CHUNK_ROWS if self.encoder is None else None  # an encoder divides them itself
        return encode_places(self.function, lonlat, self.name, rows).astype(np.float32, copy=False)

    def pixels(
        self, grid: Grid, rows: slice, columns: slice, inside: Bool[np.ndarray, "r c"]
    ) -> Float32[np.ndarray, "n d"]:
        """Embed the pixels of a tile that are marked.

        Args:
            grid: The grid.
            rows: Rows of the tile.
            columns: Columns of the tile.
            inside: The pixels wanted, row by row; at least one.
        """
        if self.encoder is None or not grid.is_geographic:
            return self.places(grid.lonlat(rows, columns)[inside])
        # Rows and columns without a wanted pixel are left out.
        some_rows, some_columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        top, left = int(some_rows[0]), int(some_columns[0])
        bottom, right = int(some_rows[-1]) + 1, int(some_columns[-1]) + 1
        within = slice(rows.start + top, rows.start + bottom), slice(columns.start + left, columns.start + right)
        return self.encoder.encode_grid(grid, *within, dim=self.dim)[inside[top:bottom, left:right]]


def _encode(encoder: Encoder, dim: int, lonlat: np.ndarray) -> np.ndarray:
    return encoder.encode(lonlat, dim=dim)


def _fingerprint(function: Callable[[np.ndarray], np.ndarray]) -> str:
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 64), rng.uniform(-89, 89, 64)], axis=1)
    return hashlib.sha256(encode_places(function, lonlat).round(4).astype("<f4").tobytes()).hexdigest()
