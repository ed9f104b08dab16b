"""The application behind the admission: routes, errors as problems, and the OpenAPI document of both."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from ..access import Repeats
from ..bootstrap import Services
from ..doctor import Checkup
from ..errors import CacheError
from ..text import printable
from . import (
    audit,
    bypass,
    corrections,
    entries,
    explain,
    figures,
    health,
    invalidations,
    namespaces,
    requests,
    schedules,
    transfer,
)
from .idempotency import Kept
from .parts import CHECKUP, KEPT, SERVICES
from .problems import (
    BAD_METHOD,
    FAILED,
    INVALID_INPUT,
    KINDS,
    MEDIA_TYPE,
    NO_JSON,
    NOT_FOUND,
    PATH,
    Kind,
    Problem,
    Refused,
    refused_by,
    reply_of,
)

TITLE: Final = "Encore's operations API"
VERSION: Final = "1"
DESCRIPTION: Final = (
    "What the console and the command line do, for programs. Every error is `application/problem+json` (RFC 9457) with "
    "the field that is wrong and a way out. Times are Unix seconds. Every change is in the audit log with the name of "
    "the key."
)
ROUTERS: Final = tuple(
    subject.router
    for subject in (
        *(invalidations, transfer, corrections, entries, explain, figures, requests, health),
        *(bypass, schedules, namespaces, audit),
    )
)
"""The routes by subject. One more subject is one more module and one more name here."""

MOST_FIELDS: Final = 20
LONGEST_FIELD: Final = 200

_EVERYWHERE: Final = (400, 401, 403, 408, 413, 415, 422, 429, 500, 503)
_SECURITY: Final = {"key": {"type": "http", "scheme": "bearer", "description": "One of ENCORE_OPERATION_KEYS."}}


def build(services: Services) -> FastAPI:
    """The application. It takes scopes that the admission has let in."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            Refused: _refused,
            CacheError: _cache_error,
            RequestValidationError: _invalid,
            HTTPException: _http_error,
            Exception: _unforeseen,
        },
    )
    setattr(app.state, SERVICES, services)
    setattr(app.state, KEPT, Kept(Repeats(services.redis, clock=services.clock)))
    setattr(app.state, CHECKUP, Checkup())
    for router in (*ROUTERS, _about):
        app.include_router(router, prefix=PATH)
    return app


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document: the routes with their types, the errors that each may answer, and the key it takes.

    It takes a third of a second to make, once in a process.
    """
    app = FastAPI()
    for router in ROUTERS:
        app.include_router(router, prefix=PATH)
    made = get_openapi(
        title=TITLE, version=VERSION, description=DESCRIPTION, routes=app.routes, openapi_version="3.1.0"
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    made["components"]["securitySchemes"] = _SECURITY
    made["security"] = [{}, {"key": []}]
    made["components"]["responses"] = {str(status): _response(status) for status in sorted(_statuses())}
    for path, operations in made["paths"].items():
        for operation in operations.values():
            given = operation["responses"]
            named = (404,) if "{" in path else ()
            for status in {*_EVERYWHERE, *named, *(int(status) for status in given if int(status) >= 400)}:
                given[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return made


def _methods(request: Request) -> set[str]:
    """The methods of the request's path."""
    path = request.scope["path"]
    return {
        method.upper()
        for template, operations in document()["paths"].items()
        if compile_path(template)[0].match(path)
        for method in operations
    } or {"GET"}


def _field(location: tuple[int | str, ...]) -> str:
    """Where in a request something is wrong: `criteria.tags.0`, `limit`, `Idempotency-Key`."""
    place, *parts = location
    return printable(".".join(map(str, parts)) or str(place), LONGEST_FIELD)


def _words(found: dict[str, Any]) -> str:
    """What is wrong with a field; never what is in it."""
    match found["type"]:
        case "extra_forbidden":
            return "there is no such field here"
        case "missing":
            return "is missing"
        case _:
            return str(found["msg"]).removeprefix("Value error, ")


def _statuses() -> set[int]:
    return {kind.status for kind in KINDS.values()}


def _response(status: int) -> dict[str, Any]:
    kinds = [kind for kind in KINDS.values() if kind.status == status]
    return {
        "description": ". Or: ".join(kind.title for kind in kinds) + ".",
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {kind.name: {"value": _example(kind)} for kind in kinds},
            }
        },
    }


def _example(kind: Kind) -> dict[str, Any]:
    example: dict[str, Any] = msgspec.json.decode(reply_of(Refused(kind, kind.title)).content)
    return example


_about = APIRouter(tags=["about"])


@_about.get("/openapi.json", include_in_schema=False)
def openapi() -> Response:
    """This document."""
    return Response(msgspec.json.encode(document()), media_type="application/json")


@_about.get("/problems/{name}", include_in_schema=False)
async def problem(name: str) -> Response:
    """What the type of a problem means."""
    if name not in KINDS:
        raise Refused(NOT_FOUND, "no problem has this type", field="name")
    return Response(msgspec.json.encode(_example(KINDS[name])), media_type="application/json")


# Errors


async def _refused(request: Request, error: Refused) -> Response:
    reply = reply_of(error)
    return Response(reply.content, status_code=reply.status, headers=dict(reply.headers))


async def _cache_error(request: Request, error: CacheError) -> Response:
    return await _refused(request, refused_by(error))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    """The first field that is wrong; the others are in `fields`. What was sent is not repeated."""
    problems = [(_field(found["loc"]), _words(found)) for found in error.errors()]
    if any(found["type"] == "json_invalid" for found in error.errors()):
        return await _refused(request, Refused(NO_JSON, "the body is not JSON"))
    field, detail = problems[0]
    fields = [{"field": name, "detail": words} for name, words in problems[:MOST_FIELDS]]
    return await _refused(request, Refused(INVALID_INPUT, detail, field=field, fields=fields))


async def _http_error(request: Request, error: HTTPException) -> Response:
    match error.status_code:
        case 404:
            return await _refused(request, Refused(NOT_FOUND, "there is no such path"))
        case 405:
            allowed = ", ".join(sorted(await run_in_threadpool(_methods, request)))
            detail = f"this path takes {allowed}"
            return await _refused(request, Refused(BAD_METHOD, detail, headers={"allow": allowed}))
        case 400:
            return await _refused(request, Refused(NO_JSON, "the body cannot be read"))
        case _:
            return await _refused(request, Refused(FAILED, "an unexpected error happened"))


async def _unforeseen(request: Request, error: Exception) -> Response:
    return await _refused(request, Refused(FAILED, "an unexpected error happened"))
