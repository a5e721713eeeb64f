"""Every backend keeps the family's promise; the one for servers is held against a small real server of ours."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from facewitness import plugins
from facewitness.errors import BackendError, InputError

pytest.importorskip("openai", reason="the extra `language` is not installed")

QUESTION = [{"role": "user", "content": "Is it fake?"}]
PICTURE = np.full((40, 60, 3), (10, 20, 200), np.uint8)


class ChatServer(ThreadingHTTPServer):
    """Speaks the chat protocol, in a mood: calm, busy (twice, then calm), slow, rubbish, empty, closed, refusing, …"""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mood, self.heard, self.keys = "calm", [], []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def log_message(self, *_):
        pass

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        names = ["one", "two"] if self.server.mood == "two models" else ["tiny-vlm"]
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "us"} for name in names]
        self.answer(200, json.dumps({"object": "list", "data": models}).encode())

    def do_POST(self):
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.keys.append(self.headers.get("Authorization"))
        match self.server.mood:
            case "busy" if len(self.server.heard) < 3:
                return self.answer(429, b'{"error": {"message": "busy"}}')
            case "broken":
                return self.answer(500, b'{"error": {"message": "sorry"}}')
            case "refusing":
                return self.answer(401, b'{"error": {"message": "key"}}')
            case "unknown":
                return self.answer(404, b'{"error": {"message": "no such model"}}')
            case "slow":
                time.sleep(3)
            case "rubbish":
                return self.answer(200, b"<html>hello</html>")
            case "another":
                return self.answer(200, b'{"answer": 42}')
        text = "  " if self.server.mood == "empty" else " Yes, it is fake.\n"
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "tiny-vlm", "choices": [choice]}
        self.answer(200, json.dumps(whole).encode())


@pytest.fixture
def server():
    found = ChatServer()
    yield found
    found.shutdown()
    found.server_close()


def openai(server, **options):
    return plugins.get("backends", "openai").load(base_url=server.url, **options)


@pytest.mark.parametrize("name", plugins.names("backends"))
def test_every_backend_has_its_function_and_its_sentence(name):
    leaf = plugins.get("backends", name)
    assert callable(leaf.load)
    assert leaf.__doc__.split("\n")[0]


def test_a_server_is_asked_with_the_picture_and_answers(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    backend = openai(server, side=30)
    conversation = [{"role": "system", "content": "Be brief."}, *QUESTION]
    assert backend.ask(conversation, (PICTURE,)) == "Yes, it is fake."
    (asked,) = server.heard
    assert asked["model"] == "tiny-vlm"  # the only one it has
    assert asked["temperature"] == 0
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    shown, text = asked["messages"][1]["content"]
    assert text == {"type": "text", "text": "Is it fake?"}
    data = base64.b64decode(shown["image_url"]["url"].removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (30, 20)
        assert image.getpixel((5, 5)) == (10, 20, 200)
    assert server.keys == ["Bearer s3cret"]
    assert "s3cret" not in json.dumps(backend.made_by())


def test_a_busy_server_is_asked_again(server):
    server.mood = "busy"
    assert openai(server).ask(QUESTION) == "Yes, it is fake."
    assert len(server.heard) == 3


@pytest.mark.parametrize(
    ("mood", "sentence"),
    [
        ("broken", "answered with status 500"),
        ("refusing", "refused the key"),
        ("unknown", "does not know the model"),
        ("rubbish", "is it a chat server|not one of a chat server"),
        ("another", "is it a chat server"),
        ("empty", "without a text"),
        ("two models", "has 2 models; choose one .*: one, two"),
    ],
)
def test_what_a_server_does_wrong_is_one_sentence(server, mood, sentence):
    server.mood = mood
    with pytest.raises(BackendError, match=sentence):
        openai(server, retries=1).ask(QUESTION)


def test_a_slow_server_is_not_waited_for(server):
    server.mood = "slow"
    started = time.monotonic()
    with pytest.raises(BackendError, match=r"did not answer within 0\.4 s"):
        openai(server, model="m", timeout=0.4).ask(QUESTION)
    assert time.monotonic() - started < 2.5


def test_a_server_that_is_down(server):
    backend = openai(server, retries=1)
    server.shutdown()
    server.server_close()
    with pytest.raises(BackendError, match="nothing answers at"):
        backend.ask(QUESTION)


def test_addresses_and_keys(monkeypatch):
    load = plugins.get("backends", "openai").load
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="expected base_url such as"):
        load(base_url="localhost:8000")
    with pytest.raises(InputError, match="without a name and password"):
        load(base_url="http://me:secret@127.0.0.1/v1")
    with pytest.raises(BackendError, match=r"needs a key\. Put it into the environment variable OPENAI_API_KEY"):
        load(base_url="https://models.example/v1")


def test_conversations_that_are_none(server):
    for backend in (openai(server), plugins.get("backends", "echo").load()):
        with pytest.raises(InputError, match="ends with a user's message"):
            backend.ask([])
        with pytest.raises(InputError, match="got 'robot'"):
            backend.ask([{"role": "robot", "content": "Hi"}])


def test_echo():
    load = plugins.get("backends", "echo").load
    assert load().ask(QUESTION) == "Is it fake?"
    told = load(["one", "two"])
    assert [told.ask(QUESTION, (PICTURE,)) for _ in range(3)] == ["one", "two", "two"]
    assert told.heard[0] == (QUESTION, 1)
