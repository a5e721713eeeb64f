"""Films, from the file to the report: people with timelines, notes, and what goes wrong in its place."""

import io
import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="needs the extra 'video'")
import films

from facewitness import film
from facewitness.apps.cli import main
from facewitness.datasets import painted
from facewitness.formats import html
from facewitness.formats import json as wire
from facewitness.pipeline import Analyzer
from facewitness.types import Moment, Testimony


class Swinging:
    """Testifies by the brightness of a face's frame, and remembers what it was shown."""

    name = "swinging"

    def examine(self, track, clip):
        scores = [float(clip.at(face.at).pixels.mean()) / 255 for face in track.faces]
        series = tuple(Moment(face.at, score) for face, score in zip(track.faces, scores, strict=True))
        return Testimony(self.name, float(np.mean(scores)), series=series if len(series) > 1 else None)

    def made_by(self):
        return {"options": {}, "weights": {}}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(films.film(60))
    return file


def analyzer(**options):
    return Analyzer(finder="whole", witnesses=[Swinging()], **options)


def test_a_film_has_people_with_series(path):
    analysis = analyzer(reading={"sampling": {"frames": 6}}).analysis(path)
    report = analysis.report
    assert report.status == "ok" and (report.medium.frames, report.medium.fps) == (60, 25)
    (person,) = report.people
    assert [face.at.index for face in person.track.faces] == [5, 15, 25, 35, 45, 55]
    (testimony,) = person.verdict.testimonies
    scores = [moment.fake for moment in testimony.series]
    assert scores == sorted(scores) and testimony.fake == pytest.approx(np.mean(scores))
    assert [moment.at.seconds for moment in person.timeline] == pytest.approx([0.2, 0.6, 1.0, 1.4, 1.8, 2.2])
    again = wire.parse(wire.render(report))
    assert [moment.at for moment in again.people[0].timeline] == [moment.at for moment in person.timeline]
    assert b"<svg" in html.render(report, analysis.clip)
    assert report.to_dict() == analyzer(reading={"sampling": {"frames": 6}}).analyze(path).to_dict()


def test_one_frame_and_no_frames_and_notes(path, tmp_path):
    one = tmp_path / "one.mp4"
    one.write_bytes(films.film(1))
    report = analyzer().analyze(one)
    assert report.status == "ok" and "The film has one frame only." in report.notes
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(path.read_bytes()[:900])
    report = analyzer().analyze(broken)
    assert report.status == "failed" and report.problems[0].step == "read"
    half = tmp_path / "half.mkv"
    content = films.film(100, "mkv")
    half.write_bytes(content[: len(content) // 2])
    report = analyzer().analyze(half)
    assert report.status == "ok" and any("analysed up to there" in note for note in report.notes)


@pytest.mark.parametrize(
    ("moments", "got"), [({"start": 60.0}, "got 1:00.0 to its end"), ({"start": 0.5, "end": 0.5001}, "")]
)
def test_moments_outside_a_film_are_a_failure_of_this_film_alone(path, moments, got):
    """One short film of a folder does not end the command."""
    report = analyzer(reading={"sampling": moments}).analyze(path)
    assert report.status == "failed" and "expected moments inside the film" in report.problems[0].message
    assert got in report.problems[0].message and report.problems[0].step == "read"


def test_without_pyav_a_film_fails_and_a_photo_does_not(path, tmp_path, monkeypatch):
    def absent(*args, **options):
        raise film.MissingExtra("Films are decoded with PyAV, which is not installed. Try: pip install …")

    monkeypatch.setattr(film, "read", absent)
    report = analyzer().analyze(path)
    assert report.status == "failed" and "is a film. Films are decoded with PyAV" in report.problems[0].message
    photo = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(photo)
    assert analyzer().analyze(photo).status == "ok"


def test_a_film_without_faces(path):
    report = Analyzer(witnesses=[Swinging()]).analyze(path)
    assert report.status in ("no_face", "failed")  # failed where MediaPipe's models cannot be had
    if report.status == "no_face":
        assert report.medium.frames == 60 and not report.people


def test_the_command_line(path, tmp_path, capsys):
    assert main(["analyze", str(path), "--finder", "whole", "--json", "--frames", "3", "--from", "0:01"]) == 0
    report = json.loads(capsys.readouterr().out)
    seconds = [moment["at"]["seconds"] for moment in report["people"][0]["timeline"]]
    assert seconds == pytest.approx([1.2, 1.68, 2.16], abs=0.05)
    assert report["made_by"]["reading"] == {"sampling": {"frames": 3, "start": 1.0}}
    for wrong in (["--frames", "0"], ["--fps", "0"], ["--fps", "2", "--all"], ["--from", "1:2:3:4"], ["--to", "x"]):
        with pytest.raises(SystemExit):
            main(["analyze", str(path), *wrong])
    stills = [Image.fromarray(pixels) for pixels in films.pictures(4, 64, 48)]
    out = io.BytesIO()
    stills[0].save(out, "GIF", save_all=True, append_images=stills[1:], duration=100)
    gif = tmp_path / "a.gif"
    gif.write_bytes(out.getvalue())
    assert main(["analyze", str(gif), "--finder", "whole", "--json", "--film"]) == 0
    assert json.loads(capsys.readouterr().out)["medium"]["frames"] == 4


def test_painted_people_are_followed_into_a_report(tmp_path):
    sample = next(s for s in painted.samples() if s.truth.label == "real")
    picture = np.asarray(Image.open(io.BytesIO(sample.image)).convert("RGB"))
    file = tmp_path / "face.mp4"
    file.write_bytes(films.film([np.roll(picture, i, axis=1) for i in range(20)]))
    report = Analyzer(witnesses=[Swinging()], reading={"sampling": {"frames": 4}}).analyze(file)
    if report.status == "failed":
        pytest.skip(report.problems[0].message)
    (person,) = report.people
    assert len(person.timeline) == 4
    left = [face.box[0] for face in person.track.faces]
    assert left == sorted(left) and left[-1] - left[0] > 10
