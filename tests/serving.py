"""A real server in a thread of the tests' process, its witness of brightness in real worker processes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from doubles import AverageFace, Brightness
from waiting import LONG, eventually

pytest.importorskip("fastapi", reason="the service needs the extra serve")
pytest.importorskip("sqlalchemy", reason="the service needs the extra serve")

from facewitness.apps.api import create_app, server
from facewitness.apps.service.service import Service
from facewitness.apps.service.settings import Settings

PLAIN = {"trust_env": False, "verify": False}  # of a client that speaks plain HTTP: reading certificates takes 30 ms


def settings(folder: Path, **given: Any) -> Settings:
    """Of a server whose finder and witness need no weights."""
    given.setdefault("finder", AverageFace())
    given.setdefault("witnesses", (Brightness(),))
    given.setdefault("reserve", 0)
    given.setdefault("database_time", 2.0)
    return Settings(data=folder, **given)


@contextmanager
def started(folder: Path, **given: Any) -> Iterator[Service]:
    """A service that runs, without HTTP."""
    service = Service(settings(folder, **given))
    service.start()
    try:
        yield service
    finally:
        service.close()


@dataclass
class Running:
    """A server that listens."""

    service: Service
    port: int
    client: httpx2.Client

    def send(self, content: bytes, name: str = "photo.jpg", wait: int = 30, **query: Any) -> dict[str, Any]:
        """The analysis of a file, once it has ended."""
        answer = self.client.post(
            "/v1/analyses",
            content=content,
            params={"name": name, **query},
            headers={"Content-Type": "application/octet-stream", "Prefer": f"wait={wait}"},
        )
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def connect(self) -> socket.socket:
        """A bare connection, for what no client would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextmanager
def serving(folder: Path, **given: Any) -> Iterator[Running]:
    """A server at a free port of this machine."""
    service = Service(settings(folder, **given))
    listening = server.bound("127.0.0.1", 0)
    port = listening.getsockname()[1]
    made = server.made(create_app(service=service))
    thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, **PLAIN) as client:
        assert eventually(lambda: not thread.is_alive() or (made.started and not service.faults()))
        assert thread.is_alive()
        try:
            yield Running(service, port, client)
        finally:
            made.should_exit = True
            thread.join(LONG)
            listening.close()
    assert not thread.is_alive()


def problem(answer: httpx2.Response, status: int) -> str:
    """The detail of a problem, after a look at its form."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["type"].startswith("/problems/") and body["title"]
    assert body["request_id"] == answer.headers["x-request-id"]
    detail: str = body["detail"]
    return detail


def events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events: their names and what they hold."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found
