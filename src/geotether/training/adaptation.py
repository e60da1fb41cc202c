"""Adaptation of a trained encoder to a region: location ties inside it, and the old vectors kept elsewhere."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from geotether.batches.batch import jitter_lonlat
from geotether.checkpoint.folder import CONFIG, read_json
from geotether.checkpoint.named import model_path, name_of
from geotether.draws import Draws
from geotether.encoder import Encoder
from geotether.encoders.context import LocalContext
from geotether.encoders.heads import FeatureDecoder
from geotether.encoders.location import LocationEncoder
from geotether.encoders.model import TiedModel
from geotether.encoders.widening import widened
from geotether.files.disk import file_fingerprint
from geotether.geodesy.blocks import MIN_BLOCK_KM, block_center, block_count, within_km_of
from geotether.geodesy.distance import nearest_km
from geotether.loading import load
from geotether.objectives.supervised import regression_loss
from geotether.processes import Split
from geotether.regions.region import Region, region_of
from geotether.sources.planet import read_land_places
from geotether.tables.modality import set_fields
from geotether.tables.splits import block_parts
from geotether.tables.table import Table
from geotether.training.config import AdaptConfig, EncoderConfig, RunConfig
from geotether.training.location import LocationMethod, build_model, seeded
from geotether.training.randomness import step_generator
from geotether.training.recording import StepInputs
from geotether.training.state import RunState

# Standard deviation of the jitter of kept places, about half the distance of the places on land.
_SPREAD_M = 20_000.0
# Side of blocks whose centres are kept beside the places on land: one place per block, also on the sea.
_EVERYWHERE_KM = 250.0
# Blocks that fill a region by default, limits of their side, and the buffer around held-out rows as a share of it.
_BLOCKS, _LARGEST_BLOCK_KM, _BUFFER = 100, 500.0, 0.1
# Distance in degrees between places along the border of a region, to which distances are measured.
_BORDER_STEP = 0.1


class AdaptMethod(LocationMethod):
    """Adapt a trained encoder to a region by location ties of the user's tables; a `Method`.

    The encoder starts from the given weights; further levels of rasters enter with the weight 0 (see `widened`). In the
    first `heads_steps` steps only heads and decoders learn. Then the network learns too; readout, positional encoding
    and context are fixed. Two terms keep what the network makes of places that are drawn by (seed, step): outside the
    region, half of them near it, with a large weight; inside with a small one.

    Args:
        config: The run's configuration, with `adapt`.
        tables: Modality to feature table; rows outside the region are left out.
        card_notes: Markdown for the model card.
        raster_context: What rasters show in the region, as for `LocationMethod`.

    Attributes:
        region: The region.
        base: The encoder that is adapted.
        border: Places along the border of the region, in degrees, shape (n, 2).
        block_km: Side of the blocks of the split.

    Raises:
        ValueError: If the region is the whole Earth or unknown, a table has no rows in it, or the model cannot be
            trained.

    Source:
        Li & Hoiem (2016), Learning without forgetting, ECCV (distillation to the old outputs); Kumar et al. (2022),
        Fine-tuning can distort pretrained features and underperform out-of-distribution, ICLR (heads first).
    """

    def __init__(
        self,
        config: RunConfig,
        tables: Mapping[str, Table],
        card_notes: str = "",
        raster_context: LocalContext | None = None,
    ) -> None:
        assert config.adapt is not None
        self.settings: AdaptConfig = config.adapt
        self.region = bounded_region(self.settings.region)
        self.base = trainable_encoder(self.settings.model)
        self.border = border_places(self.region)
        self.block_km = self.settings.block_km or fitting_block_km(self.region)
        config = config.model_copy(update={"encoder": _encoder_settings(config.encoder, self.base)})
        inside = {name: self._inside(name, table) for name, table in tables.items()}
        super().__init__(config, inside, card_notes, raster_context)
        self.rasters |= {"model": weights_hash(self.settings.model), "region": region_hash(self.region)}

    def _inside(self, name: str, table: Table) -> Table:
        """Return a table's rows in the region, whole blocks of its training rows held out for the report."""
        if not table.is_single:
            raise ValueError(
                f"Table {name!r} has the modalities {', '.join(table.modalities)}; a regional model is tied to tables "
                "of one modality with a place in every row. Make one by `geotether table build`."
            )
        rows = np.flatnonzero(self.region.contains(table.lonlat))
        if len(rows) < 2:
            (west, south), (east, north) = table.lonlat.min(0), table.lonlat.max(0)
            raise ValueError(
                f"Table {name!r} has {len(rows)} rows in {self.region.name}; its {len(table):,} rows lie between "
                f"longitude {west:.4g} and {east:.4g} and latitude {south:.4g} and {north:.4g}. Choose another region, "
                "or leave the table out."
            )
        found = table.rows(rows)
        own = np.full(len(rows), "train") if found.split is None else found.split
        return set_fields(found, split=self.parts_of(found.lonlat, own))

    def parts_of(self, lonlat: Float64[np.ndarray, "n 2"], own: np.ndarray | None = None) -> np.ndarray:
        """Return the split of places in the region: by whole blocks, with a buffer around what is held out.

        Args:
            lonlat: Places in degrees, shape (n, 2).
            own: Their split so far, of which only the part `train` is divided.
        """
        config = self.settings
        shares = {"train": 1 - config.held_out, "validation": config.held_out}
        split = block_parts(lonlat, self.block_km, shares, config.split_seed).astype("<U10")
        if own is not None:
            split = np.where(own == "train", split, own)
        held, train = np.isin(split, ("validation", "test")), split == "train"
        near = within_km_of(lonlat[train], lonlat[held], _BUFFER * self.block_km)
        split[np.flatnonzero(train)[near]] = "buffer"
        return split

    def check(self) -> None:
        """Check also that nothing is chosen by the rows that the report judges."""
        if self.config.keep == "best" or self.config.patience is not None:
            raise ValueError(
                "keep: best and patience choose weights by the held-out rows, on which adaptation is judged; set "
                "keep: last and patience: null."
            )
        if self.config.context.observations.components:
            raise ValueError("An adapted model keeps its observations; set context.observations.components: 0.")
        super().check()

    def build_model(self) -> TiedModel:
        """Widen the encoder by the rasters of the configuration, and draw heads and decoders."""
        self.pools = self._pools()
        added = self.build_context(self.region)
        before = self.base.provenance.get("context") or {}
        location = widened(self.base.module, added)
        if location.context is not None:
            location.context.provenance = _joined(before, {} if added is None else added.provenance)
        self.context = location.context
        self.old = self.base.module.to(self.device).eval().requires_grad_(False)
        model = build_model(self.config, self.training, location=location.requires_grad_(True))
        model.readers = nn.ModuleDict()
        for name, table in self.training.items():
            with seeded(self.config, f"reader of {name}"):
                reader = FeatureDecoder(location.handout_dim, table.dim, self.config.objective.regression_components)
            reader.fit(table.features)
            model.readers[name] = reader
        return model

    def _pools(self) -> dict[str, Tensor]:
        """Return the places of each side from which those of a step are drawn, in degrees."""
        everywhere = block_center(np.arange(block_count(_EVERYWHERE_KM)), _EVERYWHERE_KM)
        places = np.concatenate([read_land_places(), everywhere])
        within = self.region.contains(places)
        outside = places[~within]
        near = outside[nearest_km(outside, self.border) <= self.settings.near_km]
        inside = np.concatenate([places[within], *(table.lonlat for table in self.training.values())])
        pools = {"near": near if len(near) else outside, "outside": outside, "inside": inside}
        return {name: torch.from_numpy(pool) for name, pool in pools.items()}

    def location_of(self, model: Any, step: int, lonlat: Tensor, disturbance: Mapping[str, Tensor]) -> Tensor:
        """Embed places of a step, without a gradient while only heads learn."""
        with torch.set_grad_enabled(step >= self.settings.heads_steps):
            return super().location_of(model, step, lonlat, disturbance)

    @property
    def recordable(self) -> bool:
        """No: the steps draw places on the CPU, and leave a varying number of them."""
        return False

    def further_terms(self, model: Any, inputs: StepInputs, split: Split) -> dict[str, tuple[float, Tensor]]:
        """Predict features from the vectors that users get, and measure what is lost of the old encoder."""
        step, batch, lonlat = inputs.step, inputs.batch, inputs.lonlat
        learns = step >= self.settings.heads_steps
        rows_here = split.parts(1)[0].rows
        with torch.set_grad_enabled(learns), Draws().of(rows_here, len(lonlat)):
            vectors = model.location.handout(lonlat[rows_here])
        terms = {}
        for name, rows in split.local.items():
            reader = model.readers[name]
            error = split.mean(regression_loss(reader(vectors[rows]), reader.targets(batch.features[name])), name)
            terms[f"vectors/{name}"] = (self.config.objective.regression_weight / len(batch.groups), error)
        if learns:
            for side, weight in (("outside", self.settings.keep_outside), ("inside", self.settings.keep_inside)):
                if weight:
                    terms[f"lost/{side}"] = (weight, self.lost(model.location, self.places_of(step, side)))
        return terms

    def validate(self, model: Any) -> dict[str, float]:
        """Measure also how well features are predicted from vectors; predicting the mean gives 1."""
        line = super().validate(model)
        for name, held_out in self.held_out.items():
            reader, vectors = model.readers[name], model.location.handout(held_out.lonlat)
            line[f"validation/vectors/{name}"] = regression_loss(
                reader(vectors), reader.targets(held_out.features)
            ).item()
        return line

    def places_of(self, step: int, side: str) -> Float64[Tensor, "n 2"]:
        """Draw the places of a step on one side of the border, `outside` or `inside`."""
        generator = step_generator(self.config.seed, step, f"places {side}")
        count, drawn = self.settings.keep_rows, []
        names = [side] if side == "inside" else ["near", "outside"]
        for name in names:
            pool = self.pools[name]
            drawn.append(pool[torch.randint(len(pool), (count // len(names),), generator=generator)])
        lonlat = jitter_lonlat(torch.cat(drawn), _SPREAD_M, generator)
        within = torch.from_numpy(self.region.contains(lonlat.numpy()))
        return lonlat[within if side == "inside" else ~within].to(self.device)

    def lost(self, location: LocationEncoder, lonlat: Float64[Tensor, "n 2"]) -> Float[Tensor, ""]:
        """Return the mean squared change of the network's output and of the part of a vector that it makes.

        Both relative to their variance over the places, without dropout.
        """
        if len(lonlat) < 2:
            return lonlat.new_zeros((), dtype=torch.float32)
        was_training = location.training
        location.eval()
        new = self._seen(location, lonlat)
        location.train(was_training)
        with torch.no_grad():
            old = self._seen(self.old, lonlat)
        terms = [
            (one - before).square().sum() / (before - before.mean(0)).square().sum().clamp(min=1e-12)
            for one, before in zip(new, old, strict=True)
        ]
        return torch.stack(terms).mean()

    def _seen(self, location: LocationEncoder, lonlat: Tensor) -> tuple[Tensor, Tensor]:
        """Return the hidden layer as the old readout turns it, and the output."""
        hidden, output = location.layers(lonlat)
        if self.old.projection is not None:
            hidden = hidden @ self.old.projection.directions[-hidden.shape[1] :]
        return hidden.float(), output

    def settle(self, model: Any) -> None:
        """Leave the readout as it is, so that vectors stay comparable."""

    def seen_places(self) -> dict[str, Float64[np.ndarray, "_ 2"]]:
        """Add the places on which the old encoder was trained, as far as it knows them."""
        before = {} if self.base.seen is None else self.base.seen.cells
        found = {name: [block_center(cells.ids, cells.cell_km)] for name, cells in before.items()}
        for name, lonlat in super().seen_places().items():
            found.setdefault(name, []).append(lonlat)
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def finish(self, model: Any, state: RunState) -> Encoder:
        """Describe the encoder; heads of the old one stay, since outputs are kept."""
        encoder = super().finish(model, state)
        for kind in ("heads", "decoders", "transforms"):
            setattr(encoder, kind, {**getattr(self.base, kind), **getattr(encoder, kind)})
        return encoder

    def lineage(self) -> dict[str, Any]:
        """Return what was adapted, and where."""
        return {
            "adapted": {
                "model": name_of(Path(self.settings.model)),
                "weights_sha256": self.rasters["model"],
                "region": self.region.name,
                "bounds": [round(edge, 4) for edge in self.region.bounds],
                "read": dict(self.rasters),
                "block_km": self.block_km,
                "from": {key: value for key, value in self.base.provenance.items() if key != "scores"},
            }
        }


def bounded_region(given: str) -> Region:
    """Return the region of a name, file or box; ValueError if it is the whole Earth or unknown."""
    region = region_of(given)
    if region.shape is None:
        raise ValueError(
            "The region is the whole Earth, where nothing is left to keep; give a country, a continent, a box or a "
            "file of polygons, or train a model by `geotether pretrain`."
        )
    return region


def trainable_encoder(model: str) -> Encoder:
    """Load the encoder to adapt.

    Raises:
        ValueError: If it is not a location encoder, has no weights, or its readout was never fitted.
    """
    loaded = load(model)
    if not isinstance(loaded, Encoder):
        from geotether.peers.embedding_file import EmbeddingFile

        is_file = isinstance(loaded, EmbeddingFile)
        what = "a file of embeddings, which cannot be trained" if is_file else "a model of paired sensors"
        raise ValueError(f"{model} is {what}; adapt a location encoder, such as world.")
    module = loaded.module
    if not any(True for _ in module.network.parameters()):
        raise ValueError(f"The network of {model} has no weights, so there is nothing to adapt.")
    if module.projection is not None and not bool(module.projection.rounded.any()):
        raise ValueError(f"The readout of {model} was never fitted; train the model first (`geotether pretrain`).")
    return loaded


def weights_hash(model: str) -> str:
    """Return the SHA-256 of the weights of a model folder, or of the file of a checkpoint."""
    path = model_path(model)
    return file_fingerprint(path) if path.is_file() else str(read_json(path / CONFIG)["weights_sha256"])


def region_hash(region: Region) -> str:
    """Return the SHA-256 of a region's shape."""
    return hashlib.sha256(region.shape.wkb).hexdigest()


def fitting_block_km(region: Region) -> float:
    """Return the side of blocks of which about a hundred fill a region, in whole kilometres where they are large."""
    side = min(math.sqrt(region.area_km2 / _BLOCKS), _LARGEST_BLOCK_KM)
    return float(max(round(side) if side >= 10 else round(side, 1), MIN_BLOCK_KM))


def border_places(region: Region) -> Float64[np.ndarray, "n 2"]:
    """Return places along the border of a region, at most 0.1 degrees apart, shape (n, 2)."""
    import shapely

    lonlat = shapely.get_coordinates(shapely.segmentize(region.shape.boundary, _BORDER_STEP))
    return np.stack([(lonlat[:, 0] + 180) % 360 - 180, lonlat[:, 1].clip(-90, 90)], axis=1)


def _encoder_settings(given: EncoderConfig, base: Encoder) -> EncoderConfig:
    """Return the settings of the encoder that is adapted; ValueError if others were given."""
    known = {key: value for key, value in base.module.config.items() if key in EncoderConfig.model_fields}
    own = EncoderConfig.model_validate(known)
    if given not in (EncoderConfig(), own):
        raise ValueError("The encoder of an adapted model is that of the model it starts from; leave out encoder.")
    return own


def _joined(before: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of a context with that of the levels that were added."""
    rasters = dict(before.get("rasters") or {})
    for name, facts in (added.get("rasters") or {}).items():
        if name in rasters:
            raise ValueError(
                f"context.rasters has {name!r}, which is a raster of the model already; give it another name, such as "
                f"fine_{name}."
            )
        rasters[name] = facts
    found = {**before, **added, "rasters": rasters}
    found.pop("coverage", None)
    return {key: value for key, value in found.items() if value}
