"""The command as people meet it: what stands on which stream, which status it ends with, and never a traceback."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from doubles import DEADLY
from pictures import BROKEN, jpeg, painted, write_broken, write_odd
from waiting import eventually

import facewitness
from facewitness import files, plugins
from facewitness.apps import summary
from facewitness.apps.analyze import _CAUSES
from facewitness.apps.cli import main, parser
from facewitness.formats import json as wire
from facewitness.regions import DIALECTS
from facewitness.types import CAUSES

HERE = Path(__file__).parent
PARTS = ("--finder", "whole", "--witness", "brightness")


@pytest.fixture(scope="session")
def outside(tmp_path_factory) -> Path:
    """A folder that brings the witness `brightness` as an installed package would: by an entry point."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "doubles.py").write_bytes((HERE / "doubles.py").read_bytes())
    about = folder / "doubles-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: doubles\nVersion: 0\n")
    (about / "entry_points.txt").write_text("[facewitness.witnesses]\nbrightness = doubles\n")
    return folder


@pytest.fixture(autouse=True)
def _brightness(outside, monkeypatch):
    """The command, in this process and in those it starts, knows the witness `brightness`."""
    monkeypatch.syspath_prepend(str(outside))
    source = Path(facewitness.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (outside, source, os.environ.get("PYTHONPATH", "")))))
    for cached in (plugins.names, plugins._outside, plugins._installed):
        cached.cache_clear()
    yield
    for cached in (plugins.names, plugins._outside, plugins._installed):
        cached.cache_clear()


def command(*words: object, **settings) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "facewitness", *map(str, words)],
        capture_output=True,
        timeout=120,
        check=False,
        **settings,
    )


def analyze(*words: object) -> int:
    return main(["analyze", *map(str, words), *PARTS])


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_file_alone_has_its_sentence_and_status_1(tmp_path, capsys, name):
    status = analyze(write_broken(tmp_path, name))
    out, err = capsys.readouterr()
    assert status == 1
    assert out == ""
    assert BROKEN[name] in err
    assert err.startswith("facewitness: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_bad_files_in_a_batch_leave_the_others_analysed_and_status_3(tmp_path, capsys):
    good = write_odd(tmp_path)
    bad = [write_broken(tmp_path, name) for name in BROKEN]
    status = analyze(*bad, *good, "--json")
    out, err = capsys.readouterr()
    reports = [wire.parse(line) for line in out.splitlines()]
    assert status == 3
    assert [report.status for report in reports] == ["failed"] * len(bad) + ["ok"] * len(good)
    for name, sentence in BROKEN.items():
        assert any(name in line and sentence in line for line in err.splitlines())
    assert "Traceback" not in err


@pytest.mark.skipif(
    os.geteuid() == 0, reason="root may read every file; the pipe among BROKEN is unreadable for root too"
)
def test_a_file_one_may_not_read(tmp_path, capsys):
    path = tmp_path / "secret.png"
    painted(60).save(path)
    path.chmod(0)
    assert analyze(path) == 1
    assert "may not be read" in capsys.readouterr().err


def test_a_folder_without_pictures(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("nothing")
    assert analyze(tmp_path) == 1
    assert "folder without pictures" in capsys.readouterr().err


def test_a_glob_that_meets_nothing(tmp_path, capsys):
    assert analyze(tmp_path / "*.jpg") == 1
    assert "does not exist" in capsys.readouterr().err


def test_a_web_address_is_told_to_be_one(capsys):
    assert analyze("https://example.org/a.jpg") == 1
    assert "got a web address" in capsys.readouterr().err


def test_no_secret_of_a_web_address_stands_in_a_message_or_a_report(capsys):
    assert analyze("https://me:SECRET@example.org/a.jpg?key=SECRET#SECRET", "--json") == 1
    told = capsys.readouterr()
    assert "SECRET" not in told.err + told.out
    assert "'https://…@example.org/a.jpg?…': expected a file, got a web address" in told.err
    assert "curl -L -o picture.jpg ADDRESS && " in told.err
    assert json.loads(told.out)["source"] == "https://…@example.org/a.jpg?…"


@pytest.mark.parametrize("name", ["a\0b.jpg", "\ud83d.jpg"])
def test_a_name_that_no_file_has_is_told_in_words(name, capsys):
    assert analyze(name) == 1
    told = capsys.readouterr().err
    assert "there is a character in it that no file's name has. Check the path." in told and "codec" not in told


def test_a_profile_with_a_number_of_many_digits_is_told_in_words(tmp_path, capsys):
    (tmp_path / "p.json").write_text('{"schema": "facewitness.profile/1", "real": ' + "9" * 10_000 + "}")
    assert analyze(tmp_path / "a.png", "--profile", tmp_path / "p.json") == 2
    assert "(a number in it is of thousands of digits)" in capsys.readouterr().err


def test_of_a_name_without_end_both_ends_are_shown(capsys):
    assert analyze("x" * 100_000 + ".jpg") == 1
    told = capsys.readouterr().err
    assert len(told) < 500 and "x…x" in told and ".jpg' cannot be read" in told


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.parametrize("option", ["compact.model", "provenance.anchors", "hub.model"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_an_option_that_names_what_never_ends_is_refused(option, kind, tmp_path, capsys):
    path = tmp_path / "weights.onnx"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    words = ["--witness", option.split(".")[0], "--option", f"{option}={path}"]
    painted(40).save(tmp_path / "a.png")
    assert main(["analyze", str(tmp_path / "a.png"), *words]) == 2
    assert "it is a device, a pipe or a socket, no file" in capsys.readouterr().err


def test_a_profile_of_words_is_refused_without_a_parsers_words(tmp_path, capsys):
    (tmp_path / "words.txt").write_text("hello")
    assert analyze(tmp_path / "a.png", "--profile", tmp_path / "words.txt") == 2
    assert "made by `facewitness calibrate` (it is not JSON)" in capsys.readouterr().err


def test_a_profile_with_a_doubled_key_is_refused(tmp_path, capsys):
    (tmp_path / "profile.json").write_text('{"schema": "facewitness.profile/1", "witnesses": {}, "witnesses": {}}')
    assert analyze(tmp_path / "a.png", "--profile", tmp_path / "profile.json") == 2
    assert "the key 'witnesses' stands twice in one object" in capsys.readouterr().err


def test_lines_of_a_later_version_are_told_to_be_that(tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")
    (tmp_path / "lines.jsonl").write_text('{"schema": "facewitness.report/3", "made_by": {}}\n')
    assert analyze(tmp_path / "a.png", "--lines", tmp_path / "lines.jsonl", "--resume") == 2
    err = capsys.readouterr().err
    assert (
        "line 1: this version reads 'facewitness.report/2' and 'facewitness.report/1', got 'facewitness.report/3'"
        in err
    )


def test_lines_with_a_doubled_key_are_not_gone_on_with(tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")
    (tmp_path / "lines.jsonl").write_text('{"schema": "facewitness.report/2", "made_by": {}, "made_by": {}}\n')
    assert analyze(tmp_path / "a.png", "--lines", tmp_path / "lines.jsonl", "--resume") == 2
    assert "line 1: Expected a report whose every key stands once, but the key 'made_by'" in capsys.readouterr().err


def test_one_picture_is_one_picture(tmp_path, capsys):
    PIL.Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    lines = ("--lines", tmp_path / "r.jsonl")
    assert analyze(tmp_path / "a.png", *lines) == 0
    PIL.Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "b.png")
    capsys.readouterr()
    assert analyze(tmp_path / "a.png", tmp_path / "b.png", *lines, "--resume") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("1 picture: ") and last.endswith("; 1 done before")


@pytest.mark.parametrize("name", ["🙂 smile.png", "line\nbreak.png", "with space.png", "\u202egnp.png", "-dash.png"])
def test_names_of_every_kind(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    painted(220).save(tmp_path / name)
    assert analyze(f"./{name}", "--format", "json,html,markdown,overlay", "--out", "reports") == 0
    out, err = capsys.readouterr()
    assert err == ""
    first, *files = out.splitlines()
    assert "Fake" in first
    assert "\u202e" not in out
    assert len([line for line in files if line.startswith("  →")]) == 4
    written = sorted(path.suffix for path in (tmp_path / "reports").iterdir())
    assert written == [".html", ".json", ".md", ".png"]
    assert analyze(f"./{name}", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["source"] == name


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets file names be any bytes")
def test_a_name_that_is_not_utf_8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Path(os.fsdecode(path)).write_bytes(jpeg(painted(220)))
    done = subprocess.run(
        [sys.executable, "-m", "facewitness", "analyze", path, *PARTS, "--out", tmp_path / "out"],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_terminal_without_the_letters_is_no_reason_to_stop(tmp_path):
    painted(220).save(tmp_path / "🙂.png")
    plain = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = command("analyze", tmp_path / "🙂.png", *PARTS, env=plain)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Fake" in done.stdout


def test_no_face_is_not_a_failure(capsys, tmp_path):
    painted(128).save(tmp_path / "wall.png")
    try:
        plugins.get("finders", "facemesh").load().find(facewitness.Frame(np.zeros((64, 64, 3), np.uint8)))
    except facewitness.WeightsError as error:
        pytest.skip(str(error))
    assert main(["analyze", str(tmp_path / "wall.png"), "--witness", "brightness"]) == 0
    out, err = capsys.readouterr()
    assert "No face found" in out
    assert "not a verdict of real" in out
    assert err == ""


# -------------------------------------------------------------------------------------------------------- answers


def test_json_is_one_report_a_line_and_nothing_else(tmp_path):
    for number in range(7):  # enough for a progress bar
        painted(40 + 30 * number).save(tmp_path / f"{number}.png")
    (tmp_path / "text.jpg").write_text("no picture")
    done = command("analyze", tmp_path, "--json", "--out", tmp_path / "out", "--jobs", 2, *PARTS)
    lines = done.stdout.decode().split("\n")
    assert done.returncode == 3
    assert lines[-1] == ""
    assert [Path(json.loads(line)["source"]).name for line in lines[:-1]] == [f"{n}.png" for n in range(7)] + [
        "text.jpg"
    ]
    assert len(list((tmp_path / "out").glob("*.json"))) == 7
    assert b"text.jpg" in done.stderr


def test_standard_input(tmp_path):
    done = command("analyze", "-", "--json", *PARTS, input=jpeg(painted(220)))
    report = wire.parse(done.stdout)
    assert (done.returncode, report.source, report.verdict.label) == (0, "-", "fake")
    done = command("analyze", "-", *PARTS, input=b"")
    assert done.returncode == 1
    assert b"empty" in done.stderr


def test_summary_of_one_picture_tells_verdict_reasons_and_places(tmp_path, capsys):
    painted(220).save(tmp_path / "a.png")
    assert analyze(tmp_path / "a.png") == 0
    out = capsys.readouterr().out
    for part in ("Fake", "reaches the threshold for fake", "Strong sign (86 %): The forehead is brighter"):
        assert part in out


def test_no_sign_is_told_with_how_often_forgeries_of_each_kind_get_it(astronaut_path, tmp_path, capsys):
    assert main(["analyze", str(astronaut_path)]) == 0
    out = capsys.readouterr().out
    assert "no sign of forgery found" in out and "In some forgeries compact finds no sign: in" in out.splitlines()[-1]
    PIL.Image.open(astronaut_path).convert("RGB").resize((64, 64)).save(tmp_path / "no_face.png")
    assert main(["analyze", str(tmp_path / "no_face.png")]) == 0
    assert "compact finds no sign" not in capsys.readouterr().out


def test_films_are_counted_as_films(tmp_path, capsys):
    pytest.importorskip("av", reason="needs the extra 'video'")
    import films

    painted(40).save(tmp_path / "a.png")
    (tmp_path / "b.mp4").write_bytes(films.film(12))
    analyze(tmp_path)
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 picture and 1 film: ")


def test_summary_of_many_pictures_is_one_line_each_and_a_count(tmp_path, capsys):
    for brightness in (40, 45, 220):
        painted(brightness).save(tmp_path / f"{brightness}.png")
    assert analyze(tmp_path) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 4
    assert out[-1] == "3 pictures: 1 fake, 2 without a sign of forgery"
    assert analyze(tmp_path, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_the_same_picture_named_twice_is_analysed_once(tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")
    assert analyze(tmp_path / "a.png", tmp_path, tmp_path / "*.png", "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("pictures", [3, 8])
def test_a_bar_on_a_terminal_for_more_than_a_few(tmp_path, pictures):
    for number in range(pictures):
        painted(40 + number).save(tmp_path / f"{number}.png")
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "facewitness", "analyze", tmp_path, "--json", *PARTS],
        stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    ) as process:  # fmt: skip
        os.close(theirs)
        answers = process.stdout.read()
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the terminal has closed
        pass
    os.close(ours)
    assert process.returncode == 0
    assert len(answers.splitlines()) == pictures
    assert all(json.loads(line)["status"] == "ok" for line in answers.splitlines())
    assert (b"analysing" in shown) == (pictures == 8)


# ------------------------------------------------------------------------------------------------- files, resume


def test_files_are_whole_or_not_at_all(tmp_path, capsys, monkeypatch):
    painted(220).save(tmp_path / "a.png")
    out = tmp_path / "out"
    monkeypatch.setattr(
        Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    status = analyze(tmp_path / "a.png", "--out", out)
    assert status == 1
    assert "a.png: The format json could not be written" in capsys.readouterr().err
    assert list(out.iterdir()) == []  # no half a file, no temporary one


def test_a_folder_that_cannot_be_written_is_told(tmp_path, capsys):
    painted(220).save(tmp_path / "a.png")
    (tmp_path / "out").write_text("I am a file")
    assert analyze(tmp_path / "a.png", "--json", "--out", tmp_path / "out") == 2
    out, err = capsys.readouterr()
    assert out == "" and "expected a folder to write to, got the file" in err  # before anything is analysed


def test_a_written_report_is_the_printed_one(tmp_path, capsys):
    painted(220).save(tmp_path / "a.png")
    assert analyze(tmp_path / "a.png", "--json", "--out", tmp_path / "out") == 0
    (file,) = (tmp_path / "out").iterdir()
    assert file.read_text() == capsys.readouterr().out
    assert file.name.startswith("a-")


def test_pictures_of_the_same_name_get_files_of_their_own(tmp_path, capsys):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        painted(220).save(tmp_path / folder / "a.png")
    assert analyze(tmp_path, "--out", tmp_path / "out") == 0
    assert len(list((tmp_path / "out").glob("a-*.json"))) == 2


def test_formats_may_be_named_together_and_one_by_one(tmp_path):
    painted(40).save(tmp_path / "a.png")
    words = ["analyze", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--finder", "whole"]
    assert main([*words, "--format", "json,html", "--format", "markdown", "--format", "json"]) == 0
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".html", ".json", ".md"]


def test_resume_skips_what_is_done_and_only_that(tmp_path, capsys):
    for number in range(3):
        painted(40 + number).save(tmp_path / f"{number}.png")
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    words = (tmp_path, "--out", tmp_path / "out", "--resume", "--json")
    assert analyze(*words) == 3
    assert len(capsys.readouterr().out.splitlines()) == 4
    painted(200).save(tmp_path / "1.png")  # another picture under the same name
    text.unlink()
    assert analyze(*words) == 0
    out, err = capsys.readouterr()
    assert [Path(json.loads(line)["source"]).name for line in out.splitlines()] == ["1.png"]
    assert "2 done before" in err
    assert analyze(*words) == 0
    assert capsys.readouterr().out == ""
    assert analyze(*words, "--format", "json,markdown") == 0  # a format that is not there yet
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert analyze(*words, "--max-megapixels", 50) == 0  # other options may give other answers
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_resume_brings_back_a_row_and_a_thumbnail_that_a_kill_took(tmp_path, capsys):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    for name in ("a", "b", "c"):
        painted(60 + ord(name)).save(pictures / f"{name}.png")
    words = (pictures, "--out", out, "--resume", "--no-date")
    assert analyze(*words) == 0
    whole = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    rows = next(path for path in out.iterdir() if path.suffix == ".jsonl")
    kept = [line for line in rows.read_bytes().splitlines(keepends=True) if b"c.png" in line]
    rows.write_bytes(b"".join(kept))  # the others' reports stand, their rows do not
    next(path for path in (out / "thumbs").iterdir() if path.name.startswith("b-")).unlink()
    assert analyze(*words) == 0
    again = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert set(again) == set(whole)
    assert all(again[path] == whole[path] for path in whole if path.suffix != ".jsonl")
    assert "2 done before" in capsys.readouterr().out  # a row is made of its report, a thumbnail takes the picture


_FOREIGN: dict[str, Any] = {
    "source": ["a", None], "sha256": [5], "status": ["odd", None, []], "verdict": ["guilty", 3, "ok"],
    "fake": ["1", math.nan, 7, True], "low": [-1], "faces": ["x", -1, 1.5, True], "places": [None], "problem": [[]],
    "reports": [5, None, ["../../x.html"], ["/etc/passwd"], ["//evil.example/x"], [".."], ["a\\b"], [3], {"a": 1}],
    "thumb": ["//evil.example/x.jpg", "../x.jpg", "/etc/x.jpg", "thumbs/../x.jpg", "x.jpg", "thumbs/", 5],
}  # fmt: skip


def test_rows_that_we_cannot_have_written_are_as_if_they_were_not_there(tmp_path):
    report, thumb = "a-1.html", "thumbs/a-1.jpg"
    good = asdict(summary.Row("a.png", "0" * 64, "ok", "fake", 0.9, 0.8, 1.0, 1, 1, "", "", (report,), thumb))
    rows = [{**good, name: value} for name, values in _FOREIGN.items() for value in values if value != "a"]
    lines = [json.dumps({**row, "source": row["source"] and f"bad{n}"}) for n, row in enumerate(rows)]
    lines += ["[" * 100_000, '"x"', "{}", json.dumps(good)[:-1] + ', "source": "twice"}', "9" * 5000]
    (tmp_path / "thumbs").mkdir()
    (tmp_path / thumb).write_bytes(b"x")
    (tmp_path / summary.ROWS).write_text("\n".join([*lines, json.dumps(good)]) + "\n")
    table = summary.Rows(tmp_path, True)
    assert table.holds("a.png", "0" * 64, [report], thumb)
    assert not table.holds("a.png", "1" * 64, [report], thumb)  # the row of other bytes
    assert not table.holds("a.png", "0" * 64, [report], "thumbs/b-1.jpg")
    table.close()
    assert len((tmp_path / summary.ROWS).read_text().splitlines()) == 1
    written = "".join(path.read_text() for path in tmp_path.iterdir() if path.is_file())
    assert "a.png" in written and not any(word in written for word in ("bad", "evil", "passwd", "twice", ".."))


def test_a_report_of_another_picture_makes_no_row_of_this_one(tmp_path, capsys):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    for name in ("a", "b"):
        painted(60 + ord(name)).save(pictures / f"{name}.png")
    words = (pictures, "--out", out, "--resume", "--no-date", "--format", "json")
    assert analyze(*words) == 0
    first, second = sorted(path for path in out.glob("*.json"))
    right = first.read_bytes()
    first.write_bytes(second.read_bytes())
    (out / summary.ROWS).unlink()
    capsys.readouterr()
    assert analyze(*words) == 0
    assert "1 done before" in capsys.readouterr().out
    assert first.read_bytes() == right
    sources = [json.loads(line)["source"] for line in (out / summary.ROWS).read_text().splitlines()]
    assert sorted(Path(source).name for source in sources) == ["a.png", "b.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process group")
@pytest.mark.parametrize("jobs", [1, 2])
def test_resume_after_a_kill(tmp_path, capsys, jobs):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(8):
        painted(40 + number).save(pictures / f"{number}.png")
    out, started, gate = tmp_path / "out", tmp_path / "started", tmp_path / "gate"
    gate.touch()
    slow = ("--option", f"brightness.gate={gate}", "--option", f"brightness.started={started}")
    words = ["analyze", str(pictures), "--out", str(out), "--resume", "--jobs", str(jobs), *slow, *PARTS]
    with subprocess.Popen([sys.executable, "-m", "facewitness", *words], start_new_session=True) as process:
        assert eventually(lambda: len(list(out.glob("*.json"))) >= 2, process=process)
        os.killpg(process.pid, signal.SIGKILL)
    gate.unlink()
    done = {file: file.stat().st_mtime_ns for file in out.glob("*.json")}
    assert 2 <= len(done) < 8
    for file in done:
        assert wire.parse(file.read_bytes()).status == "ok"
    before = started.stat().st_size
    assert main(words) == 0
    assert f"{len(done)} done before" in capsys.readouterr().out
    assert len(list(out.glob("*.json"))) == 8
    assert {file: file.stat().st_mtime_ns for file in done} == done
    assert started.stat().st_size - before == 8 - len(done)


def lines_of(path: Path) -> list[facewitness.Report]:
    with path.open("rb") as file:
        return list(wire.parse_lines(file))


def test_lines_hold_made_by_once_and_can_be_resumed(tmp_path, capsys):
    pictures, out = tmp_path / "pictures", tmp_path / "lines.jsonl"
    pictures.mkdir()
    for number in range(3):
        painted(40 + 80 * number).save(pictures / f"{number}.png")
    assert analyze(pictures, "--lines", out, "--quiet") == 0
    whole = out.read_bytes()
    assert whole.count(b'"finder":') == 1 and whole.count(b"sha256:") == 2
    capsys.readouterr()
    assert analyze(pictures, "--lines", out) == 2  # nothing that is there is lost
    assert "holds something already. Add --resume" in capsys.readouterr().err
    out.write_bytes(whole[: whole.index(b"\n") + 40])  # a run that was killed while it wrote the second line
    (pictures / "text.png").write_text("no picture")
    assert analyze(pictures, "--lines", out, "--resume") == 3
    told = capsys.readouterr()
    assert (
        "4 pictures: 1 fake, 1 inconclusive, 1 not analysed; 1 done before" in told.out or "1 done before" in told.out
    )
    assert [report.status for report in lines_of(out)] == ["ok", "ok", "ok", "failed"]
    assert analyze(pictures, "--lines", out, "--resume", "--quiet") in (1, 3)  # the failed one is tried again
    assert [Path(report.source).name for report in lines_of(out)] == ["0.png", "1.png", "2.png", "text.png"]
    assert not list(tmp_path.glob("*.lock"))


def test_lines_of_another_run_are_kept_and_do_not_count_as_done(tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")
    out = tmp_path / "lines.jsonl"
    assert analyze(tmp_path / "a.png", "--lines", out) == 0
    assert analyze(tmp_path / "a.png", "--lines", out, "--resume", "--max-megapixels", 50) == 0
    assert [report.made_by["reading"] for report in lines_of(out)] == [{}, {"max_pixels": 50_000_000}]
    out.write_text('{"schema": "else"}\n')
    assert analyze(tmp_path / "a.png", "--lines", out, "--resume") == 2
    assert "line 1: expected a report" in capsys.readouterr().err
    assert out.read_text() == '{"schema": "else"}\n'


def test_a_whole_last_line_without_its_line_feed_is_kept(tmp_path, capsys):
    for name in ("a.png", "b.png"):
        painted(40).save(tmp_path / name)
    out = tmp_path / "lines.jsonl"
    assert analyze(tmp_path / "a.png", "--lines", out) == 0
    out.write_bytes(out.read_bytes().rstrip())
    assert analyze(tmp_path / "b.png", "--lines", out, "--resume") == 0
    assert [Path(report.source).name for report in lines_of(out)] == ["a.png", "b.png"]
    out.write_bytes(out.read_bytes()[:-30])
    assert analyze(tmp_path / "b.png", "--lines", out, "--resume") == 0
    assert [Path(report.source).name for report in lines_of(out)] == ["a.png", "b.png"]


@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
def test_a_report_of_which_a_part_is_there_is_not_done(left, tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")
    words = (
        tmp_path / "a.png",
        "--out",
        tmp_path / "out",
        "--format",
        "json,html,overlay,pdf",
        "--resume",
        "--no-date",
    )
    assert analyze(*words) == 0
    assert analyze(*words) == 0 and "1 done before" in capsys.readouterr().out
    for report in sorted((tmp_path / "out").iterdir()):
        if report.is_file() and report.name.startswith("a-"):
            whole = report.read_bytes()
            report.write_bytes(whole[: int(left * len(whole))])
            assert analyze(*words) == 0 and "done before" not in capsys.readouterr().out, report.name
            assert len(report.read_bytes()) > 0.9 * len(whole)


def test_two_writers_of_one_file_of_lines_are_refused_by_its_name(tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")
    out = tmp_path / "lines.jsonl"
    out.touch()
    with files.held(tmp_path / "lines.jsonl.lock"):
        assert analyze(tmp_path / "a.png", "--lines", out, "--resume") == 2
    told = f"'{out}': expected a file that nobody else writes to, got one that is being written to by process"
    assert f"{told} {os.getpid()}." in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "one long line"])
def test_lines_to_go_on_from_are_an_ordinary_file(kind, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(wire, "_LONGEST", 1000)
    painted(40).save(tmp_path / "a.png")
    out = tmp_path / "lines.jsonl"
    if kind == "pipe":
        os.mkfifo(out)
    elif kind == "device":
        out.symlink_to("/dev/zero")
    elif kind == "folder":
        out.mkdir()
    else:
        out.write_bytes(b" " * 1000 + b"{}\n")
    assert analyze(tmp_path / "a.png", "--lines", out, "--resume") == 2
    assert f"{out}'" in capsys.readouterr().err
    assert kind != "one long line" or out.stat().st_size == 1003


def test_resumed_lines_get_made_by_again_where_its_line_was_taken_out(tmp_path, capsys):
    (tmp_path / "0.png").write_text("no picture")
    for number in (1, 2):
        painted(40 + number).save(tmp_path / f"{number}.png")
    out = tmp_path / "out" / "lines.jsonl"
    assert analyze(tmp_path, "--lines", out) == 3
    assert analyze(tmp_path, "--lines", out, "--resume") in (1, 3)
    reports = lines_of(out)
    assert [(Path(r.source).name, r.made_by["finder"]["name"]) for r in reports] == [
        ("1.png", "whole"), ("2.png", "whole"), ("0.png", "whole"),
    ]  # fmt: skip


def test_slim_json_has_no_masks(tmp_path, capsys):
    painted(220).save(tmp_path / "a.png")
    assert analyze(tmp_path / "a.png", "--json", "--slim", "--out", tmp_path / "out") == 0
    printed = json.loads(capsys.readouterr().out)
    (file,) = (tmp_path / "out").iterdir()
    assert printed["masks"] == json.loads(file.read_text())["masks"] == []
    assert printed["people"][0]["findings"][0]["places"][0]["box"]


def test_a_limit_may_be_a_fraction(tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")  # 96 x 96
    assert analyze(tmp_path / "a.png", "--max-megapixels", "0.001") == 1
    assert analyze(tmp_path / "a.png", "--max-megapixels", "0.1") == 0


def test_a_folder_s_other_files_are_counted_by_kind(tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")
    for name in ("a.cr2", "b.PDF", "c.txt", "d.md", "e", "f.[red]", ".hidden", "._a.png", ".b.png"):
        (tmp_path / name).write_text("x")
    others = (
        "skipped 7 other files: 1 .[red] file, 1 PDF, 1 file without an ending, 1 hidden picture or film, 1 raw photo, "
        "2 text; "
        "a PDF's pictures are analysed when it is named, such as b.PDF"
    )
    for words, stream in (((), 0), (("--json",), 1), (("--quiet",), 1)):
        assert analyze(tmp_path, *words) == 0
        assert others in capsys.readouterr()[stream]
    assert analyze(tmp_path, tmp_path / "c.txt") == 3  # named itself: told by itself
    told = capsys.readouterr()
    assert "skipped 6 other files" in told.out and "c.txt" in told.err


@pytest.mark.parametrize(
    ("verdicts", "status"), [("fake", 4), ("real", 0), ("real,fake", 4), ("inconclusive, real", 0)]
)
def test_fail_on_ends_with_status_4(tmp_path, capsys, verdicts, status):
    painted(220).save(tmp_path / "a.png")  # fake
    assert analyze(tmp_path / "a.png", "--fail-on", verdicts) == status


def test_a_message_names_its_file_once_and_no_step(tmp_path, capsys):
    (tmp_path / "x.jpg").write_text("no picture")
    assert analyze(tmp_path / "x.jpg") == 1
    err = capsys.readouterr().err
    assert err.count("x.jpg") == 1 and "read:" not in err


def test_without_a_command_it_teaches_and_a_photo_is_analysed(tmp_path, capsys, monkeypatch):
    assert main([]) == 0
    assert "examples:" in capsys.readouterr().out
    painted(220).save(tmp_path / "a.png")
    assert main([str(tmp_path / "a.png"), *PARTS]) == 0
    assert "Fake" in capsys.readouterr().out
    assert main(["--json", str(tmp_path / "a.png"), *PARTS]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "ok"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list").write_text("a file named as a command")
    assert main(["list"]) == 0
    assert "witnesses" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        (("--lines", "{out}"), "What was written is whole; --resume goes on from there."),
        (("--json",), "The lines printed so far are whole. With --lines FILE in place of --json a run can be resumed."),
        ((), "interrupted."),
    ],
)
def test_the_words_of_an_interruption_are_true(tmp_path, capsys, monkeypatch, words, ends):
    def stop(*_):
        raise KeyboardInterrupt

    painted(40).save(tmp_path / "a.png")
    monkeypatch.setattr("facewitness.apps.analyze._tell", stop)
    assert analyze(tmp_path / "a.png", *(word.format(out=tmp_path / "x.jsonl") for word in words)) == 130
    assert capsys.readouterr().err.rstrip().endswith(ends)


def test_a_picture_that_takes_too_long_is_ended_and_the_others_go_on(tmp_path):
    for number in range(3):
        painted(40 + number).save(tmp_path / f"{number}.png")
    slow = ("--option", "brightness.seconds=30")
    done = command("analyze", tmp_path, "--json", "--max-seconds", "0.5", *slow, *PARTS)
    assert done.returncode == 1
    assert done.stderr.count(b"The analysis took longer than 0.5 seconds.") == 3
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["failed"] * 3


def test_a_profile_that_is_not_there_is_a_mistake_in_the_command(tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")
    assert analyze(tmp_path / "a.png", "--profile", tmp_path / "none.json") == 2
    assert "expected a profile" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- how it ends


def test_a_process_that_dies_is_one_failure(tmp_path):
    for number in range(3):
        painted(40 + number).save(tmp_path / f"{number}.png")
    deadly = painted(60)
    deadly.putpixel((0, 0), DEADLY)
    deadly.save(tmp_path / "deadly.png")
    done = command("analyze", tmp_path, "--jobs", 2, "--json", *PARTS)
    assert done.returncode == 3
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["ok", "ok", "ok", "failed"]
    assert b"ended with status 9" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise there")
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_is_quiet_and_130(tmp_path, jobs):
    for number in range(6):
        painted(40 + number).save(tmp_path / f"{number}.png")
    started, gate = tmp_path / "started", tmp_path / "gate"
    gate.touch()
    slow = ("--option", f"brightness.gate={gate}", "--option", f"brightness.started={started}")
    words = ["analyze", str(tmp_path), "--jobs", str(jobs), "--out", str(tmp_path / "out"), *slow, *PARTS]
    with subprocess.Popen(
        [sys.executable, "-m", "facewitness", *words], stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert eventually(lambda: started.exists() and started.stat().st_size > 3, process=process)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=240)
    assert process.returncode == 130
    assert told.decode() == "facewitness: interrupted. What was written is whole; --resume goes on from there.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
@pytest.mark.parametrize("jobs", [1, 2])
def test_sigterm_keeps_what_ctrl_c_keeps_and_is_143(tmp_path, jobs):
    """As docker and batch systems send it: rows that are in no part yet are written."""
    pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'bench'")
    for label in ("real", "fake"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(6):
            painted(40 + number).save(tmp_path / "set" / label / f"{number}.png")
    started, gate, out = tmp_path / "started", tmp_path / "gate", tmp_path / "run"
    gate.touch()
    slow = ("--option", f"brightness.gate={gate}", "--option", f"brightness.started={started}")
    words = [
        "bench",
        "run",
        "folder",
        "--root",
        str(tmp_path / "set"),
        "--out",
        str(out),
        "--jobs",
        str(jobs),
        *slow,
        *PARTS,
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "facewitness", *words], stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        # three have been looked at, and told of, once each process waits at the gate with its next
        assert eventually(lambda: started.exists() and started.stat().st_size >= 3 + jobs, process=process)
        os.killpg(process.pid, signal.SIGTERM)
        _, told = process.communicate(timeout=240)
    assert process.returncode == 143, told
    words = "interrupted. What was written is whole; the same command goes on from there."
    assert told.decode() == f"facewitness: {words}\n"
    assert not (out / "lock").exists()
    kept = [row for part in (out / "parts").glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    # of one process all three; a second one's answers may still be on their way, and those behind them wait for them
    assert [row["file"] for row in kept] == ["real/0.png", "real/1.png", "real/2.png"][: len(kept)]
    assert len(kept) == 3 or jobs > 1
    assert all(row["status"] == "ok" for row in kept)


@pytest.mark.parametrize("words", [("ask", "PHOTO", "Is it fake?"), ("analyze", "PHOTO"), ("chat", "PHOTO")])
def test_names_that_command_a_terminal_never_reach_it(words, tmp_path, capsys):
    evil = "evil\x1b]0;pwned\x07\x1b[31mred\u202e.jpg"
    main([str(tmp_path / evil) if word == "PHOTO" else word for word in words])
    said = "".join(capsys.readouterr())
    assert "evil" in said and not {"\x1b", "\x07", "\u202e"} & set(said)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_a_reader_that_goes_away_is_no_error(tmp_path):
    for number in range(6):
        painted(40 + number).save(tmp_path / f"{number}.png")
    for words in (["analyze", str(tmp_path), "--json", *PARTS], ["list"], ["regions"], ["--version"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "facewitness", *words],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        os.close(writing)
        assert done.stderr == b"", words
        assert done.returncode == 141, words


def test_options_reach_their_part_and_unknown_ones_are_refused(tmp_path, capsys):
    painted(40).save(tmp_path / "a.png")
    assert analyze(tmp_path / "a.png", "--option", "brightness.mood=angry") == 1
    assert "The witness brightness of doubles 0" in capsys.readouterr().err
    assert analyze(tmp_path / "a.png", "--option", "brightness.mode=angry") == 2
    assert "Unknown option of brightness 'mode'. Did you mean 'mood'?" in capsys.readouterr().err


def test_a_part_that_cannot_be_loaded_is_one_sentence_and_status_2(tmp_path, capsys, monkeypatch):
    def load() -> None:
        raise facewitness.WeightsError("The weights are not there. Fetch them.")

    painted(40).save(tmp_path / "a.png")
    monkeypatch.setattr(plugins.get("witnesses", "brightness"), "load", load)
    assert analyze(tmp_path / "a.png", "--json") == 2
    assert capsys.readouterr() == ("", "facewitness: The weights are not there. Fetch them.\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["analyse", "a.jpg"], "Did you mean analyze?"),
        (["analyze"], "the following arguments are required: PATH"),
        (["--quiet"], "the following arguments are required: COMMAND"),
        (["analyze", "a.jpg", "--fail-on", "fakes"], "Did you mean 'fake'?"),
        (["analyze", "a.jpg", "--json", "--lines", "x.jsonl"], "give one of them"),
        (["analyze", "a.jpg", "--max-megapixels", "0"], "a number above 0"),
        (["analyze", "a.jpg", "--jsn"], "Did you mean --json?"),
        (["analyze", "a.jpg", "--formt=html"], "Did you mean --format?"),
        (["analyze", "a.jpg", "--format", "htm"], "Did you mean 'html'?"),
        (["analyze", "a.jpg", "--finder", "facemsh"], "Did you mean 'facemesh'?"),
        (["analyze", "a.jpg", "--witness", "compct"], "Did you mean 'compact'?"),
        (["analyze", "a.jpg", "--jobs", "0"], "at least 1"),
        (["analyze", "a.mp4", "--from", "1:99"], "expected a moment such as 12.5, 1:30"),
        (["analyze", "a.jpg", "--option", "flip=false"], "PART.KEY=VALUE"),
        (["analyze", "a.jpg", "--resume"], "--resume needs --out"),
        (["regions", "--dialect", "mar"], "Did you mean 'mare'?"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_near(words, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--from", "1:00", "--to", "0:30"], "--from, --to: expected a moment and a later one, got 60 and 30 seconds"),
        (["--lines", "-"], "'-': expected the name of a file to write to, got what stands for standard output"),
    ],
)
def test_what_cannot_be_meant_ends_before_the_work(words, sentence, capsys):
    assert main(["analyze", "a.mp4", *words]) == 2
    assert sentence in capsys.readouterr().err


# ------------------------------------------------------------------------------------------- the other commands


def test_list_shows_every_family_and_leaf_with_its_sentence(capsys):
    assert main(["list"]) == 0
    seen: dict[str, dict[str, str]] = {}
    absent: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        if not line.startswith(" "):
            seen[family := line.partition(":")[0]] = {}
            absent[family] = []
        elif line.startswith("  not installed (pip install "):
            absent[family] += line.partition("): ")[2].split(", ")
        elif not line.startswith("   "):
            name, sentence = line.split(maxsplit=1)
            seen[family][name] = sentence
    assert seen.keys() == set(plugins.FAMILIES)
    for family, leaves in seen.items():
        assert sorted([*leaves, *absent[family]]) == list(plugins.names(family))
        assert all(len(sentence) > 20 for sentence in leaves.values())


def test_list_shows_what_is_not_installed_in_one_line_and_what_witnesses_know(capsys, monkeypatch):
    lacking = {"facewitness[bench]": ("celeba", "dfdc"), "facewitness[train]": ("kfd",)}
    monkeypatch.setattr(
        plugins, "missing", lambda family, name: next((x for x, names in lacking.items() if name in names), "")
    )
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "  not installed (pip install 'facewitness[bench]'): celeba, dfdc\n" in out
    assert "  not installed (pip install 'facewitness[train]'): kfd\n" in out
    assert "compact hardly knows real-time swaps" in out


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("compact", "src/facewitness/weights/compact.json"),
        ("kfd", "runs/kfd/kfd.json"),
        ("mare", "runs/mare/model/fdm.json"),
    ],
)
def test_what_the_list_says_of_a_witness_stands_beside_its_weights(name, card):
    told = json.loads((HERE.parent / card).read_text(encoding="utf-8"))["card"]
    sentences = (told[key] for key in ("knows", "does_not_know", "groups") if key in told)
    assert plugins.measured("witnesses", name) == " ".join(sentences)


def test_pages_carry_the_date_and_what_the_witnesses_know_and_json_no_date(tmp_path, capsys):
    painted(220).save(tmp_path / "a.png")
    words = (tmp_path / "a.png", "--format", "json,markdown,html", "--out")
    assert analyze(*words, tmp_path / "dated") == 0
    assert analyze(*words, tmp_path / "undated", "--no-date") == 0
    dated, undated = (
        {path.suffix: path.read_text(encoding="utf-8") for path in (tmp_path / name).iterdir()}
        for name in ("dated", "undated")
    )
    assert dated[".json"] == undated[".json"]
    assert "| analysed | 20" in dated[".md"] and "analysed" not in undated[".md"]
    assert "<dt>analysed</dt>" in dated[".html"] and "<dt>analysed</dt>" not in undated[".html"]
    for page in (dated[".md"], dated[".html"]):
        assert "genuine faces that were held out of its training, brightness called" in page


@pytest.mark.parametrize("command", ["analyze", "ask"])
def test_help_says_what_witnesses_were_measured_to_know(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "what witnesses were measured to know:" in out
    assert "kfd knows where a face was blended" in out and "mare hardly knows small edits and blends" in out


def test_regions_draws_the_tree_and_the_dialects(capsys):
    assert main(["regions"]) == 0
    out = capsys.readouterr().out
    assert "left eyebrow" in out and "In brackets: MARE's name for it" in out
    assert main(["regions", "--dialect", "mare"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 12
    assert main(["regions", "--dialect", "celebamask"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 19
    with pytest.raises(SystemExit):
        main(["regions", "--help"])
    help_text = capsys.readouterr().out
    assert all(name in help_text for name in DIALECTS)


def test_version_names_versions_and_weight_hashes(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"facewitness {facewitness.__version__}"
    assert any(line.startswith("numpy ") for line in lines)
    assert any("face_landmark.tflite sha256 1055cb9d" in line for line in lines)


def test_files_with_the_same_bytes_are_told_at_the_end_and_on_the_page(tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    painted(40).save(photos / "a.png")
    painted(41).save(photos / "b.png")
    (photos / "c.png").write_bytes((photos / "a.png").read_bytes())
    assert analyze(photos, "--out", tmp_path / "out") == 0
    twins = f"the same file: {photos / 'a.png'} and {photos / 'c.png'}"
    assert twins in capsys.readouterr().out
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert page.count("the same file as") == 1 and f"the same file as {photos / 'a.png'}" in page
    pages = [(f"{photos / 'a.png'}#{number}", "0" * 64) for number in (1, 2)]
    assert summary.twins(pages) == [], "pages of one file are no twins"


def test_a_document_that_is_named_beside_its_folder_is_not_called_skipped(tmp_path, capsys):
    pytest.importorskip("pypdfium2", reason="needs the extra 'documents'")
    pages = [PIL.Image.fromarray(np.asarray(painted(90 + 40 * number).resize((128, 128)))) for number in range(2)]
    pages[0].save(tmp_path / "one.jpg")
    pages[0].save(tmp_path / "two pages.pdf", save_all=True, append_images=pages[1:])
    (tmp_path / "note.txt").write_text("a note")
    assert analyze(tmp_path, tmp_path / "two pages.pdf") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("3 pictures: ") and last.endswith("; skipped 1 other file: 1 text")


def test_the_summary_of_a_folder_says_why_pictures_are_inconclusive(tmp_path, capsys):
    for number in range(9):
        painted(20 + 26 * number).save(tmp_path / f"{number}.png")
    assert analyze(tmp_path) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    told = re.search(r"\b(\d+) inconclusive \(([^)]*)\)", last)
    assert told and sum(int(part.split()[0]) for part in told[2].split(", ") if part[0].isdigit()) == int(told[1]), last
    assert set(_CAUSES) == {*CAUSES, "several"}


def _commands(parser: argparse.ArgumentParser, words: str = "facewitness") -> Iterator[tuple[str, Any]]:
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _commands(below, f"{words} {name}")


_PARSER = parser()
_EVERY = dict(_commands(_PARSER))


@pytest.mark.parametrize("words", _EVERY)
def test_the_help_of_every_command_says_what_it_does_and_shows_an_example_that_is_understood(words: str):
    described = _EVERY[words].description or ""
    about, _, examples = described.partition("example")
    assert re.match(r"[A-Z].{10,}", about), f"{words} --help does not say what it does"
    shown = re.findall(rf"(?m)^  ({re.escape(words)}(?: .*)?)$", examples)
    assert shown, f"{words} --help shows no example of itself"
    for line in shown:
        command = re.split(r"  +[^-]| > | \|\| ", line)[0]  # what it is for stands behind, in columns
        if words != "facewitness" and not line.endswith("\\"):
            _PARSER.parse_args(shlex.split(command)[1:])  # exits where a word is unknown


def test_help_teaches_and_imports_little():
    code = (
        "import sys\nfrom facewitness.apps.cli import main\n"
        "try: main(['analyze', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'PIL', 'rich', 'cv2', 'onnxruntime', 'ai_edge_litert') if m in sys.modules])\n"
        "print(len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    *text, heavy, modules = done.stdout.splitlines()
    for part in ("examples:", "--resume", "exit status:"):
        assert part in "\n".join(text)
    assert heavy == "[]"
    assert int(modules) < 300  # 190, most of them Python's own: a fifth of a second


def test_the_package_shows_its_names_without_loading_them():
    code = (
        "import sys, facewitness\n"
        "assert 'analyze' in dir(facewitness) and set(facewitness.__all__) <= set(dir(facewitness))\n"
        "print([m for m in ('numpy', 'PIL', 'cv2', 'torch', 'onnxruntime') if m in sys.modules])\n"
        "assert facewitness.Verdict('real', 0.1).label == 'real'\n"
        "try: facewitness.nothing\n"
        "except AttributeError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["[]", "module 'facewitness' has no attribute 'nothing'"]


def test_standard_input_is_read_no_further_than_the_limit(monkeypatch, capsys):
    class Stream:
        buffer = io.BytesIO(b"x" * 3_000_000)

    monkeypatch.setattr(sys, "stdin", Stream())
    assert analyze("-", "--max-megabytes", 1) == 1
    assert Stream.buffer.tell() == 1_000_001
    assert "at most 1 MB" in capsys.readouterr().err


def test_an_empty_name_is_not_the_folder_one_is_in(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["analyze", ""]) == 2
    assert "got an empty name; is a variable of the shell not set?" in capsys.readouterr().err


def test_a_full_disk_behind_standard_output_is_one_sentence(capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("facewitness.apps.analyze._sources", full)
    assert main(["analyze", "x.png"]) == 1
    assert "could not (No space left on device). Make room there" in capsys.readouterr().err


def test_what_a_command_reads_is_not_written_over(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"a photo")
    assert main(["analyze", str(tmp_path / "a.png"), "--lines", str(tmp_path / "a.png"), "--resume"]) == 2
    assert "expected another file to write to than those that are read" in capsys.readouterr().err
    assert (tmp_path / "a.png").read_bytes() == b"a photo"


def test_a_dataset_without_its_folder_says_which_option_names_it(capsys, tmp_path):
    assert main(["bench", "run", "folder", "--out", str(tmp_path / "out")]) == 2
    assert "folder: expected the folder where it lies, got none. Name it: --root DIR" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_resume_opens_no_pipe_no_device_and_no_report_without_a_word(tmp_path):
    """Once each of these hung the whole batch, or filled the memory."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    painted(60).save(photos / "a.png")
    os.mkfifo(photos / "fifo.jpg")
    (photos / "zero.jpg").symlink_to("/dev/zero")
    with (photos / "large.jpg").open("wb") as file:
        file.truncate(3_000_000_000)
    words = ("analyze", *sorted(photos.iterdir()), "--out", out, "--format", "json", "--resume", *PARTS)
    first = command(*words)
    assert first.returncode == 3, first.stderr
    (report,) = out.glob("a-*.json")
    report.write_bytes(b"")  # as a power cut may leave it
    assert command(*words).returncode == 3
    assert report.stat().st_size > 100


@pytest.mark.parametrize(
    "words",
    [
        ("ask", "{evil}.jpg", "Is it fake?"),
        ("chat", "{evil}.jpg"),
        ("analyze", "{evil}.jpg", "--profile", "{evil}.json"),
        ("analyze", "x.jpg", "--{evil}"),
        ("analyze", "x.jpg", "--witness", "{evil}"),
        ("analyze", "x.jpg", "--option", "compact.{evil}=1"),
        ("analyze", "x.jpg", "--option", "{evil}"),
        ("datasets", "check", "manifest", "{evil}.csv"),
        ("bench", "table", "{evil}", "--out", "{evil}"),
        ("bench", "compare", "{evil}", "{evil}"),
        ("bench", "run", "folder", "--root", "{evil}", "--out", "{evil}"),
    ],
)
def test_no_word_of_a_message_gives_the_terminal_orders(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    evil = "x\x1b]0;pwned\a\x9b2J\u202e\u200b\udcffy"
    status = 2
    with contextlib.suppress(SystemExit):
        status = main([word.format(evil=evil) for word in words])
    assert status
    out, err = capsys.readouterr()
    for sign in evil[1:-1]:
        assert sign.isprintable() or sign not in out + err
    assert r"\x1b]0;pwned" in err


def test_an_interruption_while_numpy_is_imported_is_one_line(tmp_path):
    painted(80).save(tmp_path / "a.png")
    code = """
        import sys
        class Interrupted:
            def find_spec(self, name, *_):
                if name == "numpy":
                    raise KeyboardInterrupt
        sys.meta_path.insert(0, Interrupted())
        from facewitness.apps.cli import main
        sys.exit(main(["analyze", sys.argv[1], "--out", sys.argv[2]]))
    """
    words = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "a.png"), str(tmp_path / "out")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert ended.stderr == "facewitness: interrupted. What was written is whole; --resume goes on from there.\n"
    assert ended.returncode == 130
