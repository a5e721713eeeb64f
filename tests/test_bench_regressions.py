"""Misjudgements that are kept: records without pictures, and what is said of the same files now."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import files
import pytest
from PIL import Image
from skimage import data

from facewitness import plugins
from facewitness.apps.cli import main
from facewitness.bench import regressions
from facewitness.errors import InputError
from facewitness.pipeline import Analyzer


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


@pytest.fixture(scope="module")
def entry(photo: Path) -> regressions.Misjudged:
    return regressions.record(Analyzer().analyze(photo), "fake", "a test")


def test_a_record_holds_hashes_and_numbers_and_comes_back(tmp_path: Path, entry: regressions.Misjudged) -> None:
    path = regressions.Kept(tmp_path).add(entry)
    written = json.loads(path.read_text())
    assert written["schema"] == regressions.SCHEMA
    assert len(written["weights"]["compact.onnx"]) == 64
    assert written["picture"] is None
    (again,) = regressions.Kept(tmp_path).entries()
    assert (again.sha256, again.truth, again.note, again.scores) == (entry.sha256, "fake", "a test", entry.scores)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_command_reports_and_the_table_says_what_became_of_it(
    tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "kept"
    assert main(["misjudged", str(photo), "--truth", "fake", "--into", str(folder)]) == 0
    assert main(["bench", "regressions", str(folder)]) == 1  # the file is not beside the record
    assert "--pictures" in capsys.readouterr().err
    assert (
        main(["bench", "regressions", str(folder), "--pictures", str(photo.parent), "--out", str(tmp_path / "t.md")])
        == 0
    )
    assert "1 reported:" in (tmp_path / "t.md").read_text()
    assert main(["misjudged", str(photo), "--truth", "fake", "--with-picture", "--into", str(folder)]) == 0
    assert main(["bench", "regressions", str(folder)]) == 0
    assert "0 whose file was not at hand" in capsys.readouterr().out
    assert main(["misjudged", str(photo), "--truth", "real", "--note", "we asked", "--into", str(folder)]) == 0
    assert "this takes the place of the record of" in (err := capsys.readouterr().err)
    assert "which said fake, without a note." in err
    (entry,) = regressions.Kept(folder).entries()
    assert entry.truth == "real" and regressions.Kept(folder).picture_of(entry), "the picture that was kept is kept"
    assert main(["misjudged", str(photo), "--truth", "real", "--note", "we asked", "--into", str(folder)]) == 0
    assert "takes the place" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "now", "what"),
    [("fake", "real", "mended"), ("fake", "inconclusive", "open"), ("fake", "fake", "wrong"),
     ("inconclusive", "fake", "worse"), ("fake", None, "missing")],
)  # fmt: skip
def test_each_outcome_has_its_word(entry: regressions.Misjudged, before: str, now: str | None, what: str) -> None:
    import dataclasses

    genuine = dataclasses.replace(entry, truth="real", label=before)
    outcome = regressions.Outcome(genuine, now, 0.5)
    assert outcome.what == what
    assert regressions.page([outcome]).count("\n") == 4


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"schema": "facewitness.misjudged/9"}', '{"schema": "facewitness.misjudged/1", "sha256": 3}',
     '{"schema": "facewitness.misjudged/1", "who": "me"}', "[" * 100_000],
)  # fmt: skip
def test_a_damaged_record_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="no record of a misjudgement"):
        regressions.Kept(tmp_path).entries()


@pytest.mark.parametrize(
    "changed",
    [
        {"person": -1}, {"person": True}, {"fake": float("nan")}, {"fake": float("inf")}, {"fake": -5}, {"fake": True},
        {"picture": "x" * 300 + ".jpg"}, {"sha256": "/" * 64}, {"date": "\x1b| x |"},
    ],
)  # fmt: skip
def test_a_record_of_what_cannot_be_is_told(tmp_path: Path, entry: regressions.Misjudged, changed: dict) -> None:
    path = regressions.Kept(tmp_path).add(entry)
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(InputError, match="no record of a misjudgement"):
        regressions.Kept(tmp_path).entries()


def test_a_record_cannot_name_a_file_elsewhere(tmp_path: Path, entry: regressions.Misjudged) -> None:
    path = regressions.Kept(tmp_path).add(entry)
    values = json.loads(path.read_text()) | {"picture": "../secret.png"}
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="in this folder"):
        regressions.Kept(tmp_path).entries()


def test_what_cannot_be_reported_is_told(tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.png"
    Image.new("RGB", (64, 64), "white").save(empty)
    report = Analyzer().analyze(photo)
    for arguments in ((report, "maybe"), (report, "real", "x" * 2001), (report, "real", "", 4)):
        with pytest.raises(InputError, match="expected"):
            regressions.record(*arguments)
    assert main(["misjudged", str(empty), "--truth", "real", "--into", str(tmp_path)]) == 2
    assert "expected a file with a face that was judged, or one whose verdict is by what" in capsys.readouterr().err
    with pytest.raises(InputError, match="got others"):
        regressions.Kept(tmp_path).add(regressions.record(report, "real"), b"other bytes", ".png")
    with pytest.raises(InputError, match="no folder"):
        regressions.Kept(tmp_path / "none").entries()


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut in a file that says that Stable Diffusion made it, and an empty one that says the same."""
    folder = tmp_path_factory.mktemp("generated")
    settings = "a woman\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: sd_xl"
    for name, picture in (("said", Image.fromarray(data.astronaut())), ("empty", Image.new("RGB", (64, 64), "white"))):
        (folder / f"{name}.png").write_bytes(files.png(picture, parameters=settings))
    return folder


def test_a_verdict_by_what_the_file_says_of_itself_is_reported_and_judged_again(
    tmp_path: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, folder = generated / "said.png", tmp_path / "kept"
    assert main(["misjudged", str(said), "--truth", "real", "--into", str(folder)]) == 0
    (entry,) = regressions.Kept(folder).entries()
    assert (entry.person, entry.label, entry.fake, entry.wrong) == (None, "fake", None, True)
    assert "Stable Diffusion" in entry.statement and entry.scores == {"provenance": 1.0} and entry.face is None
    assert regressions.Kept(folder).before(entry) == entry, "a later record of the same takes its place"
    assert "not the wrong one" not in capsys.readouterr().err

    def now(*more: str) -> str:
        assert main(["bench", "regressions", str(folder), "--pictures", str(generated), *more]) == 0
        return capsys.readouterr().out

    says = "| fake, by what the file says |"
    assert f"{says} fake, by what the file says | still wrong |" in now()
    assert main(["bench", "regressions", str(folder), "--witness", "compact"]) == 2
    err = capsys.readouterr().err
    assert "a witness that reads what a file says of itself, for 1 of 1 records are about that, got compact. Add" in err
    assert main(["misjudged", str(said), "--truth", "real", "--person", "1", "--into", str(folder)]) == 0
    assert "without --person, that is reported" in capsys.readouterr().err, "the face's verdict was not wrong"
    assert sorted(e.person is None for e in regressions.Kept(folder).entries()) == [False, True]
    assert "2 reported: " in now()


def test_a_files_statement_that_decides_no_more_leaves_the_verdict_to_its_faces(
    tmp_path: Path, generated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facewitness.metadata import generators

    kept, analyzer = regressions.Kept(tmp_path), Analyzer()
    for path in sorted(generated.iterdir()):
        kept.add(regressions.record(analyzer.analyze(path), "real", "it was a hoax"))
    assert [o.what for o in regressions.again(kept, analyzer, generated)] == ["wrong", "wrong"]
    monkeypatch.setattr(generators, "traces", lambda *given: [])
    outcomes = {o.entry.sha256: o for o in regressions.again(kept, analyzer, generated)}
    hashes = [hashlib.sha256((generated / f"{name}.png").read_bytes()).hexdigest() for name in ("said", "empty")]
    said, empty = (outcomes[digest] for digest in hashes)
    face = analyzer.analyze(generated / "said.png").verdict
    assert (said.label, said.fake, said.by_file) == (face.label, face.fake, False) and said.fake is not None
    assert (empty.label, empty.what) == ("inconclusive", "open"), "nobody is on it, and nothing is said any more"
    assert "| fake, by what the file says | undecided | undecided now |" in regressions.page([empty])


def test_a_files_record_that_is_damaged_is_told(tmp_path: Path, generated: Path) -> None:
    kept = regressions.Kept(tmp_path)
    path = kept.add(regressions.record(Analyzer().analyze(generated / "empty.png"), "real"))
    assert path.name.endswith("-file.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"statement": 3}))
    with pytest.raises(InputError, match="a field has another type"):
        kept.entries()


def test_whoever_is_wrong_besides_the_file_and_what_was_not_asked_is_told(
    tmp_path: Path, generated: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = ["--into", str(tmp_path)]
    assert main(["misjudged", str(photo), "--truth", "real", "--witness", "compact", *into]) == 0
    assert "What the file says of itself was not asked: add --witness provenance." in capsys.readouterr().err
    assert main(["misjudged", str(photo), "--truth", "real", *into]) == 0
    err = capsys.readouterr().err
    assert "the verdict on the face is real, so it was not the wrong one; kept all the same.\n" in err
    assert main(["misjudged", str(generated / "said.png"), "--truth", "fake", *into]) == 0
    err = capsys.readouterr().err
    assert "the verdict on the file is fake, so it was not the wrong one" in err
    assert "the verdict on person 1 is wrong, too: --person 1 reports it." in err


def test_the_kept_misjudgements_are_read_and_told_of_once_each() -> None:
    folder = Path(__file__).parents[1] / "runs" / "misjudged"
    entries = regressions.Kept(folder / "kept").entries()
    told = (folder / "regressions.md").read_text(encoding="utf-8")
    assert f"{len(entries)} reported:" in told
    for entry in entries:
        assert told.count(entry.sha256[:12]) == 1 and entry.picture is None, "no photograph of a person lies here"
    facts = plugins.get("witnesses", "compact").load().facts
    shipped = [facts[key][:8] for key in ("sha256", "measured_as") if key in facts]
    assert any(name in (folder / "README.md").read_text(encoding="utf-8") for name in shipped), (
        "other weights ship: bench regressions runs/misjudged/kept, and say in the README of which weights it is"
    )


@pytest.mark.parametrize(("fake", "printed"), [(1.0, "fake (> 99 %)"), (0.5, "fake (50 %)"), (0.0, "fake (< 1 %)")])
def test_no_probability_is_printed_as_certain(fake: float, printed: str, entry: regressions.Misjudged) -> None:
    assert printed in regressions.page([regressions.Outcome(entry, "fake", fake)])
