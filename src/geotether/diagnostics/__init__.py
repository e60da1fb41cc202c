"""Properties of an encoder apart from any task: dimension, resolution, continuity, bias, coverage."""

from geotether.diagnostics.continuity import continuity
from geotether.diagnostics.diagnosis import Diagnosis, diagnose
from geotether.diagnostics.dimensionality import dimensionality
from geotether.diagnostics.nearness import nearness, seen_places
from geotether.diagnostics.places import even_places
from geotether.diagnostics.resolution import effective_resolution
from geotether.diagnostics.summary import lines_of, table_of

__all__ = [
    "Diagnosis",
    "continuity",
    "diagnose",
    "dimensionality",
    "effective_resolution",
    "even_places",
    "lines_of",
    "nearness",
    "seen_places",
    "table_of",
]
