"""/v1/analyses and below: send a file, see how far it is, read the report, draw it, ask about it, delete it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from facewitness import plugins
from facewitness.apps.api import body, events, wire
from facewitness.apps.api.guard import allowed, caller_of
from facewitness.apps.api.problems import MEDIA, Refused
from facewitness.apps.api.ranges import Whole
from facewitness.apps.service.keys import Caller
from facewitness.apps.service.service import NotYet, Service
from facewitness.apps.service.store import AnalysisRow, TurnRow
from facewitness.errors import FacewitnessError, ended
from facewitness.version import __version__

Who = Annotated[Caller, Depends(allowed)]
Number = Annotated[str, Path(description="The analysis's id.", max_length=64, examples=[wire.EXAMPLE_ID])]
Prefer = Annotated[
    str | None,
    Header(description="`wait=30`: answer when it has ended, or after 30 seconds (RFC 7240).", examples=["wait=30"]),
]
Repeat = Annotated[
    str | None,
    Header(
        max_length=200, description="A word of your choice: a request that repeats it gets the first one's analysis."
    ),
]

REPORTS = {"report.json": "json", "report.html": "html", "report.md": "markdown", "report.pdf": "pdf"}
_TYPES = {
    "report.html": "text/html; charset=utf-8",
    "report.md": "text/markdown; charset=utf-8",
    "report.pdf": "application/pdf",
}
_LONGEST = 4096  # pixels of a drawn frame's longer side


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI: problems that a route answers with, besides those of every route."""
    every = (401, 403, 404, 405, 413, 421, 422, 429, 500, 503)
    shape = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "A problem.", "content": shape} for status in sorted({*every, *statuses})}


async def _words_are_known(request: Request) -> None:
    """Refuse a word of the address that the OpenAPI does not name: what was meant by it would be lost."""
    if not request.query_params:
        return
    path, method = request.scope["route"].path_format, request.method.lower()
    operations = request.app.openapi()["paths"].get(path, {})
    operation = operations.get("get" if method == "head" else method, {})
    known = [parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"]
    if operation.get("requestBody", {}).get("content", {}).get("multipart/form-data"):
        return  # `body.words_of` sees to what may stand in a form, too
    for name in request.query_params:
        if name not in known:
            words = f"one of {', '.join(known)}" if known else "no words behind a question mark"
            raise Refused("invalid", f"Expected {words} in this address, got '{name[:40]}'.{body.near(name, known)}")


router = APIRouter(
    prefix="/v1/analyses", tags=["analyses"], responses=problems(400), dependencies=[Depends(_words_are_known)]
)


def service(request: Request) -> Service:
    """The service behind a request."""
    held: Service = request.app.state.service
    return held


Here = Annotated[Service, Depends(service)]


def _formats() -> list[str]:
    names = plugins.names("formats")
    return [name for name, leaf in REPORTS.items() if leaf in names] + [
        "bundle.zip",
        "overlay.png",
        "frame.jpg",
        "original",
    ]


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value).encode(), status, headers, "application/json")


def _wait(prefer: str | None, here: Service) -> float:
    """Seconds for which the caller would rather wait (RFC 7240)."""
    match = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", prefer or "")
    return 0.0 if match is None else min(float(match[1]), here.settings.wait_time)


async def _shown(here: Service, row: AnalysisRow, status: int, waited: float, slim: bool) -> Response:
    """An analysis with its report, if it has one."""

    def load() -> tuple[dict[str, Any], bytes | None]:
        shown = wire.analysis(row, here.before(row), _formats())
        try:
            return shown, here.report(row.id, slim=slim) if row.ended else None
        except NotYet:
            return shown, None

    shown, report = await run_in_threadpool(load)
    text = json.dumps(shown)[:-1].encode() + b', "report": ' + (report or b"null").strip() + b"}"
    headers = {"Location": f"/v1/analyses/{row.id}"} if status == 202 else {}
    if waited:
        headers["Preference-Applied"] = f"wait={waited:g}"
    if not row.ended:
        headers["Retry-After"] = "1"
    return Response(text, status, headers, "application/json")


_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "The picture or film."},
        "case_name": {"type": "string", "maxLength": 200, "description": "What it belongs to."},
        "note": {"type": "string", "maxLength": 10_000, "description": "What is said of it."},
        "name": {"type": "string", "maxLength": 255, "description": "The file's name, in the place of the form's."},
        "frames": {"type": "integer", "minimum": 1, "maximum": 10_000, "description": "Of a film: so many, evenly."},
        "fps": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000, "description": "Of a film: a second."},
        "scenes": {"type": "boolean", "description": "Of a film: one frame of each scene."},
        "every": {"type": "boolean", "description": "Of a film: every frame."},
        "start": {"type": "number", "minimum": 0, "description": "Of a film: nothing before this second."},
        "end": {"type": "number", "minimum": 0, "description": "Of a film: nothing after this second."},
    },
}
_BODIES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "video/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_WITHIN = {"frames": (1, 10_000), "fps": (0, 1000), "start": (0, 1e9), "end": (0, 1e9)}  # as the schema says
_KNOWN = ("name", "case_name", "note", "frames", "fps", "scenes", "every", "start", "end", "slim")
_SAMPLING = {"frames": int, "fps": float, "scenes": bool, "every": bool, "start": float, "end": float}


@router.post(
    "",
    summary="Send a picture or film to be analysed",
    response_model=wire.AnalysisWithReport,
    responses={
        200: {"description": "It has ended already: with `Prefer: wait`, or a repeated Idempotency-Key."},
        202: {"description": "It is accepted and survives the server.", "model": wire.AnalysisWithReport},
        **problems(400, 408, 415, 501, 507),
    },
    openapi_extra=_BODIES,
)
async def send(
    request: Request,
    here: Here,
    who: Who,
    prefer: Prefer = None,
    idempotency_key: Repeat = None,
    name: Annotated[str, Query(max_length=255, description="The file's name, for a raw body.")] = "",
    case_name: Annotated[str, Query(max_length=200, description="What it belongs to.")] = "",
    note: Annotated[str, Query(max_length=2_000, description="What is said of it.")] = "",
    frames: Annotated[int | None, Query(ge=1, le=10_000, description="Of a film: so many, evenly.")] = None,
    fps: Annotated[float | None, Query(gt=0, le=1000, description="Of a film: so many a second.")] = None,
    start: Annotated[float | None, Query(ge=0, le=1e6, description="Of a film: nothing before this second.")] = None,
    end: Annotated[float | None, Query(ge=0, le=1e6, description="Of a film: nothing after this second.")] = None,
    slim: Annotated[bool, Query(description="Leave the masks out of the report.")] = False,
) -> Response:
    """The file is the body itself, or the part `file` of a form.

    What is accepted is analysed once, whatever happens to the server. Ask at `Location` how far it is, or send
    `Prefer: wait=30` to be answered when it has ended. An `Idempotency-Key` makes a request safe to repeat.
    """
    async with request.app.state.uploads.one(caller_of(request.scope)):
        incoming = await run_in_threadpool(here.receive)
        try:
            called, fields = await body.receive(request, incoming, here.settings)
            given = body.words_of(fields, request.query_params, _KNOWN)
            slim = slim or _truth("slim", fields.get("slim", "false"))
            row = await run_in_threadpool(
                here.submit,
                incoming,
                given.get("name") or called or "upload",
                owner=who.name,
                case_name=given.get("case_name", ""),
                note=given.get("note", ""),
                sampling=_sampling(given),
                repeat=idempotency_key,
            )
        finally:
            await run_in_threadpool(incoming.__exit__, None, None, None)
    waited = _wait(prefer, here)
    if waited and not row.ended:
        row = await events.until_ended(here, row.id, who.name, waited)
    return await _shown(here, row, 200 if row.ended else 202, waited, slim)


def _truth(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise Refused("invalid", f"{name}: expected true or false, got {text[:40]!r}.")
    return text.lower() in ("true", "1")


def _sampling(form: dict[str, str]) -> dict[str, Any]:
    """Which frames of a film are judged, by what was said of it. Raises Refused."""
    given: dict[str, Any] = {}
    for name, kind in _SAMPLING.items():
        text = form.get(name, "")
        if text == "":
            continue
        try:
            value = _truth(name, text) if kind is bool else kind(text)
        except ValueError:
            wanted = {int: "a whole number", float: "a number"}[kind]
            raise Refused("invalid", f"{name}: expected {wanted}, got {text[:40]!r}.") from None
        low, most = _WITHIN.get(name, (0, 1))
        if not low <= value <= most:  # nor NaN
            raise Refused("invalid", f"{name}: expected {low:,} to {most:,.0f}, got {text[:40]!r}.")
        if value is not False:
            given[name] = value
    which = [name for name in ("frames", "fps", "scenes", "every") if name in given]
    if len(which) > 1:  # one of them would be lost
        raise Refused("invalid", f"expected one of frames, fps, scenes and every, got {' and '.join(which)}.")
    return given


@router.get("", summary="Analyses, newest first", response_model=wire.History)
def history(
    here: Here,
    who: Who,
    q: Annotated[str, Query(max_length=200, description="Words in the name, case, note or hash.")] = "",
    case_name: Annotated[str | None, Query(max_length=200, description="Of this case.")] = None,
    state: Annotated[list[wire.State] | None, Query(description="In one of these states.")] = None,
    label: Annotated[list[wire.Label] | None, Query(description="With one of these verdicts.")] = None,
    before: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """A history to look through. Every word of `q` has to stand somewhere in an analysis."""
    rows = here.history(
        who.name,
        words=_text("q", q),
        case_name=None if case_name is None else _text("case_name", case_name),
        states=state or (),
        labels=label or (),
        before=None if before is None else _cursor(before),
        limit=limit,
    )
    shown = [wire.analysis(row, None, _formats()) for row in rows]
    last = f"{rows[-1].created!r} {rows[-1].id}" if len(rows) == limit else None
    return _json({"analyses": shown, "next": last and base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")})


def _text(what: str, text: str) -> str:
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise Refused("invalid", f"{what}: expected text, got a character in it that is none.")
    return text


def _cursor(text: str) -> tuple[float, str]:
    try:
        created, _, number = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition(" ")
        if not re.fullmatch(r"\d{1,12}\.\d{1,9}", created) or not re.fullmatch(r"[0-9a-f]{32}", number):
            raise ValueError
        return float(created), number
    except (ValueError, binascii.Error):
        raise Refused("invalid", "before: expected the value of `next` of a page, got something else.") from None


@router.get(
    "/{number}", summary="An analysis, with its report once there is one", response_model=wire.AnalysisWithReport
)
async def show(
    number: Number,
    here: Here,
    who: Who,
    prefer: Prefer = None,
    slim: Annotated[bool, Query(description="Leave the masks out of the report.")] = False,
) -> Response:
    """How far it is, and the report. With `Prefer: wait=30` the answer comes when it has ended, or after 30 seconds."""
    waited = _wait(prefer, here)
    row = await events.until_ended(here, number, who.name, waited)
    return await _shown(here, row, 200, waited, slim)


@router.patch("/{number}", summary="Change its case or note", response_model=wire.Analysis)
def annotate(number: Number, given: wire.Annotation, here: Here, who: Who) -> Response:
    """What is absent stays as it is."""
    row = here.annotate(number, given.case_name, given.note, who.name)
    return _json(wire.analysis(row, here.before(row), _formats()))


@router.post("/{number}/cancel", summary="Do it no more", response_model=wire.Analysis)
def cancel(number: Number, here: Here, who: Who) -> Response:
    """A job that waits or is worked on is ended; one that has ended stays as it is."""
    row = here.cancel(number, who.name)
    return _json(wire.analysis(row, None, _formats()))


@router.delete("/{number}", summary="Delete it", status_code=204, response_class=Response)
def delete(number: Number, here: Here, who: Who) -> Response:
    """With its report, its conversation and, if no other analysis has the same one, its file."""
    here.delete(number, who.name)
    return Response(status_code=204)


@router.get(
    "/{number}/events",
    summary="How far it is, as events",
    response_class=Response,
    responses={
        200: {
            "content": {events.MEDIA: {"schema": {"description": "Events; what each holds is JSON."}}},
            "description": "`progress` events, then `end`; or `problem`, where it was deleted meanwhile.",
        }
    },
)
async def follow(request: Request, number: Number, here: Here, who: Who) -> Response:
    """`progress` whenever something has happened, `end` with the analysis when it has ended; `problem` where it cannot.

    Of one that is deleted meanwhile the last event is a `problem`.
    """
    await run_in_threadpool(here.get, number, who.name)  # a problem, not an event, where it is not there

    async def written() -> AsyncIterator[bytes]:
        last = None
        try:
            async for row in events.changes(here, number, who.name, 3600.0):
                before = await run_in_threadpool(here.before, row)
                shown = wire.analysis(row, before, _formats())
                if row.ended:
                    yield events.event("end", shown)
                elif (now := (row.state, shown["progress"])) != last:
                    last = now
                    yield events.event("progress", shown)
                else:
                    yield b": it goes on\n\n"
        except FacewitnessError as error:  # the answer has begun: deleted meanwhile, or no database
            yield events.event("problem", {"detail": ended(str(error)), "request_id": request.state.request_id})

    return events.stream(written())


# ------------------------------------------------------------------------------------------------------------ reports


def _unchanged(request: Request, tag: str) -> bool:
    return tag in [given.strip() for given in request.headers.get("if-none-match", "").split(",")]


def _document(*media: str) -> dict[str, Any]:
    """For the OpenAPI: a route that answers with a document."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media}
    return {
        "response_class": Response,
        "responses": {
            200: {"description": "The document.", "content": content},
            304: {"description": "It is as the caller has it."},
            **problems(409, 410, 501),
        },
    }


def _report(request: Request, number: str, name: str, here: Service, who: Caller) -> Response:
    leaf = REPORTS[name]
    if leaf not in plugins.names("formats"):
        here.get(number, who.name)
        raise Refused("not-built", f"Reports in {leaf} are not made by this version. Take report.html and print it.")
    tag = f'"{number}.{leaf}.{__version__}"'
    here.kept(number, who.name)
    kept = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _unchanged(request, tag):
        return Response(status_code=304, headers=kept)
    content = here.drawn(number, leaf, who.name)
    # A page of ours with a stranger's words in it: a document of no origin, whatever might be wrong with it.
    policy = {"Content-Security-Policy": "sandbox allow-scripts allow-downloads allow-modals"} if leaf == "html" else {}
    return Response(content, headers={**kept, **policy}, media_type=_TYPES[name])


@router.get(
    "/{number}/report.json",
    summary="The report, as it is",
    response_class=Response,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}, **problems(409)},
)
def report_json(
    number: Number,
    here: Here,
    who: Who,
    slim: Annotated[bool, Query(description="Leave the masks out.")] = False,
) -> Response:
    """One line of facewitness.report/2: the same bytes that `facewitness analyze --format json` writes."""
    return Response(here.report(number, who.name, slim=slim), media_type="application/json")


@router.get("/{number}/report.html", summary="The report as a page", **_document("text/html"))
def report_html(request: Request, number: Number, here: Here, who: Who) -> Response:
    """One self-contained page."""
    return _report(request, number, "report.html", here, who)


@router.get("/{number}/report.md", summary="The report as Markdown", **_document("text/markdown"))
def report_md(request: Request, number: Number, here: Here, who: Who) -> Response:
    """For those who paste it somewhere."""
    return _report(request, number, "report.md", here, who)


@router.get("/{number}/report.pdf", summary="The report as PDF", **_document("application/pdf"))
def report_pdf(request: Request, number: Number, here: Here, who: Who) -> Response:
    """For those who print or file it."""
    return _report(request, number, "report.pdf", here, who)


@router.get("/{number}/bundle.zip", summary="Evidence that travels", **_document("application/zip"))
def bundle(
    number: Number,
    here: Here,
    who: Who,
    original: Annotated[bool, Query(description="Put the file itself in, too.")] = False,
) -> Response:
    """Report, pages, crops, masks and hashes in one ZIP, which `facewitness verify` checks elsewhere."""
    return Response(here.bundle(number, original, who.name), media_type="application/zip")


@router.get("/{number}/overlay.png", summary="The picture with everything drawn on it", **_document("image/png"))
def overlay(request: Request, number: Number, here: Here, who: Who) -> Response:
    """Masks as colour, faces numbered, findings lettered, a legend below."""
    tag = f'"{number}.overlay.{__version__}"'
    here.kept(number, who.name)
    kept = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _unchanged(request, tag):
        return Response(status_code=304, headers=kept)
    return Response(here.drawn(number, "overlay", who.name), headers=kept, media_type="image/png")


@router.get("/{number}/frame.jpg", summary="The picture, or a frame of the film, upright", **_document("image/jpeg"))
def frame(
    number: Number,
    here: Here,
    who: Who,
    index: Annotated[int | None, Query(ge=0, le=2**31, description="Number of a film's frame.")] = None,
    longest: Annotated[int, Query(ge=16, le=_LONGEST, description="Pixels of the longer side at most.")] = 2048,
) -> Response:
    """As it was examined, for pages; the file itself is at `original`."""
    content = here.frame(number, index, longest, who.name)
    return Response(content, headers={"Cache-Control": "private, max-age=3600"}, media_type="image/jpeg")


@router.get("/{number}/masks/{mask}.png", summary="A mask of the report", **_document("image/png"))
def mask(
    number: Number,
    mask: Annotated[int, Path(ge=0, le=100_000, description="Its number in the report's table `masks`.")],
    here: Here,
    who: Who,
    whole: Annotated[bool, Query(description="On the whole frame instead of its box.")] = False,
    longest: Annotated[int, Query(ge=16, le=_LONGEST, description="Pixels of a whole frame's longer side.")] = 2048,
) -> Response:
    """Grey: 0 nothing, 255 the most. It lies on the box that stands beside it in the report."""
    content = here.mask(number, mask, longest if whole else None, who.name)
    return Response(content, headers={"Cache-Control": "private, max-age=3600"}, media_type="image/png")


@router.get("/{number}/original", summary="The file as it was received", **_document("application/octet-stream"))
def original(number: Number, here: Here, who: Who) -> Response:
    """To be saved, not shown: its bytes are whatever was sent."""
    row, path = here.original(number, who.name)
    return Whole(path, media_type="application/octet-stream", filename=row.name)


# ---------------------------------------------------------------------------------------------------------- questions


@router.post(
    "/{number}/questions",
    summary="Ask about it",
    response_class=Response,
    responses={
        200: {
            "description": "Events: `piece` (text of the answer as it is said, where somebody speaks), `answer` (the "
            "whole answer). With `Accept: application/json` the answer alone.",
            "content": {
                events.MEDIA: {"schema": {"description": "Events; what each holds is JSON."}},
                "application/json": {"schema": {"$ref": "#/components/schemas/Answer"}},
            },
        },
        **problems(400, 409),
    },
)
async def ask(request: Request, number: Number, given: wire.QuestionAsked, here: Here, who: Who) -> Response:
    """The answer is made from the evidence; a witness or language model that speaks is held to it.

    The question may point at places by name, box, click or mask. An analysis has one conversation, which remembers the
    face and the region spoken of.
    """
    places = [place.model_dump(exclude_none=True) for place in given.places]

    def answered(hear: Any) -> TurnRow:
        return here.ask(
            number, _text("question", given.question), places=places, face=given.face, owner=who.name, hear=hear
        )

    coming = events.pieces(answered)
    first = await anext(coming)  # what is wrong with the question is a problem, not an event
    if "application/json" in request.headers.get("accept", ""):
        while first[0] != "result":
            first = await anext(coming)
        return _json(wire.turn(first[1]))

    async def written() -> AsyncIterator[bytes]:
        kind, value = first
        while True:
            if kind == "result":
                yield events.event("answer", wire.turn(value))
                return
            yield events.event("piece", {"text": value}) if kind == "piece" else b": it goes on\n\n"
            try:
                kind, value = await anext(coming)
            except Exception as error:  # the answer has begun: what went wrong is its last event
                yield events.event("problem", {"detail": str(error), "request_id": request.state.request_id})
                return

    return events.stream(written())


@router.get("/{number}/questions", summary="The conversation so far", response_model=wire.Conversation)
def conversation(number: Number, here: Here, who: Who) -> Response:
    """All questions and answers, in their order."""
    return _json({"turns": [wire.turn(row) for row in here.turns(number, who.name)]})
