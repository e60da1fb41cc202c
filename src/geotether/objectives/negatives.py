"""Which embeddings compete with a row's partner in its softmax; names only, so that torch is not imported."""

from geotether.plugins import Registry
from geotether.suggestions import closest

NEGATIVES: dict[str, str] = {
    "modality_to_location": "each observation picks its own place among the places of the whole merged batch",
    "location_to_modality": "each place picks its own observation among the observations of the whole merged batch",
    "all_pairs": "each observation picks its own place among all places and all other observations of the merged batch",
    "within_modality": "each modality by itself: observation and place pick each other among the rows of that modality",
}
"""Name and meaning of each choice; a configuration gives it as `objective.reading`.

The formula of the paper's "asymmetric NT-Xent" is not published. The first choice is our main interpretation, the
next two are alternatives; the last keeps modalities out of each other's softmax and equals the CLIP loss if the batch
contains one modality.

Source:
    Hecht et al. (2026), "Multi-Modal Contrastive Learning for Implicit Earth Embeddings via Location Tying".
"""

_SIGMOID = "each modality by itself: every pair is classified by itself, match or not"
OBJECTIVES = Registry("objective", "geotether.objectives", {**NEGATIVES, "sigmoid": _SIGMOID})
"""What `objective.reading` may name: the choices of negatives, `sigmoid`, and functions that plug-ins register.

A registered function f(observed, places, logit_scale) gets the embeddings of one modality's rows and of their places,
each of shape (n, d) and not normalised, and the inverse temperature; it returns the mean loss of the rows, a scalar.
"""
register_objective = OBJECTIVES.register
"""Function decorator `@register_objective("name")`; see docs/extend.md."""


def check_negatives(name: str) -> None:
    """Raise ValueError unless `name` is one of `NEGATIVES`."""
    if name not in NEGATIVES:
        raise ValueError(f"Unknown negatives {name!r}; known: {', '.join(NEGATIVES)}.{closest(name, NEGATIVES)}")
