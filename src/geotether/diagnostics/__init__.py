"""Properties of an encoder apart from any task: dimension, resolution, continuity, bias, coverage."""

from geotether.diagnostics.continuity import Continuity, continuity
from geotether.diagnostics.diagnosis import Diagnosis, diagnose
from geotether.diagnostics.dimensionality import Dimensionality, dimensionality
from geotether.diagnostics.nearness import Nearness, nearness, seen_places
from geotether.diagnostics.places import even_places, land_places
from geotether.diagnostics.resolution import Resolution, effective_resolution
from geotether.diagnostics.summary import lines_of, table_of

__all__ = [
    "Continuity",
    "Diagnosis",
    "Dimensionality",
    "Nearness",
    "Resolution",
    "continuity",
    "diagnose",
    "dimensionality",
    "effective_resolution",
    "even_places",
    "land_places",
    "lines_of",
    "nearness",
    "seen_places",
    "table_of",
]
