"""The queue in which people look at what a builder wrote: on disk, on the terminal, and how far they agree."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness.apps import cli
from facewitness.builders import review
from facewitness.builders.review import Item, Queue, alpha, identity
from facewitness.errors import InputError, UnknownName


def items(n: int) -> list[Item]:
    return [
        Item(f"i{k}", "test", {"text": f"text {k}"}, ("pictures/a.png",), {"label": "fake"}, "evidence")
        for k in range(n)
    ]


def queue(folder, n=3, **options) -> Queue:
    made = Queue(folder, **options)
    made.add(items(n), {"pictures/a.png": b"png"})
    return made


def test_items_come_once_and_stay_as_they_are(tmp_path):
    there = queue(tmp_path)
    changed = Item("i0", "test", {"text": "another"}, (), {}, "else")
    assert there.add([changed, *items(4)]) == 1
    assert list(there.items()) == ["i0", "i1", "i2", "i3"]
    assert there.items()["i0"].content == {"text": "text 0"}
    assert there.picture("pictures/a.png").read_bytes() == b"png"


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "a/../../b", ""])
def test_a_picture_stays_below_the_queue(tmp_path, name):
    with pytest.raises(InputError, match="below the queue's folder"):
        Queue(tmp_path).picture(name)


def test_accept_edit_and_reject(tmp_path):
    there = queue(tmp_path, least_seconds=0)
    there.decide("i0", "anna", "accept", 9.0)
    there.decide("i1", "anna", "edit", 9.0, {"text": "mended"})
    there.decide("i2", "anna", "reject", 9.0, reason="the nose is not mentioned")
    assert there.pending() == []
    assert {item.id: content["text"] for item, content in there.accepted()} == {"i0": "text 0", "i1": "mended"}
    assert there.decisions()["i2"]["anna"].reason == "the nose is not mentioned"


def test_an_edit_that_changes_nothing_is_an_acceptance(tmp_path):
    there = queue(tmp_path, least_seconds=0)
    assert there.decide("i0", "anna", "edit", 9.0, {"text": "text 0"}).choice == "accept"


def test_who_decides_again_changes_the_own_decision(tmp_path):
    there = queue(tmp_path, least_seconds=0)
    there.decide("i0", "anna", "reject", 9.0)
    there.decide("i0", "anna", "accept", 9.0)
    assert [item.id for item, _ in there.accepted()] == ["i0"]
    assert len((tmp_path / "decisions.jsonl").read_text().splitlines()) == 2


def test_several_reviewers_are_waited_for_and_the_most_decide(tmp_path):
    there = queue(tmp_path, n=1, least_seconds=0, reviewers=3)
    there.decide("i0", "anna", "accept", 9.0)
    assert [item.id for item in there.pending()] == ["i0"]
    assert there.pending("anna") == []
    assert list(there.accepted()) == []
    there.decide("i0", "ben", "reject", 9.0)
    there.decide("i0", "carla", "edit", 9.0, {"text": "mended"})
    assert [content["text"] for _, content in there.accepted()] == ["mended"]


def test_a_decision_needs_a_look_a_name_a_known_item_and_a_known_choice(tmp_path):
    there = queue(tmp_path)
    with pytest.raises(InputError, match=r"at least 5 seconds.*got 0\.4"):
        there.decide("i0", "anna", "accept", 0.4)
    with pytest.raises(InputError, match="name of who decides"):
        there.decide("i0", " ", "accept", 9.0)
    with pytest.raises(UnknownName, match="item 'i9'"):
        there.decide("i9", "anna", "accept", 9.0)
    with pytest.raises(UnknownName, match="Did you mean 'accept'"):
        there.decide("i0", "anna", "acept", 9.0)
    assert there.decisions() == {}


def test_an_edit_that_cannot_stand_is_refused_with_the_reason(tmp_path):
    there = queue(tmp_path, least_seconds=0, check=lambda item, content: "" if content["text"] else "no text")
    with pytest.raises(InputError, match="cannot stand: no text"):
        there.decide("i0", "anna", "edit", 9.0, {"text": ""})


def test_a_line_that_a_kill_cut_off_is_passed_over(tmp_path):
    there = queue(tmp_path, least_seconds=0)
    there.decide("i0", "anna", "accept", 9.0)
    with open(tmp_path / "decisions.jsonl", "a") as file:
        file.write('{"item": "i1", "who": "an')
    there.decide("i2", "anna", "reject", 9.0)
    assert set(there.decisions()) == {"i0", "i2"}


def test_decisions_of_another_schema_are_passed_over(tmp_path):
    there = queue(tmp_path, least_seconds=0)
    row = {
        "item": "i0",
        "who": "anna",
        "choice": "edit",
        "seconds": 9,
        "at": "",
        "content": {"text": "x"},
        "reason": "",
    }
    odd = [row | {"content": "abc"}, row | {"content": [1]}, row | {"seconds": 10**400}, row | {"who": " "}]
    (tmp_path / "decisions.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in (*odd, row | {"item": "i1"})))
    assert set(there.decisions()) == {"i1"}
    assert [content for _, content in there.accepted()] == [{"text": "x"}]


def test_an_edit_on_the_command_keeps_to_the_form(tmp_path, capsys, monkeypatch):
    queue(tmp_path / "q")
    edit = ["review", str(tmp_path / "q"), "--decide", "i0", "edit", "--who", "a", "--seconds", "9", "--content"]
    for bad, said in (('{"text": 5}', "expected text as str, got int"), ("[" * 100_000, "as a JSON object")):
        (tmp_path / "c.json").write_text(bad)
        assert cli.main([*edit, str(tmp_path / "c.json")]) == 2
        assert said in capsys.readouterr().err
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", 'vi "x')
    monkeypatch.setattr("sys.stdin", io.StringIO("e\nq\n"))
    assert cli.main(["review", str(tmp_path / "q"), "--who", "a", "--least-seconds", "0"]) == 0
    assert "$EDITOR: expected a command" in capsys.readouterr().err
    assert not (tmp_path / "q" / "decisions.jsonl").exists()


def test_agreement_of_the_books_example():
    """Krippendorff's worked example of nominal data with two observers: alpha = 0.095."""
    first = ["0", "1", "0", "0", "0", "0", "0", "0", "1", "0"]
    second = ["1", "1", "1", "0", "0", "1", "0", "0", "0", "0"]
    assert alpha(zip(first, second, strict=True)) == pytest.approx(0.095, abs=5e-4)


@given(st.lists(st.lists(st.sampled_from(review.CHOICES), min_size=2, max_size=4), min_size=2, max_size=12))
def test_alpha_is_one_for_agreement_and_never_more(rows):
    found = alpha(rows)
    assert found is None or found <= 1.0
    agreed = [[row[0]] * len(row) for row in rows]
    assert alpha(agreed) in (None, 1.0)


def test_agreement_counts_items_that_two_people_decided(tmp_path):
    there = queue(tmp_path, least_seconds=0, reviewers=2)
    for item, anna, ben in (("i0", "accept", "accept"), ("i1", "reject", "reject"), ("i2", "accept", "reject")):
        there.decide(item, "anna", anna, 9.0)
        there.decide(item, "ben", ben, 9.0)
    found = there.agreement()
    assert (found.items, found.same) == (3, pytest.approx(2 / 3))
    assert found.choices == {"accept": 3, "reject": 3}
    assert found.alpha == pytest.approx(1 - (2 * 1) / (2 * 3 * 3 / 5))


def test_the_same_thing_has_the_same_name():
    assert identity(b"picture", "text") == identity(b"picture", "text") != identity(b"picturet", "ext")


# ------------------------------------------------------------------------------------------------------- the command


def test_the_terminal_walks_through_what_waits(tmp_path, monkeypatch, capsys):
    queue(tmp_path)
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    typed = iter(["a", "e", "r", "too vague", "q"])
    monkeypatch.setattr("builtins.input", lambda _: next(typed))
    monkeypatch.setattr("sys.stdin", io.StringIO("a better text\n.\n"))
    assert cli.main(["review", str(tmp_path), "--who", "anna", "--least-seconds", "0"]) == 0
    decided = Queue(tmp_path).decisions()
    assert {item: said["anna"].choice for item, said in decided.items()} == {
        "i0": "accept",
        "i1": "edit",
        "i2": "reject",
    }
    assert decided["i1"]["anna"].content == {"text": "a better text"}
    assert "pictures/a.png" in capsys.readouterr().out


def test_a_decision_by_a_held_key_is_told_and_asked_again(tmp_path, monkeypatch, capsys):
    queue(tmp_path)
    typed = iter(["a", "q"])
    monkeypatch.setattr("builtins.input", lambda _: next(typed))
    assert cli.main(["review", str(tmp_path), "--who", "anna"]) == 0
    assert Queue(tmp_path).decisions() == {}
    assert "at least 5 seconds" in capsys.readouterr().err


def test_the_command_decides_lists_agrees_and_writes(tmp_path, capsys):
    queue(tmp_path)
    there = str(tmp_path)
    for who, choice in (("anna", "accept"), ("ben", "accept")):
        assert cli.main(["review", there, "--decide", "i0", choice, "--who", who, "--seconds", "30"]) == 0
    assert cli.main(["review", there, "--list"]) == 0
    assert "anna: accept, ben: accept" in capsys.readouterr().out
    assert cli.main(["review", there, "--agreement"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == 1
    assert cli.main(["review", there, "--accepted", str(tmp_path / "kept.jsonl")]) == 0
    assert json.loads((tmp_path / "kept.jsonl").read_text())["text"] == "text 0"


def test_a_queue_that_is_not_there_and_a_missing_name_are_sentences(tmp_path, capsys):
    assert cli.main(["review", str(tmp_path / "none"), "--who", "anna"]) == 2
    assert "does not exist" in capsys.readouterr().err
    queue(tmp_path)
    assert cli.main(["review", str(tmp_path)]) == 2
    assert "--who NAME" in capsys.readouterr().err
