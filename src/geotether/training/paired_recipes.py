"""Recipes for paired sensors: named layers under a configuration, the published settings where they are known."""

import copy
import difflib
from typing import Any

from geotether.training.recipes import RECIPES

# Adam at 1e-3 without decay, batches of 128, patience 5 and a least gain of 0.01 are MDiCo's published settings
# (arXiv:2510.19579, released configurations; the number of epochs is not known). Early stopping watches validation
# rows, which are never those judged.
_SUPERVISED: dict[str, Any] = {
    "batch_size": 128,
    "epochs": 100,
    "learning_rate": 1e-3,
    "final_share": 1.0,
    "weight_decay": 0.0,
    "clip_norm": 1.0,
    "validate_every": "epoch",
    "keep": "best",
    "patience": 5,
    "min_delta": 0.01,
    "save_every": None,
}
# Formulas and settings of MoSAiC beyond its abstract are not published; these are ours.
_CONTRASTIVE: dict[str, Any] = {
    "method": "ties",
    "batch_size": 256,
    "epochs": 30,
    "learning_rate": 1e-3,
    "warmup_steps": 20,
    "final_share": 0.01,
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "validate_every": "epoch",
    "save_every": None,
    "location": RECIPES["default"]["encoder"],
}
PAIRED_RECIPES: dict[str, dict[str, Any]] = {
    **{method: {"method": method, **_SUPERVISED} for method in ("mdico", "single", "shared", "fused", "distilled")},
    "mosaic": {**_CONTRASTIVE, "ties": {"view": 1.0, "sample": 1.0, "label": 1.0}},
    "simclr": {**_CONTRASTIVE, "ties": {"view": 1.0, "sample": 0.0, "label": 0.0}},
    "clip": {**_CONTRASTIVE, "ties": {"view": 0.0, "sample": 1.0, "label": 0.0}},
}


def paired_recipe_layer(name: str) -> dict[str, Any]:
    """Return a copy of one recipe, ready to be overlaid.

    Raises:
        ValueError: If there is no such recipe; the known ones are named.

    Example:
        >>> paired_recipe_layer("clip")["ties"]["sample"]
        1.0
    """
    if name not in PAIRED_RECIPES:
        closest = difflib.get_close_matches(str(name), PAIRED_RECIPES, n=1)
        guess = f" Did you mean {closest[0]!r}?" if closest else ""
        raise ValueError(f"There is no recipe {name!r}; known: {', '.join(sorted(PAIRED_RECIPES))}.{guess}")
    return copy.deepcopy(PAIRED_RECIPES[name])
