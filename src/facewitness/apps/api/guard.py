"""What every request passes before any route: an id, host and origin, who calls and how often; then a line of log.

Host      has to be a name of this server: else a page elsewhere could have its own name point here (DNS rebinding)
Origin    of a request that changes something has to be this server: no other site may act with a visitor's cookie
caller    by a key (Authorization: Bearer) or a session's cookie; a route says whether it needs one
rate      a bucket for each caller, or each address where nobody is known
open      so many requests of one caller are answered at one time: events and uploads may take long
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facewitness.apps.api.problems import Refused, of, slow
from facewitness.apps.service.keys import Caller
from facewitness.apps.service.service import Service
from facewitness.apps.service.settings import Settings

COOKIE = "facewitness_session"
MOST_JSON = 12_000_000  # bytes of a request that carries no file; a mask may stand in it
_UPLOADS = (("POST", "/v1/analyses"), ("POST", "/analyses"))
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MOST_CALLERS = 10_000
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_NAMED = "Call it by its address in figures, or start it with --allow-host NAME."
_log = logging.getLogger("facewitness.serve")

Measure = Callable[[str, str, int, float], None]  # method, route, status, seconds


class Guard:
    """ASGI middleware.

    Args:
        app: what it guards.
        service: whose keys count.
        measure: is told of each request.
    """

    def __init__(self, app: ASGIApp, service: Service, measure: Measure):
        self._app, self._service, self._measure = app, service, measure
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller → (requests left, when)
        self._open: Counter[str] = Counter()  # caller → requests that are being answered
        self._hosts = {"localhost", *(host.lower() for host in service.settings.hosts)}
        self._keys = (0.0, True)  # when it was seen, and whether there is a key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # as GET; the server leaves the body out
            scope = {**scope, "method": "GET"}
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        state = scope.setdefault("state", {})
        state.update(request_id=request_id, caller=None, needs_key=True)
        began, status, sent = time.perf_counter(), 0, 0
        counted: str | None = None

        async def answer(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = MutableHeaders(scope=message)
                answered["X-Request-ID"] = request_id
                for name, value in _HEADERS.items():
                    answered.setdefault(name, value)
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            refused = await self._refused(scope, headers)
            if refused is None:
                counted = caller_of(scope)
                self._open[counted] += 1
            if refused is not None:
                await refused(scope, receive, answer)
            else:
                await self._app(scope, _bounded(receive, scope, self._service.settings), answer)
        except Exception as error:
            if status:
                if not isinstance(error, Refused):
                    _log.exception("an answer broke off", extra={"fields": {"request": request_id}})
                raise
            if not isinstance(error, Refused):
                _log.exception("a fault of ours", extra={"fields": {"request": request_id}})
            await of(error, request_id)(scope, receive, answer)
        finally:
            if counted is not None:
                self._open[counted] -= 1
                if not self._open[counted]:
                    del self._open[counted]
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "none")
            self._measure(scope["method"], route, status, seconds)
            caller: Caller | None = state["caller"]
            fields = {
                "request": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(1000 * seconds, 1),
                "bytes": sent,
                "key": caller.key if caller else None,
                "address": scope["client"][0] if scope.get("client") else None,
            }
            quiet = route in ("/healthz", "/readyz", "/metrics") and status < 400
            _log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})

    async def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        state = scope["state"]
        try:
            host = headers.get("host", "")
            if not self._is_here(host):
                raise Refused("misdirected", f"This server is not called '{host[:80]}'. {_NAMED}")
            _check_origin(scope["method"], host, headers)
            state["caller"], state["needs_key"] = await run_in_threadpool(self._caller, headers)
            self._count(caller_of(scope))
            if self._open[caller_of(scope)] >= self._service.settings.max_open:
                limit = self._service.settings.max_open
                raise Refused(
                    "too-often",
                    f"Expected at most {limit:,} requests at one time, got one more. Wait for the answers to those.",
                    {"Retry-After": "1"},
                )
            length = headers.get("content-length", "0")
            limit = self._service.settings.max_body + 100_000  # what stands around the file
            if length.isdecimal() and int(length) > limit:
                raise Refused(
                    "too-large",
                    f"Expected at most {limit / 1e6:,.0f} MB, got {int(length) / 1e6:,.0f} MB. Make it smaller, or "
                    "have the server's limit raised.",
                    {"Connection": "close"},
                )
        except Exception as error:
            if not isinstance(error, Refused):
                _log.error("a request could not be let in", extra={"fields": {"why": str(error)}})
            return of(error, state["request_id"])
        return None

    def _is_here(self, host: str) -> bool:
        """Whether a host is a name of this server: an allowed one, or an address in figures, which nobody rebinds."""
        name = _hostname(host)
        if name is None:
            return False
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _caller(self, headers: Headers) -> tuple[Caller | None, bool]:
        """Who calls, and whether keys are needed at all. A key that is no good is nobody's."""
        keys = self._service.keys
        kind, _, key = headers.get("authorization", "").partition(" ")
        caller = None
        if kind.lower() == "bearer":
            caller = keys.caller(key.strip())
        elif cookie := _session(headers.get("cookie", "")):
            caller = keys.of_session(cookie)
        if caller is not None:
            return caller, True
        seen, needed = self._keys
        if time.monotonic() - seen > 2:
            needed = keys.any()
            self._keys = (time.monotonic(), needed)
        return (None, True) if needed or kind else (Caller(), False)

    def _count(self, caller: str) -> None:
        """Take a request out of the caller's bucket. Raises Refused where it is empty."""
        s, now = self._service.settings, time.monotonic()
        left, seen = self._buckets.pop(caller, (float(s.burst), now))
        left = min(float(s.burst), left + (now - seen) * s.rate / 60)
        self._buckets[caller] = (max(0.0, left - 1), now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        if left < 1:
            wait = str(max(1, round((1 - left) * 60 / s.rate)))
            raise Refused(
                "too-often",
                f"Expected at most {s.rate:g} requests a minute, got more. Send it again after {wait} seconds.",
                {"Retry-After": wait},
            )


def caller_of(scope: Scope) -> str:
    """By whom a request is counted: the key, or the address where nobody is known."""
    caller: Caller | None = scope["state"]["caller"]
    address = scope["client"][0] if scope.get("client") else ""
    return str(caller.key or address if caller else address)


def allowed(request: Request) -> Caller:
    """A route's need of a caller who may. Raises Refused."""
    caller: Caller | None = request.state.caller
    if caller is None:
        raise Refused("no-key", "Expected a key that is good, got none. Send one: Authorization: Bearer fw_…")
    return caller


def _bounded(receive: Receive, scope: Scope, settings: Settings) -> Receive:
    """The request's body, refused where one that is no upload is too long, or does not come."""
    if (scope["method"], scope["path"]) in _UPLOADS:
        return receive  # counted and timed as it is written
    came, over, began = 0, False, time.monotonic()

    async def counted() -> Message:
        nonlocal came, over
        if over:  # whoever listens on waits for the client to leave
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), settings.upload_time)
        except TimeoutError:
            raise slow(f"Nothing came for {settings.upload_time:g} seconds.") from None
        if message["type"] == "http.disconnect":
            over = True
            return message
        came += len(message.get("body", b""))
        over = not message.get("more_body", False)
        if came > MOST_JSON:
            raise Refused(
                "too-large",
                f"Expected at most {MOST_JSON / 1e6:g} MB, got more. Make it smaller.",
                {"Connection": "close"},
            )
        late = time.monotonic() - began - settings.upload_time
        if not over and late > 0 and came < late * settings.upload_rate:
            raise slow(f"Less than {settings.upload_rate:,} bytes a second came.")
        return message

    return counted


def _check_origin(method: str, host: str, headers: Headers) -> None:
    """Raises Refused where a page of another site asks for a change."""
    if method in _SAFE:
        return
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "")
    mend = "Act on this server's own page, or send no header Origin."
    if origin is not None and _netloc(origin) != host.lower():
        raise Refused("elsewhere", f"Expected a request of this server's own page, got one of '{origin[:80]}'. {mend}")
    if site not in ("", "same-origin", "none"):
        raise Refused("elsewhere", f"Expected a request of this server's own page, got one that is {site[:20]}. {mend}")


def _netloc(origin: str) -> str | None:
    """Host and port of an origin; None for what is no address, such as "null"."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _hostname(host: str) -> str | None:
    """The name in a header Host, without its port, in lower case; None where it is none."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?", host)
    return None if match is None else (match[1] or match[2]).lower().rstrip(".")


def _session(cookie: str) -> str:
    try:
        jar: SimpleCookie = SimpleCookie(cookie)
    except CookieError:
        return ""
    morsel: Any = jar.get(COOKIE)
    return "" if morsel is None else str(morsel.value)
