"""The model of a run: the location encoder, a head and a decoder a modality, and the memory."""

from collections.abc import Mapping

import numpy as np
import torch

from geotether.encoders.build import build_location_encoder
from geotether.encoders.decoders import FeatureDecoder
from geotether.encoders.heads import ProjectionHead
from geotether.encoders.memory import PlaceMemory, merged_places
from geotether.encoders.model import TiedModel
from geotether.encoders.specific import SpecificParts
from geotether.moments import CHUNK_ROWS
from geotether.tables.table import Table
from geotether.training.config import RunConfig
from geotether.training.randomness import derived_seed


def build_model(config: RunConfig, tables: Mapping[str, Table]) -> TiedModel:
    """Build the model with weights that depend on the configuration alone.

    The first weights of a head and of a decoder depend on the seed and the modality's name, so that adding a modality
    leaves the others' as they were.

    Args:
        config: The run's configuration.
        tables: Modality to its training rows, which also say how features are standardised.
    """
    location = build_location_encoder(config.encoder.model_dump(), config.seed)
    heads: dict[str, ProjectionHead] = {}
    for modality, table in tables.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(config.seed, 0, f"head of {modality}"))
            heads[modality] = ProjectionHead(
                table.dim, config.encoder.embed_dim, config.heads.hidden_dim, config.heads.dropout
            )
        heads[modality].fit_standardisation(table.features)
    decoders: dict[str, FeatureDecoder] = {}
    for modality, table in tables.items() if config.objective.regression_weight else ():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(config.seed, 0, f"decoder of {modality}"))
            decoders[modality] = FeatureDecoder(
                config.encoder.embed_dim, table.dim, config.objective.regression_components
            )
        decoders[modality].fit(table.features)
    specific = build_specific(config, tables) if config.objective.specific_dim else None
    return TiedModel(location, heads, config.objective.init_temperature, decoders=decoders, specific=specific)


def build_specific(config: RunConfig, tables: Mapping[str, Table]) -> SpecificParts:
    """Build what each modality keeps for itself.

    Args:
        config: The run's configuration.
        tables: Modality to its training rows.
    """
    objective = config.objective
    in_dims = {modality: table.dim for modality, table in tables.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(config.seed, 0, "specific parts"))
        parts = SpecificParts(
            in_dims, config.encoder.embed_dim, objective.specific_dim, objective.regression_components
        )
    for modality, table in tables.items():
        parts.fit(modality, table.features)
    return parts


def build_memory(config: RunConfig, tables: Mapping[str, Table]) -> PlaceMemory | None:
    """Remember the training rows' leading components, each place once; None where the configuration wants none.

    Args:
        config: The run's configuration.
        tables: Modality to its training rows.
    """
    if not config.memory.components:
        return None
    kept: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for modality, table in tables.items():
        with torch.random.fork_rng(devices=[]):  # its layer is drawn, though only its directions are used
            components = FeatureDecoder(1, table.dim, config.memory.components)
        components.fit(table.features)
        values = np.concatenate(
            [
                components.targets(torch.tensor(table.features[start : start + CHUNK_ROWS])).numpy()
                for start in range(0, len(table), CHUNK_ROWS)
            ]
        )
        kept[modality] = merged_places(table.lonlat, values)
    sizes = {modality: values.shape for modality, (_, values) in kept.items()}
    memory = PlaceMemory(sizes, config.memory.neighbors, config.memory.reach_km)
    for modality, (lonlat, values) in kept.items():
        memory.fill(modality, lonlat, values)
    return memory
