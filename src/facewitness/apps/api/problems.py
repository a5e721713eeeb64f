"""Every error as a problem of RFC 9457: a kind with an address, a title, a status, and a sentence on how to mend it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from facewitness.apps.service.service import Busy, Gone, NotThere, NotYet
from facewitness.apps.service.store import Full, Unavailable
from facewitness.apps.service.uploads import NoRoom
from facewitness.errors import (
    BackendError,
    FacewitnessError,
    InputError,
    MissingExtra,
    ReportError,
    TooLarge,
    UnknownName,
    UnreadableMedia,
    WeightsError,
    ended,
)

MEDIA = "application/problem+json"
_FAULTS = 20  # of an invalid request that are told


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; `about` says what it means and what to do."""

    status: int
    title: str
    about: str


KINDS: dict[str, Kind] = {
    "bad-request": Kind(400, "The request cannot be read", "Its form is wrong. The detail says where; mend it there."),
    "no-key": Kind(
        401,
        "A key is needed",
        "Send a key that is good: `Authorization: Bearer fw_…`. A key that was "
        "revoked, has expired, or was never given out is refused in the same words.",
    ),
    "elsewhere": Kind(
        403,
        "The request came from another site",
        "A page of another site may not act here. Call the "
        "service from its own page, or from a program that is no browser.",
    ),
    "not-there": Kind(404, "It is not there", "No analysis of yours has this id, or nothing is at this address."),
    "method": Kind(405, "Not by this method", "The address exists, and takes other methods: see the header Allow."),
    "slow": Kind(
        408,
        "The upload stood still",
        "Nothing came for too long, or too little. Send it again over a better connection.",
    ),
    "not-yet": Kind(
        409, "There is no report", "The analysis waits, is worked on, failed, or was cancelled: its state says which."
    ),
    "gone": Kind(
        410, "The file is not kept any more", "Uploads are deleted after a time; reports stay. Send it again."
    ),
    "too-large": Kind(413, "The file is too large", "The server takes files up to a limit, which the detail names."),
    "wrong-type": Kind(
        415, "Neither picture nor film", "The service reads pictures and films. Convert the file first."
    ),
    "range": Kind(
        416, "The file is shorter", "The header Range asks for bytes behind the file's end. Ask for some before it."
    ),
    "misdirected": Kind(
        421,
        "The server is not called so",
        "The header Host names a server that this one is not. Whoever runs it can allow the name with --allow-host.",
    ),
    "invalid": Kind(
        422,
        "It cannot be done so",
        "The request can be read, and what it says cannot be done. The detail says what was expected and what came.",
    ),
    "too-often": Kind(429, "Too many requests", "Wait as many seconds as the header Retry-After says."),
    "fault": Kind(500, "A fault of ours", "Please report it, with the request's id."),
    "not-built": Kind(501, "This server cannot do that", "A format or a package is not installed here."),
    "busy": Kind(
        503, "Not now", "The queue is full, the database is locked, or the models are not loaded. Try again in a while."
    ),
    "no-room": Kind(507, "The disk is full", "Nothing more can be stored until something is deleted."),
}
_BY_STATUS = {kind.status: name for name, kind in KINDS.items()}

# The first one that an error is an instance of says what it is.
_ERRORS: tuple[tuple[type[BaseException], str], ...] = (
    (NotThere, "not-there"),
    (NotYet, "not-yet"),
    (Gone, "gone"),
    (Busy, "busy"),
    (Full, "no-room"),
    (Unavailable, "busy"),
    (NoRoom, "no-room"),
    (UnreadableMedia, "wrong-type"),
    (TooLarge, "too-large"),
    (MissingExtra, "not-built"),
    (WeightsError, "busy"),
    (BackendError, "busy"),
    (ReportError, "invalid"),
    (UnknownName, "invalid"),
    (InputError, "invalid"),
    (FacewitnessError, "busy"),
)


class Refused(Exception):
    """A problem of a kind, with what to say about this case."""

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any):
        super().__init__(detail)
        self.kind, self.detail, self.headers, self.more = kind, detail, dict(headers or {}), more


def slow(what: str) -> Refused:
    """The refusal of a body that does not come."""
    return Refused("slow", f"{what} Send it again over a better connection.", {"Connection": "close"})


def problem(kind: str, detail: str, request_id: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """The answer that says what is wrong."""
    known = KINDS[kind]
    body = {
        "type": f"/problems/{kind}",
        "title": known.title,
        "status": known.status,
        "detail": detail,
        "request_id": request_id,
        **more,
    }
    given = dict(headers or {})
    if known.status in (429, 503, 507):
        given.setdefault("Retry-After", "5")
    if known.status == 401:
        given.setdefault("WWW-Authenticate", 'Bearer realm="facewitness"')
    return Response(json.dumps(body).encode(), known.status, given, MEDIA)


def status_of(error: BaseException) -> int:
    """The status of the answer to an error."""
    return of(error, "").status_code


def of(error: BaseException, request_id: str) -> Response:
    """The answer to an error of ours; to any other the one that calls it a fault."""
    if isinstance(error, Refused):
        return problem(error.kind, error.detail, request_id, error.headers, **error.more)
    if isinstance(error, TooLarge) and "pixels" in str(error) and "MB" not in str(error):
        return problem("invalid", str(error), request_id)  # small enough to come in, too large to be decoded
    for kind, name in _ERRORS:
        if isinstance(error, kind):
            return problem(name, ended(str(error)), request_id)
    return problem("fault", "The server met what it does not know. Its log has more under this id.", request_id)


def answer_errors(app: FastAPI) -> None:
    """Let the application answer with problems."""

    async def ours(request: Request, error: Exception) -> Response:
        return of(error, request.state.request_id)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = error.errors()[:_FAULTS]
        places = [{"where": ".".join(map(str, fault["loc"])), "what": _expected(fault)} for fault in faults]
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if any(fault["loc"] == ("body",) for fault in faults) and not kind.endswith("json"):
            detail = f"Content-Type: expected application/json, got {kind[:80] or 'none'}. Send the body as JSON."
        else:
            detail = "; ".join(f"{place['where']}: {place['what']}" for place in places) + "."
        unread = any(fault["type"] == "json_invalid" for fault in faults)
        return problem("bad-request" if unread else "invalid", detail, request.state.request_id, errors=places)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, Refused):  # FastAPI says of all that befell a body that it cannot be read
            return of(error.__cause__, request.state.request_id)
        name = _BY_STATUS.get(error.status_code, "bad-request" if error.status_code < 500 else "fault")
        headers, path = dict(error.headers or {}), request.url.path
        sentence = str(error.detail)
        if isinstance(error.__cause__, RecursionError):
            sentence = "Expected JSON as the OpenAPI describes it, got one that is nested too deeply. Send it flat."
        elif error.status_code == 404:
            sentence = f"Nothing is at {path[:200]}. What there is stands in /v1/openapi.json."
        elif error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(app, request.scope))
            sentence = f"{path[:200]} does not take {request.method[:20]}. It takes {headers['Allow']}."
        return problem(name, sentence, request.state.request_id, headers)

    app.add_exception_handler(FacewitnessError, ours)
    app.add_exception_handler(Refused, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    """All methods that an address takes, whichever route has them."""
    methods: set[str] = set()
    routes: list[Any] = list(app.routes)
    while routes:
        route = routes.pop()
        if (included := getattr(route, "original_router", None)) is not None:
            routes += included.routes
        elif route.matches(scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


# What pydantic finds amiss, by its kinds, in the words of every other refusal here.
_WORDS = {
    "string_too_long": "expected at most {max_length:,} characters",
    "too_long": "expected at most {max_length:,} of them",
    "greater_than_equal": "expected {ge:g} or more",
    "less_than_equal": "expected {le:g} or less",
    "greater_than": "expected more than {gt:g}",
    "literal_error": "expected {expected}",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "bool_parsing": "expected true or false",
    "string_type": "expected text",
    "string_unicode": "expected text, got a character in it that is none",
    "extra_forbidden": "expected one of the fields that the OpenAPI names",
    "missing": "expected it, got nothing",
    "model_attributes_type": "expected a JSON object",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "json_invalid": "expected JSON, got something that breaks off or is none there",
}


def _expected(fault: Mapping[str, Any]) -> str:
    """A fault of a request: what was expected, and what came."""
    words = _WORDS.get(fault["type"])
    if words is None:
        return str(fault["msg"])
    words = words.format(**fault.get("ctx", {})) if "{" in words else words
    if ", got " in words:
        return words
    value = fault.get("input")
    if fault["type"] == "extra_forbidden":
        came = f"'{str(fault['loc'][-1])[:40]}'"
    elif fault["type"] == "string_too_long" and isinstance(value, str):
        came = f"{len(value):,}"
    elif fault["type"] == "too_long":
        came = str(fault["ctx"].get("actual_length", "more"))
    elif value is None or isinstance(value, bool | int | float):
        came = json.dumps(value)[:40]
    elif isinstance(value, str):
        came = repr(value[:40])
    else:
        came = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "something else"
    return f"{words}, got {came}"
