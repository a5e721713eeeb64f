"""The addresses of pages. Everything that changes something goes through `Service`, as the REST interface does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Form, Request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from facewitness import plugins
from facewitness.apps.api import body
from facewitness.apps.api.guard import COOKIE, caller_of
from facewitness.apps.api.problems import Refused, status_of
from facewitness.apps.api.ranges import Whole
from facewitness.apps.service.keys import Caller
from facewitness.apps.service.service import NotThere, NotYet, Service
from facewitness.apps.service.store import AnalysisRow
from facewitness.apps.ui import view
from facewitness.apps.ui.words import say
from facewitness.builders.review import LEAST_SECONDS, Queue
from facewitness.errors import FacewitnessError, InputError, ended
from facewitness.formats import json as wire
from facewitness.phrases import WORDS, visible
from facewitness.version import __version__

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
LONGEST = 2048  # pixels of the picture on the page
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Bytes by which a film's container is known to a browser.
_FILMS = {
    b"ftypqt": "video/quicktime",
    b"ftyp": "video/mp4",
    b"webm": "video/webm",
    b"matroska": "video/x-matroska",
    b"OggS": "video/ogg",
}
_PAGE = 30  # analyses of one page of the history
# With no referrer at all a browser sends forms with the origin "null", which the guard takes for another site's.
_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}

router = APIRouter(include_in_schema=False)
_pages = Environment(
    loader=PackageLoader("facewitness.apps.ui"), autoescape=select_autoescape(default=True), undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_pages.globals.update(say=say, version=__version__)
_pages.filters["visible"] = visible


def add_to(app: FastAPI, review: Path | None = None) -> FastAPI:
    """The REST service's application with the pages, and with a queue to review where there is one."""
    app.state.review = review
    app.include_router(router)
    return app


def _service(request: Request) -> Service:
    held: Service = request.app.state.service
    return held


def _caller(request: Request) -> Caller | None:
    caller: Caller | None = request.state.caller
    return caller


def _shown(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    caller = _caller(request)
    common = {"signed": caller is not None and caller.key is not None, "review": _queue(request) is not None}
    return HTMLResponse(_pages.get_template(template).render(**common, **values), status, _HEADERS)


def _door(request: Request) -> Response:
    """Where a key is needed and none came."""
    return RedirectResponse(f"/login?to={quote(request.url.path)}", 303, _HEADERS)


def _problem(request: Request, error: Exception) -> HTMLResponse:
    """A page that says what is wrong, with the status and the words that the REST interface has for it."""
    detail = error.detail if isinstance(error, Refused) else ended(str(error))
    return _shown(request, "error.html", status_of(error), detail=detail)


# ----------------------------------------------------------------------------------------------------------- the key


@router.get("/login")
def login(request: Request, to: str = "/") -> Response:
    """Asks for a key."""
    return _shown(request, "login.html", to=_local(to), wrong=False)


@router.post("/login")
def enter(request: Request, key: Annotated[str, Form()] = "", to: Annotated[str, Form()] = "/") -> Response:
    """A key becomes a session's cookie."""
    here = _service(request)
    caller = here.keys.caller(key.strip())
    if caller is None:
        return _shown(request, "login.html", 403, to=_local(to), wrong=True)
    answer = RedirectResponse(_local(to), 303, _HEADERS)
    answer.set_cookie(
        COOKIE, here.keys.session(caller), httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return answer


@router.post("/logout")
def leave(request: Request) -> Response:
    """Forgets the session."""
    answer = RedirectResponse("/", 303, _HEADERS)
    answer.delete_cookie(COOKIE)
    return answer


def _local(address: str) -> str:
    """An address on this server; anything else becomes the start."""
    fine = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if fine else "/"


# --------------------------------------------------------------------------------------------------------- the pages


@router.get("/")
def home(request: Request) -> Response:
    """Where a picture or film is dropped, and what was analysed last."""
    caller = _caller(request)
    if caller is None:
        return _door(request)
    here = _service(request)
    rows = here.history(caller.name, limit=6)
    megabytes = [f"{value / 1e6:,.0f}" for value in (here.settings.max_picture, here.settings.max_body)]
    return _shown(request, "home.html", rows=[_listed(row) for row in rows], picture=megabytes[0], film=megabytes[1])


@router.post("/analyses")
async def send(request: Request) -> Response:
    """A file from the form, without script."""
    caller = _caller(request)
    if caller is None:
        return _door(request)
    here = _service(request)
    try:
        async with request.app.state.uploads.one(caller_of(request.scope)):
            incoming = await run_in_threadpool(here.receive)
            try:
                name, fields = await body.receive(request, incoming, here.settings)
                row = await run_in_threadpool(
                    here.submit, incoming, name or "upload", owner=caller.name, case_name=fields.get("case_name", ""),
                    note=fields.get("note", ""),
                )  # fmt: skip
            finally:
                await run_in_threadpool(incoming.__exit__, None, None, None)
    except (FacewitnessError, Refused) as error:
        return _problem(request, error)
    return RedirectResponse(f"/analyses/{row.id}", 303, _HEADERS)


@router.get("/analyses")
def history(request: Request, q: str = "", before: str = "") -> Response:
    """What was analysed, newest first, and what of it holds some words."""
    caller = _caller(request)
    if caller is None:
        return _door(request)
    words = "".join(c for c in q[:200] if c.isprintable())
    moment, _, number = before.partition(" ")
    try:
        cursor = (float(moment), number) if number else None
    except ValueError:
        cursor = None
    rows = _service(request).history(caller.name, words=words, before=cursor, limit=_PAGE)
    older = ""
    if len(rows) == _PAGE:
        older = f"/analyses?q={quote(words)}&before={quote(f'{rows[-1].created!r} {rows[-1].id}')}"
    return _shown(request, "history.html", rows=[_listed(row) for row in rows], q=words, older=older)


@router.get("/analyses/{number}")
def show(request: Request, number: str) -> Response:
    """One analysis: how far it is, or its evidence."""
    caller = _caller(request)
    if caller is None:
        return _door(request)
    here = _service(request)
    try:
        row = here.get(number, caller.name)
        try:
            line = here.report(number, caller.name)
        except NotYet:
            return _shown(request, "waiting.html", row=_listed(row), before=here.before(row) or 0)
        report = wire.parse(line)
        numbers = [person["mask"] for person in json.loads(line)["people"]]
        turns = [_turn(turn.asked, turn.answered) for turn in here.turns(number, caller.name)]
    except FacewitnessError as error:
        return _problem(request, error)
    kept = here.uploads.path(row.sha256).is_file()
    formats = plugins.names("formats")
    return _shown(
        request, "analysis.html", row=_listed(row), report=view.of(report, numbers), turns=turns, kept=kept,
        longest=LONGEST, pdf="pdf" in formats, speaks=bool(here.settings.backend or here.answering),
    )  # fmt: skip


@router.get("/analyses/{number}/film")
def film(request: Request, number: str) -> Response:
    """The film as it was received, for the page's player: by its first bytes one of a closed table of kinds."""
    caller = _caller(request)
    if caller is None:
        return _door(request)
    try:
        row, path = _service(request).original(number, caller.name)
    except FacewitnessError as error:
        return _problem(request, error)
    if row.kind != "film":
        return _problem(request, NotThere(say("error.no_film")))
    with Path(path).open("rb") as file:
        head = file.read(64)
    kind = next((kind for magic, kind in _FILMS.items() if magic in head), "application/octet-stream")
    policy = "sandbox; default-src 'none'; media-src 'self'"  # a stranger's bytes: no document of ours
    return Whole(path, media_type=kind, headers={**_HEADERS, "Content-Security-Policy": policy})


@router.post("/analyses/{number}/questions")
def ask(request: Request, number: str, question: Annotated[str, Form()] = "") -> Response:
    """A question from the form, without script."""
    return _done(request, number, "#ask", lambda here, who: here.ask(number, question, owner=who))


@router.post("/analyses/{number}/keep")
def keep(
    request: Request, number: str, case_name: Annotated[str, Form()] = "", note: Annotated[str, Form()] = ""
) -> Response:
    """Case and note from the form."""
    return _done(request, number, "#keep", lambda here, who: here.annotate(number, case_name, note, who))


@router.post("/analyses/{number}/cancel")
def cancel(request: Request, number: str) -> Response:
    """Stops a job."""
    return _done(request, number, "", lambda here, who: here.cancel(number, who))


@router.post("/analyses/{number}/delete")
def delete(request: Request, number: str) -> Response:
    """Deletes an analysis; then the start."""
    answer = _done(request, number, "", lambda here, who: here.delete(number, who))
    if answer.status_code == 303 and _caller(request) is not None:
        answer.headers["location"] = "/"
    return answer


def _done(request: Request, number: str, anchor: str, change: Callable[[Service, str | None], Any]) -> Response:
    caller = _caller(request)
    if caller is None:
        return _door(request)
    try:
        change(_service(request), caller.name)
    except FacewitnessError as error:
        return _problem(request, error)
    return RedirectResponse(f"/analyses/{quote(number)}{anchor}", 303, _HEADERS)


def _listed(row: AnalysisRow) -> dict[str, Any]:
    label = row.label if row.state == "done" else None
    return {
        "id": row.id, "name": row.name, "state": row.state, "label": label or row.state,
        "answer": WORDS[label][0] if label in WORDS else say(f"state.{row.state}") if row.state != "done" else "",
        "case_name": row.case_name, "note": row.note, "error": row.error, "step": row.step, "done": row.done,
        "kind": row.kind, "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime(row.created)), "sha256": row.sha256,
        "size": row.size,
    }  # fmt: skip


def _turn(asked: Mapping[str, Any], answered: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "question": asked["question"], "pointed": bool(asked["places"]), "answer": answered["answer"],
        "label": answered["label"] or "", "words": answered["words"], "witness": answered["witness"],
        "notes": answered["notes"],
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ review


def _queue(request: Request) -> Queue | None:
    folder: Path | None = getattr(request.app.state, "review", None)
    return None if folder is None else Queue(folder, least_seconds=LEAST_SECONDS)


@router.get("/review")
def review(request: Request, who: str = "") -> Response:
    """The next item that waits for somebody."""
    if _caller(request) is None:
        return _door(request)
    queue = _queue(request)
    if queue is None:
        return _shown(request, "review.html", queue=False, item=None, who="", waiting=0, count=0, alpha=None, seconds=0)
    items, waiting = queue.items(), queue.pending(who) if who.strip() else []
    item = waiting[0] if waiting else None
    agreement = queue.agreement()
    return _shown(
        request, "review.html", queue=True, item=item, who=who.strip()[:100], waiting=len(waiting), count=len(items),
        alpha=agreement.alpha, seconds=round(queue.least_seconds),
        fields=[(key, _editable(value)) for key, value in ({} if item is None else item.content).items()],
    )  # fmt: skip


@router.post("/review/{number}")
async def decide(request: Request, number: str) -> Response:
    """One decision from the form."""
    if _caller(request) is None:
        return _door(request)
    queue = _queue(request)
    form = await request.form(max_files=0, max_fields=100)
    given = {key: value for key, value in form.items() if isinstance(value, str)}
    who = given.get("who", "")
    try:
        if queue is None:
            raise NotThere(say("review.none"))
        item = queue.items().get(number)
        choice, content = given.get("choice", ""), None
        if choice == "edit" and item is not None:
            content = {k: _edited(v, given.get(f"content.{k}", "")) for k, v in item.content.items()}
        try:
            seconds = float(given.get("seconds", "0"))
        except ValueError:
            seconds = 0.0
        await run_in_threadpool(queue.decide, number, who, choice, seconds, content, given.get("reason", ""))
    except FacewitnessError as error:
        return _problem(request, error)
    return RedirectResponse(f"/review?who={quote(who)}", 303, _HEADERS)


def _editable(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _edited(before: Any, text: str) -> Any:
    if isinstance(before, str):
        return text.replace("\r\n", "\n")
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"expected JSON as before, got {text[:40]!r} ({error})") from error


@router.get("/review/{number}/{index}")
def review_picture(request: Request, number: str, index: int) -> Response:
    """A picture of an item."""
    if _caller(request) is None:
        return _door(request)
    queue = _queue(request)
    if queue is None:
        return _problem(request, NotThere(say("review.none")))
    item = queue.items().get(number)
    if item is None or not 0 <= index < len(item.pictures):
        return _problem(request, NotThere(say("review.no_picture")))
    path = queue.picture(item.pictures[index])
    kinds = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
    if path.suffix.lower() not in kinds or not path.is_file():
        return _problem(request, NotThere(say("review.no_picture")))
    return FileResponse(path, media_type=kinds[path.suffix.lower()], headers=_HEADERS)


# ------------------------------------------------------------------------------------------------------------- files


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A file of the page, one of those that are listed here."""
    known = {"page.css", "page.js", "shapes.svg"}
    if name not in known:
        return Response("There is no such file.", 404, media_type="text/plain")
    content = (files(__package__) / "static" / name).read_bytes()
    kept = {"Cache-Control": "no-cache", "ETag": f'"{__version__}"'}
    return Response(content, headers=kept, media_type=_TYPES[Path(name).suffix])
