"""A film's report to look at: the page's timeline and strip, and the film with boxes and masks over it."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the extra 'video'")
import av
import films

from facewitness import media, phrases
from facewitness.calibration import Calibration
from facewitness.dialogue import Dialogue
from facewitness.errors import ReportError
from facewitness.formats import film as overlay
from facewitness.formats import html, markdown
from facewitness.formats import json as wire
from facewitness.pipeline import Analyzer
from facewitness.times import moments_asked_for
from facewitness.types import Mask, Moment, Testimony


class Late:
    """Says that the face is forged in the second half of a film."""

    name = "late"
    calibration = Calibration(
        1.0, 0.0, (-8.0, 8.0), (0.0, 0.9), (0.1, 1.0), 0.3, 0.7, 0.05, 0.05, 0.5, 100, 50, {}
    )  # fmt: skip

    def examine(self, track, clip):
        mask = Mask((10.0, 10.0, 60.0, 60.0), np.full((8, 8), 0.9, np.float32))
        series = tuple(Moment(face.at, 0.95 if face.at.index >= 30 else 0.1, mask) for face in track.faces)
        return Testimony(self.name, float(np.mean([m.fake for m in series])), mask, series=series)

    def made_by(self):
        return {"options": {}, "weights": {}}


@pytest.fixture(scope="module")
def analysis():
    analyzer = Analyzer(finder="whole", witnesses=[Late()], reading={"sampling": {"frames": 10}})
    return analyzer.analysis(films.film(60))


def test_the_page_has_a_timeline_and_a_strip(analysis):
    page = html.render(analysis.report, analysis.clip).decode()
    strip = page[page.index('<div class="strip">') : page.index("<details><summary>4 more of the 10 moments")]
    assert 'class="timeline"' in page and strip.count("<figure") == 6 and strip.count('class="shot high"') == 4
    links = set(re.findall(r'href="#(moment-1-\d+)"', page))
    assert len(links) == 10 and all(f'id="{link}"' in page for link in links), "each point leads to its frame"
    assert page.count("data-seconds=") == 20
    assert "it looks forged, 50 % of the time judged: 0:01.3 to 0:02.2" in page
    assert page.count("<circle") >= 10 and "0:02.2: 95 % fake, quality" in page
    assert "0:02, 60 frames" in page and "The film at 0:01" in page, "the moment that looks most forged stands for it"


def test_the_strip_shows_moments_apart_from_each_other(analysis):
    page = html.render(analysis.report, analysis.clip).decode()
    strip = page[page.index('<div class="strip">') : page.index("<details><summary>4 more")]
    seconds = [float(second) for second in re.findall(r'data-seconds="([\d.]+)"', strip)]
    assert seconds == sorted(seconds) and len(set(seconds)) == 6


def test_times_that_look_forged_stand_in_one_line(analysis):
    assert phrases.forged_when(analysis.report) == "0:01.3 to 0:02.2"


def test_the_page_without_pixels_keeps_the_timeline(analysis):
    page = html.render(wire.parse(wire.render(analysis.report))).decode()
    assert 'class="timeline"' in page and 'class="shot"' not in page
    assert markdown.render(analysis.report)


def test_a_photo_has_no_timeline():
    photo = Analyzer(finder="whole", witnesses=[Late()]).analysis(np.full((90, 90, 3), 90, np.uint8))
    assert 'class="timeline"' not in html.render(photo.report, photo.clip).decode()
    assert len(films.decoded(overlay.render(photo.report, photo.clip))) == 1


def test_the_overlay_film_plays_and_shows_boxes(analysis):
    content = overlay.render(analysis.report, analysis.clip)
    drawn = films.decoded(content)
    plain = [frame.pixels for frame in media.read(films.film(60), sampling={"every": True}).frames()]
    assert len(drawn) == 60 and drawn[0].shape == (96, 128, 3)
    assert media.read(content).fps == pytest.approx(25)
    with av.open(io.BytesIO(content)) as opened:
        assert opened.streams.video[0].codec_context.name == "h264"
    changed = np.abs(drawn[40].astype(int) - plain[40]).mean(axis=2)
    assert changed[10:60, 10:60].mean() > 20  # the mask
    with pytest.raises(ReportError, match="--format film"):
        overlay.render(analysis.report)


def test_a_question_may_be_about_time(analysis):
    talk = Dialogue(analysis.report)
    when = talk.ask("When does it look fake?")
    assert when.intent == "when"
    assert "It looks forged at 0:01.3 to 0:02.2, 50 % of the moments that were judged" in when.text
    assert "highest probability is 95 %" in when.text and ", its lowest " in when.text
    assert talk.ask("What percentage of the film is fake?").text == when.text
    assert talk.ask("What does the timeline show?").text == when.text
    assert talk.ask("What do you see in the timeline?").text == when.text
    for question in ("What is the timeline?", "What does the timeline mean?", "How do I read the timeline?"):
        assert talk.ask(question).text.startswith("The timeline shows the probability of forgery at each moment")
    frame = talk.ask("Is frame 50 fake?")
    assert frame.label == "fake" and frame.text.startswith("Frame 50")
    assert talk.ask("Is the first frame fake?").label == "real"
    assert "The film has 60 frames, numbered from 0: there is no frame 60." in talk.ask("frame 60").text
    assert talk.ask("When is the chin fake?").text.startswith("Nothing points to the chin at any moment.")
    late, early = talk.ask("Is the face fake at 0:02?"), talk.ask("And at 0:00?")
    assert (late.label, early.label) == ("fake", "real")
    assert "At 0:02.0 the probability" in late.text
    mouth = talk.ask("Is the mouth fake at 0:14?")
    assert (mouth.text, mouth.label) == ("The film ends at 0:02.4: there is no 0:14 in it.", None)
    assert "Nothing points to the mouth" in talk.ask("Is the mouth fake at 0:02?").text
    early, all_of_it = talk.ask("Is it fake in the first second?"), talk.ask("Is it fake between 0:00 and 0:02?")
    assert (early.label, all_of_it.label) == ("real", "fake"), "not only the moment that is named first counts"
    assert early.text.startswith("From 0:00.0 to 0:01.0 the probability of forgery is 10 %, at ")
    assert "fake at " in all_of_it.text and "no sign of forgery found at " in all_of_it.text
    assert "neither for nor against the film" in talk.ask("What should I do next?").text
    both = talk.ask("Is 0:02 more fake than 0:00?").text
    assert "At 0:02.0 the probability" in both and "At 0:00.1 the probability" in both
    assert talk.ask("How long is the film?").text.startswith("The film lasts 0:02.4: 60 frames at 25 a second.")
    assert "The face is inconclusive" in talk.ask("Who is fake?").text
    photo = Dialogue(Analyzer(finder="whole", witnesses=[Late()]).analyze(np.full((90, 90, 3), 90, np.uint8)))
    assert "has no time" in photo.ask("When?").text


def test_a_moment_is_that_of_whoever_is_seen_then(analysis):
    (person,) = analysis.report.people
    people = [replace(person, timeline=part) for part in (person.timeline[:5], person.timeline[5:])]
    two = replace(analysis.report, people=tuple(people))
    early, late = (Dialogue(two).ask(f"Is it fake at {second}?") for second in ("0:00", "0:02"))
    assert early.text.startswith("At 0:00.1 the probability of forgery is 10 %")
    assert late.text.startswith("Person 2: at 0:02.0 the probability of forgery is 95 %")
    both = Dialogue(two).ask("Is it fake between 0:00 and 0:02?").text
    assert both.startswith("Person 1: from 0:00.0") and "Person 2: from 0:00.0" in both
    assert Dialogue(two).ask("Is person 1 fake at 0:02?").text.startswith("At 0:01.")


def test_when_somebody_is_seen_is_no_question_of_forgery(analysis):
    (person,) = analysis.report.people
    line = (*person.timeline[:3], *person.timeline[7:])
    gap = Dialogue(replace(analysis.report, people=(replace(person, timeline=line),)))
    text = gap.ask("When does person 1 appear?").text
    assert text.startswith("Seen and judged from 0:00.1 to 0:00.6 and from 0:01.8 to 0:02.2, at 6 moments.")


def test_a_moment_may_be_counted_from_the_one_that_was_spoken_of(analysis):
    talk = Dialogue(analysis.report)
    assert talk.ask("A second later?").text.startswith("From which moment cannot be told.")
    assert talk.ask("Is it fake at 0:01?").label is not None
    assert talk.ask("A second later?").text == Dialogue(analysis.report).ask("Is it fake at 2.000 seconds?").text
    assert "At 0:01.5 " in talk.ask("And half a second before?").text
    again = Dialogue(analysis.report)
    again.recall(talk.memory)  # as a service does between two requests
    back = again.ask("Half a second earlier?").text
    assert back == Dialogue(analysis.report).ask("Is it fake at 1.000 seconds?").text
    assert "there is nothing before it" in again.ask("two seconds back").text
    assert "At 0:01.08 " in again.ask("The next moment?").text
    assert "The film ends at 0:02.4: there is no 0:05" in talk.ask("And 4 seconds later?").text
    assert talk.ask("Is the mouth fake at 0:02?").regions == ("mouth",)
    assert talk.ask("And a second before?").regions == ("mouth",), "which was spoken of"
    assert talk.ask("Is the chin real one second after 0:00?").text.startswith("Yes. Nothing points to the chin")
    assert talk.ask("And the frame before?").regions == ("chin",)
    scored = {m.at.seconds: m.fake for m in analysis.report.people[0].timeline if m.fake is not None}
    for question, of in (("When does it look most fake?", max), ("When does it look least fake?", min)):
        talk.ask(question)
        assert scored[talk.memory["moment"][0]] == of(scored.values()), "what was told last is counted from"
    photo = Dialogue(Analyzer(finder="whole", witnesses=[Late()]).analyze(np.full((90, 90, 3), 90, np.uint8)))
    assert "has no time" in photo.ask("A second later?").text


@pytest.mark.parametrize(
    ("question", "second"),
    [
        ("at 0:14", 14),
        ("Is it fake at 1:02:03?", 3723),
        ("after 14 seconds", 14),
        ("at 0:14.5", 14.5),
        ("is face 2 fake?", None),
    ],
)
def test_moments_in_questions(question, second):
    assert moments_asked_for(question) == (() if second is None else (second,))
