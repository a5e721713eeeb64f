"""A chat server that means ill: what the backend `openai` makes of it, and how soon, with how much memory.

The expected end is an answer or one sentence (`BackendError`), within the time that was given, and nothing sent to
where a redirect points.
"""

from __future__ import annotations

import json
import resource
import socket
import threading
import time
import traceback
from collections.abc import Iterator

import numpy as np
from chat_server import ChatServer, whole

from facewitness.errors import FacewitnessError
from hostile import Figure

TIMEOUT, SLACK, MEGABYTES = 3.0, 6.0, 150.0

_MOODS = (
    "calm",
    "busy",
    "broken",
    "refusing",
    "unknown",
    "slow",
    "dripping",
    "dripping head",
    "endless",
    "endless error",
    "squeezed",
    "rubbish",
    "html",
    "half json",
    "deep json",
    "cut",
    "another",
    "empty",
    "cut stream",
    "error in stream",
    "rubbish in stream",
    "odd stream",
    "talkative",
    "endless line",
    "two models",
)


def _plain(body: bytes, status: str = "200 OK", kind: str = "application/json", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def _raw() -> dict[str, bytes]:
    """Answers byte for byte."""
    return {
        "no status": b"\xff\xfe\0\r\n\r\n",
        "nothing": b"",
        "status 999": _plain(b"{}", "999 What"),
        "status of letters": b"HTTP/1.1 OK 200\r\n\r\n{}",
        "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
        "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
        "length too long": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{",
        "continue, continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 9_999,
        "a header of 30 MB": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 30_000_000,
        "chunks that lie": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n{",
        "NaN": _plain(b'{"choices": [NaN]}'),
        "null": _plain(b"null"),
        "a list": _plain(b"[1, 2]"),
        "no choices": _plain(b'{"choices": []}'),
        "choices of words": _plain(b'{"choices": "abc"}'),
        "content of numbers": _plain(b'{"choices":[{"message":{"content":5}}]}'),
        "content of lists": _plain(b'{"choices":[{"message":{"content":[{"x":1}]}}]}'),
        "a surrogate": _plain(whole("a\ud800b")),
        "orders to the terminal": _plain(whole("\x1b]0;x\x07\x1b[2JYes, fake.")),
        "3 MB of text": _plain(whole("a " * 1_500_000)),
        "unknown letters": _plain(whole("Yes."), "200 OK", "application/json; charset=bogus"),
        "utf-7": _plain(whole("Yes."), "200 OK", "application/json; charset=utf-7"),
        "a digit too many": _plain(b'{"choices": [' + b"9" * 9_999 + b"]}"),
        "the key in its error": _plain(b'{"error": {"message": "sk-of-the-test is bad"}}', "401 No"),
        "come back in a year": _plain(b"{}", "429 Slow", "application/json", "Retry-After: 31536000"),
        **{
            f"redirect to {to}": _plain(b"", "302 Found", "text/html", f"Location: {to}")
            for to in ("http://[bad", "file:///etc/passwd", "http://a\x1b[31mb/", "//", "http://127.0.0.1:1/x", "")
        },
        **{
            f"stream of {name}": _plain(b"data: " + body + b"\n\n", "200 OK", "text/event-stream")
            for name, body in {
                "null": b"null",
                "a list": b"[1]",
                "depth": b"[" * 100_000,
                "an error": b'{"error":{"message":"x\\u001b[31m"}}',
                "no letters": b"\xff\xfe",
                "an order": json.dumps({"choices": [{"delta": {"content": "\x1b[2J"}}]}).encode(),
            }.items()
        },
    }


class _Raw:
    """Answers every connection with the same bytes."""

    def __init__(self, content: bytes):
        self.content, self.door = content, socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.getsockname()[1]}/v1"

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self.door.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: socket.socket) -> None:
        with line:
            try:
                line.settimeout(10)
                line.recv(1 << 20)
                line.sendall(self.content)
                line.shutdown(socket.SHUT_WR)
                while line.recv(1 << 16):
                    pass
            except OSError:
                pass

    def close(self) -> None:
        self.door.close()


def attack(scale: int = 1) -> Iterator[Figure]:
    """Each ill will twice: for a whole answer and for one in pieces."""
    figure, slowest = Figure("chat servers of ill will"), (0.0, "")
    raw = _raw()
    for name in (*_MOODS, *raw):
        for streamed in (False, True):
            server = _Raw(raw[name]) if name in raw else ChatServer(name)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            began = time.monotonic()
            why = _asked(server.url, streamed, model="" if name == "two models" else "m")
            took = time.monotonic() - began
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            if isinstance(server, _Raw):
                server.close()
            else:
                server.shutdown()
                server.server_close()
            slowest = max(slowest, (took, name))
            if took > TIMEOUT + SLACK:
                why = why or f"took {took:.1f} s of {TIMEOUT:g}"
            if grown > MEGABYTES:
                why = why or f"took {grown:.0f} MB"
            figure.expect(not why, f"{name}, {'in pieces' if streamed else 'whole'}: {why}")
    figure.worst = f"{slowest[0]:.1f} s where {TIMEOUT:g} s were given ({slowest[1]!r})"
    yield figure


def _asked(url: str, streamed: bool, model: str) -> str:
    """What went wrong beyond a sentence; empty for an answer and for a BackendError."""
    from facewitness.backends import openai

    conversation, images = [{"role": "user", "content": "Is it fake?"}], [np.zeros((8, 8, 3), np.uint8)]
    try:
        backend = openai.load(model=model, base_url=url, timeout=TIMEOUT)
        said = "".join(backend.stream(conversation, images)) if streamed else backend.ask(conversation, images)
    except FacewitnessError as error:
        said = str(error)
        if "sk-of-the-test" in said or "\x1b" in said or not said:
            return f"its sentence is {said!r}"
        return ""
    except Exception:
        return traceback.format_exc()[-400:]
    return "" if isinstance(said, str) else f"answered {type(said).__name__}"
