"""Embedding places: load a model once, encode points, GeoDataFrames or tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, Float64

from geotether.checkpoint.location import load_location_encoder
from geotether.encoders.location import LocationEncoder
from geotether.geodesy.coordinates import as_lonlat, check_lonlat

if TYPE_CHECKING:
    from geotether.peers.embedding_file import EmbeddingFile

_WGS84 = "OGC:CRS84"


class EarthEmbedding:
    """A trained location encoder, ready for use.

    Args:
        location: The encoder; it is put into evaluation mode.
        config: Settings that were kept beside it.
        provenance: Where it comes from.
        device: Where to compute, such as "cpu" or "cuda".

    Attributes:
        dim: Length of an embedding.

    Example:
        >>> from geotether.encoders.build import build_location_encoder
        >>> parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 8}
        >>> model = EarthEmbedding(build_location_encoder(parts, seed=0))
        >>> model.encode(lon=[5.66, -74.01], lat=[51.97, 40.71]).shape
        (2, 8)
    """

    def __init__(
        self,
        location: LocationEncoder,
        config: dict[str, Any] | None = None,
        provenance: dict[str, Any] | None = None,
        device: str = "cpu",
    ) -> None:
        self.location = location.to(device).eval()
        self.config = config or {}
        self.provenance = provenance or {}
        self.device = device
        self.dim = location.handout_dim

    def __repr__(self) -> str:
        """Say what this is in one line."""
        parts = self.location.config
        return f"EarthEmbedding({self.dim} numbers a place, {parts['positional']['name']} + {parts['network']['name']})"

    def encode(
        self, places: Any = None, *, lon: Any = None, lat: Any = None, chunk_rows: int = 8192
    ) -> Float32[np.ndarray, "n d"]:
        """Embed places.

        Args:
            places: A GeoDataFrame or GeoSeries of points in any CRS, a FeatureTable or PointRecords.
            lon: Instead of `places`, longitudes in degrees, WGS 84, [-180, 360]: a number, list, array or Series.
            lat: As many latitudes, [-90, 90].
            chunk_rows: Places computed at once; bounds the memory, not the result.

        Returns:
            One row a place in the same order, shape (n, dim). No places give shape (0, dim).

        Raises:
            TypeError: If neither `places` nor both `lon` and `lat` are given, or `places` is of another kind.
            ValueError: If a row is not (longitude, latitude) in degrees, a geometry is missing or not a
                point, or a GeoDataFrame has no CRS.
        """
        if chunk_rows < 1:
            raise ValueError(f"chunk_rows must be 1 or more, got {chunk_rows}.")
        lonlat = _lonlat(places, lon, lat)
        embeddings = np.empty((len(lonlat), self.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(lonlat), chunk_rows):
                chunk = torch.tensor(lonlat[start : start + chunk_rows], device=self.device)
                embeddings[start : start + len(chunk)] = self.location.handout(chunk).cpu().numpy()
        return embeddings


def load(path: str | Path, device: str = "cpu") -> "EarthEmbedding | EmbeddingFile":
    """Load a model of ours or of others. Nothing in it is executed.

    Args:
        path: A model folder (`model.safetensors`, `config.json`, `provenance.json`); a published checkpoint of
            SatCLIP or GeoCLIP (PyTorch or safetensors), told by the names of its arrays; or a Parquet file of
            embeddings, which can only be looked up.
        device: Where to compute, such as "cpu" or "cuda".

    Returns:
        The model, ready to encode.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If it is no model of geotether, of a newer format, truncated, or damaged; if a file has no known
            layout, or would need foreign code to be read; or if a Parquet file has no embeddings.
    """
    path = Path(path)
    if path.suffix and not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    if not path.is_file():
        return load_folder(path, device)
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    if not is_parquet:
        from geotether.peers.checkpoint_layouts import open_checkpoint

        return EarthEmbedding(*open_checkpoint(path), device=device)
    if device != "cpu":
        raise ValueError(f"{path} is a file of embeddings, where nothing is computed; leave out device={device!r}.")
    from geotether.peers.embedding_file import EmbeddingFile

    return EmbeddingFile(path)


def load_folder(folder: str | Path, device: str = "cpu") -> EarthEmbedding:
    """Load a model folder of geotether, and nothing else.

    Args:
        folder: With `model.safetensors`, `config.json` and `provenance.json`. Nothing in it is executed.
        device: Where to compute, such as "cpu" or "cuda".

    Returns:
        The model, ready to encode.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If it is no model of geotether, of a newer format, truncated, or damaged.
    """
    return EarthEmbedding(*load_location_encoder(folder), device=device)


def _lonlat(places: Any, lon: Any, lat: Any) -> Float64[np.ndarray, "n 2"]:
    if places is None:
        if lon is None or lat is None:
            raise TypeError("encode needs lon= and lat=, or a GeoDataFrame of points.")
        return as_lonlat(lon, lat)
    if lon is not None or lat is not None:
        raise TypeError("encode takes either places or lon= and lat=, not both.")
    if hasattr(places, "lonlat"):
        check_lonlat(places.lonlat)
        return places.lonlat
    if hasattr(places, "geometry") and hasattr(places.geometry, "geom_type"):
        return _lonlat_of_geometry(places.geometry)
    raise TypeError(
        f"encode cannot tell longitude from latitude in a {type(places).__name__}; pass lon= and lat=, "
        "such as encode(lon=table['lon'], lat=table['lat'])."
    )


def _lonlat_of_geometry(geometry: Any) -> Float64[np.ndarray, "n 2"]:
    """The points of a GeoSeries in WGS 84; geopandas itself is not needed to ask for them."""
    if geometry.crs is None:
        raise ValueError("The GeoDataFrame has no CRS; say which with .set_crs('OGC:CRS84') for longitude, latitude.")
    unfit = np.asarray((geometry.geom_type != "Point") | geometry.is_empty)
    if unfit.any():
        row = int(unfit.argmax())
        kind = geometry.geom_type.iloc[row]
        what = "has no geometry" if not isinstance(kind, str) else f"is {'an empty' if kind == 'Point' else 'a'} {kind}"
        raise ValueError(
            f"{int(unfit.sum())} of {len(unfit)} rows are not points; row {row} (index {geometry.index[row]}) "
            f"{what}. Use .representative_point() or leave such rows out."
        )
    if not geometry.crs.equals(_WGS84, ignore_axis_order=True):
        geometry = geometry.to_crs(_WGS84)
    return as_lonlat(lon=geometry.x, lat=geometry.y)
