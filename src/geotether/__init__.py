"""geotether: location encoders (longitude, latitude -> vector), tied to any number of geotagged data sources.

The names below are imported when they are first used, so that `import geotether` costs nothing and does
not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from geotether.version import __version__

if TYPE_CHECKING:
    from geotether.benchmark.run import evaluate
    from geotether.embed import EarthEmbedding, load
    from geotether.encoders.build import build_location_encoder
    from geotether.encoders.location import LocationEncoder
    from geotether.encoders.model import TiedModel
    from geotether.encoders.positional.harmonics import real_spherical_harmonics
    from geotether.geodesy.blocks import block_id
    from geotether.geodesy.distance import great_circle_km
    from geotether.objectives.info_nce import info_nce
    from geotether.objectives.retrieval import recall_at_k
    from geotether.objectives.tying import tying_loss
    from geotether.probes.spatial_cv import BlockKFold
    from geotether.sources.points import read_points
    from geotether.studies.comparison import compare
    from geotether.tables.featurize import featurize_chips, featurize_texts
    from geotether.tables.splits import assign_split
    from geotether.tables.store import read_table, write_table
    from geotether.tables.table import FeatureTable
    from geotether.tasks.specification import read_tasks
    from geotether.tasks.task import Task
    from geotether.training.config import RunConfig, load_config
    from geotether.training.pretraining import pretrain

# Where each public name lives.
_HOMES = {
    "BlockKFold": "geotether.probes.spatial_cv",
    "EarthEmbedding": "geotether.embed",
    "FeatureTable": "geotether.tables.table",
    "LocationEncoder": "geotether.encoders.location",
    "RunConfig": "geotether.training.config",
    "Task": "geotether.tasks.task",
    "TiedModel": "geotether.encoders.model",
    "assign_split": "geotether.tables.splits",
    "block_id": "geotether.geodesy.blocks",
    "build_location_encoder": "geotether.encoders.build",
    "compare": "geotether.studies.comparison",
    "evaluate": "geotether.benchmark.run",
    "featurize_chips": "geotether.tables.featurize",
    "featurize_texts": "geotether.tables.featurize",
    "great_circle_km": "geotether.geodesy.distance",
    "info_nce": "geotether.objectives.info_nce",
    "load": "geotether.embed",
    "load_config": "geotether.training.config",
    "pretrain": "geotether.training.pretraining",
    "read_points": "geotether.sources.points",
    "read_table": "geotether.tables.store",
    "read_tasks": "geotether.tasks.specification",
    "real_spherical_harmonics": "geotether.encoders.positional.harmonics",
    "recall_at_k": "geotether.objectives.retrieval",
    "tying_loss": "geotether.objectives.tying",
    "write_table": "geotether.tables.store",
}

__all__ = [
    "BlockKFold",
    "EarthEmbedding",
    "FeatureTable",
    "LocationEncoder",
    "RunConfig",
    "Task",
    "TiedModel",
    "__version__",
    "assign_split",
    "block_id",
    "build_location_encoder",
    "compare",
    "evaluate",
    "featurize_chips",
    "featurize_texts",
    "great_circle_km",
    "info_nce",
    "load",
    "load_config",
    "pretrain",
    "read_points",
    "read_table",
    "read_tasks",
    "real_spherical_harmonics",
    "recall_at_k",
    "tying_loss",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'geotether' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value  # asked once
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
