"""The page in a real browser: from a dropped picture to its report, places, questions, review; both widths and themes.

Needs Playwright and a Chromium that is installed (`CHROMIUM` or on the path); without them the tests are skipped.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed; set CHROMIUM to its path"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import uvicorn

    from facewitness.apps.api import create_app
    from facewitness.apps.service.settings import Settings
    from facewitness.apps.ui import routes
    from facewitness.builders.review import Item, Queue

    folder = tmp_path_factory.mktemp("server")
    app = routes.add_to(create_app(Settings(data=folder / "data", max_picture=3_000_000)))
    queue = Queue(folder / "queue")
    picture = io.BytesIO()
    Image.fromarray(data.astronaut()[:200, :200]).save(picture, "PNG")
    queue.add(
        [Item("one", "ffa_vqa", {"text": "A <b>woman</b> smiles."}, ("one.png",), {"label": "real"}, "evidence")],
        {"one.png": picture.getvalue()},
    )
    app.state.review = queue.folder
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    process = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    thread = threading.Thread(target=process.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + 120
    while not process.started and time.monotonic() < until:
        time.sleep(0.1)
    assert process.started
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    process.should_exit = True
    thread.join(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph whose mouth and eyes are another's: something to see."""
    from facewitness import media, plugins

    pixels = np.asarray(data.astronaut())
    face = plugins.load("finders", "facemesh", {}).find(media.read(pixels).frame)[0]
    forged = plugins.get("forge", "self_blend").forge(pixels, face.landmarks, np.random.default_rng(0))
    path = tmp_path_factory.mktemp("photos") / "forged <b>.png"
    Image.fromarray(forged.pixels).save(path)
    return path


@pytest.fixture(scope="module")
def film(photo: Path) -> Path:
    """Two seconds in which the forged photograph moves to the right."""
    import films

    pixels = np.asarray(Image.open(photo))
    frames = [np.roll(pixels[:384, 64:448], i, axis=1) for i in range(50)]
    path = photo.with_name("film.mp4")
    path.write_bytes(films.film(frames, "mp4", options={"crf": "20", "preset": "ultrafast"}))
    return path


@pytest.fixture(params=[(1600, "light"), (380, "dark")], ids=["wide", "narrow"])
def page(request: pytest.FixtureRequest, browser: Any, server: str) -> Iterator[Any]:
    width, theme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.goto(server)
    yield opened
    refused = ("404", "413", "415", "422", "net::ERR_FAILED")  # the browser's own words about answers that are problems
    assert [fault for fault in faults if not any(word in fault for word in refused)] == []
    context.close()


def sent(page: Any, photo: Path) -> None:
    page.set_input_files("#file", str(photo))
    page.fill("input[name=case_name]", "2026-17")
    page.click("text=Analyse")
    page.wait_for_selector("#stage", timeout=120_000)


def until(page: Any, condition: str, seconds: float = 30) -> None:
    """Wait for what a script says; the pages' policy forbids the waiting that evaluates text in them."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(100)


def bomb() -> bytes:
    """A PNG whose header says that it has 40,000 × 40,000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def serious(page: Any) -> list[str]:
    found = axe.Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found if v["impact"] in ("serious", "critical")]


def test_from_a_file_to_its_places_and_answers(page: Any, photo: Path) -> None:
    assert serious(page) == []
    sent(page, photo)
    assert page.title().endswith("forged <b>.png · facewitness")
    assert "<b>" in page.inner_text(".filename")  # a name is text
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert serious(page) == []
    overlay = page.locator("#overlay")
    assert "off" in overlay.get_attribute("class")
    page.check("#show-overlay")
    assert "off" not in overlay.get_attribute("class")
    page.evaluate("const s = document.getElementById('split'); s.value = 50; s.dispatchEvent(new Event('input'))")
    assert "polygon" in page.evaluate("document.getElementById('overlay').style.clipPath")
    if page.locator(".place").count():
        place = page.locator(".place").first
        name = place.get_attribute("data-finding")
        page.locator(f".sentences [data-finding~='{name}']").first.hover()
        assert "lit" in place.get_attribute("class")
        place.press("Enter")
        until(page, "document.querySelector('.turn .told span')?.textContent.length > 12")
    page.fill("#words", "Is the mouth forged?")
    page.press("#words", "Enter")
    until(page, "[...document.querySelectorAll('.turn .asked')].some((p) => p.textContent.includes('mouth'))")
    until(page, "![...document.querySelectorAll('.turn .told span')].some((s) => s.textContent.endsWith('…'))")
    page.check("#point")
    page.locator("#photo").evaluate("(photo) => photo.scrollIntoView()")  # the mouse reaches what is in view alone
    box = page.locator("#photo").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.44, box["y"] + box["height"] * 0.25)
    page.click("#question button")
    until(page, "document.querySelectorAll('.turn').length >= 2")
    page.keyboard.press("Escape")
    assert not page.is_checked("#point")
    page.reload()
    assert page.locator(".turn").count() >= 2  # the conversation is kept


def test_the_picture_through_the_lens(page: Any, photo: Path) -> None:
    sent(page, photo)
    page.check("#magnify")
    assert page.locator("#lens").is_visible()
    box = page.locator("#photo").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    assert "frame.jpg" in page.evaluate("document.getElementById('lens').style.backgroundImage")


def test_what_is_exported_can_be_had(page: Any, photo: Path) -> None:
    from facewitness.formats import bundle

    sent(page, photo)
    links = {link.inner_text(): link.get_attribute("href") for link in page.locator(".links a").all()}
    assert len(links) >= 6
    answers = {name: page.request.get(page.url.split("/analyses")[0] + address) for name, address in links.items()}
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(links, 200)
    evidence = bundle.read(answers["Bundle with the original (ZIP)"].body())
    assert evidence.files[evidence.manifest["original"]["path"]] == photo.read_bytes()
    assert not any(name.startswith("original") for name in bundle.read(answers["Evidence bundle (ZIP)"].body()).files)
    with page.expect_download() as download:
        page.click("text=Evidence bundle")
    assert download.value.suggested_filename.endswith(".zip")


def test_a_film_plays_with_its_boxes_and_its_moments_are_seen(page: Any, film: Path) -> None:
    page.set_input_files("#file", str(film))
    page.click("text=Analyse")
    page.wait_for_selector("#stage", timeout=240_000)
    page.wait_for_load_state()
    moments = page.locator(".moment")
    assert moments.count() >= 4
    moments.last.click()
    moving = page.locator(".moving").first
    assert moving.is_visible() and "index=" in page.get_attribute("#photo", "src")
    page.check("#play")
    assert page.locator("#film").is_visible() and not page.locator("#photo").is_visible()
    until(page, "document.getElementById('film').readyState >= 2")
    assert page.evaluate("document.getElementById('film').error") is None
    page.evaluate("document.getElementById('film').pause()")
    moments.first.click()
    until(page, "document.getElementById('film').currentTime < 0.2 && !document.getElementById('film').seeking")
    left = float(moving.locator("rect").get_attribute("x"))
    moments.last.click()
    until(page, "document.getElementById('film').currentTime > 1 && !document.getElementById('film').seeking")
    page.wait_for_timeout(100)
    assert float(moving.locator("rect").get_attribute("x")) > left + 10
    assert moments.last.get_attribute("aria-current") == "true"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") and serious(page) == []
    page.uncheck("#play")
    assert page.locator("#photo").is_visible()


def test_a_film_that_the_browser_cannot_play_is_said_to_be_so(page: Any, photo: Path) -> None:
    import films

    pixels = np.asarray(Image.open(photo))[:256, 128:384]
    path = photo.with_name("old.avi")
    path.write_bytes(films.film([pixels] * 12, "avi"))
    page.set_input_files("#file", str(path))
    page.click("text=Analyse")
    page.wait_for_selector("#stage", timeout=240_000)
    page.wait_for_load_state()
    page.check("#play")
    page.wait_for_selector("#message:not([hidden])")
    assert "cannot play" in page.inner_text("#message") and not page.is_checked("#play")
    assert page.locator("#photo").is_visible()


def told(page: Any, path: Path) -> str:
    """What the page says of a file that it does not take."""
    page.evaluate("document.getElementById('message').hidden = true")
    page.set_input_files("#file", str(path))
    page.click("text=Analyse")
    page.wait_for_selector("#message:not([hidden])", timeout=60_000)
    return str(page.inner_text("#message"))


def test_every_message_is_read(page: Any, tmp_path: Path, photo: Path) -> None:
    origin = page.url.rstrip("/")
    (tmp_path / "notes.txt").write_text("no picture")
    assert "expected a picture (JPEG" in told(page, tmp_path / "notes.txt")
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert "0 bytes" in told(page, tmp_path / "empty.jpg")
    (tmp_path / "large.jpg").write_bytes(photo.read_bytes() + bytes(3_000_000))
    assert "at most 3 MB" in told(page, tmp_path / "large.jpg")
    (tmp_path / "bomb.png").write_bytes(bomb())
    assert "pixels" in told(page, tmp_path / "bomb.png")
    drop = """(names) => {
      const data = new DataTransfer();
      for (const name of names) data.items.add(new File(["no picture"], name));
      document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    page.evaluate("document.getElementById('message').hidden = true")
    page.evaluate(drop, [])
    assert "Nothing that can be analysed" in page.inner_text("#message")
    page.evaluate(drop, ["one.txt", "two.txt"])
    until(
        page, "document.getElementById('message').textContent.includes('expected a picture')"
    )  # after "2 were dropped"
    page.route("**/v1/analyses", lambda route: route.abort())
    assert "cannot be reached" in told(page, photo)
    page.unroute("**/v1/analyses")
    page.goto(f"{origin}/analyses/{'0' * 32}")
    assert "There is no analysis" in page.inner_text("main")
    assert serious(page) == []


def test_what_ends_without_a_verdict_says_why(page: Any, tmp_path: Path) -> None:
    origin = page.url.rstrip("/")
    empty = tmp_path / "white.png"
    Image.new("RGB", (300, 300), "white").save(empty)
    page.set_input_files("#file", str(empty))
    page.click("text=Analyse")
    page.wait_for_selector("h1:has-text('No face found')", timeout=60_000)  # the history may say so, too
    page.wait_for_load_state()
    assert serious(page) == []
    broken = io.BytesIO()
    Image.fromarray(data.astronaut()).save(broken, "PNG")
    (tmp_path / "broken.png").write_bytes(broken.getvalue()[:20_000])
    page.goto(origin)
    page.set_input_files("#file", str(tmp_path / "broken.png"))
    page.click("text=Analyse")
    page.wait_for_selector(".ruling.failed h1", timeout=60_000)
    page.wait_for_load_state()
    assert "broken.png" in page.inner_text(".problem")
    assert serious(page) == []


def test_a_question_that_cannot_be_answered_says_why(page: Any, photo: Path) -> None:
    sent(page, photo)
    count = page.locator(".turn").count()
    page.press("#words", "Enter")  # nothing to ask
    assert page.locator(".turn").count() == count
    page.route("**/questions", lambda route: route.abort())
    page.fill("#words", "Why?")
    page.press("#words", "Enter")
    until(page, "[...document.querySelectorAll('.told')].some((p) => p.textContent.includes('cannot be reached'))")
    page.unroute("**/questions")


def test_a_printed_page_holds_the_whole_conversation(page: Any, photo: Path) -> None:
    sent(page, photo)
    for count in range(1, 13):
        page.fill("#words", "How often are you wrong?")
        page.press("#words", "Enter")
        until(
            page, f"[...document.querySelectorAll('.told')].filter((p) => p.textContent.length > 40).length >= {count}"
        )
    page.emulate_media(media="print")
    for part in ("#turns", ".beside"):
        assert page.eval_on_selector(part, "(e) => e.scrollHeight <= e.clientHeight + 1"), part
    assert not page.locator("#question").is_visible() and not page.locator("#keep").is_visible()


def test_the_history_finds_words_and_cases(page: Any, photo: Path) -> None:
    sent(page, photo)
    origin = page.url.split("/analyses")[0]
    page.goto(f"{origin}/analyses?q=2026-17")
    assert page.locator("tbody tr").count() >= 1
    page.fill("#q", "nobody has this word")
    page.press("#q", "Enter")
    page.wait_for_selector("text=Nothing matches")
    assert serious(page) == []


def test_a_case_is_kept_and_an_analysis_deleted(page: Any, photo: Path) -> None:
    sent(page, photo)
    page.fill("#keep #note", "seen by me")
    page.click("#keep >> text=Save")
    page.wait_for_url("**#keep")
    assert page.input_value("#keep #note") == "seen by me"
    address = page.url.split("#")[0]
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("text=Delete this analysis")
    page.wait_for_selector("#upload")
    assert page.request.get(address).status == 404


def test_an_item_is_reviewed_by_its_least_time(page: Any) -> None:
    who = f"anna {page.viewport_size['width']}"
    page.goto(page.url + "review")
    page.fill("#who", who)
    page.press("#who", "Enter")
    page.wait_for_url("**/review?who=*")
    if page.locator("#decide").count():  # one decision is enough for an item
        assert page.locator("#decide button").first.is_disabled()
        assert "<b>woman</b>" in page.input_value("#f1")
        assert serious(page) == []
        until(page, "!document.querySelector('#decide button').disabled")
        page.click("#decide >> text=Accept")
    page.wait_for_selector("text=Nothing waits for you")


def test_a_page_is_interactive_within_a_second(page: Any) -> None:
    page.reload()
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive")
    assert timing > 0  # how long it took is measured by perf/page.py
