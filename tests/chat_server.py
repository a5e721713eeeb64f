"""A small real server that speaks OpenAI's chat protocol, well or in one of many bad moods."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer(ThreadingHTTPServer):
    """Speaks the chat protocol, in a mood: calm, busy (twice, then calm), slow, dripping, endless, rubbish, …"""

    daemon_threads = True

    def __init__(self, mood: str = "calm") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mood, self.heard, self.keys = mood, [], []
        self.headers: list[dict[str, str]] = []  # of each request, by their names in lower case
        self.pieces = ["Yes,", " it is", " fake.\n"]
        self.elsewhere = ""  # where "moved" sends us
        self.go_on = threading.Semaphore(0)  # "halting" waits for it before each piece, "slow" before the answer
        self.hung_up = threading.Event()  # it noticed that nobody listens any more
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def server_close(self) -> None:
        self.go_on.release(9)  # whoever waits for it ends
        super().server_close()

    def handle_error(self, request, client_address):
        self.hung_up.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


def whole(text: str) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return json.dumps({"id": "1", "object": "chat.completion", "created": 0, "choices": [choice]}).encode()


def event(text: str | None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "finish_reason": finish, "delta": {"content": text}}
    found = {"id": "1", "object": "chat.completion.chunk", "created": 0, "choices": [choice]}
    return f"data: {json.dumps(found)}\n\n".encode()


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def log_message(self, *_):
        pass

    def begin(self, kind: str, length: int | None = None, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        self.begin(kind, len(content), status, **headers)
        self.wfile.write(content)

    def do_GET(self):
        names = ["one", "two"] if self.server.mood == "two models" else ["tiny-vlm"]
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "us"} for name in names]
        self.answer(200, json.dumps({"object": "list", "data": models}).encode())

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append(asked)
        self.server.keys.append(self.headers.get("Authorization"))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        match self.server.mood:
            case "busy" if len(self.server.heard) < 3:
                return self.answer(429, b'{"error": {"message": "busy"}}')
            case "broken":
                return self.answer(500, b'{"error": {"message": "sorry"}}')
            case "refusing":
                return self.answer(401, b'{"error": {"message": "key"}}')
            case "unknown":
                return self.answer(404, b'{"error": {"message": "no such model"}}')
            case "moved":
                return self.answer(307, b"", Location=self.server.elsewhere)
            case "slow":
                self.server.go_on.acquire(timeout=60)
            case "dripping":
                return self.drip(b"", whole("Yes."))
            case "dripping head":
                return self.drip(b"HTTP/1.1 200 OK\r\n", b"X-Drop: " + b"x" * 90)
            case "endless":
                return self.pour(b'{"choices": [', b'{"message": {"content": ""}}, ' * 2000)
            case "endless error":
                return self.pour(b"<p>", b"sorry" * 2000, status=400)
            case "squeezed":  # a megabyte of zeros is a kilobyte of gzip
                zeros = gzip.compress(bytes(64 << 20))
                return self.answer(200, zeros, **{"Content-Encoding": "gzip"})
            case "rubbish":
                return self.answer(200, bytes(range(256)))
            case "html":
                return self.answer(200, b"<html>hello</html>", "text/html")
            case "half json":
                return self.answer(200, whole("Yes.")[:-30])
            case "deep json":
                return self.answer(200, b"[" * 100_000)
            case "cut":
                self.begin("application/json", 1000)
                return self.wfile.write(whole("Yes."))
            case "another":
                return self.answer(200, b'{"answer": 42}')
            case "empty":
                self.server.pieces = ["  ", "\n"]
        if asked.get("stream") and self.server.mood != "whole":
            return self.stream()
        return self.answer(200, whole("".join(self.server.pieces)))

    def stream(self) -> None:
        self.begin("text/event-stream")
        for piece in self.server.pieces:
            if self.server.mood == "halting":
                self.server.go_on.acquire()
            self.wfile.write(event(piece))
        match self.server.mood:
            case "cut stream":
                return
            case "error in stream":
                self.wfile.write(b'data: {"error": {"message": "out of memory"}}\n\n')
            case "rubbish in stream":
                self.wfile.write(b"data: {half\n\n")
            case "odd stream":
                for odd in (
                    b"[]",
                    b"3",
                    b'"x"',
                    b'{"choices": null}',
                    b'{"choices": [7]}',
                    b'{"choices": [{"delta": 1}]}',
                ):
                    self.wfile.write(b"data: " + odd + b"\n\n")
            case "talkative":
                with contextlib.suppress(OSError):
                    while True:
                        self.wfile.write(event("blah " * 50))
                return self.server.hung_up.set()
            case "endless line":
                return self.pour(b"data: ", b"x" * 10_000)
        self.wfile.write(event(None, "stop") + b'data: {"choices": [], "usage": {}}\n\ndata: [DONE]\n\n')

    def drip(self, head: bytes, content: bytes) -> None:
        if head:
            self.wfile.write(head)
        else:
            self.begin("application/json", len(content))
        with contextlib.suppress(OSError):
            for i in range(len(content)):
                self.wfile.write(content[i : i + 1])
                time.sleep(0.1)
            return
        self.server.hung_up.set()

    def pour(self, first: bytes, more: bytes, status: int = 200) -> None:
        if self.server.mood != "endless line":
            self.begin("application/json", status=status)
        with contextlib.suppress(OSError):
            self.wfile.write(first)
            while True:
                self.wfile.write(more)
        self.server.hung_up.set()
