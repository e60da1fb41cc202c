"""The encoder that a user holds: embed places, compare them, save and load."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Real
from torch import Tensor, nn

from geotether.checkpoint.folder import CONFIG, licence_of, read_json, state_hash
from geotether.checkpoint.hub import push
from geotether.checkpoint.model import ModelParts, load_model, save_model
from geotether.checkpoint.named import name_of
from geotether.coverage.coverage import Coverage
from geotether.coverage.seen import CELL_KM, SeenPlaces
from geotether.devices import check_precision, compute_in_chunks, device_of, encoding_in, products_in, rows_at_once
from geotether.encoders.heads import SpecificParts
from geotether.encoders.location import LocationEncoder
from geotether.encoders.networks import Layered
from geotether.encoders.point_path import PointPath
from geotether.files.frames import array_of, frame_like, lonlat_of, places_first, tensor_of
from geotether.geodesy.coordinates import check_lonlat, checked_places
from geotether.user_folders import plain_hash
from geotether.version import __version__

if TYPE_CHECKING:
    from geotether.regions.grid import Grid
    from geotether.searching import Answers, Candidates, Index


class Encoder:
    """A trained location encoder: what `pretrain` returns and `load` returns.

    Args:
        module: The location encoder; it is moved to `device` and put into evaluation mode.
        config: Settings of the run that trained it.
        provenance: Where it comes from: tables by hash, recipe, seed, versions.
        device: Device to compute on, such as "cpu" or "cuda".
        precision: Of the products, as in a training: "float32"; "tf32", which lets a GPU round their factors to 10
            bits; or "bf16", which computes the network and the vectors in bfloat16. Positions, harmonics up to their
            last rounding, and what is returned, are not affected.
        heads: Modality to the projection head that it was trained with.
        decoders: Modality to decoder, likewise.
        specific: Modality-specific parts, likewise.
        card: Text of the model card, Markdown.
        history: Metrics of the training, one mapping per line of `metrics.jsonl`.
        seen: Where it was trained; None if that is not known, as of models of older versions and of others.

    Attributes:
        module: The torch module. Fine-tune it and call `save`.
        dim: Length of an embedding by default: 256 of a model with a projected readout.
        full_dim: Largest length; larger than `dim` only if the readout is projected.
        folder: The model folder that it was loaded from.
        transforms: Modality to the fitted features of its table, as the bytes of a file of
            `geotether.featurizing.transform`; a query of `search` goes through them.
        tables: Modality to the table that it was trained on, in the session that trained it; empty for a loaded one.

    Example:
        >>> from geotether.encoders.build import build_location_encoder
        >>> parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 8}
        >>> encoder = Encoder(build_location_encoder(parts, seed=0))
        >>> encoder.encode(lon=[5.66, -74.01], lat=[51.97, 40.71]).shape
        (2, 8)
    """

    def __init__(
        self,
        module: LocationEncoder,
        config: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        device: str = "cpu",
        *,
        precision: str = "float32",
        heads: Mapping[str, Any] | nn.ModuleDict | None = None,
        decoders: Mapping[str, Any] | nn.ModuleDict | None = None,
        specific: SpecificParts | None = None,
        card: str = "",
        history: list[dict[str, Any]] | None = None,
        seen: SeenPlaces | None = None,
    ) -> None:
        self.module = module.to(device_of(device)).eval()
        self.config = dict(config or {})
        self.provenance = dict(provenance or {})
        self.device = device
        self.precision = check_precision(precision)
        self.heads = {name: head.to(device) for name, head in (heads or {}).items()}
        self.decoders = {name: decoder.to(device) for name, decoder in (decoders or {}).items()}
        self.specific = specific
        self.card = card
        self.history = history or []
        self.seen = seen
        self.folder: Path | None = None
        self.transforms: dict[str, bytes] = {}
        self._index: Any = None  # of the land, once it was searched
        self.tables: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the tables of the training and the index of searches, which can be large."""
        return {**self.__dict__, "tables": {}, "_index": None}

    def __repr__(self) -> str:
        """Describe the encoder in one line."""
        parts = self.module.config
        return f"Encoder({self.dim} numbers per place, {parts['positional']['name']} + {parts['network']['name']})"

    @property
    def dim(self) -> int:
        """Length of an embedding by default."""
        return self.module.handout_dim

    @property
    def full_dim(self) -> int:
        """Largest length of an embedding."""
        return self.module.full_dim

    @property
    def content_hash(self) -> str:
        """SHA-256 of what decides the vectors: the weights, and a precision other than float32."""
        digest = state_hash(self.module)
        return digest if self.precision == "float32" else plain_hash([digest, self.precision])

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that it was trained with, as far as they are known."""
        return tuple(self.provenance.get("tables") or self.heads)

    @places_first
    def encode(
        self,
        places: Any = None,
        *,
        lon: Any = None,
        lat: Any = None,
        dim: int | str | None = None,
        chunk_rows: int | None = None,
    ) -> Any:
        """Embed places.

        On a GPU, tensors are encoded and returned without passing through the memory of the host; arrays are copied
        while the GPU computes.

        Args:
            places: An array, tensor or list of shape (n, 2), **longitude first**; a GeoDataFrame or GeoSeries of
                points in any CRS; a data frame or Arrow table with columns of longitude and latitude; an xarray
                Dataset or DataArray with coordinates of longitude and latitude, which may form a grid or lie along a
                dimension of points; a feature table or `PointRecords`.
            lon: Instead of `places`, longitudes in degrees, WGS 84, [-180, 360]: a number, list, array or Series.
            lat: As many latitudes, [-90, 90].
            dim: Numbers per place, from 1 to `full_dim`, if the readout is projected; "full" for all; by default
                `dim`. `geotether.encoders.readout.shorten` computes shorter vectors from longer ones.
            chunk_rows: Places computed at once; bounds the memory, does not change the result. By default 4,096 on a
                CPU, and up to 131,072 on a GPU.

        Returns:
            Of `lon` and `lat`, arrays, lists and feature tables: one row per place in the same order, shape (n, dim),
            float32; no places give shape (0, dim). Of tensors: a tensor on the same device, without a gradient even if
            they require one (`module` computes with gradients); if only one of `lon` and `lat` is a tensor, an array.
            Of a frame or dataset: one of the same kind, with the same index, CRS and geometry, or coordinates, and
            columns e0, e1, ... or a last dimension `embedding`; see `geotether.files.frames.frame_like`.

        Raises:
            TypeError: If neither `places` nor both `lon` and `lat` are given, or `places` is of another kind.
            ValueError: If a row is not (longitude, latitude) in degrees or is masked, a geometry is missing or not a
                point, a GeoDataFrame has no CRS, or the model has no vectors of `dim` numbers.
        """
        given = tensor_of(places, lon, lat)
        if given is not None:
            return self._of_tensor(given, self.module.check_dim(dim), chunk_rows)
        return frame_like(places, self._vectors(places, lon, lat, dim, chunk_rows))

    def encode_grid(
        self,
        grid: "Grid",
        rows: slice = slice(None),
        columns: slice = slice(None),
        dim: int | str | None = None,
    ) -> Float32[np.ndarray, "r c d"]:
        """Embed the pixel centres of a grid, or of a part of it.

        Where longitude depends on the column and latitude on the row alone (grids in degrees, and EPSG:6933), harmonics
        and context are computed by row and by column. That is 1.4 to 9 times as fast as `encode`, the more the smaller
        the network, and equal to 1e-5 of the largest number. Other grids are computed point by point, as are all on a
        GPU, where copying the vectors to the host takes longer than either way.

        Args:
            grid: From `geotether.regions.grid_of`.
            rows: Which rows; all by default.
            columns: Which columns, likewise.
            dim: As in `encode`.

        Returns:
            Shape (r, c, dim), float32; NaN where the projection of the grid has no place.

        Raises:
            ValueError: If the model has no vectors of `dim` numbers.

        Example:
            >>> from geotether.encoders.build import build_location_encoder
            >>> from geotether.regions import grid_of, region_of
            >>> parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 8}
            >>> encoder = Encoder(build_location_encoder(parts, seed=0))
            >>> encoder.encode_grid(grid_of(region_of("-10 35 30 60"), 0.5)).shape
            (50, 80, 8)
        """
        width = self.module.check_dim(dim)
        axes = grid.axes(rows, columns)
        if axes is not None:
            lon, lat = (torch.tensor(axis, device=self.device) for axis in axes)
            if self._on_cpu:
                with torch.inference_mode(), products_in(self.precision, lon.device):
                    return self.module.handout_grid(lon, lat, width).numpy()
            vectors = np.empty((len(lat), len(lon), width), dtype=np.float32)
            lats, lons = torch.meshgrid(lat, lon, indexing="ij")
            places = torch.stack((lons, lats), dim=-1).flatten(0, 1)
            self._compute(places, torch.from_numpy(vectors).flatten(0, 1), None)
            return vectors
        lonlat = grid.lonlat(rows, columns)
        vectors = np.full((*lonlat.shape[:2], width), np.nan, dtype=np.float32)
        known = np.isfinite(lonlat).all(axis=-1)
        vectors[known] = self._vectors(lonlat[known], dim=width)
        return vectors

    def _vectors(
        self,
        places: Any,
        lon: Any = None,
        lat: Any = None,
        dim: int | str | None = None,
        chunk_rows: int | None = None,
    ) -> Float32[np.ndarray, "n d"]:
        width = self.module.check_dim(dim)
        lonlat = lonlat_of(places, lon, lat, check=self._on_cpu)
        numbers = np.empty((len(lonlat), width), dtype=np.float32)
        self._compute(torch.tensor(lonlat, device=self.device), torch.from_numpy(numbers), chunk_rows)
        return numbers

    @property
    def _on_cpu(self) -> bool:
        return torch.device(self.device).type == "cpu"

    def _of_tensor(self, lonlat: Real[Tensor, "n 2"], width: int, chunk_rows: int | None) -> Float32[Tensor, "n d"]:
        there = lonlat.to(self.device, torch.float64)
        if self._on_cpu:
            check_lonlat(there)
        numbers = torch.empty(len(lonlat), width, device=lonlat.device)
        self._compute(there, numbers, chunk_rows)
        return numbers

    def _compute(self, lonlat: Float[Tensor, "n 2"], numbers: Float32[Tensor, "n d"], chunk_rows: int | None) -> None:
        """Compute vectors of places, on this encoder's device, into a tensor on any; on a CPU places must be valid."""
        if chunk_rows is not None and chunk_rows < 1:
            raise ValueError(f"chunk_rows must be 1 or more, got {chunk_rows}.")
        if not self._on_cpu:  # faster there, all at once
            check_lonlat(lonlat)
        module, device, width = self.module, lonlat.device, numbers.shape[1]
        rows = min(chunk_rows or rows_at_once(device, module.numbers_per_place(width)), max(len(lonlat), 1))

        def plain(places: Tensor, out: Tensor | None) -> Tensor:
            with products_in(self.precision, device):
                return module.handout(places, width)

        fast = device.type == "cuda" and isinstance(module.network, Layered)
        with checked_places(), encoding_in(self.precision, device):
            path = PointPath(module, width, rows, self.precision) if fast else plain
            compute_in_chunks(path, lonlat, numbers, rows)

    @places_first
    def coverage(
        self,
        places: Any = None,
        *,
        lon: Any = None,
        lat: Any = None,
        embeddings: Float32[np.ndarray, "n d"] | Float32[Tensor, "n d"] | None = None,
    ) -> Coverage:
        """Tell how near and how similar places are to those that the model was trained on.

        Args:
            places: As in `encode`.
            lon: As in `encode`.
            lat: As in `encode`.
            embeddings: What `encode` returns for these places, if it is known already.

        Returns:
            Per place the distance to the nearest training place of each modality, the share of the local context
            that has data, the dissimilarity of the embedding to those of training places, and whether the place is
            outside of what the model saw. What is not known is left out, see `Coverage`.

        Raises:
            TypeError, ValueError: As `encode` does.
        """
        lonlat, context, seen = lonlat_of(places, lon, lat), self.module.context, self.seen
        names = [] if context is None else context.level_names
        parts = np.empty((len(lonlat), len(names)), dtype=np.float32)
        if context is not None:
            there = torch.tensor(lonlat, device=self.device)
            rows = rows_at_once(there.device, 40)
            compute_in_chunks(lambda one, _: context.coverage(one), there, torch.from_numpy(parts), rows)
        shares = {name: parts[:, at] for at, name in enumerate(names)}
        if seen is None:
            return Coverage({}, shares)
        km = {name: distance.astype(np.float32) for name, distance in seen.km_to(lonlat).items()}
        known = None if embeddings is None else array_of(embeddings).__getitem__
        dissimilarity = seen.dissimilarity(lonlat, self._vectors, known)
        return Coverage(km, shares, dissimilarity, seen.threshold, seen.threshold_km)

    def learn_coverage(self, places: Mapping[str, Float[np.ndarray, "_ 2"]], cell_km: float = CELL_KM) -> None:
        """Remember where the model was trained, and fit the thresholds of `coverage`. `pretrain` does it at the end.

        Call it after training or fine-tuning of your own, and for a model of an older version.

        Args:
            places: Modality to the places of its training rows, degrees, longitude first, shape (n, 2).
            cell_km: Side of the equal-area cells that are kept of them, in km.

        Raises:
            ValueError: If there are no places, a row is not a coordinate, or `cell_km` is not 0.1 to 20,015.
        """
        self.seen = SeenPlaces.of(places, cell_km)
        self.seen.fit(self._vectors)

    @places_first
    def similarity(self, a: Any, b: Any) -> Float32[np.ndarray, "n m"]:
        """Return the cosine similarity of every place of `a` with every place of `b`.

        Args:
            a: n places, in any form that `encode` takes, or their embeddings of shape (n, dim).
            b: m places or embeddings, likewise.

        Returns:
            Shape (n, m), from -1 to 1.

        Raises:
            TypeError, ValueError: As `encode` does.
        """
        sides = []
        for places in (array_of(a), array_of(b)):
            shape = np.shape(places) if isinstance(places, np.ndarray) else ()
            known = len(shape) == 2 and shape[1] == self.dim and self.dim != 2
            vectors = np.asarray(places, dtype=np.float32) if known else self._vectors(places)
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            sides.append(vectors / np.maximum(length, np.finfo(np.float32).tiny))
        return sides[0] @ sides[1].T

    def search(
        self,
        *,
        lon: float | None = None,
        lat: float | None = None,
        text: str | None = None,
        image: Any = None,
        columns: Mapping[str, Any] | None = None,
        modality: str | None = None,
        top: int = 10,
        within: Any = None,
        min_distance_km: float | None = None,
        index: "Index | Candidates | str | Path | None" = None,
    ) -> "Answers":
        """Find the places most like a place, or to which a text, an image or values of columns lead.

        Args:
            lon: Longitude of a place, degrees.
            lat: Its latitude.
            text: Instead, a text, if the model was trained on texts.
            image: Instead, an image file, or pixels of shape (height, width, bands).
            columns: Instead, column to value, as in a table that the model was trained on.
            modality: What text, image or columns are taken as; by default the first modality that takes them.
            top: Number of answers.
            within: Only places in this region; a `Region` or what `geotether.regions.region_of` takes.
            min_distance_km: Least distance of two answers; see `geotether.searching.search`.
            index: What to search among: an index or candidates from `geotether.searching`, or the folder of an index,
                which is made if it is missing. None: 100,000 places on land, kept in memory for the next search.

        Returns:
            The answers, the most similar first; `answers.table()` is an Arrow table.

        Raises:
            TypeError: If not exactly one of place, text, image and columns is given.
            ValueError: If the question or an option cannot be used, or the index is of another model.

        Example:
            >>> from geotether.encoders.build import build_location_encoder
            >>> from geotether.searching import land_candidates
            >>> parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 8}
            >>> encoder = Encoder(build_location_encoder(parts, seed=0))
            >>> answers = encoder.search(lon=5.66, lat=51.97, top=3, index=land_candidates(1000))
            >>> answers.table().column_names
            ['rank', 'lon', 'lat', 'similarity']
        """
        from geotether import searching
        from geotether.regions import Region, region_of

        place = None if lon is None and lat is None else (lon, lat)
        given = {"a place": place, "text": text, "image": image, "columns": columns}
        asked = [name for name, one in given.items() if one is not None]
        if len(asked) != 1 or (lon is None) != (lat is None):
            raise TypeError(f"search needs one of lon= with lat=, text=, image= and columns=; got {asked or 'none'}.")
        if place is not None:
            query = searching.place_query(self, *place)  # type: ignore[arg-type]
        elif text is not None:
            query = searching.text_query(self, text, modality)
        elif image is not None:
            query = searching.image_query(self, image, modality)
        else:
            query = searching.columns_query(self, columns or {}, modality)
        if isinstance(index, searching.Index):
            opened = index
        elif isinstance(index, searching.Candidates):
            opened = searching.open_index(self, index)
        elif index is not None:
            opened = searching.open_index(self, None, index)
        else:
            opened = self._index = self._index or searching.open_index(self)
        region = within if within is None or isinstance(within, Region) else region_of(within)
        return searching.search(opened, query, top, region, min_distance_km)

    def export_graph(self, path: str | Path, dim: int | str | None = None) -> float | None:
        """Write the encoder as one file that computes vectors from coordinates without geotether.

        An ONNX file (`.onnx`) runs with onnxruntime, which needs neither torch nor this package; a `.pt2` file is
        for `torch.export.load`. Both say where they come from, and which input they take.

        Args:
            path: File to write.
            dim: As in `encode`; fixed in the file.

        Returns:
            The largest difference between the vectors of the file and of this encoder at 1,000 places, as
            `geotether.encoders.graph.write_graph`, which has the details and the errors.
        """
        from geotether.encoders.graph import write_graph

        module = self.module if self._on_cpu else deepcopy(self.module).cpu()
        return write_graph(module, path, dim, self._facts())

    def _facts(self) -> dict[str, Any]:
        """Return what an exported file says about the model."""
        facts = {
            "geotether": __version__,
            "model": self.provenance.get("name") or (name_of(self.folder) if self.folder else ""),
            "licence": licence_of(self.provenance),
            "modalities": ", ".join(self.modalities),
            "card": self.card,
            "hub": "{repo}@{revision}".format(**self.provenance["hub"]) if self.provenance.get("hub") else "",
        }
        if self.folder is not None and self._is_as_saved(self.folder):
            about = read_json(self.folder / CONFIG)
            facts |= {key: about.get(key, "") for key in ("weights_sha256", "config_sha256")}
        return {key: value for key, value in facts.items() if value}

    def _is_as_saved(self, folder: Path) -> bool:
        """Return whether the weights are those in a folder, where they may have changed, as here by fine-tuning."""
        try:
            saved = load_model(folder).location
        except (OSError, ValueError):
            return False
        return saved is not None and state_hash(saved) == state_hash(self.module)

    def save(self, folder: str | Path) -> None:
        """Save as a model folder, which replaces an older one only when complete.

        Args:
            folder: Folder to write; missing parents are created. An existing folder must be empty or a model folder.

        Raises:
            FileExistsError: If `folder` contains other files.
            ValueError: If a weight is not finite.
            OSError: If the disk is full or read-only; an older model is unchanged.
        """
        parts = ModelParts(self.module, self.config, self.provenance, self.card)
        parts.heads, parts.decoders, parts.specific = self.heads, self.decoders, self.specific
        parts.transforms = self.transforms
        parts.seen = self.seen
        save_model(folder, parts)

    def push_to_hub(self, repo: str, **options: Any) -> str:
        """Upload to the Hugging Face Hub (needs the extra `hub`); returns the name for `geotether.load`.

        Args:
            repo: "user/name"; made if it does not exist.
            **options: `private`, `revision`, `licence`, `message` and `token`, as for `geotether.checkpoint.hub.push`,
                whose errors are raised.
        """
        return push(self, repo, **options)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", precision: str = "float32") -> "Encoder":
        """Load a model folder of geotether. Nothing in it is executed.

        Args:
            folder: Folder with `model.safetensors`, `config.json` and `provenance.json`, or the name of a model.
            device: Device to compute on, such as "cpu" or "cuda".
            precision: Of the products, see `Encoder`.

        Raises:
            FileNotFoundError: If the folder or one of its files is missing.
            ValueError: If it is not a model of geotether, is of a newer format, truncated, or damaged.
        """
        return cls.of(load_model(folder), device, precision)

    @classmethod
    def of(cls, parts: ModelParts, device: str = "cpu", precision: str = "float32") -> "Encoder":
        """Make an encoder of the location encoder in a loaded model.

        Raises:
            ValueError: If it has none.
        """
        if parts.location is None:
            raise ValueError(
                f"{parts.folder or 'This'} is a model of paired sensors that was not tied to places; it has no "
                "location encoder. `geotether predict` and geotether.load use it."
            )
        kept: dict[str, Any] = {
            name: getattr(parts, name) for name in ("heads", "decoders", "specific", "card", "seen")
        }
        encoder = cls(parts.location, parts.config, parts.provenance, device, precision=precision, **kept)
        encoder.folder, encoder.transforms = parts.folder, dict(parts.transforms)
        return encoder
