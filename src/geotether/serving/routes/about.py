"""Addresses that say what is served: /health and /model."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from geotether.checkpoint.folder import licence_of
from geotether.serving.routes.tiles import layer_shown
from geotether.serving.schemas import Health, ServedShown
from geotether.serving.served import Served
from geotether.version import __version__


def router(served: Served) -> APIRouter:
    """Make the addresses /health and /model."""
    made = APIRouter(tags=["about"])

    @made.get("/health", summary="Whether the server answers")
    async def health() -> Health:
        return Health(status="ok", version=__version__)

    @made.get("/model", summary="The models and files that are served")
    def model() -> ServedShown:
        models = [model_shown(served, name) for name in served.models]
        limits = asdict(served.limits) | {"at_once_each": served.limits.at_once_each}
        return ServedShown.model_validate(
            {"version": __version__, "models": models, "points": served.tables.listed(), "limits": limits}
        )

    return made


def model_shown(served: Served, name: str) -> dict[str, Any]:
    """Describe a model."""
    encoder, planet, layers = served.encoder(name), served.planet(name), served.layers(name)
    resolution = encoder.provenance.get("resolution_km") or {}
    return {
        "name": name,
        "description": f"{encoder.dim} numbers per place, from {', '.join(encoder.modalities) or 'unknown data'}.",
        "dim": encoder.dim,
        "full_dim": encoder.full_dim,
        "modalities": encoder.modalities,
        "asks": served.questions(name).asks(),
        "layers": [layer_shown(id, layers.get(id), served, name) for id in layers.ids],
        "places": len(planet),
        "spacing_km": round(planet.index.candidates.spacing_km or 0.0, 1),
        "effective_resolution_km": resolution.get("50%"),
        "licence": licence_of(encoder.provenance),
        "card": encoder.card,
    }
