"""Features by name."""

from collections.abc import Mapping
from typing import Any

from geotether.features.featurizer import Featurizer
from geotether.plugins import Registry

# Name to the place of its class, imported only when used, because backbones need heavy libraries.
FEATURES = Registry(
    "features",
    "geotether.features",
    {
        "columns": "geotether.features.columns:ColumnFeatures",
        "ngrams": "geotether.features.ngrams:NgramFeatures",
        "sentences": "geotether.features.sentences:SentenceFeatures",
        "convolution": "geotether.features.convolution:RandomConvolution",
        "backbone": "geotether.features.backbone:BackboneFeatures",
        "ssl4eo": "geotether.features.ssl4eo:Ssl4eoFeatures",
        "vectors": "geotether.features.vectors:VectorFeatures",
    },
)
register_feature = FEATURES.register
"""Class decorator `@register_feature("name")`; see docs/extend.md."""


def features_class(name: str) -> Any:  # a class; issubclass cannot check a protocol that has attributes
    """Return the class of features; ValueError for an unknown name."""
    return FEATURES.load(name)


def make_features(name: str, options: Mapping[str, Any] | None = None) -> Featurizer:
    """Make features by name, without fitting them, given arguments of the constructor.

    Raises:
        ValueError: If the name or an option is unknown (the message lists the known ones), or an option is invalid.
        ImportError: If an extra is missing; the message has the install command.
    """
    made: Featurizer = FEATURES.make(name, options)
    return made
