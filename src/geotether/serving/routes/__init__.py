"""Addresses by subject: each module has a function `router(served) -> APIRouter`."""
