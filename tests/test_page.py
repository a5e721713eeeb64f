"""The web page without a browser: every address, words from outside, keys, forms without script, and the catalogue."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from reports import examined, finding, landmarks, painted
from skimage import data

fastapi = pytest.importorskip("fastapi")

from starlette.testclient import TestClient  # noqa: E402

from facewitness.apps.api import create_app  # noqa: E402
from facewitness.apps.service.settings import Settings  # noqa: E402
from facewitness.apps.ui import routes, view, words  # noqa: E402
from facewitness.builders.review import Item, Queue  # noqa: E402
from facewitness.errors import UnknownName  # noqa: E402
from facewitness.explain import graded  # noqa: E402
from facewitness.types import Reply, Testimony  # noqa: E402

UI = files("facewitness.apps.ui")


class Tags(HTMLParser):
    """All tags of a page with their attributes, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def picture(size: int = 512) -> bytes:
    file = io.BytesIO()
    Image.fromarray(data.astronaut()).resize((size, size)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = routes.add_to(create_app(Settings(data=tmp_path_factory.mktemp("serve") / "data")))
    queue = Queue(tmp_path_factory.mktemp("queue"))
    item = Item(
        "one", "ffa_vqa", {"text": "<script>1</script>", "boxes": [1, 2]}, ("one.png",), {"label": "real"}, "ours"
    )
    queue.add([item], {"one.png": picture(64)})
    made.state.review = queue.folder
    return made


@pytest.fixture(scope="module")
def client(app: Any) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1:8000") as opened:
        yield opened


@pytest.fixture(scope="module")
def analysed(client: TestClient) -> str:
    """The address of an analysis that has ended, of a file with a hostile name."""
    answer = client.post(
        "/v1/analyses", files={"file": ('"><img src=x onerror=alert(1)>.png', picture())},
        data={"case_name": "{{ 7*7 }}", "note": "</textarea><b>"}, headers={"Prefer": "wait=60"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return f"/analyses/{answer.json()['id']}"


def test_every_page_forbids_what_is_not_its_own(client: TestClient, analysed: str) -> None:
    for address in ("/", "/analyses", "/login", "/review", analysed, "/analyses/" + "0" * 32):
        answer = client.get(address)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy, address
        assert "unsafe" not in policy, address
        assert answer.headers["referrer-policy"] == "same-origin", address  # else a browser's forms have no origin
        tags = Tags()
        tags.feed(answer.text)
        for tag, attributes in tags.found:
            assert tag != "style", address
            assert tag != "script" or attributes["src"].startswith("/static/"), address
            for name, value in attributes.items():
                assert not name.startswith("on") and name != "style", (address, name)
                assert name not in ("src", "href", "action") or value.startswith(("/", "#")), (address, value)


def test_words_from_outside_are_text(client: TestClient, analysed: str) -> None:
    page = client.get(analysed).text
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert "{{ 7*7 }}" in page
    assert "49" not in re.findall(r'class="fact"><bdi>(.*?)</bdi>', page)
    assert "&lt;/textarea&gt;&lt;b&gt;" in page


def test_an_analysis_shows_people_evidence_cases_and_what_to_do(client: TestClient, analysed: str) -> None:
    page = client.get(analysed).text
    for key in ("case.for", "case.against", "next.heading", "file.heading", "export.heading"):
        assert words.say(key) in page
    assert 'class="overlay off"' in page  # shown when it is asked for
    assert "/frame.jpg" in page
    for address in re.findall(r'href="(/v1/[^"]+)"', page):
        assert client.get(address).status_code == 200, address


def test_a_quarrel_of_words_and_mask_is_shown_with_the_words() -> None:
    reply = Reply("fake", None, "The nose is odd.", notes=("The report names, and the mask does not show: the nose.",))
    shown = view._witness(Testimony("talker", 0.5, reply=reply))
    assert shown.notes == reply.notes and shown.refusals == ()
    template = files("facewitness.apps.ui").joinpath("templates/analysis.html").read_text(encoding="utf-8")
    assert "{% for line in witness.notes %}" in template


def test_what_the_score_rests_on_is_first_and_what_it_does_not_speaks_against() -> None:
    mesh = landmarks(90, 110, 250)
    frame = painted(640, 480, mesh)
    named = (("nose", 0.9, -0.49), ("left_eye", 0.8, None), ("mouth", 0.7, 0.41))
    found = tuple(
        replace(finding(frame, mesh, region, f"The {region} is odd.", strength), moves=moves)
        for region, strength, moves in named
    )
    person = examined(frame, mesh, "fake", 0.9, findings=found)
    for_it, against = [text for _, text in view._for(1, person)], list(view._against(person))
    assert for_it[0].startswith("Strong sign (70 %): The mouth is odd. The score rests on it")
    assert for_it[1:] == [f"{graded(found[1])}: The left_eye is odd."]
    assert any("The score does not rest on what is marked at the nose: painted over" in text for text in against)
    assert not any("sign (" in text for text in against)
    shown = view._witness(person.verdict.testimonies[0]).findings
    assert "nose" in shown[-1] and not any("odds" in text for text in (*for_it, *against, *shown))


def test_why_a_face_is_undecided_speaks_for_neither_side() -> None:
    mesh = landmarks(90, 110, 250)
    person = examined(painted(640, 480, mesh), mesh, "inconclusive", 0.78)
    why = "The probability of forgery, 78 %, lies between 27 % and 95 %."
    undecided = replace(person, verdict=replace(person.verdict, label="inconclusive", reasons=(why,)))
    assert list(view._undecided(undecided)) == [why]
    assert why not in view._against(undecided) and why not in [text for _, text in view._for(1, undecided)]
    assert not list(view._undecided(replace(person, verdict=replace(person.verdict, label="fake"))))


def test_the_page_calls_the_faces_of_a_photo_what_reports_call_them(client: TestClient, analysed: str) -> None:
    page = client.get(analysed).text
    assert '<h2 id="people">Faces</h2>' in page and 'aria-label="Face 1"' in page and "Person" not in page


def test_forms_work_without_script(client: TestClient, analysed: str) -> None:
    answer = client.post(f"{analysed}/questions", data={"question": "Is the nose forged?"})
    assert answer.status_code == 200
    assert "Is the nose forged?" in answer.text
    answer = client.post(f"{analysed}/keep", data={"case_name": "17", "note": "mine"})
    assert "mine" in answer.text
    assert client.post(f"{analysed}/questions", data={"question": ""}).status_code == 422
    assert client.post(f"{analysed}/questions", data={"question": "a\x00"}).status_code == 422
    sent = client.post("/analyses", files={"file": ("a.png", picture(256))})
    assert sent.status_code == 200
    number = str(sent.url).rsplit("/", 1)[1]
    assert client.post(f"/analyses/{number}/cancel").status_code == 200
    assert client.post(f"/analyses/{number}/delete").url.path == "/"
    assert client.get(f"/analyses/{number}").status_code == 404
    text = client.post("/analyses", files={"file": ("a.txt", b"words")})
    assert text.status_code == 415 and "expected a picture (JPEG" in text.text
    nothing = client.post("/analyses", files={"other": ("a.png", picture(256))})
    assert nothing.status_code == 422 and "<h1>" in nothing.text, "a page for whoever looks at one"
    assert client.post("/analyses/none/questions", data={"question": "Why?"}).status_code == 404


def test_without_a_queue_there_is_nothing_to_review(client: TestClient, app: Any) -> None:
    queue, app.state.review = app.state.review, None
    try:
        answer = client.get("/review/one/0", follow_redirects=False)
        assert answer.status_code == 404 and words.say("review.none") in answer.text
        assert client.post("/review/one", data={"who": "anna", "choice": "accept"}).status_code == 404
    finally:
        app.state.review = queue


def test_what_turns_the_reading_direction_is_seen(client: TestClient, analysed: str) -> None:
    """A note that reads backwards would say what nobody wrote."""
    client.post(f"{analysed}/keep", data={"case_name": "a\u202eb", "note": "17\u202eesaC"})
    client.post(f"{analysed}/questions", data={"question": "Is it \u202efake?"})
    page, listed = client.get(analysed).text, client.get("/analyses").text
    assert "a\\u202eb" in page and "Is it \\u202efake?" in page and "17\\u202eesaC" in listed
    assert "\u202e" not in listed
    client.post(f"{analysed}/keep", data={"case_name": "17", "note": "mine"})


def test_a_name_is_as_the_person_has_it_not_as_the_browser_writes_it(client: TestClient) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a %22b%22.png"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    sent = client.post("/v1/analyses", content=part + picture(256) + b"\r\n--x--\r\n", headers=headers).json()
    assert sent["name"] == 'a "b".png'


def test_the_questions_that_the_page_offers_are_understood() -> None:
    from reports import REPORTS

    from facewitness.dialogue import Dialogue

    for question in words.say("ask.example").split("? "):
        assert Dialogue(REPORTS["two_faces"]).ask(f"{question.rstrip('?')}?").intent != "unknown", question


def test_the_history_finds_and_pages(client: TestClient, analysed: str) -> None:
    assert analysed in client.get("/analyses").text
    assert analysed in client.get("/analyses", params={"q": "onerror"}).text
    assert words.say("history.nothing") in client.get("/analyses", params={"q": "no such word"}).text
    assert client.get("/analyses", params={"before": "x y", "q": "\x00a"}).status_code == 200


def test_no_other_site_can_act_and_no_address_leads_elsewhere(client: TestClient, analysed: str) -> None:
    foreign = {"Origin": "https://elsewhere.example"}
    assert client.post(f"{analysed}/delete", headers=foreign).status_code == 403
    assert client.get("/static/..%2fwords%2fen.json").status_code == 404
    assert client.get("/static/en.json").status_code == 404
    for to in ("https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example"):
        assert 'name="to" value="/"' in client.get("/login", params={"to": to}).text


def test_with_keys_a_page_asks_for_one(tmp_path: Path) -> None:
    app = routes.add_to(create_app(Settings(data=tmp_path / "data")))
    key = app.state.service.keys.add("newsroom")
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        assert client.get("/", follow_redirects=False).headers["location"] == "/login?to=/"
        wrong = client.post("/login", data={"key": "fw_nothing"})
        assert wrong.status_code == 403
        assert words.say("login.wrong") in wrong.text
        entered = client.post("/login", data={"key": key, "to": "/analyses"}, follow_redirects=False)
        assert entered.headers["location"] == "/analyses"
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert client.get("/analyses").status_code == 200
        client.cookies.set("facewitness_session", "forged.1.2")
        client.cookies.delete("facewitness_session")
        client.cookies.set("facewitness_session", "a.99999999999.b")
        assert client.get("/analyses", follow_redirects=False).status_code == 303


def test_an_item_is_reviewed(client: TestClient, app: Any) -> None:
    page = client.get("/review", params={"who": "anna"}).text
    assert "&lt;script&gt;1&lt;/script&gt;" in page
    assert client.get("/review/one/0").headers["content-type"] == "image/png"
    assert client.get("/review/one/7").status_code == 404
    early = client.post("/review/one", data={"who": "anna", "choice": "accept", "seconds": "1"})
    assert "5 seconds" in early.text
    bad = {"who": "anna", "choice": "edit", "seconds": "9", "content.text": "x", "content.boxes": "[1,"}
    assert "expected JSON" in client.post("/review/one", data=bad).text
    good = {**bad, "content.boxes": "[3]"}
    assert words.say("review.done") in client.post("/review/one", data=good).text
    (decision,) = Queue(app.state.review).decisions()["one"].values()
    assert decision.content == {"text": "x", "boxes": [3]}
    app.state.review = None
    assert client.post("/review/one", data=good).status_code == 404
    assert words.say("review.none") in client.get("/review").text


def test_all_words_stand_in_the_catalogue_and_are_used() -> None:
    catalogue = words.catalogue("en")
    sources = "".join(
        path.read_text("utf-8") for folder in ("templates", ".") for path in (UI / folder).iterdir()
        if path.name.endswith((".html", ".py"))
    )  # fmt: skip
    composed = ("state.", "progress.", "failed.", "cancelled.", "fact.")
    used = set(re.findall(r'say\(f?"([a-z_.]+[a-z_])"', sources))
    assert used <= set(catalogue)
    assert {key for key in catalogue if not key.startswith(composed)} - used == set()
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", "".join(
        path.read_text("utf-8") for path in (UI / "templates").iterdir()
    ), flags=re.S)  # fmt: skip
    assert re.findall(r"[A-Za-z]{3,}", text) == []  # no word stands in a template itself
    with pytest.raises(UnknownName):
        words.say("nothing.of.that")
    with pytest.raises(UnknownName):
        words.catalogue("tlh")
