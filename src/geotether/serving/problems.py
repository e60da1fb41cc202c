"""Errors as clients see them: one sentence, and the parameter that it is about."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from geotether.settings import worded
from geotether.suggestions import closest


class Problem(HTTPException):
    """A request that cannot be answered.

    Args:
        status: HTTP status: 4xx, 500 after a fault of the server, or 503 while it is being stopped
            or has no room for a file.
        error: One sentence that says what is wrong and what would be accepted, without paths of the server.
        field: The parameter that it is about.
        retry_after: Seconds after which the same request may succeed.
    """

    def __init__(self, status: int, error: str, field: str | None = None, retry_after: float | None = None) -> None:
        headers = None if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
        super().__init__(status, said(error, field), headers)  # type: ignore[arg-type]


class Said(BaseModel):
    """What was wrong."""

    error: str = Field(description="One sentence: what was wrong, and what would be accepted.")
    field: str | None = Field(None, description="The parameter that it is about.")


class ProblemBody(BaseModel):
    """The body of every error."""

    detail: Said


_WORDS = {
    400: "The request cannot be read, or its Host is not this server.",
    403: "The request comes from a page of another site.",
    404: "There is no such address, model, layer, file of points, image or job.",
    405: "The address does not take this method.",
    408: "The body did not arrive in time.",
    413: "The body is larger than the limit.",
    415: "The body is of another type.",
    422: "A parameter is missing or cannot be used; `field` names it.",
    429: "Too many requests, or the answer took too long; try again after the seconds in `Retry-After`.",
    503: "The server is being stopped, or has no room for a file.",
}
# Of errors that come from the framework.
_UNKNOWN = {
    400: "The body of the request cannot be read.",
    404: "There is no such address; /openapi.json lists all.",
    405: "The address does not take this method.",
}
# Names that other search services use.
_ELSEWHERE = {"q": "text", "query": "text", "x": "lon", "y": "lat", "limit": "top", "k": "top", "n": "top"}
_LONGEST_VALUE = 40
_RETRY_AFTER = {"Retry-After": {"description": "Seconds until another try.", "schema": {"type": "integer"}}}
# The errors of every address, as `responses` of FastAPI.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "description": words} | ({"headers": _RETRY_AFTER} if status in (429, 503) else {})
    for status, words in _WORDS.items()
}


def said(error: str, field: str | None = None) -> dict[str, str]:
    """Return the detail of an error."""
    return {"error": error} | ({} if field is None else {"field": field})


@contextmanager
def asked(field: str | None = None) -> Iterator[None]:
    """Turn a ValueError or TypeError of the library into a problem with a parameter.

    Use it only around what reads the parameter: messages about files contain paths.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        raise Problem(422, str(error), field) from error


def takes(kind: str) -> Any:
    """Return a dependency of an address that refuses bodies of another media type with 415."""

    def check(request: Request) -> None:
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given != kind:
            raise Problem(415, f"The body must be {kind}, got {given[:80] or 'no Content-Type'}.", "Content-Type")

    return Depends(check)


async def refuse_unknown(request: Request) -> None:
    """Refuse what an address does not take: unknown parameters, unknown fields of a form, and either given twice.

    A dependency of an application; what is known is what the OpenAPI document lists.

    Raises:
        Problem: 422, which names the first one and the known name that is closest.
    """
    known = known_names(request)
    if known is None:
        return
    _refuse_names(request.query_params.multi_items(), known.parameters, "parameter", "")
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        form = (await request.form()).multi_items()
        moved = next((name for name, _ in form if name in known.parameters and name not in known.fields), None)
        hint = "" if moved is None else f" Write {moved} into the address, after ?."
        _refuse_names(form, known.fields, "field", hint)


class Known(NamedTuple):
    """Names of what an address takes: parameters of its query, and fields of its body."""

    parameters: list[str]
    fields: list[str]


def known_names(request: Request) -> Known | None:
    """Return what the address of a request takes; None if the OpenAPI document does not have the address."""
    document = request.app.openapi()
    operation = document["paths"].get(request.scope["route"].path, {}).get(request.method.lower())
    if operation is None:
        return None
    parameters = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    schemas = [one["schema"] for one in operation.get("requestBody", {}).get("content", {}).values()]
    named = [schema.get("$ref", "").rpartition("/")[2] for schema in schemas]
    return Known(
        parameters, [field for name in named for field in document["components"]["schemas"][name]["properties"]]
    )


def _refuse_names(given: Iterable[tuple[str, Any]], known: list[str], kind: str, hint: str) -> None:
    counts = Counter(name for name, _ in given)
    for name, count in counts.items():
        if name not in known:
            raise Problem(422, unknown_name(name, known, kind) + hint, name[:80])
        if count > 1:
            raise Problem(422, f"The {kind} {name} is given {count} times; give it once.", name)


def unknown_name(name: str, known: list[str], kind: str) -> str:
    """Say that there is no parameter or field of a name, which there are, and which is closest."""
    listed = f"only {', '.join(known)}" if known else "this address takes none"
    usual = _ELSEWHERE.get(name)
    hint = f" Did you mean {usual!r}?" if usual in known else closest(name[:80], known)
    return f"There is no {kind} {name[:80]!r}, {listed}.{hint}"


def _invalid(error: dict[str, Any], place: list[str]) -> str:
    """Say in one sentence what is wrong with a parameter or a part of a body."""
    words, value = worded(error), error["input"]
    if error["type"] == "value_error":
        return f"{words[:1].upper()}{words[1:]}."
    named = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in place).removeprefix(".")
    got = f", got {str(value)[:_LONGEST_VALUE]!r}" if isinstance(value, str | int | float) else ""
    outside = error["type"] in ("less_than_equal", "greater_than_equal")
    hint = " lon and lat may be swapped." if outside and place[:1] == ["lat"] and abs(float(value)) <= 180 else ""
    return f"{named or 'The body'} {words}{got}.{hint}"


def _other_methods(request: Request, app: FastAPI, allowed: str | None) -> str:
    """Say which methods an address takes."""
    path = getattr(request.scope.get("route"), "path", None)
    methods = [method.upper() for method in app.openapi()["paths"].get(path, ())] or [allowed]
    return f"The address does not take {request.method}; use {' or '.join(map(str, methods))}."


def handle_problems(app: FastAPI) -> None:
    """Give all refusals of an application the same form; `Guard` does so for exceptions."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        detail: Any = error.detail
        if not isinstance(detail, dict):
            detail = said(_UNKNOWN.get(error.status_code, detail))
            if error.status_code == 404:
                detail["error"] += closest(request.url.path[:80], app.openapi()["paths"])
            if error.status_code == 405 and (allowed := (error.headers or {}).get("Allow")):
                detail["error"] = _other_methods(request, app, allowed)
        return JSONResponse({"detail": detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = error.errors()
        first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        if first["type"] == "json_invalid":
            text = f"The body is not JSON ({first['ctx']['error']} at character {first['loc'][-1]})."
            return JSONResponse({"detail": said(text)}, 400)
        place = [str(part) for part in first["loc"] if part not in ("query", "path", "body", "header")]
        field = ".".join(place) or None
        text = _invalid(first, place)
        if first["type"] == "extra_forbidden" and (known := known_names(request)) is not None:
            text = unknown_name(place[-1], known.fields, "field")
        return JSONResponse({"detail": said(text, field)}, 422)
