"""The report on paper: it fits, it repeats, and no text from outside breaks it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pypdfium2
import pytest
from reports import REPORTS, clip_of, examined, finding, forged_mask, kind, landmarks, painted, report

from facewitness.formats import html, pdf
from facewitness.types import Clip, FrameRef, Moment, Reply, Sentence, Testimony, Verdict


def twelve(findings: int = 3):
    """A picture of twelve people, each with findings and what stands around them."""
    meshes = [landmarks(60 + 390 * (i % 4), 90 + 400 * (i // 4), 250) for i in range(12)]
    frame = painted(1640, 1260, *meshes)
    people = []
    for number, mesh in enumerate(meshes):
        places = ("left_eye", "mouth", "nose", "chin", "right_eye")[:findings]
        found = tuple(finding(frame, mesh, place, f"The {place} shows traces.", 0.8) for place in places)
        told = [Sentence(f"The {place} shows strong traces of forgery.", (i,)) for i, place in enumerate(places)]
        told.append(Sentence("The findings are places to look at, not proof of how the picture was made."))
        people.append(
            examined(
                frame, mesh, "fake", 0.9, (0.8, 0.95), found, tuple(told), forged_mask(frame, mesh, *places),
                kind(0.1, 0.6, 0.2, 0.1),
                reasons=("The probability of forgery, 90 %, is above the threshold for fake, 70 %.",), person=number,
            )
        )  # fmt: skip
    verdict = Verdict("fake", None, reasons=("12 faces: 0 no sign, 0 undecided, 12 fake.",))
    return report("twelve.png", frame, verdict, *people), Clip("twelve.png", (frame,))


def words(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    return " ".join(" ".join(page.get_textpage().get_text_range() for page in document).split())


@pytest.fixture(scope="module")
def crowd():
    return twelve()


def test_twelve_people_fit_on_four_pages(crowd):
    made, clip = crowd
    data = pdf.render(made, clip)
    document = pypdfium2.PdfDocument(data)
    assert len(document) <= 4
    text = words(data)
    for number in range(1, 13):
        assert f"Face {number}: Fake" in text and f"{number}c The nose shows strong" in text
    assert "page 1 of" in text
    assert text.count("not proof of how the picture was made") == 1  # said once, of every face


def test_what_painting_a_place_over_did_stands_beside_its_strength(crowd):
    made, clip = crowd
    person = made.people[0]
    findings = tuple(dataclasses.replace(finding, moves=0.41) for finding in person.findings)
    one = dataclasses.replace(made, people=(dataclasses.replace(person, findings=findings),))
    assert "painted over: log" in words(pdf.render(one, clip)) and "−0.41" in words(pdf.render(one, clip))
    assert "painted over" not in words(pdf.render(dataclasses.replace(made, people=made.people[:1]), clip))


def test_a_page_for_twelve_people_is_at_most_a_megabyte_and_a_half(crowd):
    made, clip = crowd
    assert len(html.render(made, clip)) <= 1_500_000
    assert len(pdf.render(made, clip)) <= 1_500_000


def test_pages_show_the_picture_its_masks_and_its_faces():
    made = REPORTS["two_faces"]
    page = pypdfium2.PdfDocument(pdf.render(made, clip_of(made)))[0]
    drawn = np.asarray(page.render(scale=1).to_pil().convert("RGB")).astype(int)
    without = np.asarray(pypdfium2.PdfDocument(pdf.render(made))[0].render(scale=1).to_pil().convert("RGB")).astype(int)
    skin = (np.abs(drawn - (201, 154, 128)).max(-1) < 25).sum()  # the paint of the faces
    assert skin > 2000 and (np.abs(without - (201, 154, 128)).max(-1) < 25).sum() < skin / 10
    yellow = (drawn[..., 0] > 150) & (drawn[..., 1] > 150) & (drawn[..., 2] < 110)
    assert yellow.sum() > 50  # the mouth's mask


def test_the_same_report_gives_the_same_bytes_and_a_date_stands_where_it_is_given():
    made = REPORTS["inconclusive"]
    assert pdf.render(made) == pdf.render(made)
    assert "analysed 2026-11-26" in words(pdf.render(made, date="2026-11-26 04:00"))


def test_letters_that_the_font_lacks_are_written_by_number_and_others_as_they_are():
    text = words(pdf.render(REPORTS["unicode"]))
    assert "фото" in text and "\\u5199" in text and "Das Kinn zeigt Spuren; подбородок" in text


def test_a_text_of_any_length_finds_its_page():
    made = REPORTS["inconclusive"]
    (person,) = made.people
    endless = "word " * 4000 + "x" * 4000
    speaks = Testimony("compact", 0.5, reply=Reply("fake", None, (endless,)))
    verdict = dataclasses.replace(person.verdict, testimonies=(speaks,), reasons=(endless,))
    long = dataclasses.replace(made, people=(dataclasses.replace(person, verdict=verdict),), notes=(endless,))
    long = dataclasses.replace(long, made_by={"key" * 200: endless, "witnesses": [{"name": endless}]})
    assert len(pypdfium2.PdfDocument(pdf.render(long, clip_of(made)))) > 5
    two = dataclasses.replace(long, people=(*long.people, *long.people))
    assert "more letters stand in the JSON report" in words(pdf.render(two, clip_of(made)))


def test_a_film_has_its_curve():
    made = REPORTS["inconclusive"]
    (person,) = made.people
    at = [FrameRef(160, 140, index, index / 2) for index in range(12)]
    line = tuple(Moment(each, 0.9 if 3 <= each.index <= 8 else 0.1) for each in at)
    verdict = dataclasses.replace(person.verdict, thresholds=(0.3, 0.7))
    shown = dataclasses.replace(made, people=(dataclasses.replace(person, timeline=line, verdict=verdict),))
    text = words(pdf.render(shown, clip_of(made)))
    assert "Probability of forgery at each judged moment" in text and "Shaded: it looks forged" in text


def test_who_is_seen_in_a_film_is_called_a_person(crowd):
    made, _ = crowd
    at = [FrameRef(2048, 1365, index, index / 2) for index in (6, 7)]
    people = []
    for person in made.people[:2]:
        faces = tuple(dataclasses.replace(person.face, at=each) for each in at)
        people.append(dataclasses.replace(person, track=dataclasses.replace(person.track, faces=faces)))
    medium = dataclasses.replace(made.medium, fps=2.0, frames=20)
    text = words(pdf.render(dataclasses.replace(made, medium=medium, people=tuple(people))))
    assert "Person 1: Fake" in text and "Person Answer" in text and "Of every person: " in text
    assert "Face 1" not in text
