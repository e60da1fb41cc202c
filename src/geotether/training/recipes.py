"""Recipes: named, complete configurations, written out as plain mappings."""

import copy
from typing import Any

from geotether.suggestions import closest

LOCATION_TIES = "location_ties"
RECIPES: dict[str, dict[str, Any]] = {
    # The published setting of MELT/SALT as far as it is known (Hecht et al. 2026, arXiv:2606.20167),
    # with SatCLIP's location encoder and optimiser (Klemmer et al. 2025, arXiv:2311.17179) where the
    # paper is silent. Published: batch 2048, learning rate 1e-4, 50 epochs, frozen modality encoders,
    # spherical harmonics and a sine network. SatCLIP's: L = 40 (l_max counts from 0, so 39; its other
    # release, L = 10, is `encoder.positional.l_max=9`), two hidden sine layers of width 512, dropout 0.5
    # in them, 256 outputs, AdamW with decay 0.01 and a constant rate, no clipping, temperature from 0.07.
    # Our assumptions: the negatives of the asymmetric loss, logit scales capped at 100 and one per modality
    # (SatCLIP's single one is not capped), float32 networks (SatCLIP's run in float64), and the jitter:
    # SatCLIP moves each coordinate one-sidedly by up to 0.01 degrees; 320 m has the same spread without
    # the bias to the north-east.
    "paper": {
        "encoder": {
            "positional": {"name": "spherical_harmonics", "l_max": 39},
            "network": {
                "name": "siren",
                "hidden_dim": 512,
                "num_layers": 2,
                "omega_0": 30.0,
                "omega_0_hidden": 1.0,
                "dropout": 0.5,
            },
            "embed_dim": 256,
            "readout": "output",
        },
        "heads": {"hidden_dim": 0, "dropout": 0.0},
        "objective": {"reading": "modality_to_location", "init_temperature": 0.07},
        "schedule": {"name": "melt", "shares": "equal"},
        "batch_size": 2048,
        "epochs": 50,
        "learning_rate": 1e-4,
        "final_share": 1.0,
        "warmup_steps": 0,
        "weight_decay": 0.01,
        "clip_norm": None,
        "jitter_m": 320.0,
    },
    # Ours; each choice was made on validation blocks, and docs/results.md has the numbers. The network gets harmonics
    # up to degree 10, since finer ones only help it to memorise, and the context of rasters, if there are any, parts of
    # which are left out in training. Contrast inside each modality, and regression of what was observed, which keeps
    # what contrast drops. Handed out is a projection of harmonics up to degree 20, whose high degrees are quiet (of a
    # mean square of about 1), context and the last hidden layer.
    "default": {
        "encoder": {
            "positional": {"name": "spherical_harmonics", "l_max": 20, "taper_degree": 5.0, "scale": 21.5},
            "network": {"name": "mlp", "hidden_dim": 512, "num_layers": 2, "dropout": 0.3},
            "embed_dim": 256,
            "network_degree": 10,
            "readout": "projected",
        },
        "context": {
            "scales_km": [15.0, 30.0, 100.0, 300.0],
            "observations": {"components": 12, "reach_km": 25.0},
            "dropout": 0.3,
        },
        "heads": {"hidden_dim": 0, "dropout": 0.0},
        "objective": {
            "reading": "within_modality",
            "init_temperature": 0.07,
            "regression_weight": 10.0,
            "regression_components": 64,
        },
        "schedule": {"name": "melt", "shares": "equal"},
        "batch_size": 1024,
        "steps": 300,
        "learning_rate": 2e-3,
        "final_share": 0.01,
        "warmup_steps": 50,
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "jitter_m": 10_000.0,
    },
}


# Adapt a trained encoder to a region: the objective of `default`, a lower rate, no decay (which would pull the weights
# towards 0 and not towards those it starts from), and the encoder's own network, readout and context.
RECIPES["adapt"] = {
    "context": {"scales_km": [5.0, 20.0], "dropout": 0.3, "noise": 0.3},
    "objective": {**RECIPES["default"]["objective"], "ignore_km": 0.0},  # small tables have a row twice in a batch
    "schedule": RECIPES["default"]["schedule"],
    "batch_size": 512,
    "steps": 500,
    "learning_rate": 2e-3,
    "final_share": 0.01,
    "warmup_steps": 20,
    "weight_decay": 0.0,
    "clip_norm": 1.0,
    "jitter_m": 5000.0,
}


# Published methods by name: the same recipes with another schedule.
RECIPES["melt"] = RECIPES["default"]
RECIPES["salt"] = {**RECIPES["default"], "schedule": {"name": "salt"}}
RECIPES["satclip"] = {**RECIPES["paper"], "schedule": {"name": "pairwise"}}


# Adam at 1e-3 without decay, batches of 128, patience 5 and a least gain of 0.01 are MDiCo's published settings
# (arXiv:2510.19579, released configurations; the number of epochs is not known). Early stopping watches validation
# rows, which are never evaluated.
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
RECIPES |= {method: {"method": method, **_SUPERVISED} for method in ("mdico", "single", "shared", "fused", "distilled")}
RECIPES |= {
    "mosaic": {**_CONTRASTIVE, "ties": {"view": 1.0, "sample": 1.0, "label": 1.0}},
    "simclr": {**_CONTRASTIVE, "ties": {"view": 1.0, "sample": 0.0, "label": 0.0}},
    "clip": {**_CONTRASTIVE, "ties": {"view": 0.0, "sample": 1.0, "label": 0.0}},
}


def recipe_layer(name: str) -> dict[str, Any]:
    """Return a copy of one recipe, ready to be overlaid.

    Raises:
        ValueError: If there is no such recipe; the known ones are named.

    Example:
        >>> recipe_layer("paper")["batch_size"]
        2048
    """
    if name not in RECIPES:
        raise ValueError(f"There is no recipe {name!r}; known: {', '.join(RECIPES)}.{closest(name, RECIPES)}")
    return {"method": LOCATION_TIES, **copy.deepcopy(RECIPES[name])}
