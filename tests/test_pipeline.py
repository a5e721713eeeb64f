"""The main path: every file gets a report that says what happened, and a batch goes on whatever happens."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from doubles import Brightness
from pictures import BROKEN, jpeg, painted, write_broken, write_odd

import facewitness
from facewitness import media, weights
from facewitness.errors import InputError, ReportError, UnknownName, WeightsError
from facewitness.formats import json as wire
from facewitness.pipeline import Analyzer
from facewitness.types import Face, Finding, Frame, Mask, Testimony

HERE = Path(__file__).parent


def analyzer(*witnesses: Brightness, **options) -> Analyzer:
    return Analyzer(finder="whole", witnesses=witnesses or (Brightness(),), **options)


class Nobody:
    """A finder that finds nobody."""

    name = "nobody"

    def find(self, frame: Frame) -> tuple[Face, ...]:
        return ()


class Crowd:
    """A finder that sees thirty faces in a grid of six by five."""

    name = "crowd"

    def find(self, frame: Frame) -> tuple[Face, ...]:
        w, h = frame.width / 6, frame.height / 5
        return tuple(Face(frame.at, (c * w, r * h, (c + 1) * w, (r + 1) * h)) for r in range(5) for c in range(6))


class Blind:
    """A finder that fails."""

    name = "blind"

    def find(self, frame: Frame) -> tuple[Face, ...]:
        raise ZeroDivisionError("no eyes")


class Unequipped(Blind):
    """A finder whose weights are missing."""

    def find(self, frame: Frame) -> tuple[Face, ...]:
        raise WeightsError("The weights are not there. Fetch them.")


# ------------------------------------------------------------------------------------------------------ one picture


def test_a_photo_from_bytes_to_report(tmp_path):
    path = tmp_path / "bright.jpg"
    path.write_bytes(jpeg(painted(220)))
    report = analyzer().analyze(path)
    assert (report.status, report.source, report.size, report.problems) == ("ok", str(path), (96, 96), ())
    assert (report.verdict.label, len(report.faces)) == ("fake", 1)
    assert report.verdict.fake == report.faces[0].verdict.fake > 0.9
    (face,) = report.faces
    assert [sentence.findings for sentence in face.explanation] == [(0,)]
    assert face.findings[0].region == "forehead"
    assert face.mask is not None
    assert analyzer().analysis(path).clip.frame.pixels.shape == (96, 96, 3)
    assert len(report.sha256) == 64
    assert analyzer().analyze(jpeg(painted(40))).verdict.label == "real"


def test_threads_may_share_an_analyzer():
    shared = analyzer()
    pictures = [jpeg(painted(40 + 20 * number)) for number in range(8)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda picture: wire.render(shared.analyze(picture)), pictures))
    assert together == [wire.render(analyzer().analyze(picture)) for picture in pictures]


def test_the_same_file_gives_the_same_bytes(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(painted(150)))
    lines = {wire.render(analyzer().analyze(path)) for _ in range(2)}
    assert len(lines) == 1


def test_made_by_is_enough_to_run_it_again():
    chosen = Brightness()
    made_by = analyzer(chosen, reading={"max_pixels": 10_000}).made_by
    assert made_by["version"] == facewitness.__version__
    assert made_by["finder"]["name"] == "whole"
    (described,) = made_by["witnesses"]
    rates = described.pop("measured")["rates"]
    assert described == {"name": "brightness", "options": {}, "weights": {}}
    assert rates["genuine"] + rates["fakes"] == 400
    assert made_by["thresholds"] == {"real": chosen.calibration.real_below, "fake": chosen.calibration.fake_above}
    assert made_by["reading"] == {"max_pixels": 10_000}
    assert {"numpy", "pillow"} <= set(made_by["libraries"])
    assert made_by["seed"] is None


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_read_is_a_failed_report_with_a_sentence(tmp_path, name):
    report = analyzer().analyze(write_broken(tmp_path, name))
    assert (report.status, report.verdict, report.faces) == ("failed", None, ())
    (problem,) = report.problems
    assert problem.step == "read"
    assert BROKEN[name] in problem.message
    assert "Unexpected" not in problem.message
    assert (report.sha256 is not None) == (name in ("text.jpg", "empty.png", "truncated.jpg", "bomb.png"))
    assert wire.parse(wire.render(report)).problems == report.problems


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file; test of the pipe covers an unreadable one")
def test_a_file_one_may_not_read_is_a_failed_report(tmp_path):
    path = tmp_path / "secret.png"
    painted(60).save(path)
    path.chmod(0)
    assert "may not be read" in analyzer().analyze(path).problems[0].message


def test_odd_pictures_are_analysed(tmp_path):
    for path in write_odd(tmp_path):
        report = analyzer().analyze(path)
        assert (report.status, report.problems) == ("ok", ()), path
    animated = analyzer().analyze(tmp_path / "animated.gif")
    assert any("first of 3 pictures" in note for note in animated.notes)


def test_an_array_is_analysed_and_a_wrong_one_is_the_callers_error():
    pixels = np.asarray(painted(220))
    report = analyzer().analyze(pixels)
    assert (report.source, report.sha256, report.verdict.label) == ("<array>", None, "fake")
    for wrong in (
        np.full((8, 8, 3), np.nan),
        pixels.astype(np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros(8, np.uint8),
        [[1, 2], [3, 4]],
        None,
        7,
    ):
        with pytest.raises(InputError, match=r"[Ee]xpected .* got"):
            analyzer().analyze(wrong)


def test_a_file_object_and_a_pil_image_are_analysed(tmp_path):
    path = tmp_path / "a.png"
    painted(220).save(path)
    with path.open("rb") as file:
        report = analyzer().analyze(file)
    assert (report.source, report.sha256) == (str(path), analyzer().analyze(path).sha256)
    image = analyzer().analyze(painted(220))
    assert (image.source, image.sha256, image.verdict.fake) == ("<image>", None, report.verdict.fake)
    with pytest.raises(InputError, match="open for reading bytes"), path.open(encoding="latin-1") as file:
        analyzer().analyze(file)


class Papers:
    """Speaks of the file alone, and takes its word for it."""

    name, decisive = "papers", True

    def __init__(self, fake=1.0, fails=False):
        self.fake, self.fails = fake, fails

    def made_by(self):
        return {}

    def inspect(self, clip):
        if self.fails:
            raise RuntimeError("no papers")
        claim = Finding.on(None, clip.frame.at.box, None, "A generator signed it.", None)
        return Testimony(self.name, self.fake, findings=(claim,))


def test_a_witness_may_speak_of_the_file_even_where_no_face_is_found():
    report = Analyzer(finder=Nobody(), witnesses=[Papers(), Brightness()]).analyze(np.asarray(painted(60)))
    assert (report.status, report.verdict.label) == ("no_face", "fake")
    assert [finding.claim for finding in report.findings] == ["A generator signed it."]
    assert wire.parse(wire.render(report)).findings[0].claim == "A generator signed it."
    unsigned = Analyzer(finder=Nobody(), witnesses=[Papers(None)]).analyze(np.asarray(painted(60)))
    assert unsigned.verdict is None and unsigned.findings
    failed = Analyzer(finder="whole", witnesses=[Papers(fails=True), Brightness()]).analyze(np.asarray(painted(60)))
    assert failed.status == "ok" and "papers failed" in failed.problems[0].message


def test_what_a_witness_wants_to_be_known_is_a_note_and_no_problem():
    class Noting(Brightness):
        def examine(self, track, clip):
            return replace(super().examine(track, clip), notes=("No place raises the score.",))

    report = Analyzer(finder="whole", witnesses=[Noting()]).analyze(np.asarray(painted(60)))
    assert report.problems == () and report.status == "ok"
    assert report.notes == ("The witness brightness: No place raises the score.",)


def test_a_witness_that_gives_something_else_than_a_testimony_is_a_problem():
    class Odd(Brightness):
        def examine(self, track, clip):
            return "fake"

    report = Analyzer(finder="whole", witnesses=[Odd(name="odd"), Brightness()]).analyze(np.asarray(painted(60)))
    assert report.status == "ok" and "Expected a Testimony, got str" in report.problems[0].message


@pytest.mark.parametrize("what", ["a mask", "a place"])
def test_what_a_witness_marks_off_the_picture_is_a_problem(what):
    box = (0.0, 0.0, 900.0, 700.0)  # of a picture of another size

    class Elsewhere(Brightness):
        def examine(self, track, clip):
            mask = Mask(box, np.ones((7, 9), np.float32)) if what == "a mask" else None
            finding = Finding.on("face", box, None, "The face is odd.", 0.9, track.face.at)
            return Testimony("elsewhere", 0.9, mask, () if mask else (finding,))

    picture = np.asarray(painted(60))
    report = Analyzer(finder="whole", witnesses=[Elsewhere(name="elsewhere"), Brightness()]).analyze(picture)
    (problem,) = report.problems
    assert report.status == "ok" and f"Expected {what} on the picture" in problem.message
    assert f"{picture.shape[1]} × {picture.shape[0]} pixels, got the box 0, 0, 900, 700" in problem.message


def test_no_face_is_its_own_answer():
    report = Analyzer(finder=Nobody(), witnesses=[Brightness()]).analyze(np.asarray(painted(60)))
    assert (report.status, report.verdict, report.faces, report.problems) == ("no_face", None, (), ())
    assert wire.parse(wire.render(report)).status == "no_face"


def test_weights_that_cannot_be_had_are_said_to_lack_and_nobody_is_told_to_mend_code(monkeypatch):
    def lacks(name: str) -> None:
        raise WeightsError(f"{name} is not there. Fetch it.")

    monkeypatch.setattr(weights, "find", lacks)
    with pytest.raises(WeightsError, match=r"is not there. Fetch it.$"):
        Analyzer(witnesses=[Brightness()])


def test_faces_beyond_what_the_finder_gives_are_told():
    crowd = Crowd()
    crowd.max_faces = len(crowd.find(Frame(np.asarray(painted(60, 900)))))
    notes = Analyzer(finder=crowd, witnesses=[Brightness()]).analyze(np.asarray(painted(60, 900))).notes
    assert any(note.startswith(f"Only the largest {crowd.max_faces} faces were examined") for note in notes)
    assert any(map(media.leaves_out, notes)), "so that it is told of many pictures, too"
    crowd.max_faces += 1
    notes = Analyzer(finder=crowd, witnesses=[Brightness()]).analyze(np.asarray(painted(60, 900))).notes
    assert not any(map(media.leaves_out, notes))


def test_thirty_faces_are_all_judged_and_warned_of():
    y, x = np.mgrid[0:500, 0:600]  # shades, for two flat colours are no photograph
    pixels = np.repeat(((x + y) % 80).astype(np.uint8)[..., None], 3, axis=-1)
    pixels[:100, :100] += 140  # the first of them
    report = Analyzer(finder=Crowd(), witnesses=[Brightness()]).analyze(pixels)
    assert [face.verdict.label for face in report.faces] == ["fake"] + ["real"] * 29
    assert report.verdict.label == "fake"
    assert report.verdict.fake is None and report.verdict.reasons[0] == "30 faces: 29 no sign, 0 undecided, 1 fake."
    assert "Face 1 is judged fake." in report.verdict.reasons
    assert any("Of 30 genuine faces" in reason for reason in report.verdict.reasons)


# ----------------------------------------------------------------------------------------------- steps that fail


def test_a_finder_that_fails_is_a_failed_report():
    report = Analyzer(finder=Blind(), witnesses=[Brightness()]).analyze(jpeg(painted(60)))
    assert (report.status, report.problems[0].step) == ("failed", "find")
    assert "ZeroDivisionError: no eyes" in report.problems[0].message
    assert report.sha256 is not None


def test_one_witness_failing_is_a_problem_and_the_others_count():
    both = analyzer(Brightness(), Brightness("angry", name="angry"))
    report = both.analyze(jpeg(painted(220)))
    assert (report.status, report.verdict.label) == ("ok", "fake")
    (problem,) = report.problems
    assert problem.step == "examine"
    assert "The witness angry failed" in problem.message


def test_no_witness_left_is_a_failed_report():
    report = analyzer(Brightness("angry")).analyze(jpeg(painted(220)))
    assert (report.status, report.problems[0].step) == ("failed", "examine")
    assert "I will not look at this" in report.problems[0].message


@pytest.mark.parametrize(("mood", "word"), [("silent", "would not say"), ("uncalibrated", "no calibration")])
def test_nothing_measured_is_inconclusive_without_a_number(mood, word):
    report = analyzer(Brightness(mood)).analyze(jpeg(painted(220)))
    assert (report.status, report.verdict.label, report.verdict.fake) == ("ok", "inconclusive", None)
    assert any(word in reason for reason in report.verdict.reasons)


def test_missing_weights_are_an_exception_not_a_picture_that_failed():
    with pytest.raises(WeightsError, match="Fetch them"):
        Analyzer(finder=Unequipped(), witnesses=[Brightness()]).analyze(jpeg(painted(60)))


def test_unknown_names_and_options_are_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'whole'"):
        Analyzer(finder="wole", witnesses=[Brightness()])
    with pytest.raises(UnknownName, match=r"option of facemesh 'max_face'\. Did you mean 'max_faces'"):
        Analyzer(finder="facemesh", witnesses=[Brightness()], options={"facemesh": {"max_face": 1}})
    with pytest.raises(UnknownName, match=r"part to give options to 'hole'\. Did you mean 'whole'"):
        analyzer(options={"hole": {}})
    with pytest.raises(InputError, match="different names"):
        analyzer(Brightness(), Brightness())
    for none in ("compact", ()):
        with pytest.raises(InputError, match="at least one witness"):
            Analyzer(finder="whole", witnesses=none)
    for options in ([1], {"whole": 3}):
        with pytest.raises(InputError, match="expected options as"):
            analyzer(options=options)
    with pytest.raises(UnknownName, match="Did you mean 'max_pixels'"):
        analyzer(reading={"maxpixels": 1})


# ---------------------------------------------------------------------------------------- with the shipped parts


def test_the_default_parts_analyse_a_photograph(astronaut_path):
    weights = Path(facewitness.__file__).parent / "weights" / "compact.onnx"
    if not weights.is_file():
        pytest.skip(f"{weights.name} has not been trained yet; see runs/compact")
    try:
        report = facewitness.analyze(astronaut_path)
    except WeightsError as error:
        pytest.skip(str(error))
    assert report.status == "ok"
    assert len(report.faces) == 1
    assert 0.0 <= report.verdict.fake <= 1.0
    assert report.verdict.label != "fake"
    assert facewitness.analyze(astronaut_path).verdict.fake == report.verdict.fake


def test_a_picture_that_nobody_kept_says_how_to_keep_it(tmp_path):
    analysis = Analyzer(finder="whole", witnesses=[Brightness()]).analysis(np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(ReportError, match=r"analysis\.report\.save\(path, analysis\.clip\)"):
        analysis.report.save(tmp_path / "a.png")
    analysis.report.save(tmp_path / "a.png", analysis.clip)
    assert (tmp_path / "a.png").stat().st_size > 0
