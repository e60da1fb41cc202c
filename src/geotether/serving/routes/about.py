"""Addresses that say what is served: /health and /model."""

from typing import Any

from fastapi import APIRouter

from geotether.serving.served import Served
from geotether.version import __version__


def router(served: Served) -> APIRouter:
    """Make the addresses /health and /model."""
    made = APIRouter(tags=["about"])

    @made.get("/health", summary="Whether the server answers")
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @made.get("/model", summary="The models and files that are served")
    def model() -> dict[str, Any]:
        return {
            "version": __version__,
            "models": [{"name": name, "dim": one.dim} for name, one in served.models.items()],
        }

    return made
