"""Features by name."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from geotether.features.featurizer import Featurizer
from geotether.plugins import Registry
from geotether.suggestions import closest

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
    """Return the class of features, given a key of `FEATURES`."""
    if name not in FEATURES:
        raise ValueError(
            f"There are no features {name!r}; known: {', '.join(FEATURES.names())}.{closest(name, FEATURES)}"
        )
    found = FEATURES[name]
    if not isinstance(found, str):
        return found
    module, _, class_name = found.partition(":")
    return getattr(importlib.import_module(module), class_name)


def make_features(name: str, options: Mapping[str, Any] | None = None) -> Featurizer:
    """Make features by name, without fitting them, given arguments of the constructor.

    Raises:
        ValueError: If the name or an option is unknown (the message lists the known ones), or an option is invalid.
        ImportError: If an extra is missing; the message has the install command.
    """
    kind = features_class(name)
    known = list(inspect.signature(kind).parameters)
    for option in options or {}:
        if option not in known:
            guess = closest(option, known)
            raise ValueError(f"The features {name!r} have no option {option!r}; they have {', '.join(known)}.{guess}")
    return kind(**dict(options or {}))
