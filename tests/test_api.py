"""The REST service over real sockets: analyses, reports, questions as events, keys, what it says of itself."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles import Brightness
from pictures import jpeg, painted
from PIL import Image
from serving import Running, events, problem, serving
from waiting import eventually

from facewitness import plugins, verify
from facewitness.apps.api import logs, problems, server
from facewitness.apps.service.store import Store
from facewitness.formats import json as wire

PHOTO = jpeg(painted(200, 240))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def done(here: Running) -> dict:
    return here.send(PHOTO, "photo.jpg", case_name="case 7", note="by mail")


def test_answers_do_not_wait_for_more_to_send():
    """asyncio switches Nagle's algorithm off for sockets of this protocol only."""
    with server.bound("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_a_raw_body_is_analysed(here, done):
    assert (done["state"], done["label"], done["kind"], done["name"]) == ("done", "fake", "picture", "photo.jpg")
    assert (done["case_name"], done["note"], done["progress"], done["error"]) == ("case 7", "by mail", None, None)
    assert done["report"]["schema"] == "facewitness.report/2" and done["report"]["sha256"] == done["sha256"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", done["finished"])
    assert here.client.get(done["links"]["self"]).json()["report"] == done["report"]


@pytest.mark.parametrize("path", ["/healthz", "/v1/analyses"])
def test_a_head_is_answered_as_a_get_without_its_body(here, path):
    whole, head = here.client.get(path), here.client.head(path)
    assert (head.status_code, head.headers["content-type"]) == (whole.status_code, whole.headers["content-type"])
    assert whole.content and not head.content


def test_how_a_service_reads_files_is_known_to_verify(done):
    report = wire.parse(json.dumps(done["report"]))
    assert "max_seconds" in report.made_by["reading"]
    assert verify.reading_of(report) == report.made_by["reading"]


def test_others_on_the_machine_cannot_read_the_database(tmp_path):
    tmp_path.chmod(0o755)
    Store(f"sqlite:///{tmp_path / 'jobs.sqlite'}").close()
    assert (tmp_path / "jobs.sqlite").stat().st_mode & 0o077 == 0


def test_a_form_is_analysed_and_its_words_are_kept(here):
    answer = here.client.post(
        "/v1/analyses",
        files={"file": ("Bild é.jpg", PHOTO, "image/jpeg")},
        data={"case_name": "Fall", "note": "per Post"},
        headers={"Prefer": "respond-async, wait=30"},
    )
    shown = answer.json()
    assert answer.status_code == 200 and answer.headers["preference-applied"] == "wait=30"
    assert (shown["name"], shown["case_name"], shown["note"]) == ("Bild é.jpg", "Fall", "per Post")


def test_what_is_not_waited_for_is_accepted_and_followed(here):
    answer = here.client.post("/v1/analyses", content=jpeg(painted(77)), headers={"Content-Type": "image/jpeg"})
    shown = answer.json()
    assert answer.status_code == 202 and answer.headers["location"] == f"/v1/analyses/{shown['id']}"
    assert shown["state"] in ("queued", "running") and shown["report"] is None and shown["progress"]["done"] is None
    with here.client.stream("GET", shown["links"]["events"]) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = events(stream.read().decode())
    assert told[-1][0] == "end" and told[-1][1]["state"] == "done"
    assert {name for name, _ in told[:-1]} <= {"progress"}
    slow = here.client.get(shown["links"]["self"], headers={"Prefer": "wait=30"})
    assert slow.json()["state"] == "done"


def test_what_is_deleted_while_it_is_followed_ends_with_a_problem(tmp_path):
    with serving(tmp_path, witnesses=(Brightness(seconds=60),)) as slow:
        shown = slow.client.post("/v1/analyses", content=PHOTO, headers={"Content-Type": "image/jpeg"}).json()
        with slow.client.stream("GET", shown["links"]["events"]) as stream:
            lines = stream.iter_text()
            first = next(lines)
            assert slow.client.delete(shown["links"]["self"]).status_code == 204
            kind, given = events(first + "".join(lines))[-1]
    assert kind == "problem" and "It may have been deleted." in given["detail"]


def test_a_repeated_key_gives_the_same_analysis(here):
    headers = {"Content-Type": "image/jpeg", "Idempotency-Key": "once", "Prefer": "wait=30"}
    first, second = (here.client.post("/v1/analyses", content=PHOTO, headers=headers).json() for _ in range(2))
    assert first["id"] == second["id"]
    other = here.client.post("/v1/analyses", content=jpeg(painted(3)), headers=headers)
    assert "another file" in problem(other, 422)


def test_no_word_of_an_address_is_lost(here, done):
    base = done["links"]["self"]
    said = problem(here.client.get("/v1/analyses", params={"labels": "fake"}), 422)
    assert "got 'labels'. Did you mean 'label'?" in said
    assert "Expected no words behind a question mark" in problem(here.client.get(f"{base}/report.md?slim=1"), 422)
    assert here.client.head(f"{base}?slim=true").status_code == 200
    sent = here.client.post("/v1/analyses", files={"photo": ("a.jpg", PHOTO, "image/jpeg")})
    assert "Expected the file as the part 'file', got it as 'photo'." in problem(sent, 422)


def test_reports_come_in_every_format(here, done):
    base = done["links"]["self"]
    line = here.client.get(f"{base}/report.json").content
    assert wire.parse(line).source == "photo.jpg"
    slim = here.client.get(base, params={"slim": "true"}).json()["report"]
    assert slim["masks"] == [] and slim["people"][0]["mask"] is None and done["report"]["masks"]
    lean = here.client.get(f"{base}/report.json", params={"slim": "true"})
    assert lean.json()["masks"] == [] and len(lean.content) < len(line)
    page = here.client.get(f"{base}/report.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8" and b"photo.jpg" in page.content
    assert page.headers["content-security-policy"].startswith("sandbox ")
    again = here.client.get(f"{base}/report.html", headers={"If-None-Match": page.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    assert here.client.get(f"{base}/report.md").headers["content-type"].startswith("text/markdown")
    pdf = here.client.get(f"{base}/report.pdf")
    if "pdf" in plugins.names("formats") and not plugins.missing("formats", "pdf"):
        assert pdf.content.startswith(b"%PDF") and pdf.headers["content-type"] == "application/pdf"
    else:
        problem(pdf, 501)
    for name, kind in (("overlay.png", "PNG"), ("frame.jpg?longest=64", "JPEG"), ("masks/0.png", "PNG")):
        answer = here.client.get(f"{base}/{name}")
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.format == kind
    assert "no mask 99" in problem(here.client.get(f"{base}/masks/99.png"), 404)
    original = here.client.get(f"{base}/original")
    assert original.content == PHOTO and "attachment" in original.headers["content-disposition"]


def test_a_question_is_answered_as_events_or_as_json(here, done):
    address = done["links"]["questions"]
    answer = here.client.post(address, json={"question": "Is it fake?"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    ((name, said),) = events(answer.text)
    assert name == "answer" and said["label"] == "fake" and said["question"] == "Is it fake?"
    asked = {"question": "And here?", "places": [{"box": [100, 110, 120, 130]}], "face": 0}
    plain = here.client.post(address, json=asked, headers={"Accept": "application/json"}).json()
    assert plain["intent"] == "region" and plain["places"] == [{"box": [100, 110, 120, 130]}]
    turns = here.client.get(address).json()["turns"]
    assert [turn["number"] for turn in turns] == [1, 2] and turns[1] == plain
    for wrong, status in (
        ({"question": ""}, 422),
        ({"question": "x" * 2001}, 422),
        ({"question": "?", "places": [{}]}, 422),
        ({"question": "?", "places": [{"region": "tail"}]}, 422),
        ({"question": "?", "mood": 1}, 422),
        ({"question": "\ud800?"}, 422),
    ):
        problem(
            here.client.post(address, content=json.dumps(wrong), headers={"Content-Type": "application/json"}), status
        )
    problem(here.client.post(address, content=b"{", headers={"Content-Type": "application/json"}), 400)


def test_cases_and_notes_change_and_the_history_is_paged(here, done):
    changed = here.client.patch(done["links"]["self"], json={"note": "by hand"}).json()
    assert (changed["note"], changed["case_name"]) == ("by hand", "case 7")
    found = here.client.get("/v1/analyses", params={"q": "photo hand", "case_name": "case 7"}).json()
    assert [row["id"] for row in found["analyses"]] == [done["id"]] and found["next"] is None
    seen, before = [], None
    while True:
        page = here.client.get("/v1/analyses", params={"limit": 2, **({"before": before} if before else {})}).json()
        seen += [row["id"] for row in page["analyses"]]
        before = page["next"]
        if before is None:
            break
    everything = here.client.get("/v1/analyses", params={"limit": 200}).json()["analyses"]
    assert seen == [row["id"] for row in everything] and len(set(seen)) == len(seen)
    assert "`next` of a page" in problem(here.client.get("/v1/analyses", params={"before": "?"}), 422)
    problem(here.client.get("/v1/analyses", params={"state": "odd"}), 422)


def test_cancelling_and_deleting(here):
    shown = here.send(jpeg(painted(55)))
    base = shown["links"]["self"]
    assert here.client.post(f"{base}/cancel").json()["state"] == "done"  # it had ended
    deleted = here.client.delete(base)
    assert deleted.status_code == 204 and deleted.content == b""
    for method, path in (("GET", base), ("DELETE", base), ("GET", f"{base}/report.html"), ("POST", f"{base}/cancel")):
        assert "There is no analysis" in problem(here.client.request(method, path), 404)


def test_it_says_who_testifies(here):
    said = here.client.get("/v1/witnesses").json()
    assert [witness["name"] for witness in said["witnesses"]] == ["brightness"]
    assert {"name", "about", "asked"} <= said["known"][0].keys()
    assert 0 < said["thresholds"]["real"] < said["thresholds"]["fake"] < 1


def test_it_says_how_it_is(here, done):
    assert here.client.get("/healthz").json()["status"] == "ok"
    assert here.client.get("/readyz").json() == {"status": "ok", "faults": []}
    counted = eventually(lambda: "job_seconds_count 0" not in (text := here.client.get("/metrics").text) and text)
    assert re.search(r'facewitness_requests_total\{method="POST",route="/v1/analyses",status="200"\} \d', counted)
    assert re.search(r'facewitness_analyses\{state="done"\} [1-9]', counted)
    assert re.search(r"facewitness_job_seconds_count [1-9]", counted)
    assert done["id"] not in counted  # no label has as many values as there are analyses


def test_every_problem_has_an_address(here):
    for kind, known in problems.KINDS.items():
        text = here.client.get(f"/problems/{kind}").text
        assert known.title in text and str(known.status) in text
    problem(here.client.get("/problems/none"), 404)
    assert "does not take PUT" in problem(here.client.put("/v1/analyses"), 405)
    assert "Nothing is at" in problem(here.client.get("/nowhere"), 404)


def test_the_openapi_tells_all_of_it(here):
    schema = here.client.get("/v1/openapi.json").json()
    assert {
        "/v1/analyses",
        "/v1/analyses/{number}",
        "/v1/analyses/{number}/questions",
        "/v1/analyses/{number}/cancel",
        "/v1/analyses/{number}/report.html",
        "/v1/analyses/{number}/report.pdf",
        "/v1/analyses/{number}/overlay.png",
        "/v1/analyses/{number}/masks/{mask}.png",
        "/v1/witnesses",
        "/healthz",
        "/readyz",
        "/metrics",
    } <= schema["paths"].keys()
    body = schema["paths"]["/v1/analyses"]["post"]["requestBody"]["content"]
    assert body["multipart/form-data"]["schema"]["properties"]["file"]["format"] == "binary"
    assert schema["components"]["schemas"]["QuestionAsked"]["examples"][0] == {"question": "Is the nose forged?"}
    assert schema["components"]["schemas"]["AnalysisWithReport"]
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert operation["summary"] and "429" in operation["responses"]
    assert here.client.get("/docs").status_code == 404  # it would fetch scripts from elsewhere


def test_answers_say_what_browsers_may_do_with_them(here, done):
    headers = here.client.get(done["links"]["self"], headers={"X-Request-ID": "mine-1"}).headers
    assert headers["x-request-id"] == "mine-1" and headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff" and "default-src 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers and headers["cross-origin-resource-policy"] == "same-origin"
    odd = here.client.get("/healthz", headers={"X-Request-ID": "a b"}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{16}", odd)


def test_keys_shut_the_door(tmp_path):
    with serving(tmp_path) as here:
        service = here.service
        mine, others = service.keys.add("newsroom"), service.keys.add("others")
        bearer = {"Authorization": f"Bearer {mine}"}
        # a server sees after two seconds that there is a key
        assert eventually(lambda: here.client.get("/v1/analyses").status_code == 401)
        assert "a key that is good" in problem(here.client.get("/v1/analyses"), 401)
        assert here.client.get("/v1/analyses").headers["www-authenticate"].startswith("Bearer")
        problem(here.client.get("/metrics"), 401)
        problem(here.client.post("/v1/analyses", content=PHOTO), 401)
        assert here.client.get("/healthz").status_code == here.client.get("/readyz").status_code == 200
        headers = {**bearer, "Content-Type": "image/jpeg", "Prefer": "wait=30"}
        shown = here.client.post("/v1/analyses", content=PHOTO, headers=headers).json()
        assert shown["state"] == "done"
        elsewhere = {"Authorization": f"Bearer {others}"}
        problem(here.client.get(shown["links"]["self"], headers=elsewhere), 404)
        assert here.client.get("/v1/analyses", headers=elsewhere).json()["analyses"] == []
        for forged in ("fw_" + "0" * 12 + "_" + "A" * 43, mine[:-2] + "zz", "é"):
            problem(here.client.get("/v1/analyses", headers={"Authorization": f"Bearer {forged}".encode()}), 401)
        cookie = service.keys.session(service.keys.caller(mine))
        assert here.client.get("/v1/analyses", headers={"Cookie": f"facewitness_session={cookie}"}).status_code == 200
        for forged in (cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), "x", "a.b.c", ""):
            problem(here.client.get("/v1/analyses", headers={"Cookie": f"facewitness_session={forged}"}), 401)
        service.keys.revoke(service.keys.caller(mine).key)
        problem(here.client.get("/v1/analyses", headers=bearer), 401)


def test_a_log_is_lines_of_json_or_of_text(capsys):
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        for kind in ("json", "text"):
            logs.log_to_stderr(kind)
            fields = {"request": "1", "path": "/\x1b[31m", "key": None}
            logging.getLogger("facewitness.serve").info("request", extra={"fields": fields})
            try:
                raise ValueError("odd")
            except ValueError:
                logging.getLogger("facewitness.serve").exception("a fault")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    first, second, *rest = capsys.readouterr().err.splitlines()
    line = json.loads(first)
    assert (line["event"], line["level"], line["request"], line["path"]) == ("request", "info", "1", "/\x1b[31m")
    assert "ValueError: odd" in json.loads(second)["trace"]
    assert "\x1b" not in rest[0] and "request=1" in rest[0] and "key=" not in rest[0]
    assert any("ValueError: odd" in more for more in rest)


def _logged(caplog, **wanted):
    """The fields of every record so far that has all of `wanted`."""
    fields = [record.fields for record in list(caplog.records) if hasattr(record, "fields")]
    return [field for field in fields if wanted.items() <= field.items()]


def test_requests_and_analyses_are_logged(here, caplog):
    with caplog.at_level(logging.INFO, "facewitness.serve"):
        shown = here.send(jpeg(painted(99)))
        here.client.get(shown["links"]["self"], headers={"X-Request-ID": "look-here"})
        # what has ended is logged once others may know it, and an answer once it has gone out
        ended = eventually(lambda: _logged(caplog, analysis=shown["id"]))
        fields = eventually(lambda: _logged(caplog, request="look-here"))
    assert ended[0]["state"] == "done" and ended[0]["attempt"] == 1
    (line,) = fields
    assert (line["status"], line["method"]) == (200, "GET") and line["ms"] > 0


def test_the_service_is_no_part_of_a_plain_install():
    pyproject = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    plain = pyproject.split("dependencies = [")[1].split("]")[0]
    assert "fastapi" not in plain and "sqlalchemy" not in plain
