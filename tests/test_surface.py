"""What of a face can be seen: on a photograph of a person, and with things laid over it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

import facewitness
from facewitness import media, plugins, regions, surface
from facewitness.errors import WeightsError
from facewitness.formats import json as wire
from facewitness.types import Face, Finding, Pixels, Place, Reply, Testimony, Track


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return np.asarray(data.astronaut()[:320, 60:380])


@pytest.fixture(scope="module")
def face(photo: Pixels) -> Face:
    return plugins.load("finders", "facemesh", {}).find(media.read(photo).frame)[0]


def drawn(
    photo: Pixels, face: Face, names: tuple[str, ...], colour: tuple[int, int, int], grow: float = 0.35
) -> Pixels:
    """The photo with a box over the outlines of regions."""
    assert face.landmarks is not None
    points = np.concatenate([ring for name in names for ring in regions.polygons(name, face.landmarks)])[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    more = grow * (high - low)[1]
    picture = Image.fromarray(photo)
    ImageDraw.Draw(picture).rectangle([*(low - more), *(high + more)], fill=colour)
    return np.asarray(picture)


def test_an_open_face_is_seen_but_for_a_beard_that_is_none(photo: Pixels, face: Face) -> None:
    assert surface.seen(face, photo).unseen <= {"beard", "forehead"}  # her hair touches the forehead
    assert "beard" in surface.seen(face, photo).unseen
    assert "jaw" not in surface.seen(face, photo).unseen


@pytest.mark.parametrize(
    ("names", "colour", "expected"),
    [
        (("left_eye", "right_eye"), (0, 0, 0), {"left_eye", "right_eye"}),
        (("left_eye", "right_eye"), (40, 38, 35), {"left_eye", "right_eye"}),
        (("mouth",), (30, 30, 30), {"mouth", "teeth"}),
        (("mouth", "chin"), (200, 220, 235), {"mouth", "chin"}),
    ],
)
def test_what_lies_under_a_bar_is_unseen(
    photo: Pixels, face: Face, names: tuple[str, ...], colour: tuple[int, int, int], expected: set[str]
) -> None:
    unseen = surface.seen(face, drawn(photo, face, names, colour)).unseen
    assert expected <= unseen
    others = {"left_eye", "right_eye", "nose"} - expected
    assert not others & unseen


def test_tone_and_size_do_not_cover_anything(photo: Pixels, face: Face) -> None:
    grey = np.repeat(photo.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    dark = (photo * 0.5).astype(np.uint8)
    for picture in (grey, dark):
        assert not {"left_eye", "right_eye", "mouth", "nose", "chin"} & surface.seen(face, picture).unseen


def test_a_face_without_landmarks_stays_as_it_is(photo: Pixels, face: Face) -> None:
    bare = dataclasses.replace(face, landmarks=None)
    assert surface.seen(bare, photo) is bare


def test_findings_on_covered_places_are_none(face: Face) -> None:
    covered = dataclasses.replace(face, unseen=frozenset({"mouth", "beard"}))
    testimony = Testimony("w", 0.9, findings=tuple(
        Finding.on(name, face.box, None, f"The {words} shows traces of forgery.", 0.8, face.at)
        for name, words in (("mouth", "mouth"), ("nose", "nose"), ("beard", "beard area"))
    ))  # fmt: skip
    left = surface.without_unseen(testimony, (covered,)).findings
    assert [finding.region for finding in left] == ["nose", "lower_face"]  # there is no beard, but there is a jaw
    assert left[1].claim == "The lower face shows traces of forgery."
    said = dataclasses.replace(testimony, reply=Reply("fake", None, ("The mouth and the nose are smeared.",)))
    notes = surface.without_unseen(said, (covered,)).reply.notes
    assert notes == ("Its words name the mouth, which is covered or cannot be seen.",)
    under = dataclasses.replace(face, unseen=frozenset({"mouth", "beard", "jaw"}))
    assert [f.region for f in surface.without_unseen(testimony, (under,)).findings] == ["nose"]


def test_a_finding_of_a_film_keeps_the_moments_in_which_its_place_is_seen(face: Face) -> None:
    later = dataclasses.replace(
        face, at=dataclasses.replace(face.at, index=5, seconds=0.2), unseen=frozenset({"mouth"})
    )
    finding = Finding(tuple(Place(f.at, "mouth", face.box) for f in (face, later)), "The mouth shows traces.", 0.7)
    left = surface.without_unseen(Testimony("w", 0.9, findings=(finding,)), (face, later)).findings
    assert [place.at for place in left[0].places] == [face.at]


def test_a_report_says_what_is_covered_and_answers_so(photo: Pixels, face: Face) -> None:
    picture = drawn(photo, face, ("left_eye", "right_eye"), (0, 0, 0), grow=0.5)
    report = facewitness.analyze(picture)
    person = report.people[0]
    assert {"left_eye", "right_eye"} <= person.face.unseen
    assert any("left eye" in s.text and "covered" in s.text for s in person.explanation)
    assert not any(place.region in person.face.unseen for f in person.findings for place in f.places)
    again = wire.parse(wire.render(report, None))
    assert again.people[0].face.unseen == person.face.unseen
    line = json.loads(report.to_json())
    for part in line["people"]:
        for each in part["faces"]:
            del each["unseen"]  # a report written before there was such a field
    assert wire.parse(json.dumps(line)).people[0].face.unseen == frozenset()


def test_a_track_of_one_face_keeps_its_person(photo: Pixels, face: Face) -> None:
    assert Track(0, (surface.seen(face, photo),)).face.box == face.box


def test_damaged_fits_are_told(monkeypatch: pytest.MonkeyPatch, photo: Pixels, face: Face) -> None:
    monkeypatch.setattr(surface.weights, "read", lambda name: (b'{"schema": "facewitness.surface/9"}', ""))
    surface._fits.cache_clear()
    with pytest.raises(WeightsError, match=r"surface\.json is damaged"):
        surface.seen(face, photo)
    surface._fits.cache_clear()
