"""Every backend keeps the family's promise; the one for servers is held against a small real server of ours."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import threading
import time

import numpy as np
import pytest
from chat_server import ChatServer
from PIL import Image

from facewitness import plugins
from facewitness.backends import pieces
from facewitness.errors import BackendError, InputError

if importlib.util.find_spec("openai") is None:  # not imported: a second that each process would take
    pytest.skip("the extra `language` is not installed", allow_module_level=True)

QUESTION = [{"role": "user", "content": "Is it fake?"}]
PICTURE = np.full((40, 60, 3), (10, 20, 200), np.uint8)


@pytest.fixture
def server():
    found = ChatServer()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def other():
    """A second host, which nobody chose."""
    found = ChatServer()
    yield found
    found.shutdown()
    found.server_close()


def openai(server, **options):
    return plugins.get("backends", "openai").load(base_url=server.url, **options)


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
        ("rubbish", "not one of a chat server"),
        ("html", "not one of a chat server"),
        ("half json", "not one of a chat server"),
        ("deep json", "not one of a chat server"),
        (
            "cut",
            r"nothing answers at http://127\.0\.0\.1:\d+/v1 \(peer closed|not one of a chat server \(RemoteProtocol",
        ),
        ("endless", "sends far more than the 512 tokens"),
        ("endless error", "sends far more than the 512 tokens"),
        ("squeezed", "sends far more than the 512 tokens"),
        ("another", "is it a chat server"),
        ("empty", "without a text"),
        ("two models", "has 2 models; choose one .*: one, two"),
    ],
)
@pytest.mark.parametrize("way", ["ask", "stream"])
def test_what_a_server_does_wrong_is_one_sentence(server, mood, sentence, way):
    server.mood = mood
    with pytest.raises(BackendError, match=sentence) as caught:
        list(getattr(openai(server, retries=0), way)(QUESTION))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("way", ["ask", "stream"])
@pytest.mark.parametrize("mood", ["slow", "dripping", "dripping head"])
def test_a_slow_server_is_not_waited_for(server, mood, way):
    server.mood = mood
    with pytest.raises(BackendError, match=r"did not answer within 0\.4 s\. Try --option openai\.timeout=300"):
        list(getattr(openai(server, model="m", timeout=0.4), way)(QUESTION))
    if mood != "slow":
        assert server.hung_up.wait(60)  # the line was cut: nobody goes on listening in the background


def test_pieces_arrive_one_by_one(server):
    server.mood = "halting"
    pieces = openai(server).stream(QUESTION, (PICTURE,))
    for expected in server.pieces:
        server.go_on.release()
        assert next(pieces) == expected  # the next one is not sent before
    assert list(pieces) == []
    assert server.heard[0]["stream"] is True


def test_who_stops_listening_hangs_up(server):
    server.mood = "talkative"
    pieces = openai(server, max_tokens=10**6).stream(QUESTION)
    next(pieces)
    pieces.close()
    assert server.hung_up.wait(2)


@pytest.mark.parametrize("mood", ["calm", "whole"])
def test_a_stream_is_the_answer_and_a_server_need_not_know_streaming(server, mood):
    server.mood = mood
    assert "".join(openai(server).stream(QUESTION)) == "Yes, it is fake.\n"


@pytest.mark.parametrize(
    ("mood", "heard", "sentence"),
    [
        ("cut stream", 3, "broke off in the middle of its answer"),
        ("error in stream", 3, "broke off in the middle of its answer"),
        ("rubbish in stream", 3, "broke off in the middle of its answer"),
        ("talkative", 65, r"sends far more than the 512 tokens .* try --option openai\.max_tokens=2048"),
        ("endless line", 3, "sends far more than the 512 tokens"),
    ],
)
def test_a_stream_that_breaks_is_no_answer_and_is_not_asked_for_again(server, mood, heard, sentence):
    server.mood = mood
    said = []
    with pytest.raises(BackendError, match=sentence):
        said.extend(piece for piece in openai(server).stream(QUESTION) if not said.append(piece))
    assert len(said) >= heard
    assert len(server.heard) == 1


def test_odd_events_in_a_stream_never_escape_as_something_else(server):
    server.mood = "odd stream"
    with pytest.raises(BackendError, match="broke off in the middle"):
        list(openai(server).stream(QUESTION))


def test_neither_photo_nor_key_follows_a_server_that_sends_us_elsewhere(server, other, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    server.mood, server.elsewhere = "moved", f"{other.url}/chat/completions"
    for way in ("ask", "stream"):
        with pytest.raises(BackendError, match=rf"sends us to 127\.0\.0\.1:{other.server_port}, and neither photo nor"):
            list(getattr(openai(server), way)(QUESTION, (PICTURE,)))
    assert server.keys == ["Bearer s3cret"] * 2
    assert other.heard == other.keys == []


@pytest.mark.parametrize(
    ("option", "value"),
    [("timeout", 0), ("timeout", float("nan")), ("timeout", float("inf")), ("retries", -1), ("max_tokens", 0),
     ("side", "big"), ("temperature", -1)],
)  # fmt: skip
def test_numbers_that_cannot_be(server, option, value):
    with pytest.raises(InputError, match=f"openai: expected {option} as a number of at least"):
        openai(server, **{option: value})


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


KEY = "sk-proj-s3cret"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "  ", "\t"])
def test_a_key_from_a_file_of_another_system_works(server, monkeypatch, end):
    monkeypatch.setenv("OPENAI_API_KEY", KEY + end)
    assert openai(server).ask(QUESTION) == "Yes, it is fake."
    assert server.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize("inside", ["\r", "\n", "\x1b[0m", "é", "\u202e", " ", "\x7f"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(server, monkeypatch, inside):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}{inside}X")
    with pytest.raises(BackendError, match="printable ASCII characters in the environment variable") as caught:
        openai(server)
    assert "s3cret" not in str(caught.value)
    assert server.heard == []


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/v1?api_key=" + KEY,
        "http://127.0.0.1:{port}/v1#" + KEY,
        "http://user:" + KEY + "@127.0.0.1:{port}/v1",
        "http://user:" + KEY + "@[bad:{port}/v1",
        "http://127.0.0.1:abc/v1",
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1:{port}/v\t1",
        "http://127.0.0.1:{port}/v\u202e1",
        "http://[bad/v1",
        "http://",
        "http://\u2100.example/v1",
        "file:///etc/passwd",
        "http://127.0.0.1 :{port}/v1",
    ],
)
def test_an_address_that_is_none_or_holds_a_key_is_refused_without_showing_it(server, address):
    address = address.format(port=server.server_port)
    with pytest.raises(InputError, match="openai: expected base_url") as caught:
        plugins.get("backends", "openai").load(base_url=address)
    assert "s3cret" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_key_goes_over_plain_http_to_this_machine_only(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    load = plugins.get("backends", "openai").load
    for address in ("http://models.example/v1", "http://10.0.0.7:8000/v1", "http://127.0.0.1.example/v1"):
        with pytest.raises(InputError, match="over plain http everybody on the way") as caught:
            load(base_url=address)
        assert "s3cret" not in str(caught.value)
    for address in ("https://models.example/v1", "http://localhost/v1", "http://127.3.2.1/v1", "http://[::1]/v1"):
        assert load(base_url=address).base_url == address


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
def test_a_proxy_never_gets_what_is_meant_for_this_machine(server, other, monkeypatch, name):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(name, f"http://127.0.0.1:{other.server_port}")
    assert openai(server).ask(QUESTION) == "Yes, it is fake."
    assert len(server.heard) == 1 and other.heard == [] and other.keys == []


def test_nothing_of_the_environment_is_sent_but_the_key(server, monkeypatch):
    for name in ("ORG_ID", "PROJECT_ID", "ADMIN_KEY", "WEBHOOK_SECRET"):
        monkeypatch.setenv(f"OPENAI_{name}", "unasked")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: unasked")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert openai(server).ask(QUESTION) == "Yes, it is fake."
    (headers,) = server.headers
    assert "unasked" not in json.dumps(headers)
    assert headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("location", ["http://[bad", "//", "", "http://user:pw@elsewhere/v1"])
def test_a_redirect_that_leads_nowhere_is_a_sentence(server, location):
    server.mood, server.elsewhere = "moved", location
    with pytest.raises(BackendError, match=r"sends us to (another address|elsewhere), and neither photo") as caught:
        openai(server).ask(QUESTION)
    assert "pw" not in str(caught.value)


def test_a_proxy_that_is_none_is_a_sentence(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HTTPS_PROXY", "ftp://user:s3cret@[bad")
    backend = plugins.get("backends", "openai").load(base_url="https://models.example/v1", retries=0)
    with pytest.raises(BackendError) as caught:
        backend.ask(QUESTION)
    assert "s3cret" not in str(caught.value)


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
    assert told.asked[0] == (QUESTION, 1)
    assert list(load(" Yes, it is.\n").stream(QUESTION)) == [" Yes,", " it", " is.\n"]


# ------------------------------------------------------------------------------------------------ answers from a thread


def test_what_is_heard_is_what_was_said_and_errors_come_after_it():
    def answer(say):
        say("one")
        say("")
        say("two")
        raise BackendError("and no more")

    came = pieces(answer, 5)
    assert [next(came), next(came)] == ["one", "two"]
    with pytest.raises(BackendError, match="and no more"):
        next(came)


def test_neither_silence_nor_haste_outlasts_the_timeout():
    def hasty(say):
        while True:
            say("x")

    done = threading.Event()
    for answer in (hasty, lambda say: done.wait(60)):
        with pytest.raises(TimeoutError):  # neither would end with it by itself
            for _ in pieces(answer, 0.2):
                pass
    done.set()


def test_who_speaks_to_nobody_is_stopped():
    stopped = threading.Event()

    def answer(say):
        try:
            while True:
                say("x")
                time.sleep(0.01)
        except Exception as error:  # what turns errors into sentences must not swallow it
            raise BackendError("never") from error
        finally:
            stopped.set()

    came = pieces(answer, None)
    assert next(came) == "x"
    came.close()
    assert stopped.wait(2)
