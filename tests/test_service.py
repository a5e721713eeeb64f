"""The service without HTTP: jobs once each whatever ends, what is kept and for how long, questions, keys."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import DEADLY, AverageFace, Brightness, TwoFaces
from films import film, pictures
from pictures import bomb, jpeg, painted
from PIL import Image
from serving import settings, started
from waiting import LONG, eventually

from facewitness.apps.api import problems
from facewitness.apps.service import keys, pointing, tables
from facewitness.apps.service.service import Busy, Gone, NotThere, NotYet, Service
from facewitness.apps.service.settings import Settings
from facewitness.apps.service.store import AnalysisRow, Full, KeyRow, Store, TurnRow, Unavailable
from facewitness.apps.service.uploads import NoRoom, Uploads
from facewitness.errors import InputError, TooLarge, UnknownName, UnreadableMedia
from facewitness.formats import json as wire
from facewitness.pipeline import Analyzer

PHOTO = jpeg(painted(200, 240))


def sent(service: Service, content: bytes = PHOTO, name: str = "photo.jpg", **given: Any) -> AnalysisRow:
    with service.receive() as incoming:
        for at in range(0, len(content), 10_000):
            incoming.write(content[at : at + 10_000])
        return service.submit(incoming, name, **given)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with started(tmp_path_factory.mktemp("service")) as running:
        yield running


# ----------------------------------------------------------------------------------------------------------- analyses


def test_a_report_is_what_analyze_gives(service):
    row = service.wait(sent(service).id, LONG)
    assert (row.state, row.label, row.kind) == ("done", "fake", "picture")
    here = Analyzer(finder=AverageFace(), witnesses=(Brightness(),), reading=settings(Path()).analyzer()["reading"])
    there = here.analysis(PHOTO, name="photo.jpg", reading=json.loads(row.reading)).report
    assert service.report(row.id) == wire.render(there)
    assert row.fake == there.verdict.fake and row.sha256 == there.sha256


def test_a_report_comes_back_with_its_landmarks(service):
    from facewitness.apps.service import work

    kept = service.kept(service.wait(sent(service).id, LONG).id)
    (person,) = work.restored(kept.report, kept.landmarks).people
    (expected,) = AverageFace().find(Analyzer(finder="whole", witnesses=(Brightness(),)).analysis(PHOTO).clip.frame)
    assert np.array_equal(person.face.landmarks, expected.landmarks)


def test_the_same_file_is_stored_once_and_deleted_with_its_last_analysis(service):
    content = jpeg(painted(133))
    first, second = sent(service, content), sent(service, content)
    path = service.uploads.path(first.sha256)
    assert path.read_bytes() == content and first.id != second.id
    service.delete(first.id)
    assert path.exists()
    service.delete(second.id)
    assert not path.exists()
    with pytest.raises(NotThere):
        service.get(first.id)


def test_a_repeated_request_is_one_analysis(service):
    first = sent(service, repeat="a word")
    assert sent(service, repeat="a word").id == first.id
    with pytest.raises(InputError, match="another file"):
        sent(service, jpeg(painted(7)), repeat="a word")


def test_a_history_is_searched_by_words_and_cases(service):
    made = [
        sent(service, jpeg(painted(90 + i)), f"img_{i}%.jpg", case_name=f"case {i % 2}", note=f"by mail {i}")
        for i in range(4)
    ]
    for row in made:
        service.wait(row.id, LONG)
    assert [row.id for row in service.history(words="img mail", case_name="case 1")] == [made[3].id, made[1].id]
    assert [row.id for row in service.history(words="img_2%")] == [made[2].id]
    assert service.history(words="img_2% nowhere") == []
    page = service.history(words="img", limit=3)
    rest = service.history(words="img", before=(page[-1].created, page[-1].id))
    assert [row.id for row in (*page, *rest)] == [row.id for row in reversed(made)]
    assert {row.state for row in service.history(states=["done"], limit=200)} == {"done"}
    assert service.history(labels=["no_face"]) == []
    changed = service.annotate(made[0].id, note="by hand")
    assert (changed.note, changed.case_name) == ("by hand", "case 0")


@pytest.mark.parametrize(
    "given", [{"case_name": "x" * 201}, {"note": "x" * 10_001}, {"note": "a\0b"}, {"note": "\ud800"}]
)
def test_notes_that_no_database_takes_are_refused(service, given):
    with pytest.raises(InputError, match="expected"):
        sent(service, **given)


def test_a_name_is_a_name_and_no_path(service):
    row = sent(service, name="../../etc/pass\nwd\\..\\évil.jpg")
    assert row.name == "évil.jpg"
    assert sent(service, name="../..").name == ".." and sent(service, name="///").name == "upload"
    assert service.uploads.path(row.sha256).is_file()


def test_what_is_no_picture_is_refused_before_it_is_a_job(service):
    before = len(service.history(limit=200))
    for content, error, words in (
        (b"This is no picture.\n", UnreadableMedia, "text"),
        (b"", UnreadableMedia, "empty"),
        (bomb(), TooLarge, "million pixels"),
        (b"\x1f\x8b" + bytes(100), UnreadableMedia, "expected a picture"),
    ):
        with pytest.raises(error, match=words):
            sent(service, content)
    assert len(service.history(limit=200)) == before
    assert list(service.uploads.folder.glob("incoming-*")) == []


def test_a_film_is_a_job_with_its_own_frames_and_says_how_far_it_is(service):
    pytest.importorskip("av")
    content = film(pictures(24))
    row = sent(service, content, "film.mp4", sampling={"frames": 3})
    steps = []
    end = service.listen(row.id, lambda: steps.append(service.get(row.id)))
    row = service.wait(row.id, LONG)
    end()
    report = wire.parse(service.report(row.id))
    assert row.kind == "film" and sum(len(person.track.faces) for person in report.people) == 3
    assert report.made_by["reading"]["sampling"] == {"frames": 3}
    assert {step.step for step in steps if step.step} <= {"read", "find", "examine", "judge"}
    assert any(step.state == "running" and step.step for step in steps)
    with pytest.raises(InputError, match="at least 1"):
        sent(service, content, "film.mp4", sampling={"frames": 0})


def test_a_film_of_ten_hours_is_refused_by_its_job(tmp_path):
    pytest.importorskip("av")
    content = film(pictures(3), times=[0, 1, 25 * 36_000])
    with started(tmp_path, max_length=3 * 3600) as service:
        row = service.wait(sent(service, content, "long.mp4").id, LONG)
        assert row.state == "failed" and "lasts 10:00:00; expected at most 3:00:00" in row.error
        assert wire.parse(service.report(row.id)).status == "failed"


# ------------------------------------------------------------------------------------------------------------- drawing


def test_pages_pictures_and_masks_are_drawn(service):
    row = service.wait(sent(service).id, LONG)
    assert service.drawn(row.id, "html").startswith(b"<!DOCTYPE html>")
    assert b"photo.jpg" in service.drawn(row.id, "markdown")
    with Image.open(io.BytesIO(service.drawn(row.id, "overlay"))) as overlay:
        assert overlay.width >= 240
    with Image.open(io.BytesIO(service.frame(row.id, longest=100))) as frame:
        assert frame.size == (100, 100) and frame.format == "JPEG"
    box = json.loads(service.report(row.id))["masks"][0]["box"]
    with Image.open(io.BytesIO(service.mask(row.id, 0, whole=240))) as mask:
        assert mask.size == (240, 240) and mask.getbbox()[1] == round(box[1])
    with pytest.raises(NotThere, match="no mask 9"):
        service.mask(row.id, 9)
    with pytest.raises(UnknownName):
        service.drawn(row.id, "cuneiform")
    with pytest.raises(InputError, match="number of a frame"):
        service.frame(row.id, index=7)


def test_what_waits_has_no_report(service):
    with pytest.raises(NotThere):
        service.report("0" * 32)
    with pytest.raises(NotThere):
        service.get("../../serve.lock")


# ----------------------------------------------------------------------------------------------------------- questions


def test_a_conversation_remembers_across_servers(tmp_path):
    with started(tmp_path) as service:
        number = service.wait(sent(service).id, LONG).id
        where = service.ask(number, "Where was it forged?").answered
        assert where["label"] == "fake" and len(where["findings"][0]["places"][0]["box"]) == 4
        assert service.ask(number, "Is the chin forged?").answered["regions"] == [{"region": "chin", "title": "chin"}]
    with started(tmp_path) as service:
        why = service.ask(number, "Why?")
        assert "the chin" in why.answered["answer"]
        assert [turn.number for turn in service.turns(number)] == [1, 2, 3]
        service.delete(number)
        with pytest.raises(NotThere):
            service.turns(number)


def test_a_question_may_point_by_name_box_click_and_mask(service):
    number = service.wait(sent(service).id, LONG).id
    mesh = (
        AverageFace().find(Analyzer(finder="whole", witnesses=(Brightness(),)).analysis(PHOTO).clip.frame)[0].landmarks
    )
    x, y = (float(value) for value in mesh[1])  # the tip of the nose
    marked = np.zeros((240, 240), np.uint8)
    marked[int(y) - 4 : int(y) + 4, int(x) - 4 : int(x) + 4] = 255

    def png(picture: Image.Image, **options: Any) -> str:
        file = io.BytesIO()
        picture.save(file, "PNG", **options)
        return base64.b64encode(file.getvalue()).decode()

    whole = png(Image.fromarray(marked))
    deep = png(Image.fromarray(marked.astype(np.uint16) * 257))
    report = wire.parse(service.report(number))
    (one,), (other,) = (pointing.placed(report, None, [{"mask": mask}]) for mask in (whole, deep))
    assert one.box == other.box and (one.mask.values == other.mask.values).all()
    clear = np.dstack([np.full((240, 240, 3), 255, np.uint8), marked])
    for place in ({"region": "nose tip"}, {"point": (x, y)}, {"box": (x - 3, y - 3, x + 3, y + 3)}, {"mask": whole}):
        answer = service.ask(number, "", places=[place]).answered
        assert "nose_tip" in [region["region"] for region in answer["regions"]], place
        assert answer["intent"] == "region" and answer["face"] == 0
    assert service.ask(number, "And there?", places=[{"point": (1, 1)}]).answered["intent"] == "unexamined"
    for place, words in (
        ({"region": "tail"}, "Unknown region"),
        ({"point": (240, 3)}, "on the picture"),
        ({"box": (5, 5, 5, 9)}, "x1 < x2"),
        ({"mask": "?"}, "base64"),
        ({"mask": base64.b64encode(bytes(9)).decode()}, "mask"),
        ({"mask": png(Image.fromarray(clear))}, "transparent in places"),
        ({"mask": png(Image.linear_gradient("L"))}, "most of which is neither"),
        ({"mask": png(Image.fromarray(marked[:, :120]))}, "expected the proportions"),
        ({"mask": base64.b64encode(jpeg(Image.fromarray(marked))).decode()}, "another kind of file"),
        ({"region": "nose", "point": (9, 9)}, "got region and point"),
        ({"mask": png(Image.fromarray(marked // 255))}, "lightest pixel has 1 of 255"),
        ({"mask": png(Image.fromarray(marked), save_all=True, append_images=[Image.new("L", (240, 240))])}, "animated"),
        ({"frame": 3, "point": (1, 1)}, "number of a frame"),
        ({}, "one of region, box, point and mask"),
    ):
        with pytest.raises((InputError, UnknownName), match=words):
            service.ask(number, "", places=[place])
    with pytest.raises(InputError, match="face"):
        service.ask(number, "Is it fake?", face=4)


def test_a_region_is_on_the_face_that_was_spoken_of_and_a_point_on_one(tmp_path):
    two = Image.fromarray(np.concatenate([np.asarray(painted(200, 240))] * 2, axis=1))
    with started(tmp_path, finder=TwoFaces()) as service:
        number = service.wait(sent(service, jpeg(two)).id, LONG).id
        assert service.ask(number, "Is it fake?", face=1).answered["face"] == 1
        assert service.ask(number, "", places=[{"region": "nose"}]).answered["face"] == 1
        points = [{"point": ((part + 0.5) * two.width / 2, two.height / 2)} for part in (0, 1)]
        assert service.ask(number, "", places=points[:1]).answered["face"] == 0
        assert "is on face 1 and the point" in service.ask(number, "", places=points).answered["answer"]
        with pytest.raises(InputError, match="is on face 1, and the question is about face 2"):
            service.ask(number, "", places=points[:1], face=1)


def test_questions_at_one_time_are_answered_one_after_another(service):
    number = service.wait(sent(service).id, LONG).id
    threads = [threading.Thread(target=service.ask, args=(number, "Is it fake?")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [turn.number for turn in service.turns(number)] == [1, 2, 3, 4]


# ----------------------------------------------------------------------------------------------- once, whatever happens


def test_a_worker_that_dies_costs_one_file(service):
    picture = painted(60, 96)
    picture.paste(DEADLY, (0, 0, 8, 8))
    file = io.BytesIO()
    picture.save(file, "PNG")
    dead, alive = sent(service, file.getvalue(), "dead.png"), sent(service)
    assert service.wait(alive.id, LONG).state == "done"
    row = service.wait(dead.id, LONG)
    assert row.state == "failed" and "ended with status 9" in row.error
    assert wire.parse(service.report(row.id)).source == "dead.png"


def test_jobs_are_cancelled_before_and_while_they_are_done(tmp_path):
    grown = tmp_path / "started"
    with started(tmp_path / "data", witnesses=(Brightness(seconds=60, started=str(grown)),)) as service:
        running, waiting = sent(service), sent(service, jpeg(painted(9)))
        assert eventually(grown.exists)
        assert service.before(service.get(waiting.id)) == 0
        assert service.cancel(waiting.id).state == "cancelled"
        assert service.cancel(running.id).state == "cancelled"
        with pytest.raises(NotYet, match="cancelled"):
            service.report(running.id)
        assert eventually(lambda: service.runner._running == {})  # its process was ended, not waited for
        assert service.counts() == {"queued": 0, "running": 0, "done": 0, "failed": 0, "cancelled": 2}


def test_a_job_that_takes_too_long_fails(tmp_path):
    with started(tmp_path, picture_time=0.3, witnesses=(Brightness(seconds=30),)) as service:
        row = service.wait(sent(service).id, LONG)
        assert row.state == "failed" and "longer than 0.3 seconds" in row.error


def test_what_a_server_left_is_done_once_by_the_next(tmp_path):
    with started(tmp_path, witnesses=(Brightness(seconds=60),)) as service:
        rows = [sent(service, jpeg(painted(20 + i))) for i in range(3)]
        claimed = service.wait(rows[0].id, 1)
    assert claimed.state in ("queued", "running")
    with started(tmp_path) as service:
        assert [service.wait(row.id, LONG).state for row in rows] == ["done"] * 3
        assert {service.get(row.id).attempts for row in rows} == {1}  # what was put back in order was not begun


def test_a_job_is_given_up_after_servers_died_over_it(tmp_path):
    here = Store(settings(tmp_path).url)
    here.add(replace(_row("a"), state="running", runner="gone", attempts=5, lease=time.time() - 1))
    here.add(replace(_row("b"), state="running", runner="gone", attempts=4, lease=time.time() - 1))
    here.add(replace(_row("c"), state="running", runner="alive", attempts=1, lease=time.time() + 60))
    assert here.recover(5) == 1
    assert [here.get(number).state for number in "abc"] == ["failed", "queued", "running"]
    assert "ended 5 times" in here.get("a").error
    assert here.recover(5, everything=True) == 1 and here.get("c").state == "queued"
    here.close()


def test_one_server_has_a_folder(service):
    with pytest.raises(InputError, match="written to by process"), started(service.settings.data):
        pass


def test_models_that_cannot_be_loaded_leave_jobs_waiting(tmp_path):
    from facewitness.errors import FacewitnessError

    with started(tmp_path, witnesses=("compact",), options={"compact": {"model": "missing.onnx"}}) as service:
        with pytest.raises(FacewitnessError):
            service.witnesses()
        assert any("cannot be loaded" in fault for fault in service.faults())
        with pytest.raises(Busy, match="cannot be loaded"):
            sent(service)


# ------------------------------------------------------------------------------------------------------ room, and time


def test_a_full_queue_refuses(tmp_path):
    with started(tmp_path, max_queued=1, witnesses=(Brightness(seconds=60),)) as service:
        running = sent(service)
        assert eventually(lambda: service.get(running.id).state != "queued")
        sent(service, jpeg(painted(30)))
        with pytest.raises(Busy, match="wait already"):
            sent(service, jpeg(painted(31)))


def test_no_more_run_than_there_are_processes(tmp_path, monkeypatch):
    """One that comes while another is claimed waits its turn."""
    with started(tmp_path, witnesses=(Brightness(seconds=60),)) as service:
        assert eventually(lambda: not service.faults())
        claim, begin, claimed, late = service.store.claim, service.runner.begin_ahead, [], []

        def slowly(name: str) -> AnalysisRow | None:
            if (job := claim(name)) is not None:
                claimed.append(job)
                late.append(sent(service, jpeg(painted(31))).state)
            return job

        monkeypatch.setattr(service.store, "claim", slowly)
        monkeypatch.setattr(service.runner, "begin_ahead", lambda row: begin(row) if claimed else None)
        sent(service)
        assert eventually(lambda: late) and late == ["queued"]


def test_uploads_may_take_so_much_room(tmp_path):
    with started(tmp_path, max_stored=2 * len(PHOTO)) as service:
        row = sent(service)
        sent(service)  # the same bytes take no more
        with pytest.raises(NoRoom, match="--max-stored"):
            sent(service, jpeg(painted(50, 400)))
        for analysis in service.history():
            service.delete(analysis.id)
        assert not service.uploads.path(row.sha256).exists()
        sent(service, PHOTO + bytes(10))
    with started(tmp_path / "other", reserve=10**15) as service, pytest.raises(NoRoom, match="have to stay so"):
        service.receive()


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_refuses_and_leaves_nothing(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        uploads = Uploads(small / "uploads")
        with uploads.receive(10**7) as incoming, pytest.raises(NoRoom, match="disk is full"):
            incoming.write(os.urandom(2_000_000))
        assert list(uploads.folder.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_files_expire_and_reports_stay(tmp_path):
    with started(tmp_path, keep_uploads=0.0) as service:
        row = service.wait(sent(service).id, LONG)
        time.sleep(0.05)
        service.runner.sweep()
        assert not service.uploads.path(row.sha256).exists()
        assert service.drawn(row.id, "html")
        with pytest.raises(Gone):
            service.drawn(row.id, "overlay")
        with pytest.raises(Gone):
            service.original(row.id)
        assert service.ask(row.id, "Is it fake?").answered["label"] == "fake"
    with started(tmp_path, keep_reports=0.0) as service:
        service.runner.sweep()
        assert service.history() == []


def test_what_broke_off_is_swept(tmp_path):
    uploads = Uploads(tmp_path)
    left = tmp_path / "incoming-0"
    left.write_bytes(b"half")
    uploads.sweep(older=3600)
    assert left.exists()
    os.utime(left, (0, 0))
    uploads.sweep(older=3600)
    assert not left.exists()


# ------------------------------------------------------------------------------------------------------------ database


def _row(number: str) -> AnalysisRow:
    return AnalysisRow(
        id=number,
        owner=None,
        repeat=None,
        name="a.jpg",
        sha256="0" * 64,
        size=1,
        kind="picture",
        reading="{}",
        case_name="",
        note="",
        state="queued",
        label=None,
        fake=None,
        error=None,
        step=None,
        done=None,
        attempts=0,
        runner=None,
        lease=None,
        created=time.time(),
        started=None,
        finished=None,
    )


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL that is started for these tests, where it is installed."""
    pytest.importorskip("psycopg", reason="PostgreSQL needs the extra postgres")
    places = [Path(path).parent for path in (shutil.which("initdb"), shutil.which("postgres")) if path]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)
    if found is None:
        pytest.skip("no PostgreSQL server is installed here")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = os.getuid() == 0
        user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if root else {}
        if root:
            try:
                shutil.chown(folder, "postgres", "postgres")
            except LookupError:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        data = f"{folder}/data"
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **user}
        subprocess.run([found / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"], check=True, **quiet)
        options = ["-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"]
        server = subprocess.Popen([found / "postgres", *options], **quiet)
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        try:
            for attempt in range(150):
                try:
                    Store(url, 1.0).close()
                    break
                except Unavailable:
                    assert server.poll() is None and attempt < 149
                    time.sleep(0.2)
            yield url
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/jobs.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres")
    made = Store(url, 1.0)
    yield made
    with made.engine.begin() as connection:
        for table in reversed(tables.tables.sorted_tables):
            connection.execute(table.delete())
    made.close()


def test_migrations_lead_to_the_tables_that_the_code_knows(database):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.tables) == []
    tables.upgraded(database.engine)  # once more does nothing


def test_of_many_who_claim_one_gets_the_job(database):
    for i in range(20):
        database.add(replace(_row(f"{i:032x}"), created=1000.0 + i))
    claimed: list[str] = []

    def claim(runner: str) -> None:
        while (job := database.claim(runner)) is not None:
            claimed.append(job.id)
            assert job.runner == runner and job.attempts == 1

    threads = [threading.Thread(target=claim, args=(f"r{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [f"{i:032x}" for i in range(20)]


def test_a_result_is_written_once_and_only_by_whom_the_job_belongs_to(database):
    database.add(_row("a"))
    first = database.claim("one")
    database.recover(5, everything=True)
    second = database.claim("two")
    assert (first.attempts, second.attempts) == (1, 2)
    assert not database.finish(first, "done", report=b"first")
    assert database.finish(second, "done", label="fake", fake=0.9, report=b"second", landmarks=b"mesh")
    assert not database.finish(second, "done", report=b"third")
    assert database.report("a") == (b"second", b"mesh")
    assert database.delete("a") == "0" * 64 and database.report("a") is None


def test_turns_keys_and_words_are_kept(database):
    database.add(replace(_row("a"), note="Grüße – 50%_off", owner="newsroom"))
    assert database.add_turn("a", TurnRow(1, {"q": "?"}, {"a": "!"}, {"face": 0}, 1.0))
    assert not database.add_turn("a", TurnRow(1, {"q": "?"}, {"a": "!"}, {"face": 0}, 1.0))
    assert not database.add_turn("gone", TurnRow(1, {}, {}, {}, 1.0))
    assert [turn.asked for turn in database.turns("a")] == [{"q": "?"}]
    assert [row.id for row in database.history("newsroom", words="grüße 50%_")] == ["a"]
    assert database.history("others") == [] and database.history("newsroom", words="50x_off") == []
    key = KeyRow("k", "newsroom", "0" * 64, 1.0, None, None, None)
    database.add_key(key)
    database.used_key("k", 500.0)
    assert database.key("k") == replace(key, used=500.0)
    assert database.revoke_key("k", 2.0) and not database.revoke_key("k", 3.0)
    again = replace(_row("b"), owner="newsroom", repeat="w")
    assert database.add(again) == again and database.add(replace(again, id="c")).id == "b"


def test_a_server_on_postgresql_does_its_jobs(postgres, tmp_path):
    with started(tmp_path, database=postgres) as service:
        row = service.wait(sent(service).id, LONG)
        assert row.state == "done" and service.ask(row.id, "Is it fake?").answered["label"] == "fake"
        service.delete(row.id)


def test_a_full_disk_under_the_database_says_so(tmp_path):
    """Not "try again in a while", and not "delete analyses", which cannot be done either."""
    from sqlalchemy import event

    with started(tmp_path) as service:
        row = sent(service)
        service.wait(row.id, LONG)
        event.listen(service.store.engine, "checkout", lambda opened, *_: opened.execute("PRAGMA max_page_count = 1"))
        with pytest.raises(Full, match="Make room there"), suppress(StopIteration):
            next(_ for _ in range(100) if service.ask(row.id, "Is it fake? " + "x" * 1900) is None)
        assert problems.status_of(Full("")) == 507 and problems.status_of(Unavailable("")) == 503


def test_a_locked_database_is_said_to_be_so_and_loses_no_result(tmp_path):
    gate, begun = tmp_path / "gate", tmp_path / "begun"
    gate.touch()
    begun.write_bytes(b"...")
    witness = Brightness(gate=str(gate), started=str(begun))
    with started(tmp_path / "data", database_time=0.2, witnesses=(witness,)) as service:
        row = sent(service)
        assert eventually(lambda: service.get(row.id).state == "running")
        lock = sqlite3.connect(tmp_path / "data" / "facewitness.sqlite", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            sent(service, jpeg(painted(5)))
        gate.unlink()
        time.sleep(1.0)  # the job ends meanwhile, and cannot be written down
        assert service.get(row.id).state == "running"  # reading goes on
        lock.execute("ROLLBACK")
        lock.close()
        assert service.wait(row.id, LONG).state == "done"


@pytest.mark.parametrize("url", ["mysql://x/y", "no url", "sqlite://"])
def test_a_database_that_is_none_is_refused(url):
    with pytest.raises(InputError, match="--database: expected"):
        Store(url)


@pytest.mark.parametrize("given", [{"jobs": 0}, {"rate": 0.0}, {"keep_uploads": -1.0}, {"reserve": -1}])
def test_settings_that_cannot_be_are_refused(given):
    with pytest.raises(InputError, match="Settings"):
        Settings(**given)


# ---------------------------------------------------------------------------------------------------------------- keys


def test_keys_are_kept_as_hashes_and_can_end(service, monkeypatch):
    held = keys.Keys(service.store, service.settings.data)
    key = held.add("newsroom")
    caller = held.caller(key)
    assert caller.name == "newsroom" and key.startswith(f"fw_{caller.key}_")
    stored = (service.settings.data / "facewitness.sqlite").read_bytes()
    assert key.rpartition("_")[2].encode() not in stored
    for forged in (
        key[:-1] + ("A" if key[-1] != "A" else "B"),
        key.replace("fw_", "fw"),
        "",
        "fw_" + "0" * 12 + "_" + "A" * 43,
    ):
        assert held.caller(forged) is None
    cookie = held.session(caller)
    assert held.of_session(cookie) == caller
    number, until, signature = cookie.split(".")
    for forged in (f"{number}.{int(until) + 1}.{signature}", f"{number}.{until}.{'0' * 64}", "", "..", cookie + "é"):
        assert held.of_session(forged) is None
    monkeypatch.setattr(time, "time", lambda: float(until) + 1)
    assert held.of_session(cookie) is None
    monkeypatch.undo()
    short = held.add("visitor", expires=time.time() - 1)
    assert held.caller(short) is None
    assert held.any()
    held.revoke(caller.key)
    assert held.caller(key) is None and held.of_session(held.session(caller)) is None and not held.any()
    with pytest.raises(UnknownName):
        held.revoke(caller.key)
    with pytest.raises(InputError, match="a name"):
        held.add("\n")


def test_callers_see_what_is_theirs_and_nobodys(service):
    mine, nobodys, others = sent(service, owner="a"), sent(service), sent(service, owner="b")
    assert service.get(mine.id, "a").id == mine.id and service.get(nobodys.id, "a").id == nobodys.id
    with pytest.raises(NotThere):
        service.get(others.id, "a")
    seen = {row.id for row in service.history("a", limit=200)}
    assert {mine.id, nobodys.id} <= seen and others.id not in seen
    with pytest.raises(NotThere):
        service.delete(others.id, "a")
