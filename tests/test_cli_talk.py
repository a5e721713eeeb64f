"""`facewitness ask` and `chat` as people meet them: one answer a question, commands, and saved conversations."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import sys
import time

import numpy as np
import pytest
from chat_server import ChatServer
from PIL import Image

from facewitness.apps import talk
from facewitness.apps.cli import main


@pytest.fixture
def photo(tmp_path, astronaut):
    path = tmp_path / "astronaut.png"
    Image.fromarray(astronaut).save(path)
    return path


def test_ask_prints_one_answer(photo, capsys):
    assert main(["ask", str(photo), "Is this face genuine?"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert "The face shows no sign of forgery" in out
    assert err == ""


def test_ask_as_json_says_what_the_answer_rests_on(photo, capsys):
    assert main(["ask", str(photo), "Is the nose fake?", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["regions"] == ["nose"]
    assert said["intent"] == "region"
    assert said["label"] in ("real", "fake", "inconclusive")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("{photo}", ""), "got an empty one"),
        (("{photo}", "x" * 100_000), "at most 2,000 characters"),
        (("{photo}.gone", " "), "got an empty one"),  # the question is looked at before the photo
        (("{photo}", "Is it fake?", "--face", "3"), "no face 3"),
        (("{photo}.gone", "Is it fake?"), "does not exist"),
    ],
)
def test_ask_refuses_with_a_sentence(photo, capsys, words, sentence):
    status = main(["ask", *(word.format(photo=photo) for word in words)])
    assert status == (1 if sentence == "does not exist" else 2)  # a file at fault, or the command
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err


def test_a_picture_without_a_face_is_an_answer(tmp_path, capsys):
    Image.new("RGB", (200, 150), "green").save(tmp_path / "lawn.png")
    assert main(["ask", str(tmp_path / "lawn.png"), "Is it fake?"]) == 0
    assert "No face was found" in capsys.readouterr().out


def test_chat_answers_line_by_line_and_saves(photo, tmp_path, capsys, monkeypatch):
    saved = [tmp_path / "talk.md", tmp_path / "talk.json"]
    asked = ["Is the nose fake?", "", "And the mouth?", "/region left ear", "/regoin nose", "/region nosy", "/face 9"]
    lines = [
        *asked,
        "/face x",
        "/faces",
        "/save",
        *(f"/save {path}" for path in (*saved, *saved, photo)),
        "/help",
        "/quit",
        "never asked",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    before = photo.read_bytes()
    assert main(["chat", str(photo)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert photo.read_bytes() == before and "/save: expected the name of a new file" in out
    assert out.count("→") == 4  # its own files may be saved again
    assert "Did you mean 'region'?" in out
    assert "Did you mean 'nose'?" in out
    assert "there is no face 9" in out
    assert "expected a number from 1 on, got 'x'" in out
    assert "expected the name of a file" in out
    assert "One face was found" in out
    talk = json.loads(saved[1].read_text())
    assert [turn["question"] for turn in talk["turns"]][1:4] == [
        "Is the nose fake?", "And the mouth?", "Is the left ear forged?",
    ]  # fmt: skip
    assert len(talk["sha256"]) == 64
    assert "**And the mouth?**" in saved[0].read_text()
    assert "never asked" not in saved[0].read_text()


def test_bytes_that_are_no_letters_end_no_conversation(photo, capsys, monkeypatch):
    typed = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x1b[31m why?\nIs it fake?\n"), encoding="utf-8", errors="strict")
    monkeypatch.setattr("sys.stdin", typed)
    assert main(["chat", str(photo)]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 3


def test_chat_ends_with_its_input(photo, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("Is it fake?"))
    assert main(["chat", str(photo)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(("command", "stream"), [("chat", "stdin"), ("chat", "stdout"), ("ask", "stdin")])
def test_a_closed_input_or_output_is_told(photo, capsys, monkeypatch, command, stream):
    monkeypatch.setattr(f"sys.{stream}", None)
    assert main([command, str(photo)] if command == "chat" else [command, "-", "Is it fake?"]) == 2
    assert "closed" in capsys.readouterr().err


def test_a_backend_words_the_answer(photo, capsys):
    words = ["ask", str(photo), "Is it fake?", "--backend", "echo", "--option", 'echo.answers=["I cannot tell."]']
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("I cannot tell.")


def test_a_server_that_is_down_costs_the_words_and_not_the_answer(photo, capsys):
    words = [
        "ask",
        str(photo),
        "Is it fake?",
        "--backend",
        "openai",
        "--option",
        "openai.base_url=http://127.0.0.1:9/v1",
    ]
    assert main(words) == 3
    out, err = capsys.readouterr()
    assert "The face shows no sign of forgery" in out
    assert "nothing answers at http://127.0.0.1:9/v1" in err
    assert "Traceback" not in err


def test_an_unknown_backend_suggests_the_near_one(photo, capsys):
    with pytest.raises(SystemExit):
        main(["ask", str(photo), "Is it fake?", "--backend", "opena"])
    assert "Did you mean 'openai'?" in capsys.readouterr().err


def test_an_unknown_option_of_a_backend_suggests_the_near_one(photo, capsys):
    assert main(["ask", str(photo), "Is it fake?", "--backend", "echo", "--option", "echo.answer=no"]) == 2
    assert "Did you mean 'answers'?" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------------- on a terminal


class Terminal:
    """`facewitness` on a terminal of its own."""

    def __init__(self, *words: str):
        import pty

        pid, self.handle = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "facewitness", *words])
        self.pid, self.shown, self._seen = pid, "", 0

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Read on until `text` appears behind what was waited for before."""
        until = time.monotonic() + seconds
        while (place := self.shown.find(text, self._seen)) < 0:
            assert select.select([self.handle], [], [], max(0, until - time.monotonic()))[0], self.shown
            self.shown += os.read(self.handle, 4096).decode()
        self._seen = place + len(text)

    def type(self, text: str) -> None:
        os.write(self.handle, text.encode())

    def ended(self) -> int:
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.handle)
        return status


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_on_a_terminal_words_come_as_they_are_said_and_ctrl_c_keeps_the_conversation(photo, tmp_path):
    pytest.importorskip("openai", reason="the extra `language` is not installed")
    server = ChatServer("calm")
    saved = tmp_path / "talk.json"
    screen = Terminal("chat", str(photo), "--backend", "openai", "--option", f"openai.base_url={server.url}")
    try:
        screen.wait_for("> ")
        screen.type("Is the nose fake?\n")
        screen.wait_for("fake?\r\nYes, it is fake.\r\n")
        screen.wait_for("> ")
        server.mood = "halting"
        screen.type("And the mouth?\n")
        server.go_on.release()
        screen.wait_for("mouth?\r\nYes,")  # the rest has not been sent
        screen.type("\x03")
        screen.wait_for("[Stopped. This question is left out of the conversation.]\r\n> ")
        for _ in range(12):  # readline drops what is typed in the moment in which it takes the terminal
            screen.type("\x03")
            with contextlib.suppress(AssertionError):
                screen.wait_for("/quit ends the conversation.\r\n> ", seconds=5)
                break
        else:
            pytest.fail(screen.shown)
        server.mood = "calm"
        for _ in server.pieces:
            server.go_on.release()  # for the thread that still waits to speak to nobody
        screen.type("/region chin\n")
        screen.wait_for("chin\r\nYes, it is fake.\r\n")
        screen.wait_for("> ")
        screen.type(f"/save {saved}\n")
        screen.wait_for("talk.json\r\n> ")
        screen.type("/quit\n")
        assert screen.ended() == 0
    finally:
        server.shutdown()
        server.server_close()
    asked = [turn["question"] for turn in json.loads(saved.read_text())["turns"]]
    assert asked == ["What is the verdict?", "Is the nose fake?", "Is the chin forged?"]
    last = [m["content"] for m in server.heard[-1]["messages"] if m["role"] == "user"]
    assert last[2:] == ["Is the chin forged?"]
    assert "Traceback" not in screen.shown


# ------------------------------------------------------------------------------------------------------- pointing


@pytest.mark.parametrize("words", [("--region", "left eye"), ("--box", "250,90,262,100"), ("--at", "256,95")])
def test_ask_points_without_a_question(photo, capsys, words):
    assert main(["ask", str(photo), *words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["intent"] == "region" and answer["regions"] and answer["question"] == "Is this place forged?"
    if words[0] == "--region":
        assert answer["regions"] == ["left_eye"]


def test_ask_points_with_a_mask(photo, tmp_path, capsys):
    mask = Image.new("L", (512, 512))
    mask.paste(255, (205, 95, 225, 105))
    mask.save(tmp_path / "mask.png")
    assert main(["ask", str(photo), "Is this forged?", "--mask", str(tmp_path / "mask.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["regions"]


def test_a_box_around_a_mouth_and_what_is_about_it_asks_about_the_mouth(photo, capsys):
    """The mouth is less than a quarter of the box, and all of it lies in it."""
    assert main(["ask", str(photo), "Is this forged?", "--box", "200,130,250,175", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["regions"]) == {"mouth", "chin"}


def test_a_box_around_all_of_a_face_asks_about_the_face(photo, capsys):
    assert main(["ask", str(photo), "Is this forged?", "--box", "0,0,512,512"]) == 0
    assert "% fake" in capsys.readouterr().out


def test_a_mask_may_be_of_any_kind_of_picture_and_says_the_same(photo, tmp_path, capsys):
    mask = Image.new("L", (512, 512))
    mask.paste(255, (190, 90, 240, 130))
    deep = Image.fromarray(np.asarray(mask, np.uint16) * 257)
    kinds = {
        "a.png": mask,
        "b.png": mask.convert("1"),
        "c.png": mask.convert("RGBA"),
        "d.png": deep,
        "e.jpg": mask,
        "f.png": mask.point(lambda v: v * 0.7),
        "g.tif": Image.fromarray(np.asarray(mask, np.float32) / 255),
    }
    said = set()
    for name, picture in kinds.items():
        picture.save(tmp_path / name)
        assert main(["ask", str(photo), "--mask", str(tmp_path / name)]) == 0
        said.add(capsys.readouterr().out)
    assert len(said) == 1


def test_what_a_mask_lacks_is_told_with_its_name(photo, tmp_path, capsys):
    Image.fromarray(np.full((512, 512), np.nan, np.float32)).save(tmp_path / "nothing.tif")
    assert main(["ask", str(photo), "--mask", str(tmp_path / "nothing.tif")]) == 1
    assert "--mask '" in (said := capsys.readouterr().err) and "nothing.tif" in said and "no finite values" in said


def test_places_on_two_faces_are_no_one_question(photo, tmp_path, capsys):
    with Image.open(photo) as image:
        pixels = np.asarray(image.convert("RGB"))
    Image.fromarray(np.concatenate([pixels, pixels[:, ::-1]], 1)).save(tmp_path / "two.png")
    for words, said in (
        (("--at", "225,120", "--at", "798,120"), "The point 225, 120 is on face 1 and the point 798, 120 is on face 2"),
        (("--at", "225,120", "--face", "2"), "The point 225, 120 is on face 1, and the question is about face 2."),
        (("--region", "nose", "--at", "798,120"), "The nose is on face 1 and the point 798, 120 is on face 2"),
    ):
        assert main(["ask", str(tmp_path / "two.png"), *words]) == 2
        assert said in capsys.readouterr().err
    for words in (("--at", "798,120", "--face", "2"), ("--box", "170,60,860,180", "--face", "2")):
        assert main(["ask", str(tmp_path / "two.png"), *words]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "5,500"), "The point 5, 500 is on no face that was examined: the face is at "),
        (("--box", "0,480,30,512"), "The box 0, 480 to 30, 512 is on no face"),
        (("--at", "5,500", "--at", "6,505"), "The point 5, 500 and the point 6, 505 are on no face"),
    ],
)
def test_a_place_off_the_face_is_told_with_what_was_pointed_at(photo, capsys, words, said):
    assert main(["ask", str(photo), *words]) == 2
    told = capsys.readouterr().err
    assert said in told and len(told.splitlines()) == 1


def test_an_unknown_region_is_told_with_the_nearest_few(photo, capsys):
    assert main(["ask", str(photo), "--region", "left_eyy"]) == 2
    told = capsys.readouterr().err
    assert "Did you mean 'left_eye'? Nearest: left_eye, " in told and "docs/regions.md" in told and len(told) < 260


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "expected a question"),
        (("--box", "10,10,10,40"), "which is empty"),
        (("--box", "9000,10,9010,40"), "outside it"),
        (("--box", "1,2,3"), "expected 4 numbers"),
        (("--at", "9000,10"), "expected a point in the picture"),
        (("--at", "nan,10"), "expected 2 numbers"),
        (("--at", "-1,5"), "expected a point in the picture"),
        (("--box", "-9,-9,-2,-.5"), "outside it"),
        (("--region", "left elbow"), "Unknown region"),
        (("--region", "x" * 5000), f"Unknown region '{'x' * 60}…'."),
        (("--mask", "{clear}"), "which is transparent in places"),
        (("--mask", "{small}"), "expected a picture of 512 × 512"),
        (("--mask", "{black}"), "expected white, 255, where a place is meant"),
        (("--mask", "{ones}"), "which has no light pixel: its lightest has 1"),
        (("--mask", "{grey}"), "most of which is neither"),
        (("--mask", "{moving}"), "which holds several"),
        (("--mask", "{huge}"), "as large as the photo"),
        (("--mask", "{absent}"), "does not exist"),
    ],
)
def test_what_cannot_be_pointed_at_is_told(photo, tmp_path, capsys, monkeypatch, words, sentence):
    names = ("small", "black", "absent", "clear", "ones", "grey", "moving", "huge")
    files = {name: tmp_path / f"{name}.png" for name in names}
    Image.new("L", (64, 64), 255).save(files["small"])
    Image.new("L", (512, 512)).save(files["black"])
    Image.new("L", (512, 512), 1).save(files["ones"])  # of those who write 0 and 1
    Image.linear_gradient("L").resize((512, 512)).save(files["grey"])
    white = Image.new("L", (512, 512), 255)
    white.save(files["moving"], save_all=True, append_images=[Image.new("L", (512, 512))])
    if "{huge}" in words:
        monkeypatch.setattr(talk, "_LARGE", 512 * 512)
        Image.new("L", (600, 600)).save(files["huge"])
    marked = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
    marked.paste((255, 255, 255, 255), (200, 90, 240, 120))
    marked.save(files["clear"])
    try:
        status = main(["ask", str(photo), *(word.format(**files) for word in words)])
    except SystemExit as stopped:  # argparse's own refusals
        status = stopped.code
    assert status == (1 if sentence == "does not exist" else 2)  # a file at fault, or the command
    assert sentence in capsys.readouterr().err
