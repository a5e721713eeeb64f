"""An annotator behind any backend: what is asked, what is paid for, and what of the answers may stand."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from chat_server import ChatServer
from PIL import Image

from facewitness import plugins
from facewitness.builders import annotate as an
from facewitness.errors import BackendError, InputError


def picture(seed: int = 0) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def tasks(n: int, prompt: str = "Describe it.") -> list[an.Task]:
    return [an.Task(f"t{k}", "You are an expert.", prompt, (picture(k),), {"label": "fake"}) for k in range(n)]


def echo(*answers: str):
    return plugins.get("backends", "echo").load(answers)


def any_text(task: an.Task, text: str) -> str:
    return ""


def run(made, backend, folder, check=any_text, **options):
    counts = an.Statistics()
    kept = list(an.annotate(made, backend, folder, model="m", check=check, statistics=counts, **options))
    return kept, counts


def test_answers_come_with_their_tasks_and_nothing_is_asked_twice(tmp_path):
    backend = echo("one", "two", "three")
    kept, counts = run(tasks(3), backend, tmp_path)
    assert [(task.id, text) for task, text in kept] == [("t0", "one"), ("t1", "two"), ("t2", "three")]
    again, counts = run(tasks(4), backend, tmp_path)
    assert len(backend.asked) == 4
    assert (counts.reused, counts.asked, len(again)) == (3, 1, 4)


def test_other_words_another_picture_and_another_model_are_another_question(tmp_path):
    (task,) = tasks(1)
    other = tasks(1, "Describe the nose.")[0]
    assert len({task.key("m"), task.key("n"), other.key("m"), tasks(2)[1].key("m")}) == 4
    assert task.key("m") == tasks(1)[0].key("m")


class Crash(Exception):
    pass


def test_a_run_that_crashed_goes_on_and_what_may_have_been_billed_is_not_sent_again(tmp_path):
    class Dying:
        def __init__(self):
            self.asked = []

        def ask(self, messages, images=()):
            self.asked.append(messages)
            if len(self.asked) == 2:
                raise Crash
            return "fine"

    dying = Dying()
    with pytest.raises(Crash):
        run(tasks(4), dying, tmp_path)
    estimate = an.estimate(tasks(4), tmp_path, "m")
    assert (estimate.answered, estimate.in_doubt, estimate.to_ask) == (1, 1, 2)
    backend = echo("fine")
    kept, counts = run(tasks(4), backend, tmp_path)
    assert [task.id for task, _ in kept] == ["t0", "t2", "t3"]
    assert (len(backend.asked), counts.in_doubt) == (2, 1)
    kept, counts = run(tasks(4), backend, tmp_path, again=True)
    assert (len(kept), len(backend.asked)) == (4, 3)


def test_the_cost_is_known_before_it_starts(tmp_path):
    made = tasks(10)
    estimate = an.estimate(made, tmp_path, "m", an.Prices(2.0, 10.0), image_tokens=100, answer_tokens=200, per_minute=5)
    words = (len(made[0].system) + len(made[0].prompt)) // 4
    assert estimate.input_tokens == 10 * (words + 100)
    assert estimate.cost == pytest.approx((10 * (words + 100) * 2.0 + 10 * 200 * 10.0) / 1e6)
    assert estimate.minutes == 2
    assert "10 to ask" in estimate.sentence()
    assert not (tmp_path / "asked.jsonl").exists()
    assert an.estimate(made, tmp_path, "m").cost is None
    with pytest.raises(InputError, match="prices of at least 0"):
        an.Prices(-1, 0)


def test_answers_that_cannot_stand_are_counted_with_examples_and_kept_in_the_ledger(tmp_path):
    kept, counts = run(
        tasks(4),
        echo("good", "bad", "  ", "bad"),
        tmp_path,
        lambda _, text: "" if text == "good" else "format: no field",
    )
    assert [text for _, text in kept] == ["good"]
    assert dict(counts.refused) == {"format": 2, "empty": 1}
    quality = json.loads((tmp_path / "quality.json").read_text())
    assert quality["refused"] == {"format": 2, "empty": 1}
    assert "t1" in quality["examples"]["format"][0]
    assert len([line for line in (tmp_path / "asked.jsonl").read_text().splitlines() if "answered" in line]) == 4


def test_requests_leave_evenly(tmp_path):
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    run(tasks(4), echo("x"), tmp_path, per_minute=30, clock=lambda: now[0], sleep=sleep)
    assert slept == [2.0, 2.0, 2.0]


def test_no_more_than_so_many_are_asked(tmp_path):
    backend = echo("x")
    assert len(run(tasks(5), backend, tmp_path, limit=2)[0]) == 2
    assert len(run(tasks(5), backend, tmp_path, limit=2)[0]) == 4
    assert len(backend.asked) == 4


def test_a_picture_that_cannot_be_read_is_a_failure_that_nobody_pays_for(tmp_path):
    broken = an.Task("t", "s", "p", (b"no picture",))
    kept, counts = run([broken], echo("x"), tmp_path)
    assert (kept, counts.failed) == ([], 1)
    assert an.estimate([broken], tmp_path, "m").in_doubt == 0


def test_several_at_once_give_the_same_answers(tmp_path):
    kept, counts = run(tasks(12), echo("x"), tmp_path, jobs=4)
    assert (len(kept), counts.kept) == (12, 12)


@pytest.mark.parametrize("options", [{"jobs": 0}, {"per_minute": 0}, {"max_failures": 0}])
def test_numbers_that_make_no_sense_are_refused(tmp_path, options):
    with pytest.raises(InputError, match="annotate: expected"):
        run(tasks(1), echo("x"), tmp_path, **options)


# ------------------------------------------------------------------------------------- a real server, in its bad moods


@pytest.fixture
def server():
    made = ChatServer("whole")
    yield made
    made.shutdown()
    made.server_close()


def client(server, **options):
    return plugins.get("backends", "openai").load(base_url=server.url, retries=0, **options)


def test_a_server_answers_with_system_prompt_and_picture(server, tmp_path):
    kept, _ = run(tasks(1), client(server), tmp_path)
    assert [text for _, text in kept] == ["Yes, it is fake."]
    assert server.heard[0]["messages"][0]["role"] == "system"
    assert server.heard[0]["messages"][1]["content"][0]["type"] == "image_url"


def test_a_server_that_turns_us_away_has_billed_nothing_and_one_that_is_late_may_have(server, tmp_path):
    server.mood = "refusing"
    _, counts = run(tasks(2), client(server), tmp_path)
    assert counts.failed == 2
    assert an.estimate(tasks(2), tmp_path, "m").to_ask == 2
    server.mood = "slow"
    run(tasks(1), client(server, timeout=0.3), tmp_path)
    estimate = an.estimate(tasks(2), tmp_path, "m")
    assert (estimate.in_doubt, estimate.to_ask) == (1, 1)


def test_a_server_that_is_gone_ends_the_run_and_the_same_command_goes_on(server, tmp_path):
    server.mood = "broken"
    with pytest.raises(BackendError, match="3 requests in a row failed"):
        run(tasks(9), client(server), tmp_path, max_failures=3)
    assert json.loads((tmp_path / "quality.json").read_text())["failed"] == 3
    server.mood = "whole"
    kept, counts = run(tasks(9), client(server), tmp_path, again=True)
    assert (len(kept), counts.asked) == (9, 9)
