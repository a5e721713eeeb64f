"""What strangers may send to the service: too much, too slow, half, wrong, forged, from elsewhere, all at once."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from doubles import Brightness
from films import film, pictures
from pictures import bomb, jpeg, painted
from serving import PLAIN, Running, problem, serving
from waiting import LONG, eventually

from facewitness.apps.api import server

PHOTO = jpeg(painted(200, 240))
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {
        "max_body": 3_000_000,
        "max_picture": 1_000_000,
        "upload_time": 1.5,
        "upload_rate": 50_000,
        "max_length": 3600,
    }
    with serving(tmp_path_factory.mktemp("hostile"), **limits) as running:
        yield running


def spoken(here: Running, text: bytes, wait: float = 0.0) -> bytes:
    """What the server answers to bytes that no client would send."""
    with here.connect() as connection:
        connection.sendall(text)
        time.sleep(wait)
        connection.settimeout(120)
        heard = b""
        while piece := connection.recv(65536):
            heard += piece
            if b"\r\n\r\n" in heard and b"request_id" in heard:
                break
        return heard


def nothing_is_left(here: Running) -> bool:
    """Whether uploads that broke off leave nothing; a server notices a little later that they did."""
    return eventually(lambda: not list(here.service.uploads.folder.glob("incoming-*")))


def test_what_is_too_large_is_refused_before_it_is_sent_and_while_it_comes(here):
    announced = spoken(here, b"POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n")
    assert announced.startswith(b"HTTP/1.1 413") and b"/problems/too-large" in announced

    def pieces() -> Iterator[bytes]:
        yield PHOTO
        for _ in range(60):
            yield bytes(100_000)

    try:  # no length is announced; the answer may come while we send
        answer = here.client.post("/v1/analyses", content=pieces(), headers=RAW)
    except (httpx2.WriteError, httpx2.ReadError, httpx2.RemoteProtocolError):
        pass
    else:
        assert "at most" in problem(answer, 413)
    assert "at most" in problem(here.client.post("/v1/analyses", content=PHOTO + bytes(1_500_000), headers=RAW), 413)
    form = here.client.post("/v1/analyses", files={"file": ("a.jpg", PHOTO + bytes(1_500_000))})
    problem(form, 413)
    assert nothing_is_left(here)


def test_a_film_may_be_larger_than_a_picture(here):
    pytest.importorskip("av")
    content = film(pictures(30)) + bytes(1_500_000)  # players ignore what follows
    assert here.send(content, "film.mp4", frames=2)["state"] == "done"


def test_what_is_neither_picture_nor_film_is_415(here):
    for content, words in (
        (b"just text", "text"),
        (b"\x1f\x8b" + bytes(80), "expected a picture"),
        (b"<svg xmlns='x'/>", "SVG"),
        (b"", "empty"),
    ):
        assert words in problem(here.client.post("/v1/analyses", content=content, headers=RAW), 415)
    for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded"):
        answer = here.client.post("/v1/analyses", content=PHOTO, headers={"Content-Type": kind})
        assert kind in problem(answer, 415)


def test_a_bomb_is_422_before_it_is_decoded(here, monkeypatch):
    listed = {"params": {"limit": 200}}
    before = here.client.get("/v1/analyses", **listed).json()["analyses"]
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("it was decoded"))
    assert "million pixels" in problem(here.client.post("/v1/analyses", content=bomb(20_000, 20_000), headers=RAW), 422)
    assert here.client.get("/v1/analyses", **listed).json()["analyses"] == before  # no process was given it


def test_half_an_upload_leaves_nothing(here):
    head = b"POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 90000\r\n\r\n"
    before = len(here.client.get("/v1/analyses", params={"limit": 200}).json()["analyses"])
    with here.connect() as connection:
        connection.sendall(head + PHOTO[:2000])
    boundary = b"Content-Type: multipart/form-data; boundary=x\r\n"
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + PHOTO
    broken = b"POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\n" + boundary
    heard = spoken(here, broken + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert b" 400 " in heard.split(b"\r\n")[0] and b"breaks off" in heard
    assert nothing_is_left(here)
    assert len(here.client.get("/v1/analyses", params={"limit": 200}).json()["analyses"]) == before


def test_forms_that_are_none_are_refused(here):
    def form(body: bytes, kind: str = "multipart/form-data; boundary=x") -> httpx2.Response:
        return here.client.post("/v1/analyses", content=body, headers={"Content-Type": kind})

    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    photo = part % (b"file", PHOTO)
    end = b"--x--\r\n"
    assert "boundary" in problem(form(photo, "multipart/form-data"), 400)
    problem(form(b"no form at all"), 400)
    assert "part 'file'" in problem(form(part % (b"note", b"hi") + end), 422)
    assert "several" in problem(form(photo + photo + end), 422)
    assert "UTF-8" in problem(form(part % (b"note", b"\xff\xfe") + photo + end), 422)
    assert "at most" in problem(form(part % (b"note", b"n" * 50_000) + photo + end), 422)
    assert "fields" in problem(form(b"".join(part % (b"n%d" % i, b"") for i in range(30)) + photo + end), 422)
    assert "header" in problem(form(b"--x\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n" + end), 400)
    assert "whole number" in problem(form(part % (b"frames", b"many") + photo + end), 422)
    for field, value in ((b"frames", b"1" + b"0" * 400), (b"frames", b"0"), (b"fps", b"nan"), (b"end", b"1e400")):
        assert f"{field.decode()}: expected " in problem(form(part % (field, value) + photo + end), 422)


def test_a_client_that_stands_still_is_let_go(here):
    head = b"POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 90000\r\n\r\n"
    heard = spoken(here, head + PHOTO[:100])
    assert heard.startswith(b"HTTP/1.1 408") and b"Nothing came for 1.5 seconds" in heard
    with here.connect() as connection:  # or that drips
        connection.sendall(head)
        heard = b""
        connection.settimeout(0.05)
        for at in range(2000):
            try:
                connection.sendall(PHOTO[at : at + 1])
                heard += connection.recv(4096)
                break
            except TimeoutError:
                continue
            except OSError:
                break
        connection.settimeout(120)
        with contextlib.suppress(OSError):  # the head may come before the body; the server closes after both
            while more := connection.recv(4096):
                heard += more
    assert heard.startswith(b"HTTP/1.1 408") and b"bytes a second" in heard
    assert nothing_is_left(here)


def test_json_that_never_comes_is_not_waited_for(here):
    path = here.send(PHOTO)["links"]["self"]
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n{{"
    )
    answer = spoken(here, head.encode())
    assert answer.startswith(b"HTTP/1.1 408") and b"Nothing came for 1.5 seconds" in answer


def test_json_that_is_too_much_says_so(here):
    ask = {"url": here.send(PHOTO)["links"]["questions"], "headers": {"Content-Type": "application/json"}}
    pieces = iter([b'{"question":"', *[b"x" * 1_000_000] * 13])
    assert "at most 12 MB" in problem(here.client.post(content=pieces, **ask), 413)
    assert "nested too deeply" in problem(here.client.post(content=b"[" * 100_000, **ask), 400)
    form = {
        "url": ask["url"],
        "content": b"question=x",
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
    }
    assert "expected application/json, got application/x-www-form-urlencoded" in problem(here.client.post(**form), 422)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"question": "x" * 2001}, "body.question: expected at most 2,000 characters, got 2,001."),
        ({"question": 5}, "body.question: expected text, got 5."),
        ({"question": "x", "face": -1}, "body.face: expected 0 or more, got -1."),
        (
            {"question": "x", "words": "y"},
            "body.words: expected one of the fields that the OpenAPI names, got 'words'.",
        ),
        ({"question": "x", "places": [{}] * 9}, "body.places: expected at most 8 of them, got 9."),
        ([], "body: expected a JSON object, got a list."),
    ],
)
def test_what_is_wrong_with_a_request_is_told_with_what_came(here, asked, sentence):
    assert problem(here.client.post("/v1/analyses/" + "0" * 32 + "/questions", json=asked), 422) == sentence


def test_words_beside_a_file_that_nobody_knows_are_refused(here):
    """What was meant by "case" would be lost."""
    answer = here.client.post("/v1/analyses", files={"file": ("a.jpg", PHOTO)}, data={"case": "2026-17"})
    assert problem(answer, 422).endswith("got 'case'. Did you mean 'case_name'?")
    answer = here.client.post("/v1/analyses?fames=3", content=PHOTO, headers=RAW)
    assert "got 'fames'. Did you mean 'frames'?" in problem(answer, 422)
    doubled = {"file": ("a.jpg", PHOTO), "case_name": (None, "A"), "note": (None, "x")}
    answer = here.client.post("/v1/analyses?case_name=B", files=doubled)
    assert problem(answer, 422).startswith("case_name: expected one value, got two of them.")
    answer = here.client.post("/v1/analyses?note=1&note=2", content=PHOTO, headers=RAW)
    assert problem(answer, 422).startswith("note: expected one value, got two of them.")
    answer = here.client.post("/v1/analyses", files=[("file", ("a.jpg", PHOTO)), *[("note", (None, "x"))] * 2])
    assert problem(answer, 422) == "note: expected it once in the form, got it twice."
    answer = here.client.post("/v1/analyses", files={"file": ("a.jpg", PHOTO)}, data={"slim": "maybe"})
    assert problem(answer, 422) == "slim: expected true or false, got 'maybe'."
    answer = here.client.post("/v1/analyses?frames=3&fps=2", content=PHOTO, headers=RAW)
    assert problem(answer, 422) == "expected one of frames, fps, scenes and every, got frames and fps."


@pytest.mark.parametrize("name", ["  ", "\u3164", "/", "dir/ \u2800"])
def test_a_name_that_shows_nothing_is_none(here, name):
    assert here.send(PHOTO, name)["name"] == "upload"


def test_an_address_tells_all_methods_that_it_takes(here):
    answer = here.client.put("/v1/analyses")
    assert answer.headers["allow"] == "GET, HEAD, POST" and "It takes GET, HEAD, POST." in problem(answer, 405)
    assert here.client.put("/v1/analyses/x").headers["allow"] == "DELETE, GET, HEAD, PATCH"


def test_a_range_that_is_none_is_passed_over(here):
    path = here.send(PHOTO)["links"]["original"]

    def part(asked: str) -> httpx2.Response:
        return here.client.get(path, headers={"Range": asked})

    for none in ("bytes=5-2", "items=0-3", "bytes=abc", "bytes=", "bytes=0-0," * 200 + "1-1"):
        assert (part(none).status_code, part(none).content) == (200, PHOTO), none
    assert (part("bytes=1-3").status_code, part("bytes=1-3").content) == (206, PHOTO[1:4])
    assert part("bytes=-2").content == PHOTO[-2:]
    behind = part(f"bytes={len(PHOTO)}-")
    assert "expected some of the file's" in problem(behind, 416)
    assert behind.headers["content-range"] == f"bytes */{len(PHOTO)}"


def test_headers_that_never_end_are_not_waited_for(here, monkeypatch):
    monkeypatch.setattr(server, "HEADER_TIME", 0.6)
    for beginning in (b"", b"GET /healthz HTTP/1.1\r\nHost: local"):
        with here.connect() as connection:
            connection.sendall(beginning)
            connection.settimeout(120)
            assert connection.recv(100) == b""  # it hung up
    with here.connect() as connection:  # a second request on the same connection, too
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.settimeout(120)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /hea")
        while connection.recv(4096):
            pass


def test_connections_that_say_nothing_give_way_to_those_that_do(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 20)
    with serving(tmp_path) as running, contextlib.ExitStack() as silent:
        for number in range(60):
            connection = silent.enter_context(running.connect())
            connection.sendall(b"GET /healthz HTTP/1.1\r\nX: "[: number % 9])
        began = time.monotonic()
        for _ in range(5):
            assert httpx2.get(f"http://127.0.0.1:{running.port}/healthz", timeout=10, **PLAIN).status_code == 200
        assert time.monotonic() - began < server.HEADER_TIME / 2, "none of them was waited for"


def test_there_are_fewer_connections_than_the_system_gives_files(monkeypatch):
    resource = pytest.importorskip("resource")
    kept = []
    for limits, most in (((1024, 4096), 1_000), ((1024, 1024), 284), ((64, 64), 16), ((9_999, 9_999), 1_000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        monkeypatch.setattr(resource, "setrlimit", lambda _, pair: kept.append(pair))
        assert server._most_connections() == most
    assert kept == [(1_740, 4_096), (1_024, 1_024), (64, 64)]


def test_tricks_with_paths_find_nothing(here):
    for path in (
        "/v1/analyses/..%2f..%2fserve.lock",
        "/v1/analyses/%2e%2e/%2e%2e/facewitness.sqlite",
        "/v1/analyses/%00",
        "/v1/analyses/'%20OR%201=1--",
        "/v1/analyses/" + "a" * 64,
        "/v1/analyses/x/masks/..%2f0.png",
        "/v1/analyses/é",
        "//v1/analyses",
        "/v1/../v1/analyses/x",
    ):
        assert here.client.get(path).status_code in (404, 422), path
    assert "There is no analysis" in problem(here.client.get("/v1/analyses/" + "0" * 32), 404)
    assert here.client.get("/v1/analyses/" + "a" * 5000).status_code in (404, 422)
    shown = here.send(PHOTO, "../../../etc/passwd\x00.jpg")
    assert shown["name"] == "passwd_.jpg"
    form = here.client.post("/v1/analyses", files={"file": ("..\\..\\boot.ini", PHOTO)})
    assert form.json()["name"] == "boot.ini"
    folder = here.service.settings.data
    assert {path.name for path in folder.iterdir()} <= {
        *("uploads", "serve.lock", "session.secret"),
        *("facewitness.sqlite", "facewitness.sqlite-wal", "facewitness.sqlite-shm"),
    }


def test_words_that_no_database_takes(here):
    assert problem(here.client.get("/v1/analyses", params={"q": "a\x00"}), 422)
    here.client.get("/v1/analyses", params={"q": "%_\\'\";--"}).raise_for_status()
    shown = here.send(PHOTO)
    headers = {"Content-Type": "application/json"}
    for note in ('{"note": "\\ud800"}', '{"note": "\\u0000"}', '{"note": 3}', "[]", '{"note": "' + "x" * 10_001 + '"}'):
        problem(here.client.patch(shown["links"]["self"], content=note, headers=headers), 422)
    problem(here.client.patch(shown["links"]["self"], content="[" * 100_000, headers=headers), 400)


def test_no_other_site_may_act_here(here):
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},  # no address at all
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = here.client.post("/v1/analyses", content=PHOTO, headers={**RAW, **headers})
        assert "own page" in problem(answer, 403)
        problem(here.client.delete("/v1/analyses/" + "0" * 32, headers=headers), 403)
    own = {"Origin": f"http://127.0.0.1:{here.port}", "Sec-Fetch-Site": "same-origin"}
    assert here.client.post("/v1/analyses", content=PHOTO, headers={**RAW, **own}).status_code == 202
    assert here.client.get("/healthz", headers={"Origin": "http://evil.example"}).status_code == 200


def test_a_name_that_is_not_this_servers_is_refused(here):
    for host in (
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "a b",
        "",
        "[::1",
        "localhost:1:2",
    ):
        assert "not called" in problem(here.client.get("/v1/analyses", headers={"Host": host}), 421), host
    for host in ("localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:80", "192.168.1.7"):
        assert here.client.get("/healthz", headers={"Host": host}).status_code == 200, host


def test_a_caller_has_so_many_requests(tmp_path):
    with serving(tmp_path, rate=60, burst=60) as here:
        statuses = (here.client.get("/healthz") for _ in range(1000))  # one a second is allowed besides
        refused = next(answer for answer in statuses if answer.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert "60 requests a minute" in problem(refused, 429)


def test_a_caller_has_so_many_open_at_one_time(tmp_path):
    with serving(tmp_path, max_open=3, witnesses=(Brightness(seconds=20.0),)) as here:
        row = here.send(jpeg(painted(200, 96)), wait=0)
        streams = []
        for _ in range(3):
            stream = here.connect()
            stream.sendall(f"GET /v1/analyses/{row['id']}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert b"200 OK" in stream.recv(4096)
            streams.append(stream)
        assert "at most 3 requests at one time" in problem(here.client.get("/v1/analyses"), 429)
        for stream in streams:
            stream.close()
        assert eventually(lambda: here.client.get("/v1/analyses").status_code != 429)
        here.client.delete(f"/v1/analyses/{row['id']}")


def test_a_hundred_uploads_at_once(tmp_path):
    with serving(tmp_path, max_uploads=8) as here:

        def send(number: int) -> int:
            with httpx2.Client(base_url=here.client.base_url, timeout=120, **PLAIN) as client:
                content = jpeg(painted(number % 10, 64)) + bytes(number)
                return client.post("/v1/analyses", content=content, headers=RAW).status_code

        with ThreadPoolExecutor(25) as threads:
            assert list(threads.map(send, range(100))) == [202] * 100
        eventually(lambda: here.service.counts()["done"] == 100)
        assert here.service.counts() == {"queued": 0, "running": 0, "done": 100, "failed": 0, "cancelled": 0}


def test_a_film_of_ten_hours_fails_with_its_length(here):
    pytest.importorskip("av")
    shown = here.send(film(pictures(3), times=[0, 1, 25 * 36_000]), "long.mp4")
    assert shown["state"] == "failed" and "lasts 10:00:00" in shown["error"]
    assert shown["report"]["status"] == "failed" and shown["label"] == "failed"


def test_no_room_and_a_locked_database_are_said_in_words(tmp_path):
    import sqlite3

    with serving(tmp_path, database_time=0.2, max_stored=len(PHOTO) + 10, witnesses=(Brightness(),)) as here:
        here.send(PHOTO)
        full = here.client.post("/v1/analyses", content=jpeg(painted(1, 300)), headers=RAW)
        assert "no room" in problem(full, 507) and full.headers["retry-after"]
        lock = sqlite3.connect(tmp_path / "facewitness.sqlite", isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        try:
            answer = here.client.post("/v1/analyses", content=PHOTO, headers=RAW)
            assert "locked" in problem(answer, 503) and answer.headers["retry-after"]
            assert here.client.get("/healthz").status_code == 200
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        assert here.send(PHOTO)["state"] == "done"


def test_what_is_not_http_harms_nobody(here):
    for words in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000, b"\r\n" * 100):
        with here.connect() as connection:
            try:
                connection.sendall(words)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(4096)
            except OSError:
                pass
    assert here.client.get("/healthz").status_code == 200


def test_requests_at_one_time_do_not_wait_for_an_analysis(tmp_path):
    with serving(tmp_path, witnesses=(Brightness(seconds=600),)) as here:
        ask = {"content": PHOTO, "headers": RAW | {"Prefer": "wait=30"}}
        waiting = threading.Thread(target=lambda: here.client.post("/v1/analyses", **ask), daemon=True)
        waiting.start()
        listed = eventually(lambda: here.client.get("/v1/analyses").json()["analyses"])
        assert listed[0]["state"] in ("queued", "running")
        assert waiting.is_alive()
        assert here.client.delete(f"/v1/analyses/{listed[0]['id']}").is_success
        waiting.join(LONG)
        assert not waiting.is_alive()
