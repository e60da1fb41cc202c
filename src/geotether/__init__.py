"""geotether: location encoders (longitude, latitude -> vector), tied to any number of geotagged data sources.

The names below are imported when they are first used, so that `import geotether` is fast and does not import torch.
Everything else is public in its own module.
"""

import importlib
from typing import TYPE_CHECKING, Any

from geotether.version import __version__

if TYPE_CHECKING:
    from geotether.benchmark.run import evaluate
    from geotether.diagnostics.diagnosis import diagnose
    from geotether.embedder import LocationEmbedder
    from geotether.encoder import Encoder
    from geotether.exporting.export import export
    from geotether.files.points import read_points
    from geotether.loading import load, load_encoder
    from geotether.prediction.job import prediction_map
    from geotether.probes.spatial_cv import BlockKFold
    from geotether.serving.server import serve
    from geotether.studies.adaptation import adapt
    from geotether.studies.comparison import compare
    from geotether.tables.splits import assign_split
    from geotether.tables.store import read_table, write_table
    from geotether.tables.table import Table
    from geotether.tasks.specification import read_tasks
    from geotether.tasks.task import Task
    from geotether.training.config import load_config
    from geotether.training.pretraining import pretrain

# The module of each public name.
_HOMES = {
    "BlockKFold": "geotether.probes.spatial_cv",
    "Encoder": "geotether.encoder",
    "LocationEmbedder": "geotether.embedder",
    "Table": "geotether.tables.table",
    "Task": "geotether.tasks.task",
    "adapt": "geotether.studies.adaptation",
    "assign_split": "geotether.tables.splits",
    "compare": "geotether.studies.comparison",
    "diagnose": "geotether.diagnostics.diagnosis",
    "evaluate": "geotether.benchmark.run",
    "export": "geotether.exporting.export",
    "load": "geotether.loading",
    "load_config": "geotether.training.config",
    "load_encoder": "geotether.loading",
    "prediction_map": "geotether.prediction.job",
    "pretrain": "geotether.training.pretraining",
    "read_points": "geotether.files.points",
    "read_table": "geotether.tables.store",
    "read_tasks": "geotether.tasks.specification",
    "serve": "geotether.serving.server",
    "write_table": "geotether.tables.store",
}

__all__ = [
    "BlockKFold",
    "Encoder",
    "LocationEmbedder",
    "Table",
    "Task",
    "__version__",
    "adapt",
    "assign_split",
    "compare",
    "diagnose",
    "evaluate",
    "export",
    "load",
    "load_config",
    "load_encoder",
    "prediction_map",
    "pretrain",
    "read_points",
    "read_table",
    "read_tasks",
    "serve",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'geotether' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
