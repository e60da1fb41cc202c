"""What an encoder is like apart from any task: dimension, resolution, continuity, bias, coverage."""

from geotether.diagnostics.continuity import Continuity, continuity
from geotether.diagnostics.diagnosis import Diagnosis, diagnose
from geotether.diagnostics.dimensionality import Dimensionality, dimensionality
from geotether.diagnostics.nearness import Nearness, coverage, leakage, seen_places
from geotether.diagnostics.places import even_places, land_places
from geotether.diagnostics.resolution import Resolution, effective_resolution
from geotether.diagnostics.words import lines_of, table_of
from geotether.loading import EncoderFunction

__all__ = [
    "Continuity",
    "Diagnosis",
    "Dimensionality",
    "EncoderFunction",
    "Nearness",
    "Resolution",
    "continuity",
    "coverage",
    "diagnose",
    "dimensionality",
    "effective_resolution",
    "even_places",
    "land_places",
    "leakage",
    "lines_of",
    "seen_places",
    "table_of",
]
