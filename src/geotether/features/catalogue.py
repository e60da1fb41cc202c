"""Which features there are, and how some are made by name."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from geotether.features.featurizer import Featurizer
from geotether.suggestions import closest

# Name to where its class lives; imported only when used, because backbones bring heavy libraries.
FEATURES = {
    "columns": "geotether.features.columns:ColumnFeatures",
    "ngrams": "geotether.features.ngrams:NgramFeatures",
    "sentences": "geotether.features.sentences:SentenceFeatures",
    "convolution": "geotether.features.convolution:RandomConvolution",
    "backbone": "geotether.features.backbone:BackboneFeatures",
    "ssl4eo": "geotether.features.ssl4eo:Ssl4eoFeatures",
    "vectors": "geotether.features.vectors:VectorFeatures",
}


def features_class(name: str) -> Any:  # a class; issubclass cannot check a protocol that has attributes
    """Find the class of some features.

    Args:
        name: A key of `FEATURES`.

    Raises:
        ValueError: If there are none of that name; the known ones are named.
        ImportError: If an extra is missing.
    """
    if name not in FEATURES:
        raise ValueError(f"There are no features {name!r}; known: {', '.join(FEATURES)}.{closest(name, FEATURES)}")
    module, _, class_name = FEATURES[name].partition(":")
    return getattr(importlib.import_module(module), class_name)


def make_features(name: str, options: Mapping[str, Any] | None = None) -> Featurizer:
    """Make features by name, not fitted yet.

    Args:
        name: A key of `FEATURES`.
        options: Arguments of its constructor.

    Raises:
        ValueError: If the name or an option is unknown (the known ones are named), or an option is out of range.
        ImportError: If an extra is missing; the message has the install command.
    """
    kind = features_class(name)
    known = list(inspect.signature(kind).parameters)
    for option in options or {}:
        if option not in known:
            guess = closest(option, known)
            raise ValueError(f"The features {name!r} have no option {option!r}; they have {', '.join(known)}.{guess}")
    return kind(**dict(options or {}))
