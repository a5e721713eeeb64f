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

from facewitness.apps.service.service import Busy, Gone, NotThere, NotYet
from facewitness.apps.service.store import Unavailable
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
        places = [
            {"where": ".".join(map(str, fault["loc"])), "what": str(fault["msg"])} for fault in error.errors()[:20]
        ]
        detail = "; ".join(f"{place['where']}: {place['what']}" for place in places)
        unread = any(fault["type"] == "json_invalid" for fault in error.errors())
        return problem("bad-request" if unread else "invalid", detail, request.state.request_id, errors=places)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        name = _BY_STATUS.get(error.status_code, "bad-request" if error.status_code < 500 else "fault")
        detail = {404: f"Nothing is at {request.url.path}.", 405: f"{request.url.path} does not take {request.method}."}
        sentence = detail.get(error.status_code, str(error.detail))
        return problem(name, sentence, request.state.request_id, error.headers)

    app.add_exception_handler(FacewitnessError, ours)
    app.add_exception_handler(Refused, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
