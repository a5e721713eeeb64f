"""The process: its sockets, its signals, and how long a client may take to say what it wants (uvicorn)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from facewitness.errors import InputError

HEADER_TIME = 15.0  # seconds in which the headers of a request have to come
MOST_CONNECTIONS = 1_000
_BUSY = 100  # connections above, of requests under way, that are told with 503; what is above these is cut
_AT_ONCE = 128  # that are accepted before the first of them is looked at
_OTHER_FILES = 640  # database, uploads, pipes to workers, and connections that are not looked at yet, or not closed
_GRACE = 10  # seconds for answers that are being given when the server is asked to end


class Patient(H11Protocol):
    """HTTP/1.1 from a client that may not take for ever over its headers, and gives way to others till they come."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request; where there are too many, the one that waits longest is cut."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._since = self.loop.time()
        self._watch()
        most = self.limit_concurrency or MOST_CONNECTIONS
        if len(self.connections) >= most:
            waiting = (one for one in self.connections if isinstance(one, Patient) and one.waits() and one is not self)
            longest = min(waiting, key=lambda one: one._since, default=None)
            if longest is not None:
                self.connections.discard(longest)
                longest.transport.abort()
            elif len(self.connections) > most + _BUSY:
                transport.abort()

    def waits(self) -> bool:
        """Whether no request of it is under way."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def data_received(self, data: bytes) -> None:
        """Wait no more once a request has begun; wait again where a part of one has come."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        under_way = not self.waits()
        if under_way and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif not under_way and self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(HEADER_TIME, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self.waits():
            self.transport.close()


def _most_connections() -> int:
    """How many connections there may be: asyncio accepts in a circle, and logs each turn, where files are used up.

    The system's limit is raised first, as far as it lets itself be raised.
    """
    try:
        import resource
    except ImportError:  # Windows
        return MOST_CONNECTIONS
    wanted = MOST_CONNECTIONS + _BUSY + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MOST_CONNECTIONS
    raised = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return max(16, min(MOST_CONNECTIONS, soft - _BUSY - _OTHER_FILES))


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can call an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # named, or asyncio leaves Nagle's wait on
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise InputError(
            f"expected to listen at {host}, port {port}, and could not ({error.strerror or error}). Is another server "
            "there? Try another --port, or --port 0 for any that is free."
        ) from error
    return listening


def made(app: FastAPI) -> uvicorn.Server:
    """The server, to be run with a socket."""
    config = uvicorn.Config(
        app,
        http=Patient,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_AT_ONCE,
        limit_concurrency=_most_connections(),
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=64_000,
        timeout_graceful_shutdown=_GRACE,
    )
    return uvicorn.Server(config)


def run(app: FastAPI, listening: socket.socket) -> bool:
    """Serve until a signal ends it. Returns whether it had begun."""
    server = made(app)
    server.run(sockets=[listening])
    return bool(server.started)
